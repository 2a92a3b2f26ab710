"""The `openai` package as this program uses it: its addresses, headers and errors; prepared bytes out, a bounded body back.

Importing this module imports `openai` (most of a second): only `openai.py` does so, in a thread, at the first call.
"""

from __future__ import annotations

import ssl
from typing import Any

import httpx2
from openai import APIConnectionError, APIStatusError, AsyncOpenAI, DefaultAsyncHttpxClient, Omit, OpenAIError

__all__ = ["Answer", "Oversized", "Pool", "Unsendable", "open_client", "open_pool", "receive", "send"]

_CONNECTIONS = 1000
_CONNECT_S = 15.0
_LARGEST_BODY = 32 * 1024 * 1024
_UNKEYED = "none"
_REFRAMED = ("content-encoding", "content-length", "transfer-encoding")


class Oversized(Exception):
    """The body is larger than any reply."""


class Unsendable(Exception):
    """The request cannot be sent as it is, whatever the network does; the message says why."""


class Pool(DefaultAsyncHttpxClient):
    """The connections of one provider. Every answer's body is read to its end, bounded, before anybody looks at it."""

    async def send(self, request: httpx2.Request, *, stream: bool = False, **options: Any) -> httpx2.Response:
        """Send, and hold the whole answer, whatever its status."""
        response = await super().send(request, stream=True, **options)
        try:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > _LARGEST_BODY:
                    raise Oversized(f"the reply is larger than {_LARGEST_BODY // 1024 // 1024} MiB")
        finally:
            await response.aclose()
        headers = [(name, value) for name, value in response.headers.multi_items() if name.lower() not in _REFRAMED]
        return httpx2.Response(response.status_code, headers=headers, content=bytes(body), request=request)


class Answer:
    """An HTTP answer of any status."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, response: httpx2.Response) -> None:
        self.status: int = response.status_code
        self.body: bytes = response.content
        self.headers: dict[str, str] = dict(response.headers)


def open_pool() -> Pool:
    """Connections that follow no redirects and have no time-outs but the one of connecting: the deadline is the caller's.

    Raises OSError where the certificates named in the environment cannot be read.
    """
    limits = httpx2.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS)
    return Pool(limits=limits, timeout=httpx2.Timeout(None, connect=_CONNECT_S), follow_redirects=False)


def open_client(base_url: str, api_key: str | None, *, pool: Pool) -> AsyncOpenAI:
    """The SDK's client for one endpoint and one key, on shared connections; nothing of it needs closing."""
    # Ours stands in `default_headers` too, as OPENAI_CUSTOM_HEADERS in the environment would replace the key otherwise.
    return AsyncOpenAI(
        api_key=api_key or _UNKEYED,
        base_url=base_url,
        max_retries=0,
        http_client=pool,
        timeout=httpx2.Timeout(None, connect=_CONNECT_S),
        default_headers={"Authorization": f"Bearer {api_key}"} if api_key else None,
    )


async def send(client: AsyncOpenAI, body: bytes) -> Answer:
    """POST the bytes as they are to the chat completions, once.

    Raises Oversized, Unsendable, and ConnectionError with the cause in words.
    """
    try:
        response = await client.post("/chat/completions", content=body, cast_to=httpx2.Response, options=_options(client))
    except APIStatusError as error:
        return Answer(error.response)
    except (OpenAIError, httpx2.InvalidURL, httpx2.StreamError, UnicodeError) as error:
        raise _translated(error) from error
    return Answer(response)


async def receive(client: AsyncOpenAI, path: str) -> Answer:
    """GET a path below the endpoint; raises as `send` does."""
    try:
        response = await client.get(path, cast_to=httpx2.Response, options=_options(client))
    except APIStatusError as error:
        return Answer(error.response)
    except (OpenAIError, httpx2.InvalidURL, httpx2.StreamError, UnicodeError) as error:
        raise _translated(error) from error
    return Answer(response)


def _options(client: AsyncOpenAI) -> Any:
    return {"headers": {"Authorization": Omit()}} if client.api_key == _UNKEYED else {}


def _translated(error: Exception) -> Exception:
    chain = _chain(error)
    for link in chain:
        if isinstance(link, httpx2.InvalidURL | httpx2.UnsupportedProtocol | httpx2.LocalProtocolError | UnicodeError):
            return Unsendable(f"the request cannot be sent: {_words(link)}")
    if not isinstance(error, APIConnectionError):
        return Unsendable(f"the request cannot be sent: {_words(error)}")
    for link in chain:
        if isinstance(link, ssl.SSLError):
            return ConnectionError(f"TLS failed: {_words(link)}")
    if any(isinstance(link, httpx2.ConnectTimeout) for link in chain):
        return ConnectionError(f"no connection within {_CONNECT_S:.0f} s")
    if any(isinstance(link, httpx2.ConnectError) for link in chain):
        return ConnectionError(f"no connection: {_words(chain[-1])}")
    if any(isinstance(link, httpx2.ProxyError) for link in chain):
        return ConnectionError(f"the proxy refused: {_words(chain[-1])}")
    return ConnectionError(f"the connection broke before the reply was whole: {_words(chain[-1])}")


def _chain(error: BaseException) -> list[BaseException]:
    """The error and what led to it, down to where it began."""
    chain = [error]
    while len(chain) < 20 and (cause := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(cause)
    return chain


def _words(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)[:300] or type(error).__name__
