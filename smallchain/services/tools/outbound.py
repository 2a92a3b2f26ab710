"""The one way in which tools speak to other machines: one request, one answer, to addresses that were looked at.

The one rule: a name is resolved once, every address it leads to is judged, and one of these is connected to, so that a name which
leads elsewhere a moment later leads nowhere. Redirects, proxies of the environment and cookies are none of this file's doing.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import socket
import zlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from smallchain.model.addresses import why_closed
from smallchain.model.artifact import LARGEST

if TYPE_CHECKING:
    import aiohttp
    from yarl import URL

_CHUNK = 64 << 10
_LONGEST_HEADER = 8 << 10
_MOST_HEADERS = 100
_LONGEST_WAIT = timedelta(hours=1)

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses that a host's name leads to at this moment; raises OSError."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `body` is at most `LARGEST` bytes, without its compression; `cut`: there was more."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cut: bool


class NotSent(Exception):
    """Nothing of the request went out."""


class Lost(Exception):
    """The request went out, at least in part, and there is no whole answer."""

    def __init__(self, words: str, *, late: bool = False) -> None:
        super().__init__(words)
        self.late = late


async def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of a host, as this machine resolves names."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def fault_in_place(url: str, allow: Sequence[str], /) -> str:
    """Whether an address that stands in a URL is closed, and what to write; a name is looked at when it is spoken to."""
    host = urlsplit(url).hostname or ""
    try:
        ip_address(host)
    except ValueError:
        return ""
    why = why_closed(host, host, allow)
    return f"{why}; write `allow: [{host}]`" if why else ""


def retry_after(answer: Answer, /) -> timedelta | None:
    """Retry-After in seconds, as programs send it (RFC 9110, section 10.2.3); a date is as none."""
    given = answer.headers.get("retry-after", "")
    return min(timedelta(seconds=int(given[:9])), _LONGEST_WAIT) if given.isascii() and given.isdigit() else None


class Outbound:
    """Sends requests; a connection carries one."""

    def __init__(self, resolve: Resolve = resolve) -> None:
        self._resolve = resolve

    async def send(
        self, method: str, url: URL, /, *, headers: Mapping[str, str], body: bytes | None, allow: Sequence[str], within: timedelta
    ) -> Answer:
        """Send one request and read its answer. Raises NotSent, Lost."""
        state = SimpleNamespace(sent=False, status=0)
        try:
            async with asyncio.timeout(within.total_seconds()):
                return await self._send(method, url, {"Accept-Encoding": "identity", **headers}, body, allow, state)
        except TimeoutError:
            if state.sent:
                raise Lost(f"{_shown(url)} gave no whole answer in time", late=True) from None
            raise NotSent(f"{_shown(url)} took no connection in time") from None

    async def _send(
        self, method: str, url: URL, headers: dict[str, str], body: bytes | None, allow: Sequence[str], state: SimpleNamespace
    ) -> Answer:
        aiohttp: Any = await asyncio.to_thread(importlib.import_module, "aiohttp")
        addresses = await self._checked(url, allow)

        async def headers_sent(*_: Any) -> None:
            state.sent = True

        async def connecting(*_: Any) -> None:
            if state.sent:
                raise _Again

        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(headers_sent)
        trace.on_connection_create_start.append(connecting)
        connector = aiohttp.TCPConnector(resolver=_Pinned(addresses), use_dns_cache=False, force_close=True)
        session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
            trust_env=False,
            trace_configs=[trace],
            max_line_size=_LONGEST_HEADER,
            max_field_size=_LONGEST_HEADER,
            skip_auto_headers=("Content-Type",),
        )
        try:
            async with session.request(method, url, data=body, headers=headers, allow_redirects=False) as response:
                state.status = response.status
                return await _answer(response)
        except (aiohttp.ClientError, OSError, ValueError, _Again) as error:
            words = f"{_shown(url)}: {_words(error)}"
            if state.status:
                words = f"{_shown(url)} answered {state.status}, and broke off in the middle of it: {_words(error)}"
            raise (Lost if state.sent else NotSent)(words) from None
        finally:
            await session.close()

    async def _checked(self, url: URL, allow: Sequence[str]) -> Sequence[str]:
        host, port = url.raw_host or "", url.port or 0
        if url.scheme not in ("http", "https") or not host:
            raise NotSent(f"{_shown(url)} is not of http or https")
        try:
            addresses = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise NotSent(f"{host} can't be resolved: {_words(error)}") from None
        if not addresses:
            raise NotSent(f"{host} leads to no address")
        for address in addresses:
            why = why_closed(address, host, allow)
            if why:
                raise NotSent(why)
        return addresses


class _Pinned:
    """Implements aiohttp's AbstractResolver: names lead to what was looked at, and to nothing else."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_UNSPEC) -> list[dict[str, Any]]:
        return [
            {
                "hostname": host,
                "host": address,
                "port": port,
                "family": socket.AF_INET6 if ":" in address else socket.AF_INET,
                "proto": socket.IPPROTO_TCP,
                "flags": socket.AI_NUMERICHOST,
            }
            for address in self._addresses
        ]

    async def close(self) -> None:
        pass


class _Again(Exception):
    """aiohttp is about to send what it calls idempotent (PUT and DELETE are among it) a second time, which nobody asked for."""


class _Unreadable(ValueError):
    """The body is compressed in a way that was not asked for, or wrongly."""


async def _answer(response: aiohttp.ClientResponse) -> Answer:
    coding = response.headers.get("Content-Encoding", "identity").strip().lower()
    body = _Body(coding)
    async for chunk in response.content.iter_chunked(_CHUNK):
        if not body.add(chunk):
            break
    headers = {name.lower(): value[:_LONGEST_HEADER] for name, value in list(response.headers.items())[:_MOST_HEADERS]}
    return Answer(response.status, headers, bytes(body.data[:LARGEST]), len(body.data) > LARGEST)


class _Body:
    """The body as it comes, unpacked as far as it is kept: a small one that unpacks to a large one costs no more than a large one."""

    def __init__(self, coding: str) -> None:
        self.data = bytearray()
        self._unpack = None
        if coding in ("gzip", "x-gzip", "deflate"):
            self._unpack = zlib.decompressobj(wbits=47)
        elif coding not in ("identity", ""):
            raise _Unreadable(f"it is compressed as {coding[:20]!r}, which nobody asked for")

    def add(self, chunk: bytes) -> bool:
        """Take some bytes; False when no more are wanted."""
        room = LARGEST + 1 - len(self.data)
        if self._unpack is None:
            self.data += chunk[:room]
        else:
            try:
                self.data += self._unpack.decompress(chunk, room)
            except zlib.error as error:
                raise _Unreadable(f"its compression is broken: {error}") from None
        return len(self.data) <= LARGEST


def _shown(url: URL) -> str:
    """Scheme, host and port: the path and the query may hold a secret."""
    return f"{url.scheme}://{url.raw_authority.rpartition('@')[2]}"


def _words(error: BaseException) -> str:
    cause = getattr(error, "os_error", error)
    if isinstance(cause, OSError) and cause.strerror:
        return os.strerror(cause.errno) if cause.errno and cause.errno > 0 else str(cause.strerror)
    if isinstance(error, _Again):
        return "the connection was closed"
    return str(error)[:200] if isinstance(error, _Unreadable) else type(error).__name__
