"""The events of a ring that a person wants to see: filtered, searched, and by how many lines they moved.

The one rule: whatever comes or leaves, it says by how many lines what is shown has moved, so that a reader's place can stay.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, deque
from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from smallchain.protocol.text import one_line
from smallchain_tui.viewmodel.filters import Filter, parse
from smallchain_tui.viewmodel.line import Line, Span, cell, columns
from smallchain_tui.viewmodel.ring import Gap, Ring
from smallchain_tui.viewmodel.rows import EventRow
from smallchain_tui.viewmodel.words import clock

LEVELS = ("INFO", "WARNING", "ERROR")
_WORDS = {"INFO": ("info", "muted"), "WARNING": ("WARN", "waiting"), "ERROR": ("ERROR", "failed")}
_RATE_OVER_S = 2.0

Entry = EventRow | Gap


class Moved(NamedTuple):
    """By how much what is shown has changed: lines at its end, and lines that left at its beginning."""

    added: int
    left: int


class EventView:
    """What of a ring is shown, oldest first. Several views may look at one ring."""

    def __init__(self, ring: Ring) -> None:
        self.ring = ring
        self.shown: list[Entry] = []
        self.level = LEVELS[0]
        self.hidden_reasons: frozenset[str] = frozenset()
        self.filter = Filter()
        self.fastest = 0.0
        self._next = ring.base
        self._arrivals: deque[tuple[float, int]] = deque()
        self._whole()

    def catch_up(self, now: float) -> Moved:
        """Take what has come into the ring, let go what has left it. `now` is for the rate: seconds of a clock that only rises."""
        ring = self.ring
        anew = ring.base >= self._next or not ring.entries  # nothing of what was seen is left
        left = len(self.shown) if anew else bisect_left(self.shown, _key(ring.entries[0]), key=_key)
        fresh = ring.entries[max(self._next - ring.base, 0) :]
        self._next = ring.base + len(ring)
        self._arrivals.append((now, len(fresh)))
        self.fastest = max(self.fastest, self.rate(now))
        del self.shown[:left]
        wanted = [entry for entry in fresh if self._passes(entry)]
        self.shown += wanted
        return Moved(len(wanted), left)

    def catch_up_older(self) -> int:
        """Take what was put in front of the ring's first event; by how many lines what is shown moved down."""
        before = self.ring.entries
        if self.shown:
            before = before[: bisect_left(before, _key(self.shown[0]), key=_key)]
        wanted = [entry for entry in before if self._passes(entry)]
        self.shown[:0] = wanted
        return len(wanted)

    def narrow(self, *, level: str | None = None, hidden_reasons: Collection[str] | None = None, words: str | None = None) -> None:
        """Show other events: from a level on, without some reasons, those that a typed filter passes."""
        self.level = self.level if level is None else level
        self.hidden_reasons = self.hidden_reasons if hidden_reasons is None else frozenset(hidden_reasons)
        self.filter = self.filter if words is None else parse(words)
        self._whole()

    def reasons(self) -> Counter[str]:
        """How often each reason is there."""
        return Counter(entry.reason for entry in self.ring.entries if isinstance(entry, EventRow))

    def place_of(self, seq: int) -> int:
        """Where an event is shown, or the next one if it is not."""
        return bisect_left(self.shown, float(seq), key=_key)

    def find(self, words: str, *, start: int, step: int) -> int | None:
        """The next shown line with these words, from a line (without it) up or down, around the end; None where there is none."""
        wanted, count = words.casefold(), len(self.shown)
        for distance in range(1, count + 1):
            entry = self.shown[at := (start + step * distance) % count]
            if isinstance(entry, EventRow) and any(wanted in text.casefold() for text in (entry.message, entry.run, entry.reason)):
                return at
        return None

    def minute(self, start: int, step: int) -> int:
        """The first line of the next minute; or of this one, or from there of the one before it."""
        if not self.shown:
            return 0
        start = min(max(start, 0), len(self.shown) - 1)
        this = self._minute_at(start)
        if step > 0:
            return min(bisect_right(range(len(self.shown)), this, key=self._minute_at), len(self.shown) - 1)
        first = bisect_left(range(len(self.shown)), this, key=self._minute_at)
        if first < start or first == 0:
            return first
        return bisect_left(range(len(self.shown)), self._minute_at(first - 1), key=self._minute_at)

    def rate(self, now: float) -> float:
        """Events a second, over the last two seconds."""
        while self._arrivals and self._arrivals[0][0] <= now - _RATE_OVER_S:
            self._arrivals.popleft()
        return sum(count for _, count in self._arrivals) / _RATE_OVER_S

    def _whole(self) -> None:
        self.shown = [entry for entry in self.ring.entries if self._passes(entry)]
        self._next = self.ring.base + len(self.ring)

    def _passes(self, entry: Entry) -> bool:
        if isinstance(entry, Gap):
            return True
        if entry.reason in self.hidden_reasons or (self.level != LEVELS[0] and _rank(entry.level) < _rank(self.level)):
            return False
        return not self.filter or self.filter.passes(
            {"run": entry.run, "reason": entry.reason, "level": entry.level, "message": entry.message, "object": entry.object_name}
        )

    def _minute_at(self, place: int) -> int:
        """The minute of a line, since the epoch; a gap belongs to the line after it."""
        for entry in self.shown[place : place + 2]:
            if isinstance(entry, EventRow) and entry.time is not None:
                return int(entry.time.timestamp()) // 60
        return 0


def event_line(entry: Entry, cells: int, *, with_run: bool = True) -> Line:
    """An entry as it is shown: the time, its level by word, its run, its reason where there is room, its sentence."""
    if isinstance(entry, Gap):
        return ((f"-- up to {entry.count} events skipped (load: enter) --", "waiting"),)
    word, style = _WORDS.get(entry.level, (one_line(entry.level, cells=5), "accent"))
    wide = cells >= 130  # below that the sentence needs the room more
    run = cell(one_line(entry.run or "-"), min(24, cells // 5), "" if entry.run else "muted")
    spans: list[Span] = [
        (_clock(entry.time, with_millis=wide), "muted"),
        cell(word, 5, style),
        *([run] if with_run else []),
        *([cell(one_line(entry.reason), 20, "key")] if wide else []),
        (one_line(entry.message), style if entry.level == "ERROR" else ""),
    ]
    return columns(*spans)


def in_short(rate: float) -> str:
    """A number of events a second: `0`, `12`, `1.2k`."""
    return f"{rate / 1000:.1f}k" if rate >= 1000 else f"{rate:.0f}"


def _clock(moment: datetime | None, *, with_millis: bool) -> str:
    return clock(moment) + (f".{moment.microsecond // 1000:03d}" if with_millis and moment is not None else "")


def _rank(level: str) -> int:
    return LEVELS.index(level) if level in LEVELS else len(LEVELS)


def _key(entry: Entry) -> float:
    return float(entry.seq) if isinstance(entry, EventRow) else entry.after + 0.5
