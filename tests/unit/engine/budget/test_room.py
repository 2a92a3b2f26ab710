"""When time brings room under a cap: a table of what is spent, held and raised, in windows that roll and windows of the calendar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from smallchain.engine.budget.room import more_room_at, room_at
from smallchain.model.cap import Cap, OnLimit, Standing, Unit

NOW = datetime(2026, 11, 23, 9, 30, 15, tzinfo=UTC)  # a Monday
CHARGES = [(NOW - timedelta(seconds=50), 30), (NOW - timedelta(seconds=20), 40), (NOW - timedelta(seconds=5), 20)]


def standing(per: str = "minute", window: str = "rolling", *, spent: int = 90, held: int = 0, raised: int = 0) -> Standing:
    return Standing(Cap("budget", "b", "", Unit.TOKENS, 100, per, window, OnLimit.WAIT), spent, held, raised)


def later(**span: float) -> datetime:
    return NOW + timedelta(**span)


@pytest.mark.parametrize(
    ("amount", "at"),
    [
        (10, NOW),  # it fits: nothing has to pass
        (11, later(seconds=10)),  # the oldest has to leave
        (40, later(seconds=10)),
        (41, later(seconds=40)),
        (80, later(seconds=40)),
        (81, later(seconds=55)),
        (100, later(seconds=55)),
        (101, None),  # more than the cap: no time brings it
    ],
)
def test_a_rolling_window_has_room_when_enough_has_left_it(amount: int, at: datetime | None) -> None:
    assert room_at(standing(), amount, CHARGES, now=NOW) == at


def test_what_was_added_to_the_limit_has_not_to_pass() -> None:
    assert room_at(standing(raised=1), 11, CHARGES, now=NOW) == NOW


@pytest.mark.parametrize(
    ("per", "at"),
    [
        ("minute", datetime(2026, 11, 23, 9, 31, tzinfo=UTC)),
        ("hour", datetime(2026, 11, 23, 10, tzinfo=UTC)),
        ("day", datetime(2026, 11, 24, tzinfo=UTC)),
        ("week", datetime(2026, 11, 30, tzinfo=UTC)),
        ("month", datetime(2026, 12, 1, tzinfo=UTC)),
        ("run", None),
    ],
)
def test_a_calendar_has_room_at_its_next_window_and_a_run_never(per: str, at: datetime | None) -> None:
    assert room_at(standing(per, "calendar"), 11, CHARGES, now=NOW) == at
    assert more_room_at(standing(per, "calendar"), CHARGES, now=NOW) == at


@pytest.mark.parametrize("per", ["minute", "month", "run"])
@pytest.mark.parametrize("window", ["rolling", "calendar"])
def test_where_nothing_is_spent_no_room_comes(per: str, window: str) -> None:
    assert more_room_at(standing(per, window, spent=0, held=60), [], now=NOW) is None


@pytest.mark.parametrize(
    ("stands", "at"),
    [
        (standing(), later(seconds=10)),
        (standing(held=10), later(seconds=10)),
        (standing(spent=90, raised=50), later(seconds=10)),
        (standing(spent=90, raised=-30), later(seconds=10)),  # lowered below what is spent: the first that leaves is enough
        (standing(spent=90, raised=-50), later(seconds=40)),  # and here it is not: there is room once two have left
        (standing(spent=90, raised=-100), None),
    ],
)
def test_more_room_comes_with_the_first_that_leaves_and_some_at_all(stands: Standing, at: datetime | None) -> None:
    assert more_room_at(stands, CHARGES, now=NOW) == at


def test_no_more_charges_are_read_than_it_takes() -> None:
    def charges():  # type: ignore[no-untyped-def]
        yield CHARGES[0]
        raise AssertionError("the first one is enough")

    assert room_at(standing(), 11, charges(), now=NOW) == later(seconds=10)
