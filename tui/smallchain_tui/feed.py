"""The one reader of the daemon's events: a thread that fills a buffer, finds the daemon again for ever, and goes on after the last event.

The one rule: it touches no screen and posts no message. The app drains it ten times a second, so a thousand events cost one repaint.
"""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from smallchain import __version__
from smallchain.model.errors import SmallchainError, Unreachable
from smallchain.protocol.client import Client, Stream, path_of
from smallchain_tui.viewmodel.connection import Connection, Standing, same_version
from smallchain_tui.viewmodel.ring import Anew, Gap
from smallchain_tui.viewmodel.rows import EventRow, text

FIRST = 500
"""Events shown at the start, before what follows."""
MOST_BEHIND = 5_000
"""Having missed more than this, the reader jumps to the newest and leaves a gap that can be loaded."""
_MOST_WAITING = 50_000
_BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0)
_STOPPED_AFTER = 3
"""Refused so often, nobody restarts it just now: it is stopped."""

Entry = EventRow | Gap | Anew


class Feed:
    """Events and the state of the connection, as they come in; `drain` and `connection` are for the app's own thread."""

    def __init__(self, client: Client, *, now: Callable[[], datetime], chance: Callable[[], float] = random.random) -> None:
        self._client = client
        self._now = now
        self._chance = chance
        self._waiting: deque[Entry] = deque()
        self._lock = threading.Lock()
        self._after: int | None = None
        self._stream: Stream | None = None
        self._ended = threading.Event()
        self._hurry = threading.Event()
        self._thread = threading.Thread(target=self._read, name="feed", daemon=True)
        self.connection = Connection()

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """End reading; returns once the thread is out of the way, or cannot be hurried."""
        self._ended.set()
        self._hurry.set()
        stream = self._stream
        if stream is not None:
            stream.close()
        if self._thread.ident is not None:
            self._thread.join(1.0)

    def hurry(self) -> None:
        """Look for the daemon now, not at the end of the pause."""
        self._hurry.set()

    def drain(self) -> list[Entry]:
        """What has come in since the last time, oldest first."""
        with self._lock:
            found = list(self._waiting)
            self._waiting.clear()
        return found

    def _read(self) -> None:
        attempt = 0
        while not self._ended.is_set():
            try:
                for told in self._one_connection():
                    attempt = 0
                    if self._ended.is_set():
                        return
                    if told is not None:
                        self._put(told)
                error: SmallchainError = Unreachable("the daemon ended the stream of events")
            except SmallchainError as lost:
                error = lost
            if self._ended.is_set():
                return
            attempt += 1
            self._hurry.clear()
            pause = _BACKOFF_S[min(attempt, len(_BACKOFF_S)) - 1] * (0.5 + self._chance())
            self._lost(error, attempt, pause)
            self._hurry.wait(pause)

    def _one_connection(self) -> Iterator[Entry | None]:
        """Entries of one connection; None for a sign of life. Raises what the client raises."""
        status = self._client.get(path_of("status"))
        newest = self._newest()
        yield from self._catch_up(newest)
        assert self._after is not None
        with self._client.stream(after=self._after) as stream:
            self._stream = stream
            try:
                for event in stream.events():
                    if event is None:
                        self._found(status)
                        yield None
                        continue
                    row = EventRow.of(event)
                    if row.seq > self._after:
                        self._after = row.seq
                        yield row
            finally:
                self._stream = None

    def _newest(self) -> int:
        answer = self._client.get(path_of("events"), {"tail": 1})
        items = answer.get("items")
        rows = [EventRow.of(item) for item in items if isinstance(item, dict)] if isinstance(items, list) else []
        last = answer.get("last")
        return last if isinstance(last, int) else max((row.seq for row in rows), default=0)

    def _catch_up(self, newest: int) -> Iterator[Entry]:
        """Where to go on: at the last events for a first look, after a gap when far behind, and anew when the database went back."""
        if self._after is not None and self._after > newest:
            self._after = None
            yield Anew()
        if self._after is None:
            self._after = max(0, newest - FIRST)
        elif newest - self._after > MOST_BEHIND:
            yield Gap(self._after, newest - FIRST + 1)
            self._after = newest - FIRST

    def _put(self, entry: Entry) -> None:
        with self._lock:
            self._waiting.append(entry)
            if len(self._waiting) > _MOST_WAITING:  # nobody drains: the newest count
                first, last = self._waiting.popleft(), self._waiting.popleft()
                self._waiting.appendleft(Gap(_seqs(first)[0] - 1, _seqs(last)[1] + 1))

    def _found(self, status: dict[str, object]) -> None:
        version, pid = text(status, "version"), status.get("pid")
        standing = Standing.CONNECTED if same_version(version, __version__) else Standing.SKEW
        found = Connection(standing, version=version, pid=pid if isinstance(pid, int) else 0)
        if found != self.connection:
            self.connection = found

    def _lost(self, error: SmallchainError, attempt: int, pause: float) -> None:
        before, now = self.connection, self._now()
        nobody = isinstance(error, Unreachable) and attempt >= _STOPPED_AFTER
        never = before.standing is Standing.CONNECTING and isinstance(error, Unreachable)
        self.connection = replace(
            before,
            standing=Standing.STOPPED if nobody or never or before.standing is Standing.STOPPED else Standing.RECONNECTING,
            attempt=attempt,
            retry_at=now + timedelta(seconds=pause),
            as_of=before.as_of or (now if before.live else None),
            detail=error.message,
        )


def _seqs(entry: Entry) -> tuple[int, int]:
    """The first and last number that an entry stands for."""
    if isinstance(entry, Gap):
        return entry.after + 1, entry.before - 1
    return (entry.seq, entry.seq) if isinstance(entry, EventRow) else (1, 0)
