"""All that the screens show, in one place: runs, requests, events, the connection. It changes on the flush, nowhere else.

The one rule: an event is a hint, never the news itself. It says which run to read again; what is shown was read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from smallchain_tui.viewmodel.connection import Connection
from smallchain_tui.viewmodel.ring import Anew, Gap, Ring
from smallchain_tui.viewmodel.rows import EventRow, RequestRow, RunRow

RUNS, REQUESTS, EVENTS, CONNECTION, SPEND = "runs", "requests", "events", "connection", "spend"
"""The parts that can change; screens are told their names."""

Changed = frozenset[str]


@dataclass(slots=True)
class State:
    """The dashboard's picture of the world. `stale_*`: what events say is to be read again."""

    runs: dict[str, RunRow] = field(default_factory=dict)
    """By id."""
    requests: dict[str, RequestRow] = field(default_factory=dict)
    """Those that are open, by id, oldest first."""
    events: Ring = field(default_factory=Ring)
    last_event: dict[str, EventRow] = field(default_factory=dict)
    """The newest event of each run, by the run's id."""
    connection: Connection = field(default_factory=Connection)
    loaded: bool = False
    """Whether runs and requests have been read once."""
    complete: bool = True
    """Whether `runs` are all; else older ones that have ended are not here."""
    stale_runs: set[str] = field(default_factory=set)
    stale_all: bool = True
    stale_requests: bool = True

    def take_connection(self, connection: Connection) -> Changed:
        """The daemon was found or lost; found again, everything is to be read again."""
        if connection == self.connection:
            return frozenset()
        if connection.live and not self.connection.live:
            self.stale_all = self.stale_requests = True
        self.connection = connection
        return frozenset((CONNECTION,))

    def take_events(self, entries: Iterable[EventRow | Gap | Anew]) -> Changed:
        """Events have come; what they are about is stale."""
        entries = list(entries)
        if not self.events.take(entries):
            return frozenset()
        for entry in entries:
            if isinstance(entry, Gap | Anew):
                self.stale_all = self.stale_requests = True
                continue
            if entry.run_id:
                self.last_event[entry.run_id] = entry
                self.stale_runs.add(entry.run_id)
            elif entry.object_kind in ("run", "daemon", "config") or not entry.object_kind:
                self.stale_all = True
            # Any step of a run may open or end a request; the list of the open ones is short.
            self.stale_requests = True
        return frozenset((EVENTS,))

    def take_runs(self, runs: Iterable[RunRow], *, whole: bool, complete: bool = True) -> Changed:
        """Runs were read: all that are to be shown (`whole`; `complete`: there are no others), or some."""
        found = {row.id: row for row in runs}
        if whole:
            self.complete = complete
            changed = found != self.runs or not self.loaded
            self.runs = found
            gone = self.last_event.keys() - found.keys()
            for id in gone:
                del self.last_event[id]
        else:
            changed = any(self.runs.get(id) != row for id, row in found.items())
            self.runs |= found
        self.loaded = True
        return frozenset((RUNS,)) if changed else frozenset()

    def take_requests(self, requests: Iterable[RequestRow]) -> Changed:
        """The open requests were read."""
        found = {row.id: row for row in requests if row.is_open}
        changed = found != self.requests
        self.requests = found
        return frozenset((REQUESTS,)) if changed else frozenset()

    def run_named(self, name: str) -> RunRow | None:
        """A run by its name."""
        return next((row for row in self.runs.values() if row.name == name), None)

    def requests_of(self, run_id: str) -> list[RequestRow]:
        """The open requests of one run, oldest first."""
        return [row for row in self.requests.values() if row.run_id == run_id]

    def counts(self) -> Mapping[str, int]:
        """How many runs have each status, those that need a person first."""
        order = ("Waiting", "Failed", "OverBudget", "Running", "Pending", "Sleeping", "Paused", "Succeeded", "Cancelled")
        found: dict[str, int] = dict.fromkeys(order, 0)
        for row in self.runs.values():
            found[row.status] = found.get(row.status, 0) + 1
        return {word: number for word, number in found.items() if number}

    def cost_nanousd(self) -> int:
        """What all runs together have cost."""
        return sum(row.cost_nanousd for row in self.runs.values())

    def oldest_request_at(self) -> datetime | None:
        """Since when a person has been waited for."""
        return min((row.created_at for row in self.requests.values() if row.created_at), default=None)
