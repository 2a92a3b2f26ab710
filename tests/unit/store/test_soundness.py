"""A damaged file is found whatever its size; a large one while the daemon is at work already."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from smallchain.model.errors import Damaged
from smallchain.store import eventlog, migrate, soundness
from smallchain.store.database import Database
from support.starts import FixedClock

PATIENCE_S = 30.0


async def a_database(folder: Path, *, size: int) -> Path:
    """One with rows of so many bytes, closed."""
    await (await Database.open(folder, now=FixedClock().now)).close()
    path = folder / migrate.FILE
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(
            "INSERT INTO specs (digest, kind, name, folder, spec) VALUES (?, 'agent', 'a', '', ?)",
            ((str(number), "x" * (1 << 20)) for number in range(size >> 20)),
        )
    return path


def tear(path: Path) -> None:
    """Take a page of the first rows out: a page of an index or a table that is no page any more."""
    with path.open("r+b") as file:
        file.seek(3 * 4096)
        file.write(b"\0" * 4096)


async def test_a_small_file_is_looked_through_before_the_start_goes_on(tmp_path: Path) -> None:
    tear(await a_database(tmp_path, size=1 << 20))

    with pytest.raises(Damaged, match="is damaged"):
        await Database.open(tmp_path, now=FixedClock().now)


async def test_a_large_damaged_file_ends_the_daemon_that_works_on_it_already(tmp_path: Path) -> None:
    tear(await a_database(tmp_path, size=soundness.SMALL_BYTES + (2 << 20)))

    database = await Database.open(tmp_path, now=FixedClock().now)
    try:
        async with asyncio.timeout(PATIENCE_S):
            reason = await asyncio.shield(database.fatal)
    finally:
        await database.close()

    assert isinstance(reason, Damaged)
    assert "is damaged" in reason.message


async def test_a_large_sound_file_is_worked_on_meanwhile_and_a_stop_does_not_wait_for_the_check(tmp_path: Path) -> None:
    await a_database(tmp_path, size=soundness.SMALL_BYTES + (2 << 20))

    database = await Database.open(tmp_path, now=FixedClock().now)
    assert await database.write(eventlog.last) == 0
    await database.close()

    assert not database.fatal.done()
