"""Alarms are rows: one for each row to look at again, fired in the order of their time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from smallchain.store import alarms
from smallchain.store.contract import Tx
from smallchain.store.database import Database
from support.starts import FixedClock

SECOND = timedelta(seconds=1)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
async def database(tmp_path: Path, clock: FixedClock) -> AsyncIterator[Database]:
    opened = await Database.open(tmp_path, now=clock.now)
    yield opened
    await opened.close()


async def put(database: Database, clock: FixedClock, key: str, seconds: float) -> list[tuple[str, str]]:
    """Put an alarm so many seconds from now; what that woke."""

    def work(tx: Tx) -> list[tuple[str, str]]:
        alarms.put(tx, "run", key, clock.moment + seconds * SECOND)
        return tx.take_wakes()

    return await database.write(work)


async def due(database: Database, most: int = 10) -> list[str]:
    return [key for _, key in await database.read(lambda tx: alarms.due(tx, most=most))]


async def test_nothing_is_due_and_nothing_is_near_where_there_is_no_alarm(database: Database) -> None:
    assert await due(database) == []
    assert await database.read(alarms.nearest) is None


async def test_an_alarm_is_due_at_its_moment_and_not_before(database: Database, clock: FixedClock) -> None:
    await put(database, clock, "a", 5)
    clock.moment += 5 * SECOND - timedelta(microseconds=1)
    before = await due(database)
    clock.moment += timedelta(microseconds=1)

    assert (before, await due(database)) == ([], ["a"])


async def test_what_is_due_comes_oldest_first_and_no_more_than_asked(database: Database, clock: FixedClock) -> None:
    for key, seconds in (("c", 3.0), ("a", 1.0), ("d", 60.0), ("b", 2.5)):
        await put(database, clock, key, seconds)
    clock.moment += 10 * SECOND

    assert await due(database) == ["a", "b", "c"]
    assert await due(database, most=2) == ["a", "b"]


async def test_the_nearest_alarm_is_the_first_in_time(database: Database, clock: FixedClock) -> None:
    await put(database, clock, "late", 60)
    await put(database, clock, "early", 0.000001)

    assert await database.read(alarms.nearest) == clock.moment + timedelta(microseconds=1)


async def test_a_row_has_one_alarm_and_a_new_one_replaces_it(database: Database, clock: FixedClock) -> None:
    await put(database, clock, "a", 1)
    await put(database, clock, "a", 60)
    clock.moment += 10 * SECOND

    assert await due(database) == []


async def test_an_alarm_that_is_put_wakes_the_sleeper(database: Database, clock: FixedClock) -> None:
    assert await put(database, clock, "a", 1) == [(alarms.KIND, "")]


async def test_the_same_alarm_again_wakes_nobody(database: Database, clock: FixedClock) -> None:
    await put(database, clock, "a", 1)

    assert await put(database, clock, "a", 1) == []


async def test_an_alarm_that_is_dropped_is_gone(database: Database, clock: FixedClock) -> None:
    await put(database, clock, "a", 1)
    await database.write(lambda tx: alarms.drop(tx, "run", "a"))
    clock.moment += 10 * SECOND

    assert await due(database) == []
    assert await database.read(alarms.nearest) is None


async def test_alarms_of_two_kinds_with_the_same_key_are_two(database: Database, clock: FixedClock) -> None:
    await database.write(lambda tx: [alarms.put(tx, kind, "a", clock.moment) for kind in ("run", "toolcall")])
    await database.write(lambda tx: alarms.drop(tx, "run", "a"))

    assert await database.read(lambda tx: alarms.due(tx, most=10)) == [("toolcall", "a")]
