"""Whether a tool can be used is looked at before it is, again after an error, and again when words or defaults change."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from smallchain.model.fence import Limits, Mount
from smallchain.model.lifecycles import Readiness, RunPhase
from smallchain.store import resources
from support.house import House, a_house

TOOL: dict[str, Any] = {"name": "publish", "executor": {"python": {"command": "unused"}}}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as opened:
        yield opened


def files(*tools: dict[str, Any], defaults: dict[str, Any] | None = None, replies: list[dict[str, Any]] | None = None) -> str:
    return json.dumps(
        {
            "llms": [{"name": "fast", "provider": "scripted", "replies": [*(replies or []), {"content": "done"}]}],
            "agents": [{"name": "assistant", "tools": [tool["name"] for tool in tools]}],
            "tools": list(tools),
            "tasks": [{"name": "sums", "agent": "assistant", "user_message": "add"}],
            "runs": [{"name": "monday", "task": "sums"}],
        }
        | ({"defaults": defaults} if defaults else {})
    )


async def becomes(house: House, status: Readiness) -> str:
    row = await house.until(lambda tx: (found := resources.get(tx, "tool", "publish")) and found.status is status and found)
    return str(row.detail)


async def test_a_run_waits_for_a_tool_that_cannot_run_and_goes_on_when_it_can(house: House) -> None:
    house.gate.fault = "no sandbox works here"
    await house.apply(files(TOOL))

    assert await becomes(house, Readiness.ERROR) == "no sandbox works here"
    assert (await house.run("monday", RunPhase.PENDING)).detail.endswith("no sandbox works here")

    house.gate.fault = ""
    await house.wait(timedelta(seconds=6))
    await becomes(house, Readiness.READY)
    await house.run("monday", RunPhase.SUCCEEDED)


async def test_a_built_in_tool_is_looked_at_by_nobody(house: House) -> None:
    await house.apply(files({"name": "publish", "builtin": "add"}))
    await becomes(house, Readiness.READY)

    assert house.gate.checks == []


async def test_defaults_hold_for_what_a_tool_leaves_out_and_a_change_of_them_is_looked_at(house: House) -> None:
    await house.apply(files(TOOL))
    await becomes(house, Readiness.READY)
    house.gate.fault = "no"
    await house.apply(files(TOOL, defaults={"isolation": "none"}))
    await becomes(house, Readiness.ERROR)

    assert house.gate.checks == [("publish", ""), ("publish", "none")]


async def test_a_tool_without_a_fence_is_warned_of_once_for_its_words_and_one_with_a_fence_never(house: House) -> None:
    await house.apply(files(TOOL))
    await becomes(house, Readiness.READY)
    house.gate.around = "bubblewrap"
    await house.apply(files(TOOL | {"description": "other words"}))
    await house.until(lambda tx: len(house.gate.checks) == 2)
    await house.quiet()

    assert (await house.reasons()).count("ToolUnfenced") == 1


CALL = {"tool_calls": [{"name": "publish", "arguments": {}}]}
OPEN: dict[str, Any] = {
    "isolation": "none",
    "network": True,
    "mounts": [{"source": "/srv/a", "target": "/a"}, {"source": "/srv/b", "target": "/b", "read_only": False}],
    "limits": {"memory": "1GiB", "processes": 7},
}


async def test_a_run_goes_on_behind_the_stricter_of_the_fence_it_is_pinned_to_and_the_one_that_is_written_now(house: House) -> None:
    await house.apply(files({**TOOL, "name": "hold"}, TOOL | OPEN, replies=[{"tool_calls": [{"name": "hold", "arguments": {}}]}, CALL]))
    await house.gate.came(1)
    stricter = {"isolation": "required", "mounts": [OPEN["mounts"][0]], "limits": {"memory": "1MiB"}}
    await house.apply(files({**TOOL, "name": "hold"}, TOOL | stricter, replies=[{"tool_calls": [{"name": "hold", "arguments": {}}]}, CALL]))
    house.gate.let_through()
    start = (await house.gate.came(2))[1]

    assert (start.isolation, start.network) == ("required", False)
    assert start.mounts == (Mount("/srv/a", "/a"),)
    assert start.limits == Limits(memory_bytes=1 << 20)


async def test_what_a_tool_opens_reaches_its_executor(house: House) -> None:
    await house.apply(files(TOOL | OPEN, replies=[CALL]))
    (start,) = await house.gate.came(1)

    assert (start.isolation, start.network) == ("none", True)
    assert start.mounts == (Mount("/srv/a", "/a"), Mount("/srv/b", "/b", read_only=False))
    assert start.limits == Limits(memory_bytes=1 << 30, processes=7)


async def test_after_a_restart_a_tool_is_looked_at_again_and_stays_ready_meanwhile(tmp_path: Path) -> None:
    async with a_house(tmp_path) as first:
        await first.apply(files(TOOL))
        await becomes(first, Readiness.READY)
    async with a_house(tmp_path) as second:
        await second.until(lambda tx: len(second.gate.checks) == 1)
        await second.quiet()
        reasons = await second.reasons()

    assert reasons.count("ToolUnfenced") == 1
    assert reasons.count("ResourceError") == 0
