"""Prepared bytes out, a bounded body back: the `openai` package says where to and with which headers, aiohttp carries it.

The package builds address, authentication and headers once per endpoint and key; its typed transform of every message, and the HTTP
stack below it, cost twenty times what a durable turn does, so the bytes go over a session of our own. Importing this module imports
both (most of a second): only `openai.py` does so, in a thread, at the first call.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx2
from openai import AsyncOpenAI, Omit, OpenAIError
from yarl import URL

__all__ = ["Answer", "Oversized", "Route", "Session", "Unsendable", "open_session", "receive", "route_to", "send"]

_CONNECTIONS = 1000
_CONNECT_S = 15.0
_LARGEST_BODY = 32 * 1024 * 1024
_UNKEYED = "none"
_SESSIONS_OWN = frozenset({"accept-encoding", "connection", "content-length", "host", "transfer-encoding"})

Session = aiohttp.ClientSession


class Oversized(Exception):
    """The body is larger than any reply."""


class Unsendable(Exception):
    """The request cannot be sent as it is, whatever the network does; the message says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer of any status; header names in lower case."""

    status: int
    body: bytes
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Route:
    """Where the requests of one endpoint and key go, and with which headers: the package's own."""

    chat: URL
    models: URL
    headers: dict[str, str]
    proxy: URL | None
    """As the environment says (HTTPS_PROXY, HTTP_PROXY, NO_PROXY), asked once: aiohttp's own way asks in a thread for each request,
    and reads `~/.netrc` each time."""


class _Capture(httpx2.AsyncBaseTransport):
    """Takes the request that the package would send, and sends nothing."""

    def __init__(self) -> None:
        self.requests: list[httpx2.Request] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        return httpx2.Response(200, json={}, request=request)


async def route_to(base_url: str, api_key: str | None, extra: Mapping[str, str]) -> Route:
    """Ask the package for the address and headers of an endpoint; raises Unsendable.

    A query in `base_url` goes with every request (Azure's `?api-version=`), and so do the `extra` headers.
    """
    capture = _Capture()
    place, _, query = base_url.partition("?")
    # Ours stands in `default_headers` too, as OPENAI_CUSTOM_HEADERS in the environment would replace the key otherwise.
    client = AsyncOpenAI(
        api_key=api_key or _UNKEYED,
        base_url=place,
        max_retries=0,
        http_client=httpx2.AsyncClient(transport=capture),
        default_headers=({"Authorization": f"Bearer {api_key}"} if api_key else {}) | dict(extra),
        default_query=dict(parse_qsl(query, keep_blank_values=True)),
    )
    without_key = {"Authorization": Omit()}
    keyed = api_key or any(name.lower() == "authorization" for name in extra)
    try:
        options: Any = {} if keyed else {"headers": without_key}
        await client.post("/chat/completions", content=b"{}", cast_to=httpx2.Response, options=options)
        await client.get("/models", cast_to=httpx2.Response, options=options)
    except (OpenAIError, httpx2.InvalidURL, httpx2.UnsupportedProtocol, UnicodeError) as error:
        raise Unsendable(f"the request cannot be sent: {_words(error)}") from error
    finally:
        await client.close()
    chat, models = capture.requests
    headers = {name: value for name, value in chat.headers.items() if name.lower() not in _SESSIONS_OWN}
    address = URL(str(chat.url), encoded=True)
    return Route(address, URL(str(models.url), encoded=True), headers, _proxy_for(address))


def _proxy_for(address: URL) -> URL | None:
    if proxy_bypass(address.host or ""):
        return None
    named = getproxies().get(address.scheme)
    proxy = URL(named) if named else None
    return proxy if proxy is not None and proxy.scheme == "http" else None  # aiohttp speaks to no other kind


async def open_session() -> Session:
    """Connections that follow no redirects, keep no cookies, and have no time-out but the one of connecting: the deadline is the
    caller's. Certificates come from the environment. Raises OSError where those certificates cannot be read."""
    tls = await asyncio.to_thread(_certificates)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=_CONNECTIONS, ssl=tls),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S),
    )


def _certificates() -> ssl.SSLContext:
    tls = ssl.create_default_context()
    named = os.environ.get("SSL_CERT_FILE")
    if named:
        tls.load_verify_locations(cafile=named)  # the default context passes over a file that is not there
    return tls


async def send(session: Session, route: Route, body: bytes, held: bytearray) -> Answer:
    """POST the bytes as they are to the chat completions, once. What comes stands in `held`, however the exchange ends.

    Raises Oversized, Unsendable, and ConnectionError with the cause in words; ConnectionResetError once the request had gone out.
    """
    return await _exchange(session, "POST", route.chat, route, route.headers, body, held)


async def receive(session: Session, route: Route) -> Answer:
    """GET the list of models; raises as `send` does."""
    headers = {name: value for name, value in route.headers.items() if name.lower() != "content-type"}
    return await _exchange(session, "GET", route.models, route, headers, None, bytearray())


async def _exchange(
    session: Session, method: str, url: URL, route: Route, headers: dict[str, str], body: bytes | None, held: bytearray
) -> Answer:
    try:
        async with session.request(method, url, data=body, headers=headers, proxy=route.proxy, allow_redirects=False) as response:
            async for chunk in response.content.iter_any():
                held += chunk
                if len(held) > _LARGEST_BODY:
                    raise Oversized(f"the reply is larger than {_LARGEST_BODY // 1024 // 1024} MiB")
            return Answer(response.status, bytes(held), {name.lower(): value for name, value in response.headers.items()})
    except (aiohttp.ClientError, OSError, UnicodeError, ValueError) as error:
        raise _translated(error) from error


def _translated(error: Exception) -> Exception:
    match error:
        case aiohttp.InvalidURL() | UnicodeError() | ValueError():
            return Unsendable(f"the request cannot be sent: {_words(error)}")
        case aiohttp.ClientConnectorCertificateError():
            return ConnectionError(f"TLS failed: {_words(error.certificate_error)}")
        case aiohttp.ClientConnectorSSLError() | ssl.SSLError():
            return ConnectionError(f"TLS failed: {_words(error)}")
        case aiohttp.ConnectionTimeoutError():
            return ConnectionError(f"no connection within {_CONNECT_S:.0f} s")
        case aiohttp.ClientProxyConnectionError() | aiohttp.ClientHttpProxyError():
            return ConnectionError(f"the proxy refused: {_words(error)}")
        case aiohttp.ClientConnectorError():
            return ConnectionError(f"no connection: {_words(error.os_error)}")
        case _:
            return ConnectionResetError(f"the connection broke before the reply was whole: {_words(error)}")


def _words(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)[:300] or type(error).__name__
