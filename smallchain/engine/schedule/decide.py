"""What becomes of the moments of a schedule that are due; pure.

The one rule: of all moments that are due at one look, at most the last starts. However long a machine slept, nothing comes in a burst.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from smallchain.model.schedule import Overdue, Timing, due_at, next_after

LATE = timedelta(seconds=60)
"""A start that is later than this was missed: the machine slept, the daemon was down, or the clock was set."""
MISSED = "nothing was there to start it in time"


@dataclass(frozen=True, slots=True)
class ScheduleFacts:
    """A schedule as it stands.

    `overdue`: what is due after `considered_at`; `started`: how many of it have a run already, and `is_started`: whether the last
    has (the clock went back). `running`: the run it made last, empty when that is over; `lacking`: why it can start nothing now.
    """

    timing: Timing
    overlap: Literal["skip", "queue", "replace"]
    misfire: Literal["once", "skip"]
    considered_at: datetime
    overdue: Overdue | None = None
    started: int = 0
    is_started: bool = False
    waiting: datetime | None = None
    running: str = ""
    lacking: str = ""


@dataclass(frozen=True, slots=True)
class Skipped:
    """Moments that start nothing, from the first on, and why; `at_least` where counting ended."""

    first: datetime
    count: int
    why: str
    at_least: bool = False


@dataclass(frozen=True, slots=True)
class Turn:
    """What becomes of a schedule: the moment to start now, the one that waits for the last run, and what is skipped."""

    considered_at: datetime
    start: datetime | None = None
    waiting: datetime | None = None
    skipped: tuple[Skipped, ...] = ()
    look_at: datetime | None = None


def considered_from(considered_at: datetime, /, *, now: datetime) -> datetime:
    """After which moment to look for what is due: where it was left off. When the clock went back, from shortly before now, since a
    clock that was wrong for a while must not silence a schedule; what was started then is known by its moment."""
    return considered_at if considered_at <= now + LATE else now - LATE


def decide(facts: ScheduleFacts, /, *, now: datetime) -> Turn:
    """What starts now, what waits, what is skipped, and when to look again."""
    considered_at = considered_from(facts.considered_at, now=now)
    wanted, skipped = None, []
    if (due := facts.overdue) is not None:
        considered_at = due.last
        wanted, missed = _missed(facts, due, now)
        if missed is not None:
            skipped.append(missed)
    start = waiting = None
    for moment in (facts.waiting, wanted):
        if moment is None:
            continue
        if facts.lacking:
            skipped.append(Skipped(moment, 1, facts.lacking))
        elif start is None and (not facts.running or facts.overlap == "replace"):
            start = moment
        elif waiting is None and facts.overlap == "queue":
            waiting = moment
        else:
            skipped.append(Skipped(moment, 1, _why_not(facts)))
    following = next_after(facts.timing, considered_at)
    return Turn(considered_at, start, waiting, tuple(skipped), due_at(facts.timing, following) if following is not None else None)


def _missed(facts: ScheduleFacts, due: Overdue, now: datetime) -> tuple[datetime | None, Skipped | None]:
    """The moment that still starts, and those that don't since they were missed."""
    too_late = now - due_at(facts.timing, due.last) > LATE
    is_settled = facts.is_started or due.last == facts.waiting
    wanted = None if is_settled or (too_late and facts.misfire == "skip") else due.last
    count = due.count - facts.started - (wanted is not None or due.last == facts.waiting)
    if count <= 0:
        return wanted, None
    why = f"{MISSED}; the last that was due makes up for it" if wanted is not None and too_late else MISSED
    return wanted, Skipped(due.first, count, why, due.at_least)


def _why_not(facts: ScheduleFacts) -> str:
    if facts.overlap == "queue":
        return "an earlier start waits already"
    return f"run '{facts.running}' still runs" if facts.running else "an earlier start has just been made"
