"""The callback listener: answers from outside, signed, over HTTP on the loopback. Off unless a port is named; never the control API.

The one rule: nothing of a request is looked at before what comes ahead of it is in order, and no more of it is read than could be.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import urlsplit

import h11

from smallchain.model import callback, canonical
from smallchain.model.callback import Key, Reply
from smallchain.model.errors import BadInput, Refused, SmallchainError
from smallchain.protocol import faults
from smallchain.settings import Callbacks

log = logging.getLogger(__name__)

ROOT = "/callbacks"
LARGEST_BODY = 1 << 20
_LARGEST_HEAD = 16 << 10
_MOST_CONNECTIONS = 64
_RECEIVE_S = 10.0
_SEND_S = 5.0
_MOST_MISTAKES = 5
_MOST_REMEMBERED = 1000
_AT_ONCE = 64 << 10
_PATH = re.compile(ROOT + r"/([a-z]{1,32})/([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})")


class Subject(Protocol):
    """What callbacks can be about (requests to people, tool calls): knows the keys that were handed out, and takes what they sign."""

    async def keys(self, about: str, /) -> Sequence[Key]:
        """The keys that may speak about the thing with this id, also when it is over; none when there is no such thing."""
        ...

    async def take(self, about: str, body: Any, /, *, by: Key) -> Reply:
        """Take what a key's holder says, once: a second result is answered with what became of the first.

        Raises BadInput when the body is none that it could take; the thing then stays as it was.
        """
        ...


class _Not(Exception):
    """The request is answered here."""

    def __init__(self, status: int, message: str, *, headers: Sequence[tuple[str, str]] = ()) -> None:
        self.status = status
        self.error = BadInput(message)
        self.headers = headers


class _Gone(Exception):
    """The sender went away: there is nobody to answer."""


class CallbackListener:
    """Serves one listening socket. A connection carries one request, and is closed after its answer."""

    def __init__(self, subjects: Mapping[str, Subject], *, hosts: frozenset[str], now: Callable[[], datetime]) -> None:
        self._subjects = subjects
        self._hosts = hosts
        self._now = now
        self._open: set[asyncio.Task[None]] = set()
        self._mistakes: dict[str, int] = {}

    async def serve(self, listening: socket.socket) -> None:
        """Answer until cancelled; then whoever is half-way sends it again, to the next daemon."""
        server = await asyncio.start_server(self._connected, sock=listening, limit=_AT_ONCE)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            server.close()
            for task in self._open:
                task.cancel()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            await _Exchange(reader, writer).run(self._answer, busy=len(self._open) > _MOST_CONNECTIONS)
        except (_Gone, ConnectionError, TimeoutError):
            pass
        except Exception:
            log.exception("a fault in a callback; its sender was not answered")
        finally:
            self._open.discard(task)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, exchange: _Exchange, request: h11.Request) -> Reply:
        headers = {name.decode("ascii"): value.decode("latin-1") for name, value in request.headers}
        kind, about = self._place(request, headers)
        _check_form(headers)
        body = await exchange.body(headers.get("content-length"))
        keys = await self._subjects[kind].keys(about)
        if not keys:
            raise _Not(404, "there is nothing here")
        given = [value for name, value in request.headers if name == callback.HEADER.lower().encode()]
        if len(given) != 1:
            raise _Not(401, f"one header {callback.HEADER} is needed")
        by = callback.signer(given[0].decode("latin-1"), keys, about, body, now=self._now())
        if isinstance(by, str):
            raise _Not(401, by)
        return await self._take(kind, about, body, by)

    def _place(self, request: h11.Request, headers: Mapping[str, str]) -> tuple[str, str]:
        """What the request is about, from an allow-list of Host, method and path."""
        if headers.get("host", "").lower() not in self._hosts:
            raise _Not(421, "this Host is not answered for here")
        if request.method != b"POST":
            raise _Not(405, "only POST is taken", headers=[("Allow", "POST")])
        found = _PATH.fullmatch(request.target.decode("latin-1"))
        if found is None or found[1] not in self._subjects:
            raise _Not(404, "there is nothing here")
        return found[1], found[2]

    async def _take(self, kind: str, about: str, body: bytes, by: Key) -> Reply:
        """Hand over what was signed. Who signs nonsense again and again is heard no more: its program is broken."""
        if self._mistakes.get(about, 0) >= _MOST_MISTAKES:
            raise _Not(429, f"{_MOST_MISTAKES} bodies about this could not be taken; answer it some other way")
        try:
            reply = await self._subjects[kind].take(about, canonical.parse(body), by=by)
        except BadInput as error:
            if len(self._mistakes) >= _MOST_REMEMBERED:
                del self._mistakes[next(iter(self._mistakes))]
            self._mistakes[about] = self._mistakes.get(about, 0) + 1
            return Reply(422, faults.to_wire(error))
        except SmallchainError as error:
            return Reply(faults.http_status(error), faults.to_wire(error))
        log.info("a callback about %s %s by %s: %s", kind, about, json.dumps(by.holder), reply.status)
        return reply


class _Exchange:
    """One request and its answer on one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_LARGEST_HEAD)
        self._bare = False
        self._deadline = asyncio.get_running_loop().time() + _RECEIVE_S

    async def run(self, answer: Callable[[_Exchange, h11.Request], Any], *, busy: bool) -> None:
        """Receive, answer, and say that the connection ends."""
        try:
            if busy:
                raise _Not(503, "too many connections; try again", headers=[("Retry-After", "1")])
            request = await self._next()
            if not isinstance(request, h11.Request):
                raise _Gone
            self._bare = request.method == b"HEAD"
            reply: Reply = await answer(self, request)
            await self._send(reply.status, reply.body)
        except _Not as refused:
            await self._send(refused.status, faults.to_wire(refused.error), refused.headers)
        except h11.RemoteProtocolError as error:
            await self._send(error.error_status_hint, faults.to_wire(BadInput("this is no HTTP/1.1 request that is taken here")))

    async def body(self, length: str | None) -> bytes:
        """The body, whole and bounded."""
        if length is not None and int(length) > LARGEST_BODY:
            raise _Not(413, f"the body has more than {LARGEST_BODY >> 20} MiB")
        if self._http.they_are_waiting_for_100_continue:
            self._writer.write(self._http.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
        held = bytearray()
        while True:
            event = await self._next()
            if isinstance(event, h11.Data):
                held += event.data
                if len(held) > LARGEST_BODY:
                    raise _Not(413, f"the body has more than {LARGEST_BODY >> 20} MiB")
            elif isinstance(event, h11.EndOfMessage):
                return bytes(held)
            else:
                raise _Gone

    async def _next(self) -> Any:
        """The next event of the request, before the deadline of the whole."""
        while (event := self._http.next_event()) is h11.NEED_DATA:
            try:
                async with asyncio.timeout_at(self._deadline):
                    data = await self._reader.read(_AT_ONCE)
            except TimeoutError:
                raise _Not(408, f"the request did not arrive within {_RECEIVE_S:.0f} s") from None
            self._http.receive_data(data)
        return event

    async def _send(self, status: int, body: Mapping[str, Any], headers: Sequence[tuple[str, str]] = ()) -> None:
        if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        data = b"" if self._bare else json.dumps(body, default=str).encode() + b"\n"
        fields = [("Content-Type", "application/json"), ("Content-Length", str(len(data))), ("Connection", "close"), *headers]
        events = (h11.Response(status_code=status, headers=fields), h11.Data(data=data), h11.EndOfMessage())
        self._writer.write(b"".join(self._http.send(event) or b"" for event in events))
        async with asyncio.timeout(_SEND_S):
            await self._writer.drain()
            await self._let_read()

    async def _let_read(self) -> None:
        """Close our side first and read on for a moment: a reset because of bytes nobody read would take the answer with it."""
        if self._writer.can_write_eof():
            self._writer.write_eof()
        left = 2 * LARGEST_BODY
        while left > 0 and (data := await self._reader.read(_AT_ONCE)):
            left -= len(data)


def bind(port: int) -> socket.socket:
    """A listening socket on 127.0.0.1; port 0 takes a free one. Raises Refused when it can't be had."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        listening.listen(128)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        raise Refused(f"callbacks can't be heard on port {port}: {error.strerror}", hint="choose another with --callbacks") from error
    return listening


def hosts(chosen: Callbacks) -> frozenset[str]:
    """The Host headers that are answered: the loopback's, and that of the address under which the outside reaches us."""
    given = urlsplit(chosen.url).netloc.lower()
    return frozenset({f"127.0.0.1:{chosen.port}", f"localhost:{chosen.port}", given})


def _check_form(headers: Mapping[str, str]) -> None:
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise _Not(415, "compressed bodies are not taken")
    if headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise _Not(415, "Content-Type must be application/json")
