"""What two looks at the clocks tell: that time passed, that the machine slept, or that somebody set the clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallchain.model.clocks import NOTICED, Jump, Reading, jump_between

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
BEFORE = Reading(datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC), 40 * HOUR, 30 * HOUR)


def later(passed: timedelta, *, slept: timedelta = timedelta(), set_by: timedelta = timedelta()) -> Reading:
    """A look after so much time, so much sleep, and a clock that was set by so much."""
    return Reading(BEFORE.wall + passed + slept + set_by, BEFORE.since_boot + passed + slept, BEFORE.awake + passed)


@pytest.mark.parametrize(
    ("after", "jump"),
    [
        (later(timedelta()), None),
        (later(60 * SECOND), None),
        (later(60 * SECOND, set_by=0.03 * SECOND), None),
        (later(60 * SECOND, slept=8 * HOUR), Jump(slept=8 * HOUR)),
        (later(60 * SECOND, set_by=HOUR), Jump(set_by=HOUR)),
        (later(60 * SECOND, set_by=-HOUR), Jump(set_by=-HOUR)),
        (later(SECOND, slept=8 * HOUR, set_by=-3 * SECOND), Jump(8 * HOUR, -3 * SECOND)),
        (later(HOUR, slept=HOUR, set_by=-2 * HOUR), Jump(HOUR, -2 * HOUR)),
    ],
    ids=["at once", "a minute", "slewed", "slept", "ahead", "back", "slept and was put right", "slept and shows the time before"],
)
def test_what_two_looks_tell(after: Reading, jump: Jump | None) -> None:
    assert jump_between(BEFORE, after) == jump


lengths = st.timedeltas(timedelta(0), timedelta(days=30))


@given(passed=lengths, slept=lengths, set_by=st.timedeltas(timedelta(days=-30), timedelta(days=30)))
def test_without_its_jump_the_wall_clock_went_on_as_the_work_did(passed: timedelta, slept: timedelta, set_by: timedelta) -> None:
    jump = jump_between(BEFORE, after := later(passed, slept=slept, set_by=set_by)) or Jump()

    assert abs((after.wall - BEFORE.wall) - jump.length - passed) <= 2 * NOTICED
