"""All MCP servers of a daemon behind two ports: they are kept (`McpServers`), and their tools are called (`Executor`)."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from smallchain.model.ids import slug
from smallchain.model.mcp import McpEnded, McpEndpoint, McpStanding
from smallchain.model.toolcall import Outcome, OutcomeKind, Start
from smallchain.services.mcp.process import PATH, ServerCommand, Spawn, program_of, spawn_bare

if TYPE_CHECKING:
    from smallchain.services.mcp.connection import Connection, Heard

MARK = "SMALLCHAIN_MCP_SERVER"
INITIALISE_S = 10.0
"""Until a server has answered the handshake and listed its tools."""


class Servers:
    """Implements `engine.ports.McpServers` and `engine.ports.Executor`."""

    def __init__(
        self,
        *,
        homes: Path,
        marks: Mapping[str, str],
        end_leftovers: Callable[[Mapping[str, str]], int],
        spawn: Spawn = spawn_bare,
        initialise_s: float = INITIALISE_S,
    ) -> None:
        """`homes` holds a folder for each server. `marks` stand in the environment of each, with its name: by them `end_leftovers` finds
        what left its group, and the next daemon what this one left behind."""
        self._homes = homes
        self._marks = dict(marks)
        self._end_leftovers = end_leftovers
        self._spawn = spawn
        self._initialise_s = initialise_s
        self._kept: dict[str, Connection] = {}
        self._owners: dict[str, asyncio.Lock] = {}
        self._turns: dict[str, int] = {}
        """Of each name: whose turn it is, the newest; who waited meanwhile is not wanted any more."""
        self._begun: dict[str, int] = {}
        self._lines: dict[str, tuple[str, ...]] = {}

    async def keep(self, endpoint: McpEndpoint, heard: Heard, /) -> McpEnded:
        """Keep a server until it ends; see the port."""
        connection_of = await asyncio.to_thread(_load)
        turn = self._turns[endpoint.name] = self._turns.get(endpoint.name, 0) + 1
        before = self._kept.get(endpoint.name)
        if before is not None:
            before.leave()
        async with self._owners.setdefault(endpoint.name, asyncio.Lock()):
            if turn != self._turns[endpoint.name]:
                return McpEnded("another took its place", wanted=True)
            command: ServerCommand | None = None
            if endpoint.command:
                found = self._command(endpoint)
                if isinstance(found, str):
                    return McpEnded(found)
                command = found
            connection = connection_of(endpoint, command, self._spawn, initialise_s=self._initialise_s)
            self._kept[endpoint.name] = connection
            self._begun[endpoint.name] = self._begun.get(endpoint.name, 0) + 1
            try:
                return await connection.run(heard)
            finally:
                if self._kept.get(endpoint.name) is connection:
                    del self._kept[endpoint.name]
                if connection.process is not None:
                    self._lines[endpoint.name] = tuple(connection.process.lines)
                    await asyncio.to_thread(self._end_leftovers, self._marks_of(endpoint.name))

    async def execute(self, start: Start, /) -> Outcome:
        """Call a tool once."""
        spec = start.executor["mcp"]
        connection = self._kept.get(spec["server"])
        if connection is None:
            return Outcome(OutcomeKind.NOT_STARTED, f"MCP server '{spec['server']}' does not run; nothing ran")
        return await connection.call(start, spec["tool"])

    def standing(self, name: str, /) -> McpStanding:
        """How a server stands in this life of the daemon."""
        connection = self._kept.get(name)
        restarts = max(0, self._begun.get(name, 0) - 1)
        if connection is None:
            return McpStanding(restarts=restarts, stderr=self._lines.get(name, ()))
        process = connection.process
        lines = tuple(process.lines) if process is not None else ()
        pid = process.pid if process is not None else None
        return McpStanding(pid, restarts, connection.protocol, lines or self._lines.get(name, ()))

    def _command(self, endpoint: McpEndpoint) -> ServerCommand | str:
        """What to start, or why it can't be."""
        home = self._homes / f"{slug(endpoint.name)}-{hashlib.sha256(endpoint.name.encode()).hexdigest()[:8]}"
        try:
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            return f"it has no home: {error.strerror}"
        env = {"PATH": PATH, "HOME": str(home), "LANG": "C.UTF-8", **endpoint.env, **self._marks_of(endpoint.name)}
        folder = Path(endpoint.folder) if endpoint.folder else home
        if not folder.is_dir():
            return f"there is no folder {str(folder)!r}"
        program = program_of(endpoint.command, folder, env["PATH"])
        if program is None:
            return f"there is no program {endpoint.command[0]!r}"
        return ServerCommand((program, *endpoint.command[1:]), env, folder)

    def _marks_of(self, name: str) -> dict[str, str]:
        return {**self._marks, MARK: name}


def _load() -> type[Connection]:
    from smallchain.services.mcp import connection

    return connection.Connection
