"""The one writer: transactions that wait at the same time share one COMMIT, and nobody hears success before it.

A transaction is a function of a `Tx`. A pump takes all that wait, crosses to the connection's thread once, runs each in a savepoint
of its own, commits, and answers the callers; so a cancelled caller can never fall between BEGIN and COMMIT. Reads have a connection
of their own. aiosqlite's public `executemany` is the crossing: our connection class takes a whole piece of work there.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar, cast

import aiosqlite

from smallchain.model.errors import Busy, Damaged
from smallchain.store import eventlog, highwater, meta, migrate, soundness
from smallchain.store.commit import Commit, Job
from smallchain.store.contract import Tx
from smallchain.store.sqliteerrors import FATAL, SEE_LOGS, code
from smallchain.store.transaction import Ids, SqliteTx

log = logging.getLogger(__name__)
T = TypeVar("T")

_BATCH = 256
_CHECKPOINT_PAGES = 4000  # 16 MB: a page that is written again and again goes to the database once in a while


class _Connection(sqlite3.Connection):
    """A connection that runs a whole piece of work in one crossing to its thread."""

    def executemany(self, sql: str, parameters: Any, /) -> sqlite3.Cursor:
        if callable(parameters):
            parameters(self)
            return self.cursor()
        return super().executemany(sql, parameters)


class Database:
    """A SQLite database with one writer; see `store.contract.Store`. Open it with `Database.open`, close it before the loop ends."""

    def __init__(self, path: Path, writer: aiosqlite.Connection, reader: aiosqlite.Connection, now: Callable[[], datetime]) -> None:
        self._path = path
        self._writer = writer
        self._reader = reader
        self._now = now
        self._waiting: deque[Job] = deque()
        self._bell = asyncio.Event()
        self._closing = False
        self._reading = asyncio.Lock()
        self._ids = Ids()
        self._tx: SqliteTx | None = None
        self._check: soundness.Beside | None = None
        self._inodes = _inodes(path)
        self.epoch = 0
        self.lost: tuple[highwater.Mark, highwater.Mark] | None = None
        """Where the database stood and where it had stood, when it was accepted although it stood behind."""
        self.fatal: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        """Done when the database can no longer be trusted, with the reason; the daemon ends."""
        self.full_since: datetime | None = None
        """Since when the disk has no room for what is written; None from the first commit on that fits again."""
        self.on_commit: Callable[[list[tuple[str, str]]], None] = lambda wakes: None
        """Called in the event loop after each commit, with what it woke."""
        self._pump_task = asyncio.create_task(self._pump(), name="the database's pump")
        self._pump_task.add_done_callback(self._pump_ended)

    @classmethod
    async def open(cls, state_dir: Path, *, now: Callable[[], datetime], accept_rollback: bool = False) -> Database:
        """Check, migrate and open the database of a state folder, and begin a new epoch.

        Raises Damaged, also when the database stands behind what the folder had come to, unless `accept_rollback`.
        """
        path = await asyncio.to_thread(migrate.prepare, state_dir)
        writer = await aiosqlite.connect(path, factory=_Connection, isolation_level=None, cached_statements=512, timeout=5.0)
        reader = await aiosqlite.connect(path, factory=_Connection, isolation_level=None, cached_statements=512, timeout=5.0)
        await _across(writer, lambda connection: _set_up(connection, writing=True))
        await _across(reader, lambda connection: _set_up(connection, writing=False))
        database = cls(path, writer, reader, now)

        known = await asyncio.to_thread(highwater.read, state_dir)

        def begin(tx: Tx) -> int:
            stands = _mark(tx)
            if stands.is_behind(known):
                if not accept_rollback:
                    raise _behind(path, stands, known)
                database.lost = (stands, known)
                meta.put(tx, "epoch", str(max(stands.epoch, known.epoch)))
                eventlog.go_on_after(tx, known.seq)
            tx.run("meta.raise_epoch")
            return _mark(tx).epoch

        try:
            database.epoch = await database.write(begin)
            await database.mark()
        except BaseException:
            await database.close()
            raise
        database._inodes = _inodes(path)
        if not soundness.is_small(path):
            database._check = soundness.Beside(path, database._die)
        return database

    async def mark(self) -> None:
        """Write down how far the database has come (see `store.highwater`); raises OSError, Busy."""
        stands = await self.read(_mark)
        await asyncio.to_thread(highwater.write, self._path.parent, stands)

    async def write(self, work: Callable[[Tx], T], /, *, alone: bool = False, then: Callable[[T], None] | None = None) -> T:
        """Run `work` as one transaction; its result once durable; see `store.contract.Store.write`.

        Raises what `work` raises; Busy when the disk is full, another program holds the write lock, or the database is closing;
        Damaged when it can't be trusted any more.
        """
        if self._closing:
            raise Busy("the daemon is stopping")
        if self.fatal.done():
            raise Damaged(f"the database {self._path} can't be trusted any more: {self.fatal.result()}")
        job = Job(work, asyncio.get_running_loop().create_future(), alone, then)
        self._waiting.append(job)
        self._bell.set()
        return cast("T", await job.answer)

    async def read(self, work: Callable[[Tx], T], /) -> T:
        """Run `work` on one state of the database beside the writer; writing inside raises sqlite3.OperationalError.

        Raises what `work` raises; Busy when the database is closing; Damaged when the file turns out to be.
        """
        if self._closing:
            raise Busy("the daemon is stopping")
        box: list[Any] = []

        def look(connection: sqlite3.Connection) -> None:
            connection.execute("BEGIN")
            try:
                tx = SqliteTx(connection, now=self._now(), epoch=self.epoch)
                found = work(tx)
                tx.flush()  # which only raises: a reader that wrote is told so
                box.append(found)
            finally:
                if connection.in_transaction:  # an error of the file may have ended it
                    connection.execute("COMMIT")

        try:
            async with self._reading:
                await _across(self._reader, look)
        except sqlite3.Error as error:
            if code(error) not in FATAL:
                raise
            self._die(error)
            raise Damaged(f"the database failed: {error}", hint=SEE_LOGS) from error
        return cast("T", box[0])

    def check_file(self) -> None:
        """Find out whether a file was replaced or unlinked under us (writes would succeed into nothing); then it is fatal."""
        if self.fatal.done():
            return
        for name, now in _inodes(self._path).items():
            if now != self._inodes[name]:
                hint = "put it back as it was, or from a backup, then start again"
                self._die(Damaged(f"the database's file {name} was replaced or removed while in use", hint=hint))
                return

    async def checkpoint(self) -> None:
        """Fold the write-ahead log into the database, as far as readers allow."""
        await _across(self._writer, lambda connection: connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone())

    async def close(self) -> None:
        """Finish what waits, then close; the reader first, so that the writer's close folds the log."""
        self._closing = True
        self._bell.set()
        await asyncio.wait([self._pump_task])  # one that ended by a fault has told so
        if self._check is not None:
            await self._check.stop()
        await self._reader.close()
        await self._writer.close()

    async def _pump(self) -> None:
        while True:
            await self._bell.wait()
            self._bell.clear()
            while self._waiting:
                batch = self._take()
                commit = Commit(batch, self._now, self.epoch, self._ids, self._tx)
                await _across(self._writer, commit)
                self._tx = commit.tx
                if commit.fatal is not None:
                    self._die(commit.fatal)
                self.full_since = (self.full_since or self._now()) if commit.found_full else None
                self._waiting.extendleft(reversed([job for job in batch if not job.ran]))
                self._answer([job for job in batch if job.ran])
            if self._closing:
                return

    def _pump_ended(self, pump: asyncio.Task[None]) -> None:
        """A pump that ended by a fault serves nobody any more: say so at once, rather than let everybody wait for ever."""
        if pump.cancelled() or pump.exception() is None:
            return
        log.error("the database's pump ended", exc_info=pump.exception())
        self._die(Damaged(f"the database's writer ended by a fault: {pump.exception()}"))
        while self._waiting:
            answer = self._waiting.popleft().answer
            if not answer.done():
                answer.set_exception(Damaged(f"the database {self._path} can't be trusted any more"))

    def _take(self) -> list[Job]:
        if self._waiting[0].alone:
            return [self._waiting.popleft()]
        batch: list[Job] = []
        while self._waiting and len(batch) < _BATCH and not self._waiting[0].alone:
            batch.append(self._waiting.popleft())
        return batch

    def _answer(self, jobs: Iterable[Job]) -> None:
        woken: dict[tuple[str, str], None] = {}
        for job in jobs:
            if job.error is None:
                woken.update(dict.fromkeys(job.wakes))
            if job.error is None and job.then is not None:
                job.then(job.result)
            if job.answer.done():
                continue  # the caller was cancelled; the transaction stands all the same
            if job.error is None:
                job.answer.set_result(job.result)
            else:
                job.answer.set_exception(job.error)
        self.on_commit(list(woken))

    def _die(self, reason: BaseException) -> None:
        log.error("the database can't be trusted any more: %s", reason)
        if not self.fatal.done():
            self.fatal.set_result(reason)


def _set_up(connection: sqlite3.Connection, *, writing: bool) -> None:
    connection.row_factory = sqlite3.Row
    for pragma in ("synchronous = FULL", "foreign_keys = ON", "trusted_schema = OFF", "mmap_size = 0", "cache_size = -16000"):
        connection.execute(f"PRAGMA {pragma}")
    if writing:
        connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    else:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA wal_autocheckpoint = 0")


async def _across(connection: aiosqlite.Connection, work: Callable[[sqlite3.Connection], object]) -> None:
    """One crossing to the connection's thread; the whole of `work` runs there."""
    await connection.executemany("", cast("Any", work))


def _mark(tx: Tx) -> highwater.Mark:
    return highwater.Mark(int(meta.get(tx, "epoch") or 0), eventlog.last(tx))


def _behind(path: Path, stands: highwater.Mark, known: highwater.Mark) -> Damaged:
    return Damaged(
        f"the database {path} stands behind what this folder had come to: {stands.seq} events of {stands.epoch} starts, "
        f"where there were {known.seq} of {known.epoch}; it was put back from a backup, or lost its {path.name}-wal",
        hint="put the newest copy back; or, to go on without what happened since (calls that act once may act again), "
        "run `smallchain start --accept-rollback` once",
    )


def _inodes(path: Path) -> dict[str, tuple[int, int] | None]:
    """The identity of the database's file and of its write-ahead log, which stays while a connection is open."""
    found: dict[str, tuple[int, int] | None] = {}
    for each in (path, path.with_name(f"{path.name}-wal")):
        try:
            status = os.stat(each)
        except OSError:
            found[each.name] = None
        else:
            found[each.name] = (status.st_dev, status.st_ino)
    return found
