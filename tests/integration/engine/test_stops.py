"""Each stop says which limit it is, as YAML has it, what its figure is, and how to go on."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from smallchain.model.lifecycles import RunPhase
from smallchain.store import runs
from support.asking import RUN, publish
from support.house import House, a_house

Words = dict[str, Any]
DONE = {"content": "done"}
ADD = {"tool_calls": [{"name": "add", "arguments": {"a": 1, "b": 2}}]}
HAND_OVER = {"tool_calls": [{"name": "delegate_to_helper", "arguments": {"message": "go"}}]}
PUBLISH = {"tool_calls": [{"name": "publish", "arguments": {"title": "Agents"}}]}
HOUR = timedelta(hours=1)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as opened:
        yield opened


def dear(number: int) -> Words:
    """A reply that uses some hundred tokens."""
    return {"content": "word " * 300, "tool_calls": [{"name": "add", "arguments": {"a": number, "b": 1}}]}


# ---- where a person, or the model, reads it


async def _error(house: House) -> str:
    return (await house.run(RUN, RunPhase.FAILED)).error


async def _result(house: House) -> str:
    await house.run(RUN, RunPhase.SUCCEEDED)
    return (await house.results(RUN))[-1]


async def _asked(house: House, kind: str) -> str:
    return (await house.request(RUN, kind)).question


async def _detail(house: House) -> str:
    run = await house.run(RUN, RunPhase.OVER_BUDGET)
    assert run.due_at is not None, "and when there is room again"
    return run.detail


@dataclass(frozen=True)
class Stop:
    """A limit, an agent that meets it, and what is read then. `after`: how much time it takes."""

    says: tuple[str, ...]
    read: Callable[[House], Awaitable[str]] = _error
    replies: tuple[Words, ...] = (DONE,)
    agent: Words = field(default_factory=dict)
    tool: Words = field(default_factory=dict)
    run: Words = field(default_factory=dict)
    after: timedelta = timedelta()


RETRY = f"raise it, then `smallchain retry {RUN}`"
STOPS = {
    "turns": Stop(("the limit `turns: 2` of agent 'worker'", RETRY), replies=(ADD, ADD, ADD), agent={"limits": {"turns": 2}}),
    "wall_time": Stop(
        ("the limit `wall_time: 1h` of agent 'worker'", RETRY), replies=(PUBLISH, DONE), agent={"limits": {"wall_time": "1h"}}, after=HOUR
    ),
    "wall_time_total": Stop(
        ("the limit `wall_time_total: 2h` of agent 'worker'", "it began 2h ago", RETRY),
        replies=(PUBLISH, DONE),
        agent={"limits": {"wall_time_total": "2h"}},
        tool={"approval": "required"},
        after=2 * HOUR,
    ),
    "depth": Stop(
        ("the limit `depth: 0` of agent 'worker'", "do this part yourself"), _result, (HAND_OVER, DONE), {"limits": {"depth": 0}}
    ),
    "children": Stop(
        ("the limit `children: 0` of agent 'worker'", "do this part yourself"), _result, (HAND_OVER, DONE), {"limits": {"children": 0}}
    ),
    "calls of a tool": Stop(
        ("the limit `calls: 1/day` of tool 'add'", "there is room again at 20"),
        _result,
        (ADD, ADD, DONE),
        {"tools": [{"tool": "add"}]},
        {"name": "add", "builtin": "add", "limits": {"calls": "1/day"}},
    ),
    "calls of an entry": Stop(
        ("the limit `calls: 1` of agent 'worker' for 'add'", "this run has no more of them"),
        _result,
        (ADD, ADD, DONE),
        {"tools": [{"tool": "add", "limits": {"calls": 1}}]},
    ),
    "calls in one reply": Stop(("32 calls in one reply are the most",), _result, ({"tool_calls": ADD["tool_calls"] * 33}, DONE)),
    "the loop guard": Stop(
        ("The loop guard", "add was called 5 times in a row", "should it go on?"), lambda house: _asked(house, "loop"), (ADD,) * 6
    ),
    "a budget that no call fits": Stop(
        ("agent 'worker' of 5 tokens a run", "one call may use", RETRY), agent={"budget": {"limit": "5 tokens"}}
    ),
    "a budget that stops": Stop(
        ("agent 'worker' of 2,000 tokens a day has no room for the next call", "spent", RETRY),
        replies=tuple(dear(number) for number in range(9)),
        agent={"budget": {"limit": "2000 tokens", "per": "day", "on_limit": "stop"}},
    ),
    "a budget of the run alone": Stop(
        (
            f"run '{RUN}' of 2,000 tokens has no room for the next call",
            f"; `smallchain retry {RUN}` goes on as another run, which this cap is not over",
        ),
        replies=tuple(dear(number) for number in range(9)),
        run={"budget": {"limit": "2000 tokens", "on_limit": "stop"}},
    ),
    "a budget that waits": Stop(
        ("agent 'worker' of 2,000 tokens a day has no room for the next call", "spent", "it may use"),
        _detail,
        tuple(dear(number) for number in range(9)),
        {"budget": "2000 tokens/day"},
    ),
    "a budget that asks": Stop(
        ("gent 'worker' of 2,000 tokens a day has no room for the next call", "May it be raised by 2000 tokens?"),
        lambda house: _asked(house, "budget"),
        tuple(dear(number) for number in range(9)),
        {"budget": {"limit": "2000 tokens", "per": "day", "on_limit": "ask"}},
    ),
}


def _file(stop: Stop) -> str:
    llm = {"name": "fast", "provider": "scripted", "replies": list(stop.replies), "parameters": {"max_tokens": 400}}
    worker = {"name": "worker", "llm": "fast", "tools": ["add", "publish", {"agent": "helper"}]} | stop.agent
    tool = publish(timeout="9d") | stop.tool if stop.tool.get("name") is None else stop.tool
    extra = [] if stop.tool.get("name") is None else [publish()]
    return json.dumps(
        {
            "llms": [llm],
            "agents": [worker, {"name": "helper", "llm": "fast"}],
            "tools": [tool, *extra],
            "tasks": [{"name": "job", "agent": "worker", "user_message": "go"}],
            "runs": [{"name": RUN, "task": "job"} | stop.run],
        }
    )


@pytest.mark.parametrize("stop", STOPS.values(), ids=STOPS.keys())
async def test_each_stop_names_its_limit_its_figure_and_the_way_on(house: House, stop: Stop) -> None:
    await house.apply(_file(stop))
    if stop.after:
        await house.until(lambda tx: (run := runs.by_name(tx, RUN)) and run.phase is RunPhase.AWAITING_TOOLS)
        await house.wait(stop.after)
    said = await stop.read(house)

    for words in stop.says:
        assert words in said
