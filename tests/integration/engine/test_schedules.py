"""Tasks that start by themselves: on time, once, and after whatever happened to the daemon, the clock or the file."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from smallchain.engine.schedule.kind import ScheduleKind, next_start
from smallchain.model.lifecycles import Readiness, RunPhase
from smallchain.store import alarms, resources, runs, schedules
from smallchain.store.contract import Tx
from support.house import Gate, House, a_house
from support.rows import all_runs
from support.starts import FixedClock

BEGAN = FixedClock().moment
HOUR = timedelta(hours=1)
FOUR = BEGAN.replace(hour=4, minute=0, second=0)
"""The first full hour in a house."""


def text(*, gated: bool = False, task: str = "digest", **schedule: Any) -> str:
    """A file with a schedule; `gated`: its runs call a tool that waits until the test lets it through."""
    replies = [{"tool_calls": [{"name": "publish", "arguments": {}}]}] if gated else []
    tool = {"name": "publish", "executor": {"python": {"command": "unused"}}, "parameters": {"type": "object"}, "effects": "idempotent"}
    when = {} if "every" in schedule or "cron" in schedule else {"cron": "0 * * * *"}
    return json.dumps(
        {
            "llms": [{"name": "fast", "provider": "scripted", "replies": [*replies, {"content": "done"}]}],
            "agents": [{"name": "writer", "tools": ["publish"]}],
            "tools": [tool],
            "tasks": [{"name": task, "agent": "writer", "user_message": "go"}],
            "schedules": [{"name": "hourly", "task": "digest", **when, **schedule}],
        }
    )


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as opened:
        yield opened


async def looked(house: House) -> None:
    """Every row was looked at once more, as the periodic look does, and nothing is left."""
    await house.driver.transact(lambda tx: tx.wake("schedule", "hourly"))


async def at(house: House, moment: datetime) -> None:
    """Let it be a moment, and what is due be settled."""
    await house.wait(moment - house.clock.now())
    await looked(house)


async def over(house: House) -> None:
    """Wait until every run is over."""
    await house.until(lambda tx: not runs.live_ids(tx))


async def names(house: House) -> list[str]:
    return [row["name"] for row in await house.database.read(all_runs)]


async def moments(house: House) -> list[datetime]:
    """The moments for which runs were made, oldest first."""
    found = await house.database.read(lambda tx: schedules.starts(tx, "hourly", most=100))
    return [start.moment for start in reversed(found)]


async def skips(house: House) -> list[str]:
    return [line.removeprefix("ScheduleSkipped: ") for line in await house.told() if line.startswith("ScheduleSkipped")]


async def standing(house: House) -> resources.Written:
    found = await house.database.read(lambda tx: resources.get(tx, "schedule", "hourly"))
    assert found is not None
    return found


async def test_a_task_starts_at_its_moment_and_not_before(house: House) -> None:
    await house.apply(text())
    await at(house, FOUR - timedelta(seconds=1))
    assert await names(house) == []
    await house.wait(timedelta(seconds=1))
    await house.run("hourly-1", RunPhase.SUCCEEDED)

    assert await moments(house) == [FOUR]
    assert "ScheduleFired: Schedule 'hourly' starts run 'hourly-1', due at 2026-01-02 04:00:00 UTC" in await house.told()
    row = await standing(house)
    assert row.status is Readiness.READY
    assert await house.database.read(lambda tx: next_start(tx, row)) == FOUR + HOUR


async def test_it_starts_again_each_time_and_numbers_its_runs(house: House) -> None:
    await house.apply(text())
    for number in range(1, 4):
        await house.wait(FOUR + (number - 1) * HOUR - house.clock.now())
        await house.run(f"hourly-{number}", RunPhase.SUCCEEDED)

    assert await moments(house) == [FOUR, FOUR + HOUR, FOUR + 2 * HOUR]


async def test_a_number_that_somebody_took_is_passed_over(house: House) -> None:
    await house.apply(text())
    await at(house, FOUR)
    await house.run("hourly-1", RunPhase.SUCCEEDED)
    await house.driver.transact(lambda tx: runs.create(tx, name="hourly-2", task="digest"))
    await at(house, FOUR + HOUR)

    await house.run("hourly-3", RunPhase.SUCCEEDED)


async def test_an_interval_is_counted_from_when_it_was_written(house: House) -> None:
    await house.apply(text(every="90m"))
    await at(house, BEGAN + timedelta(minutes=89))
    assert await names(house) == []
    await at(house, BEGAN + timedelta(minutes=91))
    await house.run("hourly-1", RunPhase.SUCCEEDED)

    assert (await moments(house))[0] - BEGAN == timedelta(minutes=90)


@pytest.mark.parametrize("overlap", ["skip", "queue", "replace"])
async def test_what_becomes_of_a_start_while_the_last_one_runs(house: House, overlap: str) -> None:
    await house.apply(text(gated=True, overlap=overlap))
    await at(house, FOUR)
    await house.gate.came(1)
    await at(house, FOUR + HOUR)

    if overlap == "replace":
        assert (await house.run("hourly-1", RunPhase.CANCELLED)).detail.startswith("cancelled by schedule 'hourly': its start for")
        await house.gate.came(2)
        assert await names(house) == ["hourly-1", "hourly-2"]
        return
    assert await names(house) == ["hourly-1"]
    assert await skips(house) == (
        [] if overlap == "queue" else ["Schedule 'hourly' skips its start for 2026-01-02 05:00:00 UTC: run 'hourly-1' still runs"]
    )
    house.gate.let_through()
    await house.run("hourly-1", RunPhase.SUCCEEDED)
    if overlap == "queue":
        await house.gate.came(2)
        assert "ScheduleWaits: Schedule 'hourly' holds its start for 2026-01-02 05:00:00 UTC until run 'hourly-1' is over" in (
            await house.told()
        )
        assert await moments(house) == [FOUR, FOUR + HOUR]
    else:
        await looked(house)
        assert await names(house) == ["hourly-1"]


@pytest.mark.parametrize(("misfire", "expected"), [("once", [FOUR + 5 * HOUR]), ("skip", [])])
async def test_after_a_time_without_a_daemon_it_starts_once_or_not_at_all(tmp_path: Path, misfire: str, expected: list[datetime]) -> None:
    house = (await House.open(tmp_path, FixedClock())).start()
    await house.apply(text(misfire=misfire))
    house.clock.moment = FOUR + 5.5 * HOUR
    again = await house.crash()
    try:
        again.start()
        await again.until(lambda tx: [row for row in tx.all("events.after", after=0, most=1000) if row["reason"] == "ScheduleSkipped"])
        assert await moments(again) == expected
        (told,) = await skips(again)
        assert f"skips {'5' if misfire == 'once' else '6'} starts from 2026-01-02 04:00:00 UTC on: nothing was there" in told
        await over(again)
        await at(again, FOUR + 6 * HOUR)
        assert await moments(again) == [*expected, FOUR + 6 * HOUR]
    finally:
        await again.close()


@pytest.mark.parametrize("misfire", ["once", "skip"])
async def test_a_clock_that_jumps_ahead_starts_an_overdue_task_once_or_not_at_all(house: House, misfire: str) -> None:
    await house.apply(text(misfire=misfire))
    await at(house, FOUR + 100.25 * HOUR)

    assert await moments(house) == ([FOUR + 100 * HOUR] if misfire == "once" else [])


async def test_a_clock_that_goes_back_starts_nothing_twice_and_nothing_stands_still(house: House) -> None:
    await house.apply(text())
    for moment in (FOUR, FOUR + HOUR, FOUR - HOUR / 2, FOUR, FOUR + HOUR, FOUR - HOUR / 2, FOUR + HOUR, FOUR + 2 * HOUR):
        await over(house)
        await at(house, moment)

    assert await moments(house) == [FOUR, FOUR + HOUR, FOUR + 2 * HOUR]


async def test_a_clock_that_was_a_year_ahead_goes_on_where_it_is_put_back_to(house: House) -> None:
    await house.apply(text())
    await at(house, FOUR + timedelta(days=365))
    await over(house)
    await at(house, FOUR + HOUR / 2)
    await at(house, FOUR + HOUR)

    assert await moments(house) == [FOUR + timedelta(days=365), FOUR + HOUR]


async def test_a_schedule_without_its_task_waits_says_so_and_heals(house: House) -> None:
    await house.apply(text(task="digst"))
    await looked(house)
    row = await standing(house)
    assert (row.status, row.detail) == (Readiness.PENDING, "task 'digest' does not exist; did you mean 'digst'?")
    assert await house.database.read(lambda tx: next_start(tx, row)) is None
    await at(house, FOUR)
    assert await names(house) == []
    assert (await skips(house))[0].endswith("skips its start for 2026-01-02 04:00:00 UTC: " + row.detail)
    await house.apply(text())
    assert (await standing(house)).status is Readiness.READY
    await at(house, FOUR + HOUR)

    await house.run("hourly-1", RunPhase.SUCCEEDED)


async def test_a_task_whose_agent_is_not_ready_starts_as_a_run_that_waits(house: House) -> None:
    await house.apply(text().replace('"name": "writer"', '"name": "wrter"'))
    await at(house, FOUR)
    run = await house.run("hourly-1", RunPhase.PENDING)
    assert "agent 'writer' does not exist" in run.detail
    await house.apply(text())

    await house.run("hourly-1", RunPhase.SUCCEEDED)


async def test_a_changed_entry_holds_at_once_and_makes_up_for_nothing_of_the_new_moments(house: House) -> None:
    await house.apply(text(cron="0 5 * * *"))
    await at(house, FOUR - timedelta(minutes=30))
    await house.apply(text(cron="*/15 * * * *"))
    await looked(house)
    assert await names(house) == []
    await at(house, FOUR - timedelta(minutes=15))

    await house.run("hourly-1", RunPhase.SUCCEEDED)
    assert await moments(house) == [FOUR - timedelta(minutes=15)]


async def test_a_deleted_entry_starts_nothing_more_and_what_it_started_goes_on(house: House) -> None:
    await house.apply(text(gated=True))
    await at(house, FOUR)
    await house.gate.came(1)
    await house.apply(json.dumps(json.loads(text(gated=True)) | {"schedules": []}))
    await at(house, FOUR + 2 * HOUR)
    assert await house.database.read(lambda tx: (schedules.get(tx, "hourly"), alarms.due(tx, most=10))) == (None, [])
    house.gate.let_through()
    await house.run("hourly-1", RunPhase.SUCCEEDED)

    assert await names(house) == ["hourly-1"]


async def test_an_entry_that_comes_back_does_not_start_a_moment_again(house: House) -> None:
    await house.apply(text())
    await at(house, FOUR)
    await house.apply(json.dumps(json.loads(text()) | {"schedules": []}))
    await at(house, FOUR - timedelta(minutes=5))
    await house.apply(text())
    await at(house, FOUR)

    assert await moments(house) == [FOUR]


async def test_jitter_moves_the_start_and_not_the_moment(house: House) -> None:
    await house.apply(text(jitter="30m"))
    await at(house, FOUR)
    row = await standing(house)
    due = await house.database.read(lambda tx: next_start(tx, row))
    assert due is not None
    assert FOUR < due < FOUR + timedelta(minutes=30)
    assert await names(house) == []
    await house.wait(due - house.clock.now())
    run = await house.run("hourly-1", RunPhase.SUCCEEDED)

    assert (run.created_at, await moments(house)) == (due, [FOUR])


class Died(Exception):
    """The machine went off in the middle of a transaction."""


async def test_a_daemon_that_dies_before_the_commit_of_a_start_starts_it_in_its_next_life_once(tmp_path: Path) -> None:
    """Nothing of a start is visible before its commit: the run, the moment and the event are one transaction."""
    house = await House.open(tmp_path, FixedClock())
    await house.apply(text())
    house.clock.moment = FOUR + timedelta(seconds=5)

    def start_and_die(tx: Tx) -> None:
        ScheduleKind().step(tx, "hourly")
        assert len(schedules.starts(tx, "hourly", most=10)) == 1
        raise Died

    with pytest.raises(Died):
        await house.database.write(start_and_die)
    again = (await house.crash()).start()
    try:
        await again.run("hourly-1", RunPhase.SUCCEEDED)
        await looked(again)
        assert await names(again) == ["hourly-1"]
        assert await moments(again) == [FOUR]
    finally:
        await again.close()


@pytest.mark.parametrize("overlap", ["skip", "queue", "replace"])
async def test_a_daemon_that_dies_after_each_commit_loses_no_start_and_repeats_none(tmp_path: Path, overlap: str) -> None:
    house = await House.open(tmp_path, FixedClock())
    await house.apply(text(gated=True, overlap=overlap))
    for number in range(6):
        house.clock.moment = FOUR + number * HOUR
        await looked(house)
        await looked(house)
        house = await house.crash()
    gate: Gate = house.gate
    house.start()
    try:
        for _ in range(6):
            gate.let_through()
        if overlap == "queue":
            await house.run("hourly-2", RunPhase.SUCCEEDED)
        found = await moments(house)
        assert len(set(found)) == len(found)
        assert (
            found
            == {
                "skip": [FOUR],
                "queue": [FOUR, FOUR + HOUR],
                "replace": [FOUR + number * HOUR for number in range(6)],
            }[overlap]
        )
        assert len(await skips(house)) == {"skip": 5, "queue": 4, "replace": 0}[overlap]
    finally:
        await house.close()


async def test_a_moment_has_one_run_whatever_the_loop_does(house: House) -> None:
    """The last word is the table's: a second run for a moment breaks its rule, and the transaction with it."""
    await house.apply(text())
    await at(house, FOUR)
    (start,) = await house.database.read(lambda tx: schedules.starts(tx, "hourly", most=10))

    def again(tx: Tx) -> None:
        run = runs.create(tx, name="another", task="digest")
        schedules.add_start(tx, "hourly", schedules.Start(start.moment, run.id))

    with pytest.raises(Exception, match="UNIQUE"):
        await house.driver.transact(again)
    assert await names(house) == ["hourly-1"]


async def test_a_hundred_schedules_are_rows_and_one_timer(house: House) -> None:
    many = json.loads(text()) | {"schedules": [{"name": f"s{n}", "task": "digest", "cron": "0 * * * *"} for n in range(100)]}
    await house.apply(json.dumps(many))
    assert await house.database.read(alarms.nearest) == FOUR
    await house.wait(FOUR - house.clock.now())
    await house.until(lambda tx: len(all_runs(tx)) == 100)

    assert await house.database.read(alarms.nearest) == FOUR + HOUR
