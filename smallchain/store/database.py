"""The one writer: transactions that wait at the same time share one COMMIT, and nobody hears success before it.

A transaction is a function of a `Tx`. A pump takes all that wait, crosses to the connection's thread once, runs each in a savepoint
of its own, commits, and answers the callers; so a cancelled caller can never fall between BEGIN and COMMIT. Reads have a connection
of their own. aiosqlite's public `executemany` is the crossing: our connection class takes a whole piece of work there.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar, cast

import aiosqlite

from smallchain.model.errors import Busy, Conflict, Damaged
from smallchain.model.ids import after_id, uuid7
from smallchain.store import eventlog, highwater, meta, migrate, soundness
from smallchain.store.contract import Tx
from smallchain.store.work import Work

log = logging.getLogger(__name__)
T = TypeVar("T")

_BATCH = 256
_BATCH_S = 0.05
_CHECKPOINT_PAGES = 4000  # 16 MB: a page that is written again and again goes to the database once in a while
_IOERR = 10  # SQLITE_IOERR, https://www.sqlite.org/rescode.html#ioerr
_FULL = 13
_LOCKED = {5, 6}  # SQLITE_BUSY and SQLITE_LOCKED: another program holds the write lock
_SEE_LOGS = "see `smallchain logs`; the daemon ends and checks the file at its start"
_FATAL = {_IOERR, 11, 14, 26}  # with SQLITE_CORRUPT, CANTOPEN, NOTADB: what is known of the file is no longer true


class _Lost(BaseException):
    """An error ended the whole transaction, not only the savepoint it came from; nobody above a savepoint may carry on from it."""

    def __init__(self, cause: BaseException) -> None:
        self.cause = cause


class _Connection(sqlite3.Connection):
    """A connection that runs a whole piece of work in one crossing to its thread."""

    def executemany(self, sql: str, parameters: Any, /) -> sqlite3.Cursor:
        if callable(parameters):
            parameters(self)
            return self.cursor()
        return super().executemany(sql, parameters)


class _Ids:
    """Makes ids that sort in the order of their making, also within one millisecond and when the clock goes back."""

    def __init__(self) -> None:
        self._last = ""
        self._chance = b""

    def next(self, now: datetime) -> str:
        """A new id."""
        if not self._chance:
            self._chance = secrets.token_bytes(10 * 256)  # asking the system each time lets another thread have ours
        chance, self._chance = self._chance[:10], self._chance[10:]
        self._last = after_id(self._last, uuid7(now, chance))
        return self._last


class SqliteTx(Work):
    """The transactions on a SQLite connection, one after the other; see `store.contract.Tx`."""

    def __init__(self, connection: sqlite3.Connection, *, now: datetime, epoch: int, ids: _Ids | None = None) -> None:
        super().__init__(connection)
        self.now = now
        self.epoch = epoch
        self.wakes: list[tuple[str, str]] = []
        self._ids = ids or _Ids()

    def begin(self, now: datetime) -> None:
        """The next transaction begins."""
        self.now = now
        self.wakes = []

    def new_id(self) -> str:
        return self._ids.next(self.now)

    def wake(self, kind: str, key: str) -> None:
        self.wakes.append((kind, key))

    def take_wakes(self) -> list[tuple[str, str]]:
        taken, self.wakes = self.wakes, []
        return taken

    def attempt(self, work: Callable[[], T]) -> T:
        heard = len(self.wakes)
        self.begin_part()
        try:
            result = work()
        except _Lost:
            raise
        except BaseException as error:
            if not self.connection.in_transaction or _code(error) in _FATAL:
                raise _Lost(error) from error
            self.undo_part()
            del self.wakes[heard:]
            raise
        self.keep_part()
        return result


@dataclass(slots=True, eq=False)
class _Job:
    work: Callable[[Tx], Any]
    answer: asyncio.Future[Any]
    alone: bool
    then: Callable[[Any], None] | None
    result: Any = None
    error: BaseException | None = None
    wakes: list[tuple[str, str]] = field(default_factory=list)
    ran: bool = False


class Database:
    """A SQLite database with one writer; see `store.contract.Store`. Open it with `Database.open`, close it before the loop ends."""

    def __init__(self, path: Path, writer: aiosqlite.Connection, reader: aiosqlite.Connection, now: Callable[[], datetime]) -> None:
        self._path = path
        self._writer = writer
        self._reader = reader
        self._now = now
        self._waiting: deque[_Job] = deque()
        self._bell = asyncio.Event()
        self._closing = False
        self._reading = asyncio.Lock()
        self._ids = _Ids()
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
        job = _Job(work, asyncio.get_running_loop().create_future(), alone, then)
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
            if _code(error) not in _FATAL:
                raise
            self._die(error)
            raise Damaged(f"the database failed: {error}", hint=_SEE_LOGS) from error
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
                commit = _Commit(batch, self._now, self.epoch, self._ids, self._tx)
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

    def _take(self) -> list[_Job]:
        if self._waiting[0].alone:
            return [self._waiting.popleft()]
        batch: list[_Job] = []
        while self._waiting and len(batch) < _BATCH and not self._waiting[0].alone:
            batch.append(self._waiting.popleft())
        return batch

    def _answer(self, jobs: Iterable[_Job]) -> None:
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


@dataclass(slots=True, eq=False)
class _Commit:
    """One BEGIN to COMMIT on the writer's thread, and what became of each job in it."""

    jobs: list[_Job]
    now: Callable[[], datetime]
    epoch: int
    ids: _Ids
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
        except (sqlite3.Error, _Lost, Damaged) as error:
            self._undo(connection)
            first = error.cause if isinstance(error, _Lost) else error
        tried = [job for job in self.jobs if job.ran]
        if not tried and _code(first) in _LOCKED:
            for job in self.jobs:  # nobody could begin: trying each alone would only wait as long again for each
                job.ran, job.error = True, self._translate(first)
            return
        for job in tried:
            job.error, job.result, job.wakes = None, None, []
        if not tried:
            tried = self.jobs
        for job in tried:
            self._on_its_own(connection, job, first if len(tried) == 1 else None)

    def _together(self, connection: sqlite3.Connection, jobs: list[_Job]) -> None:
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
            except _Lost:
                raise
            except BaseException as error:  # carried to the caller, who alone knows what it means
                if _code(error) == _FULL:
                    raise
                job.error = error
            if time.monotonic() > until:
                break
        try:
            tx.flush()
        except Conflict as error:
            raise _Lost(error) from error
        connection.execute("COMMIT")
        tx.committed()

    def _on_its_own(self, connection: sqlite3.Connection, job: _Job, seen: BaseException | None) -> None:
        try:
            if self.fatal is not None:
                raise self.fatal
            if seen is not None and _code(seen) in _FATAL:
                raise seen
            self._together(connection, [job])
        except (sqlite3.Error, _Lost, Damaged) as error:
            self._undo(connection)
            job.ran = True
            job.result, job.wakes = None, []
            job.error = self._translate(error.cause if isinstance(error, _Lost) else error)

    def _translate(self, error: BaseException) -> BaseException:
        if _code(error) == _FULL:
            self.found_full = True
            return Busy("the disk is full: nothing was changed", hint="make room; what waits goes on by itself")
        if _code(error) in _LOCKED:
            return Busy("another program has locked the database: nothing was changed", hint="close it; what waits goes on by itself")
        if _code(error) in _FATAL or isinstance(error, Damaged):
            if self.fatal is None:
                self.fatal = error
            return Damaged(f"the database failed: {error}", hint=_SEE_LOGS)
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


def _code(error: BaseException) -> int:
    """SQLite's primary result code of an error, or 0."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


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


def of_the_disk(error: BaseException) -> bool:
    """Whether an error is one of reading or writing the disk, and not of what stands on it."""
    return _code(error) in (_IOERR, 14)


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
