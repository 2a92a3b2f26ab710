"""Agents that sleep: rows that wake at their moment, once, also after the daemon died."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from smallchain.engine.run.acts import cancel, pause
from smallchain.engine.run.why import why
from smallchain.model.lifecycles import CallPhase, RunPhase
from smallchain.model.run import Run
from smallchain.store import alarms, runs
from smallchain.store.contract import Tx
from smallchain.store.times import to_text
from support.asking import RUN, text
from support.house import House, a_house
from support.rows import NOON, all_runs, all_toolcalls


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as opened:
        yield opened


def sleeps(function: str = "sleep_for", times: int = 1, **arguments: Any) -> str:
    """A model that sleeps, as often as it is to, and then is done."""
    call = {"tool_calls": [{"name": function, "arguments": arguments or {"duration": "8h"}}]}
    return text(replies=[call] * times + [{"content": "done"}], agent={"tools": ["sleep_for", "sleep_until"]})


def _run(tx: Tx) -> Run:
    run = runs.by_name(tx, RUN)
    assert run is not None
    return run


async def test_an_agent_sleeps_until_its_moment_and_is_told_the_time(house: House) -> None:
    began = house.clock.now()
    await house.apply(sleeps())
    call = await house.call(RUN, CallPhase.SLEEPING)
    assert call.due_at is not None
    assert began + timedelta(hours=8) <= call.due_at <= house.clock.now() + timedelta(hours=8)
    await house.wait(timedelta(hours=7, minutes=59))
    await house.quiet()
    assert (await house.call(RUN, CallPhase.SLEEPING)).phase is CallPhase.SLEEPING
    await house.wait(timedelta(minutes=2))
    await house.run(RUN, RunPhase.SUCCEEDED)
    (said,) = await house.results(RUN)

    assert said.startswith("You slept until 20")
    assert "UTC now" in said
    assert "RunAsleep" in await house.reasons()


async def test_a_run_asleep_says_until_when(house: House) -> None:
    await house.apply(sleeps("sleep_until", time=(house.clock.now() + timedelta(days=2)).isoformat()))
    await house.call(RUN, CallPhase.SLEEPING)
    found = await house.database.read(lambda tx: why(tx, _run(tx)))

    assert found.because[0].words == "it sleeps"
    assert found.because[0].until == house.clock.now() + timedelta(days=2)


async def test_a_sleeper_is_rows_with_no_task_thread_or_timer_of_its_own(house: House) -> None:
    names = [f"run-{number:03}" for number in range(300)]
    moment = house.clock.now() + timedelta(hours=8)
    await house.apply(sleeps("sleep_until", time=moment.isoformat()))
    await house.call(RUN, CallPhase.SLEEPING)
    await house.idle()
    before = in_memory()
    await house.driver.transact(lambda tx: [runs.create(tx, name=name, task="write") for name in names])
    await house.until(lambda tx: sum(row["phase"] == CallPhase.SLEEPING for row in all_toolcalls(tx)) == 301)
    await house.idle()

    assert all(now < then + 10 for now, then in zip(in_memory(), before, strict=True)), "of three hundred, none has one"
    assert await house.database.read(lambda tx: {row["due_at"] for row in all_toolcalls(tx)}) == {to_text(moment)}


async def test_all_that_wake_at_one_moment_go_on_once_each_and_none_before(house: House) -> None:
    names = [f"run-{number:03}" for number in range(300)]
    moment = house.clock.now() + timedelta(hours=8)
    await house.apply(sleeps("sleep_until", time=moment.isoformat()))
    await house.driver.transact(lambda tx: [runs.create(tx, name=name, task="write") for name in names])
    await house.until(lambda tx: sum(row["phase"] == CallPhase.SLEEPING for row in all_toolcalls(tx)) == 301)
    await house.wait(timedelta(hours=8) - timedelta(seconds=1))
    await house.quiet()
    assert await house.database.read(lambda tx: {row["phase"] for row in all_toolcalls(tx)}) == {CallPhase.SLEEPING}
    await house.wait(timedelta(seconds=1))
    await house.until(lambda tx: all(row["phase"] == RunPhase.SUCCEEDED for row in all_runs(tx)))

    assert await house.database.read(lambda tx: [row["attempts"] for row in all_runs(tx)]) == [2] * 301
    assert await house.database.read(alarms.nearest) is None


def in_memory() -> tuple[int, int, int]:
    """The tasks, threads and timers that there are."""
    gc.collect()
    timers = sum(isinstance(each, asyncio.TimerHandle) and not each.cancelled() for each in gc.get_objects())
    return len(asyncio.all_tasks()), threading.active_count(), timers


async def test_a_moment_that_has_passed_wakes_at_once(house: House) -> None:
    await house.apply(sleeps("sleep_until", time=NOON.replace(year=2020).isoformat()))
    await house.run(RUN, RunPhase.SUCCEEDED)

    assert "You slept until 2020-01-02" in (await house.results(RUN))[0]


async def test_what_names_no_moment_is_answered_and_sleeps_for_nothing(house: House) -> None:
    await house.apply(sleeps(duration="a while"))
    await house.run(RUN, RunPhase.SUCCEEDED)

    assert (await house.results(RUN))[0].startswith("Error: the arguments don't fit sleep_for: 'a while' is not a duration")


async def test_a_sleep_goes_on_over_the_death_of_the_daemon_and_is_not_counted_anew(house: House) -> None:
    await house.apply(sleeps())
    before = await house.call(RUN, CallPhase.SLEEPING)
    await house.wait(timedelta(hours=4))
    again = await house.crash()
    try:
        again.start()
        call = await again.call(RUN, CallPhase.SLEEPING)
        assert (call.due_at, call.attempts) == (before.due_at, 0)
        await again.wait(timedelta(hours=5))
        await again.run(RUN, RunPhase.SUCCEEDED)
    finally:
        await again.close()


async def test_a_sleeper_of_a_paused_run_wakes_and_its_run_goes_on_at_resume(house: House) -> None:
    await house.apply(sleeps())
    await house.call(RUN, CallPhase.SLEEPING)
    await house.driver.transact(lambda tx: pause(tx, _run(tx), by="ann"))
    await house.wait(timedelta(hours=9))
    await house.call(RUN, CallPhase.SUCCEEDED)
    await house.quiet()

    assert (await house.now(RUN)).phase is RunPhase.READY


async def test_a_cancelled_sleeper_does_not_wake(house: House) -> None:
    await house.apply(sleeps())
    await house.call(RUN, CallPhase.SLEEPING)
    await house.driver.transact(lambda tx: cancel(tx, _run(tx), by="ann"))
    await house.wait(timedelta(hours=9))
    await house.quiet()

    assert (await house.calls(RUN))[0].phase is CallPhase.CANCELLED


async def test_to_sleep_again_and_again_is_no_loop(house: House) -> None:
    await house.apply(sleeps(times=7))
    for turn in range(1, 8):
        await house.until(lambda tx, turn=turn: _run(tx).turns == turn and len(_sleeping(tx)) == 1)  # type: ignore[misc]
        await house.wait(timedelta(hours=8, seconds=1))
    await house.run(RUN, RunPhase.SUCCEEDED)

    assert "RunPaused" not in await house.reasons()


def _sleeping(tx: Tx) -> list[Any]:
    return [row for row in tx.all("toolcalls.page_phase", after="", most=10, phase="sleeping")]
