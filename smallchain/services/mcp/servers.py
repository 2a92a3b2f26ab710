"""All MCP servers of a daemon behind two ports: they are kept (`McpServers`), and their tools are called (`Executor`)."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from smallchain.model.ids import slug
from smallchain.model.mcp import McpEnded, McpEndpoint, McpStanding
from smallchain.model.toolcall import Outcome, OutcomeKind, Start
from smallchain.services.mcp.process import PATH, ServerCommand, absolute
from smallchain.services.sandbox.sandbox import CannotOpen, Cell, Needs, Sandbox

if TYPE_CHECKING:
    from smallchain.services.mcp.connection import Connection, Heard

MARK = "SMALLCHAIN_MCP_SERVER"
_RESERVED = 16 << 30
"""Address space that a server's runtime may reserve beyond what it uses (Node does)."""
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
        sandbox: Sandbox,
        initialise_s: float = INITIALISE_S,
    ) -> None:
        """`homes` holds a folder for each server, as long as it runs. `marks` stand in the environment of each, with its name: by them
        `end_leftovers` finds what left its group, and the next daemon what this one left behind."""
        self._homes = homes
        self._marks = dict(marks)
        self._end_leftovers = end_leftovers
        self._sandbox = sandbox
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
            async with self._place(endpoint) as command:
                if isinstance(command, str):
                    return McpEnded(command)
                connection = connection_of(endpoint, command, initialise_s=self._initialise_s)
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

    @asynccontextmanager
    async def _place(self, endpoint: McpEndpoint) -> AsyncIterator[ServerCommand | str | None]:
        """What to start, behind its fence, whose folders last as long as it does; in words why it can't be; None: nothing to start."""
        if not endpoint.command:
            yield None
            return
        if endpoint.folder and not await asyncio.to_thread(os.path.isdir, endpoint.folder):
            yield f"there is no folder {endpoint.folder!r}"
            return
        needs = Needs(endpoint.isolation, endpoint.network, endpoint.mounts, endpoint.limits, endpoint.folder)
        folder: Path | None = None
        cell: Cell | None = None
        fds: tuple[int, ...] = ()
        try:
            self._homes.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder = Path(tempfile.mkdtemp(prefix=f"{slug(endpoint.name)}-", dir=self._homes))
            cell = await self._sandbox.open(needs, folder)
            env = {"PATH": PATH, "HOME": str(cell.home), "LANG": "C.UTF-8", **endpoint.env, **self._marks_of(endpoint.name)}
            argv = (absolute(endpoint.command[0], endpoint.folder), *endpoint.command[1:])
            behind = cell.behind(argv, env, address_space=_RESERVED)
            fds = behind.fds
            yield ServerCommand(behind.argv, env, Path(cell.start_in()), fds)
        except CannotOpen as error:
            yield str(error)
        finally:
            for fd in fds:
                os.close(fd)
            if cell is not None:
                await self._sandbox.close(cell)
            if folder is not None:
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    def _marks_of(self, name: str) -> dict[str, str]:
        return {**self._marks, MARK: name}


def _load() -> type[Connection]:
    from smallchain.services.mcp import connection

    return connection.Connection
