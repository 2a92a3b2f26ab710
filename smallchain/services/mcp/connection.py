"""One server, from its start to its end: everything that holds it open happens in the one task that calls `run`.

The SDK's task groups and cancel scopes must be left in the task that entered them; others only ask through the session, which is
made for that.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import timedelta
from typing import Any

import anyio
import httpx2
import mcp_types as types
from mcp.client.session import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from pydantic import TypeAdapter, ValidationError

from smallchain.model.mcp import MOST_TOOLS, McpEnded, McpEndpoint, McpTool, taken
from smallchain.model.toolcall import Outcome, OutcomeKind, Start
from smallchain.services.mcp import http
from smallchain.services.mcp.content import outcome_of
from smallchain.services.mcp.process import LONGEST_MESSAGE, ServerCommand, ServerProcess
from smallchain.services.mcp.streams import Guarded, Lines, Writing

INITIALISE_S = 10.0
"""Until a server has answered the handshake and listed its tools."""
_AT_A_TIME = 16
"""Calls that are out at one server."""
_SAID_LAST = 5
_MODERN = (-32022, -32601)
"""What a server of a newer protocol answers to the handshake."""
_EXIT_S = 1.0
_ANSWERS: TypeAdapter[Any] = TypeAdapter(types.CallToolResult | types.InputRequiredResult)
_OF_THE_NETWORK = (httpx2.HTTPError, httpx2.StreamError, OSError, anyio.BrokenResourceError, anyio.ClosedResourceError)
_INFO = types.Implementation(name="smallchain", version="1")

logging.getLogger("mcp").setLevel(logging.CRITICAL)  # it logs strangers' words; what matters of them is in our own errors

Heard = Callable[[Sequence[tuple[McpTool, str]]], Awaitable[None]]


class Connection:
    """A server that is being kept. `command` is None for one that is reached over HTTP."""

    def __init__(self, endpoint: McpEndpoint, command: ServerCommand | None, *, initialise_s: float = INITIALISE_S) -> None:
        self.process: ServerProcess | None = None
        self.protocol = ""
        self._endpoint = endpoint
        self._command = command
        self._initialise_s = initialise_s
        self._session: ClientSession | None = None
        self._begun = asyncio.Event()
        """It is ready for calls, or over."""
        self._changed = asyncio.Event()
        self._end = asyncio.Event()
        """It shall end: another takes its place, or it is lost."""
        self._wanted = False
        self._why = ""
        self._places = asyncio.Semaphore(_AT_A_TIME)
        self._transport: http.Transport | None = None
        self._lines: Lines | None = None
        self._digests: dict[str, str] = {}
        """Of the tools as they were listed last."""

    # ---- the owner's side

    async def run(self, heard: Heard) -> McpEnded:
        """Start it, tell what it lists, and stay until it ends or `leave` is called. Cancelled, it is stopped first."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            why = await self._live(heard)
        except OSError as error:
            why = f"it could not be started: {error.strerror or error}"
        except BaseExceptionGroup as error:
            if error.split(_OF_THE_NETWORK)[1] is not None:
                raise
            why = _short(_innermost(error))
        finally:
            self._session = None
            self._begun.set()
        if not why and self.process is not None:
            why = self.process.how_it_ended
        stderr = " | ".join(list(self.process.lines)[-_SAID_LAST:]) if self.process is not None else ""
        lived = timedelta(seconds=loop.time() - begun)
        return McpEnded(why or "the connection ended", stderr, lived, wanted=self._wanted)

    def leave(self) -> None:
        """Let it end: another takes its place."""
        self._wanted = True
        self._end.set()

    async def _live(self, heard: Heard) -> str:
        """Why it ended; empty where its process tells."""
        if self._command is not None:
            self.process = await ServerProcess.start(self._command)
            lines = self._lines = Lines(self.process)
            try:
                why = await self._serve(Guarded(lines, lines.send, self._changed), Writing(lines.send), heard)
                has_exited = self._wanted or bool(lines.fault) or await self.process.exits_within(_EXIT_S)
            finally:
                await _outlast(self.process.end())
            return lines.fault or why or ("" if has_exited else "it closed its standard output")
        self._transport = http.Transport()
        async with (
            http.client_of(self._endpoint.headers, self._transport) as client,
            streamable_http_client(self._endpoint.url, http_client=client, max_sse_event_size=LONGEST_MESSAGE) as (read, write),
        ):
            return await self._serve(Guarded(read, write.send, self._changed), Writing(write.send), heard)

    async def _serve(self, reading: Guarded, writing: Writing, heard: Heard) -> str:
        """Why it ended. What the server does wrong is caught within the SDK's task group, which would wrap it."""
        async with ClientSession(reading, writing, client_info=_INFO) as session:
            try:
                async with asyncio.timeout(self._initialise_s):
                    await self._shake_hands(session)
                    tools = await self._list(session)
                await heard(tools)
                self._session = session
                self._begun.set()
                while await self._has_changed(reading):
                    async with asyncio.timeout(self._initialise_s):
                        tools = await self._list(session)
                    await heard(tools)
            except TimeoutError:
                return f"it did not answer within {self._initialise_s:g} s"
            except MCPError as error:
                if self._verdict(error):
                    return _short(error.message)
                return "" if _is_closed(error) else f"it refuses to begin: {_short(error.message)}"
            except ValidationError:
                return "what it said does not fit the protocol"
            except _Unfit as error:
                return str(error)
            return self._why

    async def _has_changed(self, reading: Guarded) -> bool:
        """Wait until its tools have changed (True) or it ends."""
        waiting = [asyncio.ensure_future(each.wait()) for each in (reading.ended, self._end, self._changed)]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()
        self._changed.clear()
        return not reading.ended.is_set() and not self._end.is_set()

    async def _shake_hands(self, session: ClientSession) -> None:
        try:
            await session.initialize()
        except MCPError as error:
            if error.code not in _MODERN:
                raise
            await session.discover()
        except RuntimeError as error:
            raise _Unfit(_short(str(error))) from error
        self.protocol = session.protocol_version or ""

    async def _list(self, session: ClientSession) -> list[tuple[McpTool, str]]:
        found: dict[str, tuple[McpTool, str]] = {}
        cursor: str | None = None
        capabilities = session.server_capabilities
        if capabilities is not None and capabilities.tools is None:
            return []
        for _ in range(MOST_TOOLS):
            params = types.PaginatedRequestParams(cursor=cursor) if cursor else None
            page = await session.send_request(types.ListToolsRequest(params=params), types.ListToolsResult)
            for tool in page.tools:
                each = taken(tool.name, tool.description or "", tool.input_schema)
                found.setdefault(each[0].name, each)
            cursor = page.next_cursor
            if not cursor or len(found) >= MOST_TOOLS:
                break
        self._digests = {name: tool.digest for name, (tool, _) in found.items()}
        return list(found.values())

    # ---- the callers' side

    async def call(self, start: Start, tool: str) -> Outcome:
        """Call a tool once. What is not known to have been sent was not started; what was sent and has no answer is unknown."""
        async with self._places:
            return await self._call(start, tool)

    async def _call(self, start: Start, tool: str) -> Outcome:
        try:
            async with asyncio.timeout(self._initialise_s + 5):
                await self._begun.wait()
        except TimeoutError:
            return _not_started(f"MCP server '{self._endpoint.name}' is still starting")
        session = self._session
        if session is None or self._end.is_set():
            return _not_started(f"MCP server '{self._endpoint.name}' does not run")
        if self._digests.get(tool) != start.executor["mcp"]["digest"]:
            return _not_started(f"MCP server '{self._endpoint.name}' has changed this tool meanwhile, or has it no more")
        params = types.CallToolRequestParams(name=tool, arguments=start.arguments, _meta=_meta(start))
        try:
            async with asyncio.timeout(start.timeout.total_seconds()):
                answer = await session.send_request(types.CallToolRequest(params=params), _ANSWERS)
        except TimeoutError:
            text = f"no answer within {start.timeout.total_seconds():g} s; whether it was done is not known"
            return Outcome(OutcomeKind.TIMED_OUT, text)
        except MCPError as error:
            return self._refused(error)
        except ValidationError:
            return Outcome(OutcomeKind.FAILED, "its answer is none of a tool")
        if isinstance(answer, types.InputRequiredResult):
            return Outcome(OutcomeKind.FAILED, "it asks for something in between, which Smallchain does not give")
        return outcome_of(answer)

    def _refused(self, error: MCPError) -> Outcome:
        verdict = self._verdict(error)
        words = _short(error.message)
        if verdict == http.UNREACHABLE:
            self._lose(words)
            return _not_started(words)
        if verdict == http.LOST:
            self._lose(words)
            return Outcome(OutcomeKind.UNKNOWN, words)
        if verdict == http.STATUS:
            status = dict(error.error.data)["status"]
            return Outcome(OutcomeKind.UNKNOWN if status >= 500 else OutcomeKind.FAILED, words)
        if _is_closed(error):
            fault = f": {self._lines.fault}" if self._lines is not None and self._lines.fault else ""
            return Outcome(OutcomeKind.UNKNOWN, f"its MCP server ended before it answered{fault}")
        if self._transport is not None and error.message == "Session terminated":
            self._lose("it ended the session")
            return _not_started("its MCP server has ended the session")
        return Outcome(OutcomeKind.FAILED, words)

    def _verdict(self, error: MCPError) -> str:
        """What became of a request that has no answer; empty where the server answered."""
        return self._transport.verdict(error.error.data) if self._transport is not None else ""

    def _lose(self, why: str) -> None:
        """A server that cannot be reached any more is begun with anew."""
        self._why = self._why or why
        self._end.set()


class _Unfit(Exception):
    """The server speaks no protocol that we do."""


def _is_closed(error: MCPError) -> bool:
    return error.code == types.CONNECTION_CLOSED and error.message == "Connection closed"


def _meta(start: Start) -> Any:
    """What goes beside the arguments: a key that is the same for all attempts of a call."""
    return {
        "smallchain/idempotency_key": start.idempotency_key,
        "smallchain/call_id": start.call_id,
        "smallchain/run_id": start.run_id,
        "smallchain/attempt": start.attempt,
    }


def _not_started(why: str) -> Outcome:
    return Outcome(OutcomeKind.NOT_STARTED, f"{why}; nothing ran")


def _short(text: str) -> str:
    return text if len(text) <= 500 else text[:499] + "…"


def _innermost(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


async def _outlast(work: Coroutine[Any, Any, None]) -> None:
    """Carry work through to its end even if the caller is cancelled meanwhile; the cancellation is raised afterwards."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    task.result()
    if cancelled is not None:
        raise cancelled
