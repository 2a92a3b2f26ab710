"""The HTTP beneath a remote server: bodies are bounded, and each request learns by itself what became of it.

The SDK tells of no status, and one request that cannot connect would end the session of all. So what is no answer of the server's is
put into the form of one here, with a word in it that the server cannot know.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx2

from smallchain.services.mcp.process import LONGEST_MESSAGE

UNREACHABLE, LOST, STATUS = "unreachable", "lost", "status"
"""What can become of a request that has no answer: nothing was sent; it may have arrived; there was a status and nothing more."""
_CONNECT_S = 10.0
_READ_S = 300.0
_CODE = -32098


class Transport(httpx2.AsyncBaseTransport):
    """Sends requests; `word` marks the answers that we make."""

    def __init__(self) -> None:
        self.word = secrets.token_hex(16)
        self._beneath = httpx2.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request."""
        try:
            response = await self._beneath.handle_async_request(request)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol) as error:
            return self._answer(request, UNREACHABLE, f"it can't be reached: {error or type(error).__name__}")
        except httpx2.TransportError as error:
            return self._answer(request, LOST, f"the connection was lost: {error or type(error).__name__}")
        kind = response.headers.get("content-type", "").lower()
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            await response.aclose()
            return self._answer(request, STATUS, "it sent a compressed body, which was not asked for", status=502)
        if response.status_code >= 400 and not kind.startswith("application/json"):
            await response.aclose()
            if response.status_code == 404:
                return httpx2.Response(404, request=request)  # the SDK knows it: the session has ended
            return self._answer(request, STATUS, f"HTTP {response.status_code}", status=response.status_code)
        if not kind.startswith("text/event-stream"):  # of those the SDK bounds each event
            response.stream = _Bounded(response.stream)
        return response

    async def aclose(self) -> None:
        """Let go of connections."""
        await self._beneath.aclose()

    def verdict(self, data: object) -> str:
        """What became of a request, from the data of its error; empty when the error is the server's own."""
        return str(data.get("what", "")) if isinstance(data, dict) and data.get("word") == self.word else ""

    def _answer(self, request: httpx2.Request, what: str, message: str, status: int = 503) -> httpx2.Response:
        if request.method != "POST":
            return httpx2.Response(405, request=request)  # a stream of news: there is none now
        data = {"word": self.word, "what": what, "status": status}
        error = {"jsonrpc": "2.0", "id": None, "error": {"code": _CODE, "message": message[:500], "data": data}}
        return httpx2.Response(status, headers={"content-type": "application/json"}, content=json.dumps(error), request=request)


def client_of(headers: Mapping[str, str], transport: Transport, /) -> httpx2.AsyncClient:
    """A client that sends these headers with every request."""
    timeout = httpx2.Timeout(_CONNECT_S, read=_READ_S)
    return httpx2.AsyncClient(headers={**headers, "accept-encoding": "identity"}, timeout=timeout, transport=transport)


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        total = 0
        async for chunk in self._stream:
            total += len(chunk)
            if total > LONGEST_MESSAGE:
                raise httpx2.StreamError(f"it sent a message of more than {LONGEST_MESSAGE >> 20} MiB")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
