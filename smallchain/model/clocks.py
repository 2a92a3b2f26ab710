"""The machine's clocks beside each other: how a night asleep and a clock that somebody set are told from time that passed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

NOTICED = timedelta(seconds=2)
"""What is less is no jump: a clock that is slewed gains at most 30 ms a minute, and a busy machine may stop between two readings."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at the clocks. `since_boot` goes on while the machine sleeps, `awake` does not (CLOCK_BOOTTIME and CLOCK_MONOTONIC, see
    clock_gettime(2)); nobody can set either."""

    wall: datetime
    since_boot: timedelta
    awake: timedelta


@dataclass(frozen=True, slots=True)
class Jump:
    """What the wall clock did between two looks beside going on: the machine slept, or the clock was set (below zero: back)."""

    slept: timedelta = timedelta()
    set_by: timedelta = timedelta()

    @property
    def length(self) -> timedelta:
        """By how much the wall clock went on further than the work did."""
        return self.slept + self.set_by


def jump_between(before: Reading, after: Reading, /) -> Jump | None:
    """The jump between two looks; None where there was none."""
    on = after.since_boot - before.since_boot
    slept = on - (after.awake - before.awake)
    set_by = after.wall - before.wall - on
    jump = Jump(*(each if abs(each) >= NOTICED else timedelta() for each in (slept, set_by)))
    return jump if jump.slept or jump.set_by else None
