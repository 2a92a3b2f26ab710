"""Machines that sleep and clocks that are set: told once, and what is measured is measured right. Nothing sleeps: time is moved."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from smallchain.model.lifecycles import CallPhase, RunPhase
from smallchain.model.toolcall import OutcomeKind
from smallchain.store import runs
from smallchain.store.contract import Tx
from support.asking import RUN, publish, text
from support.house import House, a_house

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
PUBLISH = {"tool_calls": [{"name": "publish", "arguments": {"title": "Agents"}}]}
BUSY = {"error": {"status": 503, "message": "busy"}}
DONE = {"content": "done"}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as opened:
        yield opened


def working(*replies: dict[str, Any], **limits: Any) -> str:
    """A file with an agent whose tool waits for the test."""
    return text(publish(timeout="9d", effects="idempotent", retries=1), replies=list(replies), agent={"limits": limits})


async def sleeps(house: House, length: timedelta) -> None:
    house.clock.sleeps(length)
    await house.look_at_the_clock()


async def told_of_clocks(house: House) -> list[str]:
    return [line for line in await house.told() if line.startswith(("MachineSlept", "ClockJumped"))]


# ---- told


async def test_a_night_asleep_is_told_once(house: House) -> None:
    await sleeps(house, 8 * HOUR)
    for _ in range(3):
        await house.wait(MINUTE)

    assert await told_of_clocks(house) == ["MachineSlept: The machine slept for 8h; what came due meanwhile is done now, each once"]


@pytest.mark.parametrize(("length", "words"), [(HOUR, "ahead by 1h"), (-HOUR, "back by 1h")], ids=["ahead", "back"])
async def test_a_clock_that_was_set_is_told_once(house: House, length: timedelta, words: str) -> None:
    house.clock.moment += length
    for _ in range(3):
        await house.wait(MINUTE)

    assert await told_of_clocks(house) == [f"ClockJumped: The clock was set {words}; what is due by it is done, each once"]


async def test_a_jump_whose_transaction_was_taken_back_is_told_by_the_next(house: House) -> None:
    def fails(tx: Tx) -> None:
        raise ValueError("no")

    await house.quiet()
    house.clock.sleeps(HOUR)
    with pytest.raises(ValueError, match="no"):
        await house.driver.transact(fails)
    assert await told_of_clocks(house) == []

    await house.look_at_the_clock()
    assert len(await told_of_clocks(house)) == 1


async def test_a_later_life_tells_nothing_of_what_the_last_one_told(house: House) -> None:
    await sleeps(house, HOUR)
    again = await house.crash()
    try:
        again.start()
        await again.look_at_the_clock()
        assert len(await told_of_clocks(again)) == 1
    finally:
        await again.close()


# ---- measured


@pytest.mark.parametrize("length", [8 * HOUR, -8 * HOUR], ids=["ahead", "back"])
async def test_a_clock_that_is_set_changes_nothing_about_the_time_at_work(house: House, length: timedelta) -> None:
    await house.apply(working(PUBLISH, DONE, wall_time="1h"))
    await house.gate.came(1)
    await house.wait(20 * MINUTE)
    house.clock.moment += length
    await house.look_at_the_clock()
    await house.wait(20 * MINUTE)
    house.gate.let_through()

    assert (await house.run(RUN, RunPhase.SUCCEEDED)).active_ms == 40 * MINUTE / timedelta(milliseconds=1)


async def test_a_night_asleep_in_the_middle_of_a_call_is_no_time_at_work(house: House) -> None:
    await house.apply(working(PUBLISH, DONE, wall_time="1h"))
    await house.gate.came(1)
    await house.wait(20 * MINUTE)
    house.clock.sleeps(8 * HOUR)
    house.gate.let_through()  # which comes first: before it is decided on, the night is taken out
    run = await house.run(RUN, RunPhase.SUCCEEDED)

    assert run.active_ms == 20 * MINUTE / timedelta(milliseconds=1)


async def test_after_a_night_asleep_the_limit_is_met_when_it_is_used_up(house: House) -> None:
    await house.apply(working(PUBLISH, DONE, wall_time="1h"))
    await house.gate.came(1)
    await house.wait(20 * MINUTE)
    await sleeps(house, 8 * HOUR)
    await house.wait(39 * MINUTE)
    await house.quiet()
    assert (await house.now(RUN)).phase is RunPhase.AWAITING_TOOLS

    await house.wait(MINUTE)
    assert "`wall_time: 1h`" in (await house.run(RUN, RunPhase.FAILED)).error


async def test_a_clock_that_went_back_holds_a_limit_off_no_longer(house: House) -> None:
    await house.apply(working(PUBLISH, DONE, wall_time="1h"))
    await house.gate.came(1)
    await house.wait(-8 * HOUR)
    await house.wait(HOUR)

    assert "`wall_time: 1h`" in (await house.run(RUN, RunPhase.FAILED)).error


async def test_time_in_which_no_daemon_lived_is_no_time_at_work(house: House) -> None:
    await house.apply(working(PUBLISH, DONE, wall_time="1h"))
    await house.gate.came(1)
    await house.wait(20 * MINUTE)
    await house.apply(json.dumps({"agents": [{"name": "other"}]}), "other.yaml")  # a sign of life
    house.clock.passes(8 * HOUR)
    again = await house.crash()
    try:
        again.start()
        await again.gate.came(1)
        again.gate.let_through()
        run = await again.run(RUN, RunPhase.SUCCEEDED)
    finally:
        await again.close()

    assert run.active_ms == 20 * MINUTE / timedelta(milliseconds=1)


async def test_a_model_that_fails_while_the_machine_sleeps_is_not_given_up_at_the_first_failure_afterwards(house: House) -> None:
    await house.apply(working(BUSY))
    await house.run(RUN, RunPhase.BACKING_OFF)
    await sleeps(house, 8 * HOUR)
    run = await house.until(lambda tx: (found := runs.by_name(tx, RUN)) and found.failures > 1 and found)

    assert run.phase is RunPhase.BACKING_OFF, "retry_for is six hours"


# ---- due


async def test_what_came_due_in_a_night_asleep_is_done_once(house: House) -> None:
    sleep = {"tool_calls": [{"name": "sleep_for", "arguments": {"duration": "2h"}}]}
    await house.apply(text(replies=[sleep, DONE], agent={"tools": ["sleep_for"]}))
    await house.call(RUN, CallPhase.SLEEPING)
    await sleeps(house, 8 * HOUR)
    await house.run(RUN, RunPhase.SUCCEEDED)

    assert len(await house.results(RUN)) == 1


async def test_a_sleeper_is_not_woken_twice_by_a_clock_that_goes_back(house: House) -> None:
    sleep = {"tool_calls": [{"name": "sleep_for", "arguments": {"duration": "2h"}}]}
    await house.apply(text(replies=[sleep, DONE], agent={"tools": ["sleep_for"]}))
    await house.call(RUN, CallPhase.SLEEPING)
    await house.wait(3 * HOUR)
    await house.run(RUN, RunPhase.SUCCEEDED)
    before = await house.reasons()
    await house.wait(-3 * HOUR)
    await house.wait(3 * HOUR)
    await house.quiet()

    assert [reason for reason in (await house.reasons())[len(before) :] if reason != "ClockJumped"] == []


async def test_a_backoff_is_no_longer_for_a_clock_that_went_back(house: House) -> None:
    await house.apply(working(BUSY))
    await house.run(RUN, RunPhase.BACKING_OFF)
    await house.wait(-8 * HOUR)
    await house.wait(10 * timedelta(seconds=1))

    assert (await house.until(lambda tx: (run := runs.by_name(tx, RUN)) and run.failures > 1 and run)).phase is RunPhase.BACKING_OFF


async def test_a_tool_is_tried_again_no_later_for_a_clock_that_went_back(house: House) -> None:
    await house.apply(working(PUBLISH, DONE))
    await house.gate.came(1)
    house.gate.let_through("no", OutcomeKind.FAILED)
    await house.call(RUN, CallPhase.READY)
    await house.wait(-8 * HOUR)
    await house.wait(10 * timedelta(seconds=1))
    house.gate.let_through("published")
    await house.run(RUN, RunPhase.SUCCEEDED)

    assert await house.results(RUN) == ["published"]
