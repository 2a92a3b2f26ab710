"""One BEGIN to COMMIT on the writer's thread: each transaction in a savepoint of its own, and nobody succeeds before the COMMIT.

A savepoint does not contain every failure: a full disk ends the whole transaction, a conflict may show at the COMMIT only. Then nobody
has succeeded, and each is tried once on its own.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from smallchain.model.errors import Busy, Conflict, Damaged
from smallchain.store.contract import Tx
from smallchain.store.sqliteerrors import FATAL, FULL, LOCKED, SEE_LOGS, code
from smallchain.store.transaction import Ids, Lost, SqliteTx

_BATCH_S = 0.05


@dataclass(slots=True, eq=False)
class Job:
    """A transaction that somebody waits for, and what became of it. `alone`: in a commit of its own; `then`: called before the answer."""

    work: Callable[[Tx], Any]
    answer: asyncio.Future[Any]
    alone: bool
    then: Callable[[Any], None] | None
    result: Any = None
    error: BaseException | None = None
    wakes: list[tuple[str, str]] = field(default_factory=list)
    ran: bool = False


@dataclass(slots=True, eq=False)
class Commit:
    """One BEGIN to COMMIT on the writer's thread, and what became of each job in it."""

    jobs: list[Job]
    now: Callable[[], datetime]
    epoch: int
    ids: Ids
    tx: SqliteTx | None
    """What the connection has at hand from earlier commits; None before the first."""
    fatal: BaseException | None = None
    found_full: bool = False
    """Whether one of them, tried alone, had no room on the disk."""

    def __call__(self, connection: sqlite3.Connection) -> None:
        self.tx = self.tx or SqliteTx(connection, now=self.now(), epoch=self.epoch, ids=self.ids)
        self.tx.epoch = self.epoch
        try:
            self._together(connection, self.jobs)
            return
        except (sqlite3.Error, Lost, Damaged) as error:
            self._undo(connection)
            first = error.cause if isinstance(error, Lost) else error
        tried = [job for job in self.jobs if job.ran]
        if not tried and code(first) in LOCKED:
            for job in self.jobs:  # nobody could begin: trying each alone would only wait as long again for each
                job.ran, job.error = True, self._translate(first)
            return
        for job in tried:
            job.error, job.result, job.wakes = None, None, []
        if not tried:
            tried = self.jobs
        for job in tried:
            self._on_its_own(connection, job, first if len(tried) == 1 else None)

    def _together(self, connection: sqlite3.Connection, jobs: list[Job]) -> None:
        tx = self.tx
        assert tx is not None
        connection.execute("BEGIN IMMEDIATE")
        self._fence(connection)
        tx.look_for_others()
        until = time.monotonic() + _BATCH_S
        for job in jobs:
            tx.begin(self.now())
            job.ran = True
            try:
                job.result = tx.attempt(lambda job=job: job.work(tx))  # type: ignore[misc]
                job.wakes = tx.wakes
            except Lost:
                raise
            except BaseException as error:  # carried to the caller, who alone knows what it means
                if code(error) == FULL:
                    raise
                job.error = error
            if time.monotonic() > until:
                break
        try:
            tx.flush()
        except Conflict as error:
            raise Lost(error) from error
        connection.execute("COMMIT")
        tx.committed()

    def _on_its_own(self, connection: sqlite3.Connection, job: Job, seen: BaseException | None) -> None:
        try:
            if self.fatal is not None:
                raise self.fatal
            if seen is not None and code(seen) in FATAL:
                raise seen
            self._together(connection, [job])
        except (sqlite3.Error, Lost, Damaged) as error:
            self._undo(connection)
            job.ran = True
            job.result, job.wakes = None, []
            job.error = self._translate(error.cause if isinstance(error, Lost) else error)

    def _translate(self, error: BaseException) -> BaseException:
        if code(error) == FULL:
            self.found_full = True
            return Busy("the disk is full: nothing was changed", hint="make room; what waits goes on by itself")
        if code(error) in LOCKED:
            return Busy("another program has locked the database: nothing was changed", hint="close it; what waits goes on by itself")
        if code(error) in FATAL or isinstance(error, Damaged):
            if self.fatal is None:
                self.fatal = error
            return Damaged(f"the database failed: {error}", hint=SEE_LOGS)
        return error

    def _fence(self, connection: sqlite3.Connection) -> None:
        if self.epoch:
            (found,) = connection.execute("SELECT value FROM meta WHERE name = 'epoch'").fetchone()
            if int(found) != self.epoch:
                self.fatal = Damaged(f"another daemon has taken over (epoch {found}; ours is {self.epoch})")
                raise self.fatal

    def _undo(self, connection: sqlite3.Connection) -> None:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if self.tx is not None:
            self.tx.forget()
