"""MCP servers for tests: entries of a manifest, and starts of calls at them."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from smallchain.model.mcp import McpEnded, McpEndpoint, McpTool, taken
from smallchain.model.toolcall import Start
from smallchain.services.mcp.servers import Servers
from smallchain.services.sandbox.sandbox import Cell, Needs, Sandbox
from smallchain.services.tools.process import end_leftovers

RAW = Path(__file__).with_name("rawmcp.py")
MARKS = "SMALLCHAIN_MCP_SERVERS_OF"
PATIENCE_S = 20.0


def tool(name: str, description: str = "", **properties: Any) -> dict[str, Any]:
    """A tool as a server lists it."""
    return {"name": name, "description": description, "inputSchema": {"type": "object", "properties": properties}}


def raw(folder: Path, *tools: dict[str, Any] | str, mode: str = "") -> tuple[str, ...]:
    """The command of a server without the SDK that lists these tools."""
    listed = [tool(each) if isinstance(each, str) else each for each in tools]
    relist(folder, *listed)
    return (sys.executable, str(RAW), str(folder / "tools.json"), *([mode] if mode else []))


def relist(folder: Path, *tools: dict[str, Any]) -> None:
    """Let the server list these tools from now on."""
    (folder / "tools.json").write_text(json.dumps({"tools": list(tools)}))


def start_of(server: str, name: str, *, timeout_s: float = 10.0, digest: str | None = None, **arguments: Any) -> Start:
    """An attempt at a call of a tool as `tool` makes it."""
    mark = taken(name, "", tool(name)["inputSchema"])[0].digest if digest is None else digest
    return Start(
        call_id="call",
        run_id="run",
        tool=f"{server}__{name}",
        executor={"mcp": {"server": server, "tool": name, "digest": mark}},
        arguments=arguments,
        parameters=(),
        idempotency_key="call.1",
        attempt=1,
        timeout=timedelta(seconds=timeout_s),
        deadline=datetime(2026, 1, 1, tzinfo=UTC),
    )


class Kept:
    """A server that is kept by a task."""

    def __init__(self, servers: Servers, endpoint: McpEndpoint) -> None:
        self.servers = servers
        self.endpoint = endpoint
        self.listed: list[Sequence[tuple[McpTool, str]]] = []
        self._came = asyncio.Condition()
        self.task = asyncio.create_task(servers.keep(endpoint, self._heard))

    async def _heard(self, tools: Sequence[tuple[McpTool, str]]) -> None:
        async with self._came:
            self.listed.append(tools)
            self._came.notify_all()

    async def came(self, count: int = 1) -> Sequence[tuple[McpTool, str]]:
        """What it listed, as soon as it has done so often."""
        async with asyncio.timeout(PATIENCE_S), self._came:
            await self._came.wait_for(lambda: len(self.listed) >= count)
        return self.listed[count - 1]

    async def ended(self) -> McpEnded:
        """How it ended."""
        async with asyncio.timeout(PATIENCE_S):
            return await asyncio.shield(self.task)

    async def stop(self) -> None:
        """Stop it, as the loop does when its entry goes."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


class Plain(Sandbox):
    """A sandbox that puts no fence around what says nothing: these servers lie in folders that a fence would hide."""

    def __init__(self) -> None:
        super().__init__(unfenced_as_root=True)

    async def open(self, needs: Needs, folder: Path, /) -> Cell:
        """A cell without layers."""
        return await super().open(replace(needs, isolation="none") if needs.isolation == "auto" else needs, folder)


def servers_in(folder: Path, *, initialise_s: float = 10.0, sandbox: Sandbox | None = None) -> Servers:
    """All servers of a daemon with this state folder."""
    marks = {MARKS: str(folder)}
    return Servers(homes=folder / "homes", marks=marks, end_leftovers=end_leftovers, sandbox=sandbox or Plain(), initialise_s=initialise_s)


@asynccontextmanager
async def kept(folder: Path, endpoint: McpEndpoint, *, initialise_s: float = 10.0, sandbox: Sandbox | None = None) -> AsyncIterator[Kept]:
    """A server that is kept until the block ends."""
    found = Kept(servers_in(folder, initialise_s=initialise_s, sandbox=sandbox), endpoint)
    try:
        yield found
    finally:
        await found.stop()
