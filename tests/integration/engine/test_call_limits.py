"""Limits of calls: so many of a tool in a window, whoever makes them. Nothing sleeps: time is moved."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from smallchain.model.delivery import Verb
from smallchain.model.lifecycles import CallPhase, RunPhase
from smallchain.model.toolcall import OutcomeKind
from smallchain.store import runs
from support.asking import RUN, publish, text
from support.house import House, a_house, is_legal

HOUR = timedelta(hours=1)
DONE = {"content": "done"}
REFUSED = "Error: publish was not carried out: the limit"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as opened:
        yield opened


def calls(times: int = 1, name: str = "publish", **arguments: Any) -> dict[str, Any]:
    return {"tool_calls": [{"name": name, "arguments": arguments or {"title": "Agents"}}] * times}


def limited(calls: Any, *replies: dict[str, Any], names: tuple[str, ...] = (RUN,), **words: Any) -> str:
    """A file with a tool that has a limit of calls, and runs that use it."""
    listed = [{"name": name, "task": "write"} for name in names]
    return text(publish(limits={"calls": calls}, **words), replies=[*replies, DONE], runs=listed)


# ---- at the limit


async def test_of_more_calls_than_there_may_be_those_that_fit_are_carried_out_and_the_rest_told_why(house: House) -> None:
    await house.apply(limited("2/day", calls(5)))
    house.gate.let_through("one")
    house.gate.let_through("two")
    began = house.clock.now()
    await house.run(RUN, RunPhase.SUCCEEDED)
    results = await house.results(RUN)

    room = f"{began + 24 * HOUR:%Y-%m-%d %H:%M:%S} UTC"
    assert sorted(results[:2]) == ["one", "two"]
    assert results[2:] == [f"{REFUSED} `calls: 2/day` of tool 'publish' is reached: there is room again at {room}"] * 3
    assert len(house.gate.starts) == 2
    assert is_legal(await house.conversation(RUN))


async def test_fifty_runs_at_once_do_not_get_past_a_limit(house: House) -> None:
    names = tuple(f"r-{number}" for number in range(50))
    for _ in range(7):
        house.gate.let_through()
    await house.apply(limited("7/hour", calls(), names=names))
    for name in names:
        await house.run(name, RunPhase.SUCCEEDED)
    results = [result for name in names for result in await house.results(name)]

    assert len(house.gate.starts) == 7
    assert (results.count("done"), sum(result.startswith(REFUSED) for result in results)) == (7, 43)


async def test_a_rolling_window_has_room_again_at_the_moment_that_was_told(house: House) -> None:
    for _ in range(3):
        house.gate.let_through()
    await house.apply(limited("2/day", calls(3)))
    await house.run(RUN, RunPhase.SUCCEEDED)
    assert (await house.results(RUN))[2].startswith(REFUSED)

    await house.wait(24 * HOUR)
    await house.apply(limited("2/day", calls(), names=("later",)))
    await house.run("later", RunPhase.SUCCEEDED)

    assert await house.results("later") == ["done"]


async def test_a_window_of_the_calendar_begins_at_midnight(house: House) -> None:
    for _ in range(2):
        house.gate.let_through()
    calendar = {"limit": 1, "per": "day", "window": "calendar"}
    await house.apply(limited(calendar, calls(2)))
    await house.run(RUN, RunPhase.SUCCEEDED)
    told = "the limit `calls: {limit: 1, per: day, window: calendar}` of tool 'publish' is reached: there is room again at 2026-01-03 00:00:00 UTC"
    assert (await house.results(RUN))[1].endswith(told)

    await house.wait(21 * HOUR)  # it is past midnight
    await house.apply(limited(calendar, calls(), names=("later",)))
    await house.run("later", RunPhase.SUCCEEDED)
    assert await house.results("later") == ["done"]


async def test_a_limit_of_a_run_counts_its_children_too_and_each_run_anew(house: House) -> None:
    script = [
        {"when": {"agent": "operator", "turn": 1}, "reply": calls(2)},
        {"when": {"agent": "operator"}, "reply": DONE},
        {"when": {"turn": 1}, "reply": {"tool_calls": [{"name": "delegate_to_operator", "arguments": {"message": "go"}}]}},
        {"when": {"turn": 2}, "reply": calls(2)},
        {"when": {}, "reply": DONE},
    ]
    agents = [{"name": "publisher", "tools": ["publish", {"agent": "operator"}]}, {"name": "operator", "tools": ["publish"]}]
    listed = [{"name": name, "task": "write"} for name in (RUN, "tuesday")]
    for _ in range(6):
        house.gate.let_through()
    await house.apply(text(publish(limits={"calls": 3}), replies=script, agents=agents, runs=listed))
    for name in (RUN, "tuesday"):
        await house.run(name, RunPhase.SUCCEEDED)
        assert await house.results(f"{name}/operator-1") == ["done", "done"]
        assert (await house.results(name))[1] == "done"
        assert (await house.results(name))[2] == f"{REFUSED} `calls: 3` of tool 'publish' is reached: this run has no more of them"


async def test_an_agents_own_limit_holds_for_that_agent_alone(house: House) -> None:
    entry = {"tool": "publish", "limits": {"calls": "1/hour"}}
    agents = [{"name": "publisher", "tools": [entry]}, {"name": "other", "tools": ["publish"]}]
    tasks = [{"name": name, "agent": name, "user_message": "go"} for name in ("publisher", "other")]
    listed = [{"name": name, "task": name} for name in ("publisher", "other")]
    for _ in range(3):
        house.gate.let_through()
    await house.apply(text(publish(), replies=[calls(2), DONE], agents=agents, tasks=tasks, runs=listed))
    await house.run("publisher", RunPhase.SUCCEEDED)
    await house.run("other", RunPhase.SUCCEEDED)

    assert "the limit `calls: 1/hour` of agent 'publisher' for 'publish' is reached" in (await house.results("publisher"))[1]
    assert await house.results("other") == ["done", "done"]


async def test_delegation_has_a_limit_in_a_window_by_its_entry(house: House) -> None:
    script = [
        {"when": {"agent": "operator"}, "reply": DONE},
        {"when": {"turn": 1}, "reply": calls(2, "delegate_to_operator", message="go")},
        {"when": {}, "reply": DONE},
    ]
    agents = [{"name": "publisher", "tools": [{"agent": "operator", "limits": {"calls": "1/day"}}]}, {"name": "operator"}]
    await house.apply(text(replies=script, agents=agents))
    await house.run(RUN, RunPhase.SUCCEEDED)

    assert (await house.results(RUN))[0] == "done"
    assert "the limit `calls: 1/day` of agent 'publisher' for 'operator' is reached" in (await house.results(RUN))[1]
    assert await house.database.read(lambda tx: runs.by_name(tx, f"{RUN}/operator-2")) is None


async def test_a_built_in_has_limits_too(house: House) -> None:
    tools = [{"name": "add", "builtin": "add", "limits": {"calls": 1}}]
    await house.apply(json.dumps(json.loads(text(replies=[calls(2, "add", a=1, b=2), DONE], agent={"tools": ["add"]})) | {"tools": tools}))
    await house.run(RUN, RunPhase.SUCCEEDED)

    assert (await house.results(RUN))[0] == "3"
    assert "`calls: 1` of tool 'add'" in (await house.results(RUN))[1]


# ---- what counts


async def test_a_call_counts_once_however_often_it_is_tried(house: House) -> None:
    await house.apply(limited("2/day", calls(), calls(), effects="idempotent", retries=1))
    house.gate.let_through("no", OutcomeKind.FAILED)
    await house.call(RUN, CallPhase.READY)
    await house.wait(timedelta(seconds=10))
    house.gate.let_through("one")
    house.gate.let_through("two")
    await house.run(RUN, RunPhase.SUCCEEDED)

    assert await house.results(RUN) == ["one", "two"]


async def test_a_call_counts_once_although_the_daemon_died_while_it_ran(house: House) -> None:
    await house.apply(limited("1/day", calls(), calls(), effects="idempotent"))
    await house.gate.came(1)
    again = await house.crash()
    try:
        again.start()
        await again.gate.came(1)
        again.gate.let_through("one")
        await again.run(RUN, RunPhase.SUCCEEDED)
        results = await again.results(RUN)
    finally:
        await again.close()

    assert results[0] == "one"
    assert "`calls: 1/day`" in results[1]


async def test_what_a_person_denies_does_not_count_and_nobody_is_asked_about_what_would_not_run(house: House) -> None:
    await house.apply(limited("1/day", calls(), calls(), calls(), approval="required"))
    await house.say(Verb.DENY, await house.request(RUN))
    await house.say(Verb.APPROVE, await house.request(RUN))
    house.gate.let_through("published")
    await house.run(RUN, RunPhase.SUCCEEDED)
    results = await house.results(RUN)

    assert results[0].startswith("Error: publish was not carried out: ann denied it")
    assert results[1].endswith("published")
    assert results[2].startswith(f"{REFUSED} `calls: 1/day`")
    assert (await house.reasons()).count("RequestOpened") == 2


async def test_of_two_calls_that_were_approved_for_one_place_the_second_is_told_so(house: House) -> None:
    await house.apply(limited("1/day", calls(2), approval="required"))
    first, second = await house.request(RUN, position=0), await house.request(RUN, position=1)
    house.gate.let_through("published")
    await house.say(Verb.APPROVE, second)
    await house.say(Verb.APPROVE, first)
    await house.run(RUN, RunPhase.SUCCEEDED)

    assert sorted(REFUSED in result for result in await house.results(RUN)) == [False, True]
    assert len(house.gate.starts) == 1


async def test_a_limit_that_is_raised_holds_at_once_and_counts_what_came_before(house: House) -> None:
    for _ in range(2):
        house.gate.let_through()
    await house.apply(limited("1/day", calls(2)))
    await house.run(RUN, RunPhase.SUCCEEDED)
    await house.apply(limited("2/month", calls(2), names=("later",)))
    await house.run("later", RunPhase.SUCCEEDED)

    assert [result.startswith(REFUSED) for result in await house.results("later")] == [False, True]


@pytest.mark.parametrize("back", [timedelta(seconds=1), timedelta(seconds=5), HOUR, 365 * 24 * HOUR], ids=["1 s", "5 s", "1 h", "a year"])
async def test_a_clock_that_is_set_back_makes_no_room_and_holds_nothing_up_for_longer_than_a_window(house: House, back: timedelta) -> None:
    for _ in range(2):
        house.gate.let_through()
    await house.apply(limited("1/day", calls()))
    await house.run(RUN, RunPhase.SUCCEEDED)
    await house.wait(-back)
    await house.apply(limited("1/day", calls(), names=("later",)))
    await house.run("later", RunPhase.SUCCEEDED)
    assert (await house.results("later"))[0].startswith(REFUSED)

    await house.wait(24 * HOUR + timedelta(seconds=2))
    await house.apply(limited("1/day", calls(), names=("tomorrow",)))
    await house.run("tomorrow", RunPhase.SUCCEEDED)
    assert await house.results("tomorrow") == ["done"]
