"""The events that are kept in memory: a list that forgets its oldest, and knows where something is missing.

The one rule: a place in the ring is `base + index`, and stays the same for an event as long as it is kept, so that a reader who has
scrolled up can be held still while old rows leave.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from smallchain_tui.viewmodel.rows import EventRow

MOST = 50_000
_SLACK = 5_000


@dataclass(frozen=True, slots=True)
class Gap:
    """Events that were skipped between two that are here: later than `after`, earlier than `before`. `count` is an estimate by number."""

    after: int
    before: int

    @property
    def count(self) -> int:
        """How many, at most."""
        return max(0, self.before - self.after - 1)


@dataclass(frozen=True, slots=True)
class Anew:
    """The daemon's database is another, or was put back: what was seen counts no more."""


class Ring:
    """Events and gaps, oldest first."""

    def __init__(self, *, most: int = MOST) -> None:
        self._most = most
        self._slack = min(_SLACK, max(1, most // 10))
        self.base = 0
        """How many entries have left; the place of the first entry."""
        self.entries: list[EventRow | Gap] = []
        self.dropped = 0
        """How many events have left the ring."""
        self._older = 0

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def last_seq(self) -> int:
        """The number of the newest event, 0 when there is none."""
        return next((entry.seq for entry in reversed(self.entries) if isinstance(entry, EventRow)), 0)

    @property
    def first_seq(self) -> int:
        """The number of the oldest event that is kept, 0 when there is none."""
        return next((entry.seq for entry in self.entries if isinstance(entry, EventRow)), 0)

    def take(self, entries: Iterable[EventRow | Gap | Anew]) -> int:
        """Append what is newer than all that is here; returns how many came in."""
        last, taken = self.last_seq, 0
        for entry in entries:
            taken += 1
            if isinstance(entry, Anew):
                self.clear()
                last = 0
                continue
            if isinstance(entry, EventRow):
                if entry.seq <= last:
                    taken -= 1
                    continue
                last = entry.seq
            self.entries.append(entry)
        over = len(self.entries) - self._most - self._older
        if over > self._slack:  # seldom and many, not one by one: a list moves all it holds
            self.dropped += sum(isinstance(entry, EventRow) for entry in self.entries[:over])
            del self.entries[:over]
            self.base += over
        return taken

    def take_older(self, rows: Sequence[EventRow]) -> int:
        """Put events from before the first one in front of it, beyond what the ring holds otherwise, until `let_older_go`; how many."""
        first = self.first_seq or 1 << 62
        before = [row for row in rows if row.seq < first]
        self.entries[:0] = before
        self.base -= len(before)
        self._older += len(before)
        return len(before)

    def let_older_go(self) -> None:
        """Nobody looks at the older events any more: they leave as others come."""
        self._older = 0

    def fill(self, gap: Gap, rows: Sequence[EventRow]) -> None:
        """Put loaded events in a gap's place; what is still missing after them stays a gap."""
        at = next((index for index, entry in enumerate(self.entries) if entry is gap), None)
        if at is None:
            return
        found: list[EventRow | Gap] = [row for row in rows if gap.after < row.seq < gap.before]
        last = found[-1] if found else None
        if isinstance(last, EventRow) and last.seq < gap.before - 1:
            found.append(Gap(last.seq, gap.before))
        self.entries[at : at + 1] = found

    def clear(self) -> None:
        """Forget all: the daemon's database is another, or was put back."""
        self.base += len(self.entries)
        self.entries = []
