"""Limits besides money: how long a run may be at work, and how old it may get. Nothing sleeps: time is moved."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from smallchain.engine.human.deciding import resume
from smallchain.engine.run.acts import pause
from smallchain.engine.run.again import retry
from smallchain.model.delivery import Verb
from smallchain.model.lifecycles import CallPhase, RunPhase
from smallchain.model.run import Run
from smallchain.store import alarms, modelcalls, runs, toolcalls
from smallchain.store.contract import Tx
from support.asking import RUN, publish, text
from support.house import House, a_house, is_legal

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
TITLE = {"title": "Agents"}
PUBLISH = {"tool_calls": [{"name": "publish", "arguments": TITLE}]}
DONE = {"content": "done"}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as opened:
        yield opened


def limited(*replies: dict[str, Any], tools: tuple[dict[str, Any], ...] = (publish(timeout="9d"),), **limits: Any) -> str:
    """A file with an agent that has limits."""
    return text(*tools, replies=list(replies), agent={"limits": limits})


def _run(tx: Tx) -> Run:
    run = runs.by_name(tx, RUN)
    assert run is not None
    return run


def reached(limit: str) -> str:
    return f"the limit `{limit}` of agent 'publisher' is reached"


# ---- time at work


async def test_a_tool_that_works_for_too_long_ends_with_its_run(house: House) -> None:
    await house.apply(limited(PUBLISH, DONE, wall_time="1h"))
    await house.gate.came(1)
    await house.wait(HOUR - MINUTE)
    await house.quiet()
    assert (await house.now(RUN)).phase is RunPhase.AWAITING_TOOLS

    await house.wait(MINUTE)
    run = await house.run(RUN, RunPhase.FAILED)
    await house.idle()

    again = f"raise it, then `smallchain retry {RUN}`"
    assert run.error == f"{reached('wall_time: 1h')}: so long it has been at work; {again}"
    assert (run.active_ms, run.active_since) == (HOUR / timedelta(milliseconds=1), None)
    assert house.gate.ended == [(await house.calls(RUN))[0].id]


async def test_of_a_call_that_must_not_be_doubled_nobody_knows_afterwards_and_its_history_is_legal(house: House) -> None:
    await house.apply(limited(PUBLISH, DONE, wall_time="1h"))
    await house.gate.came(1)
    await house.wait(HOUR)
    await house.run(RUN, RunPhase.FAILED)
    (call,) = await house.calls(RUN)
    attempt = await house.database.read(lambda tx: toolcalls.attempt_of(tx, call))

    assert call.phase is CallPhase.CANCELLED
    assert attempt is not None
    assert attempt.outcome == "unknown"
    assert await house.results(RUN) == ["Error: the call was cancelled while it ran; whether it happened is not known"]
    assert is_legal(await house.conversation(RUN))


async def test_a_model_that_thinks_for_too_long_ends_with_its_run(house: House) -> None:
    await house.apply(limited({"content": "late", "delay": "9h"}, wall_time="1h"))
    await house.run(RUN, RunPhase.CALLING_MODEL)
    await house.wait(HOUR)
    run = await house.run(RUN, RunPhase.FAILED)
    await house.idle()

    assert run.error.startswith(reached("wall_time: 1h"))
    assert [row["outcome"] for row in await house.database.read(lambda tx: modelcalls.of_run(tx, run.id))] == ["abandoned"]


async def test_waiting_for_a_person_is_no_work_and_the_time_before_it_counts(house: House) -> None:
    asked = publish(approval="required", timeout="9d")
    await house.apply(limited(PUBLISH, PUBLISH, DONE, tools=(asked,), wall_time="1h"))
    for _ in range(2):
        request = await house.request(RUN)
        await house.wait(30 * HOUR)
        await house.say(Verb.APPROVE, request)
        await house.gate.came(1)
        await house.wait(20 * MINUTE)
        house.gate.let_through()
    run = await house.run(RUN, RunPhase.SUCCEEDED)

    assert run.active_ms == 40 * MINUTE / timedelta(milliseconds=1)


async def test_sleeping_is_no_work(house: House) -> None:
    sleep = {"tool_calls": [{"name": "sleep_for", "arguments": {"duration": "8h"}}]}
    await house.apply(text(replies=[sleep, DONE], agent={"tools": ["sleep_for"], "limits": {"wall_time": "1h"}}))
    await house.call(RUN, CallPhase.SLEEPING)
    await house.wait(9 * HOUR)

    assert (await house.run(RUN, RunPhase.SUCCEEDED)).active_ms == 0


async def test_waiting_after_a_failure_is_no_work(house: House) -> None:
    busy = {"error": {"status": 503, "message": "busy"}}
    await house.apply(limited(busy, DONE, wall_time="1s"))
    await house.run(RUN, RunPhase.BACKING_OFF)
    await house.apply(limited(DONE, wall_time="1s"))
    await house.wait(HOUR)

    assert (await house.run(RUN, RunPhase.SUCCEEDED)).active_ms == 0


async def test_what_works_on_beside_a_pause_does_not_count_and_a_paused_run_is_left_alone(house: House) -> None:
    await house.apply(limited(PUBLISH, DONE, wall_time="1h", wall_time_total="9d"))
    await house.gate.came(1)
    await house.wait(50 * MINUTE)
    await house.driver.transact(lambda tx: pause(tx, _run(tx), by="ann"))
    await house.wait(10 * 24 * HOUR)
    await house.quiet()
    run = await house.now(RUN)
    assert (run.phase, run.active_ms) == (RunPhase.AWAITING_TOOLS, 50 * MINUTE / timedelta(milliseconds=1))

    await house.driver.transact(lambda tx: resume(tx, _run(tx), by="ann"))
    run = await house.run(RUN, RunPhase.FAILED)
    assert run.error.startswith(reached("wall_time_total: 9d"))


async def test_two_tools_at_once_are_at_work_once(house: House) -> None:
    both = {"tool_calls": PUBLISH["tool_calls"] * 2}
    await house.apply(limited(both, DONE, wall_time="1h"))
    await house.gate.came(2)
    await house.wait(20 * MINUTE)
    house.gate.let_through()
    await house.until(lambda tx: [call for call in toolcalls.of_turn(tx, _run(tx).id, 1) if call.is_over])
    await house.wait(20 * MINUTE)
    house.gate.let_through()

    assert (await house.run(RUN, RunPhase.SUCCEEDED)).active_ms == 40 * MINUTE / timedelta(milliseconds=1)


async def test_a_limit_that_is_raised_holds_for_a_run_that_is_at_work(house: House) -> None:
    await house.apply(limited(PUBLISH, DONE, wall_time="1h"))
    await house.gate.came(1)
    await house.apply(limited(PUBLISH, DONE, wall_time="3h"))
    await house.wait(2 * HOUR)
    await house.quiet()
    assert (await house.now(RUN)).phase is RunPhase.AWAITING_TOOLS

    house.gate.let_through()
    assert (await house.run(RUN, RunPhase.SUCCEEDED)).active_ms == 2 * HOUR / timedelta(milliseconds=1)


async def test_a_limit_that_is_written_while_a_run_is_at_work_counts_what_came_before(house: House) -> None:
    await house.apply(limited(PUBLISH, DONE))
    await house.gate.came(1)
    await house.wait(2 * HOUR)
    await house.apply(limited(PUBLISH, DONE, wall_time="1h"))

    assert (await house.run(RUN, RunPhase.FAILED)).error.startswith(reached("wall_time: 1h"))


# ---- time in all


async def test_a_run_that_only_waits_ends_at_its_last_moment_and_withdraws_what_it_asks(house: House) -> None:
    await house.apply(limited(PUBLISH, DONE, tools=(publish(approval="required"),), wall_time_total="2d"))
    await house.request(RUN)
    await house.wait(48 * HOUR)
    run = await house.run(RUN, RunPhase.FAILED)

    assert run.error.startswith(f"{reached('wall_time_total: 2d')}: it began 2d")
    assert await house.asked(RUN) == []
    assert "RequestWithdrawn" in await house.reasons()
    assert is_legal(await house.conversation(RUN))


async def test_children_end_with_their_parent(house: House) -> None:
    script = [
        {"when": {"agent": "operator"}, "reply": PUBLISH},
        {"when": {"turn": 1}, "reply": {"tool_calls": [{"name": "delegate_to_operator", "arguments": {"message": "go"}}]}},
        {"when": {}, "reply": DONE},
    ]
    agents = [
        {"name": "publisher", "tools": [{"agent": "operator"}], "limits": {"wall_time_total": "1h", "wall_time": "1s"}},
        {"name": "operator", "tools": ["publish"]},
    ]
    await house.apply(text(publish(timeout="9d"), replies=script, agents=agents))
    await house.gate.came(1)
    await house.wait(HOUR)
    parent = await house.run(RUN, RunPhase.FAILED)
    child = await house.run(f"{RUN}/operator-1", RunPhase.CANCELLED)
    await house.idle()

    assert parent.error.startswith(reached("wall_time_total: 1h")), "a child's work is none of its parent's"
    assert parent.active_ms == 0
    assert "cancelled by a limit" in child.error
    assert len(house.gate.ended) == 1


async def test_a_run_that_is_over_leaves_no_alarm(house: House) -> None:
    await house.apply(limited(PUBLISH, DONE, wall_time_total="2d"))
    await house.gate.came(1)
    assert await house.database.read(alarms.nearest) is not None

    house.gate.let_through()
    await house.run(RUN, RunPhase.SUCCEEDED)
    assert await house.database.read(alarms.nearest) is None


async def test_a_last_moment_that_passed_while_no_daemon_lived_ends_the_run_at_the_start(house: House) -> None:
    await house.apply(limited(PUBLISH, DONE, tools=(publish(approval="required"),), wall_time_total="2d"))
    await house.request(RUN)
    house.clock.moment += 72 * HOUR
    again = await house.crash()
    try:
        again.start()
        run = await again.run(RUN, RunPhase.FAILED)
    finally:
        await again.close()

    assert run.error.startswith(reached("wall_time_total: 2d"))


async def test_a_run_that_failed_at_a_limit_goes_on_after_it_was_raised(house: House) -> None:
    await house.apply(limited(PUBLISH, DONE, wall_time="1h"))
    await house.gate.came(1)
    await house.wait(HOUR)
    run = await house.run(RUN, RunPhase.FAILED)
    new = await house.driver.transact(lambda tx: retry(tx, runs.get(tx, run.id), by="ann"))

    assert (await house.run(new.name, RunPhase.SUCCEEDED)).output == "done"
    assert (await house.results(new.name))[0].startswith("Error: the call was cancelled while it ran")
