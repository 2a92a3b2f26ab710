"""The daemon's clock: the one place that asks the system for the time."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from smallchain.model.clocks import Reading


class SystemClock:
    """The wall clock, in UTC."""

    def now(self) -> datetime:
        """The moment, aware and in UTC."""
        return datetime.now(UTC)

    def reading(self) -> Reading:
        """The wall clock beside those that nobody can set."""
        since_boot, awake = (_since(time.clock_gettime_ns(clock)) for clock in (time.CLOCK_BOOTTIME, time.CLOCK_MONOTONIC))
        return Reading(self.now(), since_boot, awake)


def _since(nanoseconds: int) -> timedelta:
    return timedelta(microseconds=nanoseconds // 1000)
