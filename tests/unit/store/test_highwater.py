"""The mark of how far a database has come: durable, never lowered, and worth nothing when it cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallchain.model.errors import Damaged
from smallchain.store import eventlog, highwater, migrate
from smallchain.store.database import Database
from smallchain.store.highwater import Mark
from support.starts import FixedClock

MARKS = st.builds(Mark, st.integers(0, 9), st.integers(0, 9))


def test_a_folder_without_one_is_at_the_beginning(tmp_path: Path) -> None:
    assert highwater.read(tmp_path) == Mark()


def test_it_is_never_lowered(tmp_path: Path) -> None:
    for mark in (Mark(2, 30), Mark(1, 40), Mark(3, 10)):
        highwater.write(tmp_path, mark)

    assert highwater.read(tmp_path) == Mark(3, 40)
    assert (tmp_path / highwater.FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"x", b"1", b"1 2 3", b"1 x", b"-1 2", b"9" * 5000 + b" 1", b"\xff\xfe", b"1 2" * 10_000])
def test_one_that_cannot_be_read_refuses_nobody(tmp_path: Path, content: bytes) -> None:
    (tmp_path / highwater.FILE).write_bytes(content)

    assert highwater.read(tmp_path) == Mark()


@given(one=MARKS, other=MARKS)
def test_nothing_is_behind_itself_or_what_it_is_ahead_of(one: Mark, other: Mark) -> None:
    assert not one.is_behind(one)
    assert one.is_behind(other) or other.epoch <= one.epoch


async def test_a_database_that_stands_behind_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    await (await Database.open(tmp_path, now=FixedClock().now)).close()
    highwater.write(tmp_path, Mark(1, 50))
    for _ in range(2):
        with pytest.raises(Damaged, match=r"stands behind .* 0 events of 1 starts, where there were 50 of 1") as refusal:
            await Database.open(tmp_path, now=FixedClock().now)

    assert "--accept-rollback" in refusal.value.hint
    assert (tmp_path / migrate.FILE).exists()


async def test_no_number_of_an_event_is_given_twice_after_it_was_accepted(tmp_path: Path) -> None:
    await (await Database.open(tmp_path, now=FixedClock().now)).close()
    highwater.write(tmp_path, Mark(7, 50))
    database = await Database.open(tmp_path, now=FixedClock().now, accept_rollback=True)
    try:
        assert database.epoch == 8
        assert database.lost == (Mark(1, 0), Mark(7, 50))
        assert await database.read(eventlog.last) == 50
        await database.mark()
    finally:
        await database.close()

    assert highwater.read(tmp_path) == Mark(8, 50)
