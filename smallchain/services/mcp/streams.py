"""What passes between a server and the SDK: one message at a time, and nothing that a server may not ask of us.

The one rule: a server that floods is slowed down by us, never the other way round. Its requests (sampling, elicitation, roots) are
refused here, and its notifications are dropped but for the one that says its tools have changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Protocol, Self

import anyio
import mcp_types as types
from mcp.shared.message import SessionMessage

from smallchain.services.mcp.process import LONGEST_MESSAGE, ServerProcess

REFUSED = -32601
"""JSON-RPC's "method not found": what we do not do for a server, we do not know."""
_CHANGED = "notifications/tools/list_changed"


class Source(Protocol):
    """Where messages come from."""

    async def receive(self) -> SessionMessage | Exception:
        """The next; raises anyio.EndOfStream when there is none any more."""
        ...

    async def aclose(self) -> None:
        """No more are wanted."""
        ...


class Lines:
    """The messages of a process, one a line, and those to it."""

    def __init__(self, process: ServerProcess) -> None:
        self._process = process
        self.fault = ""
        """Why it cannot go on, where it was the server's fault."""

    async def receive(self) -> SessionMessage | Exception:
        """The next message; what is none is kept beside standard error."""
        while True:
            try:
                line = await self._process.reader.readuntil(b"\n")
            except asyncio.IncompleteReadError:
                raise anyio.EndOfStream from None
            except asyncio.LimitOverrunError:
                self.fault = f"it sent a message of more than {LONGEST_MESSAGE >> 20} MiB"
                raise anyio.EndOfStream from None
            if not line.strip():
                continue
            try:
                return SessionMessage(types.jsonrpc_message_adapter.validate_json(line, by_name=False))
            except ValueError:
                self._process.said(f"(on standard output) {line[:400].decode('utf-8', 'replace').rstrip()}")
            await asyncio.sleep(0)

    async def aclose(self) -> None:
        """The process is ended by its owner."""

    async def send(self, item: SessionMessage, /) -> None:
        """Write one message; waits while the server does not read."""
        text = item.message.model_dump_json(by_alias=True, exclude_unset=True)
        try:
            self._process.writer.write(text.encode() + b"\n")
            await self._process.writer.drain()
        except (OSError, RuntimeError):
            raise anyio.BrokenResourceError from None


class Writing:
    """A write stream for the SDK."""

    def __init__(self, send: Callable[[SessionMessage], Awaitable[None]]) -> None:
        self._send = send

    async def send(self, item: SessionMessage, /) -> None:
        """Write one message."""
        await self._send(item)

    async def aclose(self) -> None:
        """What is behind it is closed by its owner."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()


class Guarded:
    """A read stream for the SDK that only answers come through; `ended` is set when nothing more will."""

    def __init__(self, source: Source, send: Callable[[SessionMessage], Awaitable[None]], changed: asyncio.Event) -> None:
        self.ended = asyncio.Event()
        self._source = source
        self._send = send
        self._changed = changed

    async def receive(self) -> SessionMessage | Exception:
        """The next answer; raises anyio.EndOfStream at the end."""
        while True:
            try:
                item = await self._source.receive()
            except (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
                self.ended.set()
                raise anyio.EndOfStream from None
            await asyncio.sleep(0)  # a server that sends without end holds up nobody else
            if isinstance(item, Exception):
                continue
            match item.message:
                case types.JSONRPCRequest() as asked:
                    await self._refuse(asked)
                case types.JSONRPCNotification(method=method):
                    if method == _CHANGED:
                        self._changed.set()
                case _:
                    return item

    async def aclose(self) -> None:
        """No more are wanted."""
        self.ended.set()
        await self._source.aclose()

    async def _refuse(self, asked: types.JSONRPCRequest) -> None:
        answer: types.JSONRPCResponse | types.JSONRPCError
        if asked.method == "ping":
            answer = types.JSONRPCResponse(jsonrpc="2.0", id=asked.id, result={})
        else:
            error = types.ErrorData(code=REFUSED, message="Smallchain does nothing for its servers but call their tools")
            answer = types.JSONRPCError(jsonrpc="2.0", id=asked.id, error=error)
        try:
            await self._send(SessionMessage(answer))
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return

    def __aiter__(self) -> Guarded:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> Any:
        await self.aclose()
