"""A call of an MCP server's tool through ours, beside the bare SDK's on the same server: one process, its pipes, no database."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bench.report import Figure
from smallchain.model.mcp import McpEndpoint
from smallchain.model.toolcall import OutcomeKind
from support.mcpservers import RAW, kept, start_of, tool


def calls(count: int, repeats: int) -> Iterator[Figure]:
    """Milliseconds of one call, one after another; and calls a second with 16 at a time."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "tools.json").write_text(json.dumps({"tools": [tool("echo")]}))
        command = (sys.executable, str(RAW), str(Path(folder) / "tools.json"))
        ours, theirs, ours_at_once, theirs_at_once = [], [], [], []
        for _ in range(repeats):
            for samples, found in zip((ours, ours_at_once), asyncio.run(_ours(Path(folder), command, count)), strict=True):
                samples.append(found)
            for samples, found in zip((theirs, theirs_at_once), asyncio.run(_bare(command, count)), strict=True):
                samples.append(found)
    bare = "the SDK's own client and transport"
    yield Figure("mcp", "one call", "ms", ours, at={"calls": count}, baseline=theirs, baseline_is=bare)
    at = {"calls": count, "at_once": 16}
    yield Figure("mcp", "calls a second", "1/s", ours_at_once, "higher", at, theirs_at_once, bare)


async def _ours(folder: Path, command: tuple[str, ...], count: int) -> tuple[float, float]:
    async with kept(folder, McpEndpoint("raw", command)) as server:
        await server.came()
        start = start_of("raw", "echo", a=1)

        async def call(number: int) -> None:
            outcome = await server.servers.execute(replace(start, call_id=str(number)))
            assert outcome.kind is OutcomeKind.SUCCEEDED

        return await _timed(call, count)


async def _bare(command: tuple[str, ...], count: int) -> tuple[float, float]:
    from mcp.client.session import ClientSession
    from mcp.client.stdio import StdioServerParameters, stdio_client

    parameters = StdioServerParameters(command=command[0], args=list(command[1:]))
    async with stdio_client(parameters) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        await session.list_tools()

        async def call(number: int) -> None:
            assert not (await session.call_tool("echo", {"a": 1})).is_error

        return await _timed(call, count)


async def _timed(call, count: int) -> tuple[float, float]:  # type: ignore[no-untyped-def]
    """Milliseconds of a call, and calls a second at 16 at a time."""
    for number in range(20):
        await call(number)
    begun = time.perf_counter()
    for number in range(count):
        await call(number)
    each = (time.perf_counter() - begun) * 1000 / count
    numbers = iter(range(count))

    async def work() -> None:
        for number in numbers:
            await call(number)

    begun = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(16)))
    return each, count / (time.perf_counter() - begun)
