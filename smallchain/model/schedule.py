"""When a schedule starts its task: its moments, by cron or by an interval; pure.

A moment is what the entry says (`07:00`); it is due a little later where there is jitter. What is written down is the moment, so a
start is told apart by schedule and moment, whatever the clock does. Cron lines are read as Debian's cron reads them in both hours
that daylight saving time moves (cron(8), "Debian specific"): a line with fixed hours starts once in the hour that comes twice, and
right after the hour that is left out; a line whose minute or hour begins with `*` goes by the time that passes.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

MOST_COUNTED = 100
"""Overdue moments of a cron line are counted up to here."""


@dataclass(frozen=True, slots=True)
class Timing:
    """When a schedule starts. `since`: the moment that an interval is counted from."""

    name: str
    since: datetime
    cron: str | None = None
    every: timedelta | None = None
    time_zone: str = "UTC"
    jitter: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Overdue:
    """Moments whose time has come: the first and the last, and how many there are; `at_least` where counting ended."""

    first: datetime
    last: datetime
    count: int
    at_least: bool = False


@functools.lru_cache(maxsize=4096)
def next_after(timing: Timing, moment: datetime, /) -> datetime | None:
    """The first moment after another, in UTC; None when there is none within fifty years."""
    return next(_after(timing, moment), None)


def due_at(timing: Timing, moment: datetime, /) -> datetime:
    """When a moment's start is due: later by its jitter, which is the same each time it is asked for."""
    if not timing.jitter:
        return moment
    mark = hashlib.sha256(f"{timing.name}\0{moment.astimezone(UTC).isoformat()}".encode()).digest()
    return moment + timing.jitter * (int.from_bytes(mark[:6], "big") / 2**48)


def overdue(timing: Timing, after: datetime, /, *, now: datetime) -> Overdue | None:
    """The moments after another that are due by now, or None."""
    first = next_after(timing, after)
    if first is None or due_at(timing, first) > now:
        return None
    last = _last(timing, after, now)
    if timing.every is not None:
        return Overdue(first, last, (last - first) // timing.every + 1)
    count = 0
    for moment in _after(timing, after):
        if moment > last:
            return Overdue(first, last, count)
        if count == MOST_COUNTED:
            return Overdue(first, last, count, at_least=True)
        count += 1
    return Overdue(first, last, count)


def _last(timing: Timing, after: datetime, now: datetime) -> datetime:
    """The last moment that is due by now; there is one. It is looked for backwards, in steps that double: not from `after`, which
    may be a year ago."""
    back = timedelta(hours=1)
    while True:
        start = max(after, now - back)
        last = None
        for moment in _after(timing, start):
            if due_at(timing, moment) > now:
                break
            last = moment
        if last is not None:
            return last
        back *= 2


def _after(timing: Timing, moment: datetime) -> Iterator[datetime]:
    if timing.every is not None:
        passed = (moment - timing.since) // timing.every
        while True:
            passed += 1
            yield timing.since + passed * timing.every
    last = moment
    for local in CronSim(timing.cron or "", moment.astimezone(ZoneInfo(timing.time_zone))):
        found = local.astimezone(UTC)
        if found > last:  # in the hour that comes twice, the next by the wall may have been an hour ago
            last = found
            yield found
