"""A real HTTP server on the loopback that answers what a test says, byte for byte, and keeps what it was asked.

In a test: `async with WebServer(lambda asked: ok("hello")) as server: ... server.url ... server.requests`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came; the names of headers in small letters."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Bytes:
    """What goes back: these bytes; and then the connection is closed, `reset`, or held open in `silence`."""

    data: bytes = b""
    reset: bool = False
    silence: bool = False


Brain = Callable[[Request], Bytes]


def answers(status: int, body: bytes | str = b"", /, **headers: str) -> Bytes:
    """A whole answer; `content_type="text/plain"` is a header."""
    data = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(data)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return Bytes("\r\n".join(lines).encode() + b"\r\n\r\n" + data)


def ok(body: bytes | str = b"", /, **headers: str) -> Bytes:
    """An answer of 200, a text unless it says otherwise."""
    return answers(200, body, **{"content_type": "text/plain; charset=utf-8", **headers})


class WebServer:
    """Listens at `url` while it is entered."""

    def __init__(self, brain: Brain) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self._brain = brain
        self._tasks: set[asyncio.Task[None]] = set()
        self._came = asyncio.Condition()

    async def __aenter__(self) -> WebServer:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def came(self, count: int = 1) -> list[Request]:
        """The requests, as soon as there are so many."""
        async with asyncio.timeout(20), self._came:
            await self._came.wait_for(lambda: len(self.requests) >= count)
        return self.requests

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._serve(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        request = Request(method, target, headers, body)
        async with self._came:
            self.requests.append(request)
            self._came.notify_all()
        answer = self._brain(request)
        writer.write(answer.data)
        await writer.drain()
        if answer.silence:
            await reader.read()
        if answer.reset:
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
