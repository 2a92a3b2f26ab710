"""A cap on what is spent: what it counts, over what window, and what one call may add to it. Dollars are nano-dollars, times milliseconds.

The one rule: a call is let through only if what is spent, what is held and what it may cost at worst fit together under every cap.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import assert_never
from zoneinfo import ZoneInfo

from smallchain.model.durations import parse_duration, show_duration
from smallchain.model.money import parse_dollars, show_dollars

_TOKENS = re.compile(r"([0-9][0-9_]{0,18})\s*tokens?")
_ROLLING = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
    "month": timedelta(days=30),
}
"""A rolling month has 30 days."""
_TICK = timedelta(microseconds=1)
"""What lies between two moments."""


class Unit(StrEnum):
    """What a cap counts."""

    DOLLARS = "dollars"
    TOKENS = "tokens"
    TIME = "time"


class OnLimit(StrEnum):
    """What becomes of a run whose next call does not fit."""

    WAIT = "wait"
    ASK = "ask"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Cap:
    """A cap over one subject. `name`: where it is written, as people see it: `budget 'all'`, `agent 'crawler'`, `run 'monday'`."""

    kind: str
    name: str
    subject: str
    """The run at the top of the tree that it counts, where it is one for each run or over one run; else empty: it is shared."""
    unit: Unit
    limit: int
    per: str
    window: str
    on_limit: OnLimit
    counts: tuple[str, str] = ("everything", "")
    """Which calls: of an `agent` (with what it delegates), a `task`, an `llm`, one `run` (with what it starts), or `everything`; within
    the subject where there is one."""
    time_zone: str = "UTC"
    """Where a calendar's days begin."""

    @property
    def key(self) -> str:
        """What tells its account apart: other words about what is counted are another account."""
        zone = () if self.time_zone == "UTC" else (self.time_zone,)
        parts = (self.kind, self.name, *self.counts, self.unit, self.per, self.window, *zone)
        return "/".join(part.replace("%", "%25").replace("/", "%2F") for part in parts)

    @property
    def is_shared(self) -> bool:
        """Whether one account stands for all that it counts; else each run (or the run at the top of its tree) has its own."""
        return self.per != "run" or bool(self.subject)

    @property
    def is_over_one_run(self) -> bool:
        """Whether it was written for one run by its name, with all that it starts; no run that goes on from that one is under it."""
        return self.counts[0] == "run"

    @property
    def is_rolling(self) -> bool:
        """Whether room comes back little by little."""
        return self.per != "run" and self.window == "rolling"

    @property
    def shown(self) -> str:
        """`budget 'all' of $5.00 a day`."""
        per = "" if self.per == "run" else f" {'an' if self.per == 'hour' else 'a'} {self.per}"
        whose = "" if self.per != "run" or self.kind == "run" else " a run"
        return f"{self.kind} '{self.name}' of {show_amount(self.unit, self.limit)}{per}{whose}"


@dataclass(frozen=True, slots=True)
class Standing:
    """How an account stands: what is spent within the window, what calls that are out hold, and by how much the limit was raised."""

    cap: Cap
    spent: int
    held: int
    raised: int = 0

    @property
    def limit(self) -> int:
        """The limit with what people have added to it."""
        return self.cap.limit + self.raised

    @property
    def room(self) -> int:
        """What is left; below zero when the limit was lowered."""
        return self.limit - self.spent - self.held


@dataclass(frozen=True, slots=True)
class Worst:
    """What one call may use at worst."""

    nanousd: int
    tokens: int
    time_ms: int

    def of(self, unit: Unit) -> int:
        """In the unit of a cap."""
        match unit:
            case Unit.DOLLARS:
                return self.nanousd
            case Unit.TOKENS:
                return self.tokens
            case Unit.TIME:
                return self.time_ms
            case _:
                assert_never(unit)


def parse_amount(text: str, /) -> tuple[Unit, int]:
    """What a checked `$5`, `200000 tokens` or `2h` amounts to."""
    if text.startswith("$"):
        return Unit.DOLLARS, parse_dollars(text)
    if (tokens := _TOKENS.fullmatch(text)) is not None:
        return Unit.TOKENS, int(tokens[1].replace("_", ""))
    return Unit.TIME, int(parse_duration(text) / timedelta(milliseconds=1))


def show_amount(unit: Unit, amount: int, /) -> str:
    """An amount for people: `$5.00`, `200,000 tokens`, `2h`."""
    match unit:
        case Unit.DOLLARS:
            return f"${show_dollars(amount)}"
        case Unit.TOKENS:
            return f"{amount:,} tokens"
        case Unit.TIME:
            return show_duration(timedelta(milliseconds=amount))
        case _:
            assert_never(unit)


def counts_from(cap: Cap, /, *, now: datetime) -> datetime | None:
    """The first moment whose spending counts; None: the beginning. A calendar's weeks begin on Monday."""
    return window_start(cap.per, cap.window, now=now, time_zone=cap.time_zone)


def window_start(per: str, window: str, /, *, now: datetime, time_zone: str = "UTC") -> datetime | None:
    """The first moment of the window that ends now; None for what has no window.

    What was exactly a period ago has left a rolling window: whoever wakes at the moment that `leaves_window` names finds room.
    """
    if per == "run":
        return None
    return now - _ROLLING[per] + _TICK if window == "rolling" else _calendar_start(per, now, ZoneInfo(time_zone))


def _calendar_start(per: str, now: datetime, zone: ZoneInfo) -> datetime:
    local = now.astimezone(zone)
    if per in ("minute", "hour"):
        minutes = local.minute if per == "hour" else 0
        return now.astimezone(UTC) - timedelta(minutes=minutes, seconds=local.second, microseconds=local.microsecond)
    return _midnight(_first_day(per, local.date()), zone)


def _first_day(per: str, day: date) -> date:
    match per:
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
        case _:
            return day


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    """When a day begins; where the clocks leave midnight out, that is when they do, and where they bring it twice, the first."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def next_window(cap: Cap, /, *, now: datetime) -> datetime | None:
    """When a calendar's next window begins; None for what has no calendar."""
    return None if cap.is_rolling else window_end(cap.per, cap.window, now=now, time_zone=cap.time_zone)


def window_end(per: str, window: str, /, *, now: datetime, time_zone: str = "UTC") -> datetime | None:
    """When a calendar's window ends, or a rolling one that begins now; None for what has no window."""
    if per == "run":
        return None
    if window == "rolling":
        return now + _ROLLING[per]
    zone = ZoneInfo(time_zone)
    if per in ("minute", "hour"):
        return _calendar_start(per, now, zone) + _ROLLING[per]
    first = _first_day(per, now.astimezone(zone).date())
    return _midnight(_first_day(per, first + timedelta(days={"day": 1, "week": 7, "month": 32}[per])), zone)


def leaves_window(cap: Cap, at: datetime, /) -> datetime | None:
    """When what was spent at a moment stops counting under a rolling cap."""
    return at + _ROLLING[cap.per] if cap.is_rolling else None
