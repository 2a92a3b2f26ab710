"""What SQLite in particular keeps: shared COMMITs, full disks, locks of others, files that go away, and checks drawn from the table.

What every backend keeps is in `tests/conformance`.
"""

from __future__ import annotations

import asyncio
import os
import re
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest

from smallchain.model import lifecycles
from smallchain.model.errors import Busy, Damaged
from smallchain.model.events import Level
from smallchain.model.human import RequestKind
from smallchain.model.toolcall import Effects, OutcomeKind, ToolCall
from smallchain.store import meta, migrate, queries, runs, toolcalls
from smallchain.store.contract import Tx
from smallchain.store.database import Database
from smallchain.store.transaction import SqliteTx
from support.rows import put_call, put_run
from support.starts import FixedClock

PATIENCE_S = 10.0


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await Database.open(tmp_path, now=FixedClock().now)
    yield opened
    await opened.close()


def connection_of(tx: Tx) -> sqlite3.Connection:
    return cast("SqliteTx", tx).connection


async def pragma(database: Database, text: str, *, reading: bool = False) -> Any:
    def work(tx: Tx) -> Any:
        row = connection_of(tx).execute(f"PRAGMA {text}").fetchone()
        return row[0] if row else None

    return await (database.read(work) if reading else database.write(work))


async def value(database: Database, name: str) -> str:
    return await database.read(lambda tx: meta.get(tx, name))


# ---- durability


async def test_an_acknowledged_write_is_on_the_disk(database: Database) -> None:
    full = 2  # https://www.sqlite.org/pragma.html#pragma_synchronous

    assert await pragma(database, "synchronous") == full
    assert await pragma(database, "journal_mode") == "wal"


async def test_both_connections_keep_what_protects_the_file(database: Database) -> None:
    for reading in (False, True):
        assert await pragma(database, "foreign_keys", reading=reading) == 1
        assert await pragma(database, "trusted_schema", reading=reading) == 0
        assert await pragma(database, "mmap_size", reading=reading) in (0, None)
    assert await pragma(database, "query_only", reading=True) == 1


async def test_only_its_owner_may_read_the_database(database: Database, tmp_path: Path) -> None:
    assert (tmp_path / migrate.FILE).stat().st_mode & 0o777 == 0o600


# ---- one COMMIT for many


async def test_transactions_that_wait_at_the_same_time_share_a_commit(database: Database) -> None:
    said: list[str] = []
    inside, go = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def hold(tx: Tx) -> None:
        connection_of(tx).set_trace_callback(said.append)
        loop.call_soon_threadsafe(inside.set)
        assert go.wait(PATIENCE_S)

    first = asyncio.create_task(database.write(hold))
    await inside.wait()
    writers = [asyncio.create_task(database.write(lambda tx, n=n: meta.put(tx, str(n), "1"))) for n in range(100)]  # type: ignore[misc]
    await asyncio.sleep(0)
    go.set()
    await asyncio.gather(first, *writers)
    await database.write(lambda tx: connection_of(tx).set_trace_callback(None))

    assert 2 <= said.count("COMMIT") <= 10
    assert [await value(database, str(n)) for n in range(100)] == ["1"] * 100


async def test_one_that_asks_to_be_alone_shares_its_commit_with_nobody(database: Database) -> None:
    said: list[str] = []
    await database.write(lambda tx: connection_of(tx).set_trace_callback(said.append))
    writers = [
        asyncio.create_task(database.write(lambda tx, n=n: meta.put(tx, f"mark-{n}", "1"), alone=n == 1))  # type: ignore[misc]
        for n in range(3)
    ]
    await asyncio.gather(*writers)
    await database.write(lambda tx: connection_of(tx).set_trace_callback(None))
    marks = [match[0] for line in said if (match := re.search(r"mark-\d|^COMMIT$", line))]

    assert marks[-6:] == ["mark-0", "COMMIT", "mark-1", "COMMIT", "mark-2", "COMMIT"]


# ---- a full disk


async def test_a_full_disk_is_busy_and_all_goes_on_once_there_is_room(database: Database) -> None:
    pages = await pragma(database, "page_count")
    await pragma(database, f"max_page_count = {pages}")

    with pytest.raises(Busy, match="full"):
        await database.write(lambda tx: meta.put(tx, "large", "x" * 1_000_000))
    assert await value(database, "large") == ""
    assert database.full_since is not None

    await pragma(database, f"max_page_count = {pages + 10_000}")
    await database.write(lambda tx: meta.put(tx, "large", "x" * 1_000_000))
    assert len(await value(database, "large")) == 1_000_000
    assert database.full_since is None
    assert not database.fatal.done()


async def test_one_that_does_not_fit_on_the_disk_leaves_those_that_do(database: Database) -> None:
    await pragma(database, f"max_page_count = {await pragma(database, 'page_count')}")
    answers = await asyncio.gather(
        database.write(lambda tx: meta.put(tx, "small", "1")),
        database.write(lambda tx: meta.put(tx, "large", "x" * 1_000_000)),
        database.write(lambda tx: meta.put(tx, "other", "1")),
        return_exceptions=True,
    )

    assert [type(answer) for answer in answers] == [type(None), Busy, type(None)]
    assert [await value(database, name) for name in ("small", "large", "other")] == ["1", "", "1"]


async def test_a_part_that_does_not_fit_on_the_disk_never_leaves_half_a_transaction(database: Database) -> None:
    await pragma(database, f"max_page_count = {await pragma(database, 'page_count')}")

    def work(tx: Tx) -> None:
        meta.put(tx, "before", "1")
        try:
            tx.attempt(lambda: meta.put(tx, "large", "x" * 1_000_000))
        except sqlite3.OperationalError:
            meta.put(tx, "instead", "1")

    answer = await asyncio.gather(database.write(work), return_exceptions=True)

    stands = (await value(database, "before"), await value(database, "instead"))
    assert stands == (("1", "1") if answer == [None] else ("", ""))


# ---- others at the file


async def test_a_lock_of_another_program_is_busy_for_all_at_once_and_all_goes_on_afterwards(database: Database, tmp_path: Path) -> None:
    await pragma(database, "busy_timeout = 50")
    with closing(sqlite3.connect(tmp_path / migrate.FILE, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        async with asyncio.timeout(1):
            writers = [database.write(lambda tx: meta.put(tx, "a", "1")) for _ in range(100)]
            answers = await asyncio.gather(*writers, return_exceptions=True)
        other.execute("ROLLBACK")

    assert {type(answer) for answer in answers} == {Busy}
    await database.write(lambda tx: meta.put(tx, "a", "1"))
    assert not database.fatal.done()


async def test_a_file_that_is_what_it_was_is_no_trouble(database: Database) -> None:
    database.check_file()

    assert not database.fatal.done()


@pytest.mark.parametrize("what", ["replaced", "removed"])
async def test_a_file_that_is_no_longer_ours_is_fatal(database: Database, tmp_path: Path, what: str) -> None:
    path = tmp_path / migrate.FILE
    if what == "replaced":
        (tmp_path / "copy").write_bytes(path.read_bytes())
        os.replace(tmp_path / "copy", path)
    else:
        path.unlink()
    database.check_file()

    assert isinstance(database.fatal.result(), Damaged)
    with pytest.raises(Damaged, match="can't be trusted"):
        await database.write(lambda tx: meta.put(tx, "a", "1"))


async def test_being_fenced_out_is_fatal(database: Database, tmp_path: Path) -> None:
    second = await Database.open(tmp_path, now=FixedClock().now)
    with pytest.raises(Damaged, match="another daemon has taken over"):
        await database.write(lambda tx: meta.put(tx, "a", "1"))

    assert isinstance(database.fatal.result(), Damaged)
    await second.close()


# ---- rows at hand


async def test_what_another_program_wrote_is_seen_although_the_row_was_at_hand(database: Database, tmp_path: Path) -> None:
    run = await database.write(put_run)
    with closing(sqlite3.connect(tmp_path / migrate.FILE)) as other, other:
        other.execute("UPDATE runs SET detail = 'theirs', version = version + 1")

    assert (await database.write(lambda tx: runs.get(tx, run.id))).detail == "theirs"


async def test_a_transaction_that_could_not_be_committed_leaves_nothing_at_hand(database: Database) -> None:
    run = await database.write(put_run)
    await pragma(database, f"max_page_count = {await pragma(database, 'page_count')}")
    with pytest.raises(Busy):
        await database.write(lambda tx: runs.save(tx, runs.get(tx, run.id), detail="x" * 1_000_000))

    assert await database.write(lambda tx: runs.get(tx, run.id)) == run


async def test_one_of_a_batch_that_breaks_a_rule_at_the_commit_fails_alone(database: Database) -> None:
    run = await database.write(put_run)

    def twice(tx: Tx) -> None:
        put_call(tx, run)
        put_call(tx, run)

    answers = await asyncio.gather(
        database.write(lambda tx: put_call(tx, run, position=1)),
        database.write(twice),
        database.write(lambda tx: put_call(tx, run, position=2)),
        return_exceptions=True,
    )

    assert [type(answer) for answer in answers] == [ToolCall, sqlite3.IntegrityError, ToolCall]
    assert [call.position for call in await database.read(lambda tx: toolcalls.of_run(tx, run.id))] == [1, 2]


# ---- the end


async def test_a_fault_of_the_writer_itself_is_fatal_and_wedges_nobody(tmp_path: Path) -> None:
    database = await Database.open(tmp_path, now=FixedClock().now)

    def faulty(wakes: list[tuple[str, str]]) -> None:
        raise ZeroDivisionError

    database.on_commit = faulty
    async with asyncio.timeout(PATIENCE_S):
        await database.write(lambda tx: meta.put(tx, "a", "1"))
        await database.fatal
        with pytest.raises(Damaged):
            await database.write(lambda tx: meta.put(tx, "b", "1"))
        await database.close()


async def test_nothing_is_read_after_the_end(tmp_path: Path) -> None:
    database = await Database.open(tmp_path, now=FixedClock().now)
    await database.close()

    with pytest.raises(Busy):
        await database.read(lambda tx: meta.get(tx, "a"))


async def test_closing_leaves_one_file_that_holds_everything(tmp_path: Path) -> None:
    database = await Database.open(tmp_path, now=FixedClock().now)
    await database.write(lambda tx: meta.put(tx, "a", "1"))
    await database.close()

    assert not (tmp_path / f"{migrate.FILE}-wal").exists()


# ---- the schema and the table


def checks(schema: str, table: str, column: str) -> set[str]:
    """The words that a CHECK allows in a column."""
    statements = re.findall(rf"CREATE TABLE {table} \((.*?)\) STRICT", schema, re.DOTALL)
    assert statements
    found = re.search(rf"\b{column} TEXT NOT NULL CHECK \({column} IN \((.*?)\)\)", statements[-1], re.DOTALL)
    assert found is not None, f"{table}.{column} has no CHECK"
    return words(found[1])


def words(text: str) -> set[str]:
    return set(re.findall(r"'([^']*)'", text))


@pytest.fixture(scope="module")
def schema() -> str:
    return "\n".join(text for _, text in migrate.migrations())


@pytest.mark.parametrize(
    ("table", "column", "allowed"),
    [
        ("runs", "phase", lifecycles.RUN),
        ("toolcalls", "phase", lifecycles.TOOLCALL),
        ("requests", "phase", lifecycles.REQUEST),
        ("deliveries", "phase", lifecycles.DELIVERY),
        ("resources", "status", lifecycles.READINESS),
        ("requests", "kind", RequestKind),
        ("toolcalls", "effects", Effects),
        ("events", "level", Level),
        ("toolattempts", "outcome", {*OutcomeKind, "open", "interrupted"}),
    ],
)
def test_a_check_allows_exactly_what_the_model_has(schema: str, table: str, column: str, allowed: Iterable[str]) -> None:
    assert checks(schema, table, column) == {str(word) for word in allowed}


def test_every_table_is_strict(schema: str) -> None:
    assert len(re.findall(r"^CREATE TABLE", schema, re.MULTILINE)) == len(re.findall(r"^\) STRICT", schema, re.MULTILINE))


def test_what_sql_takes_for_over_is_what_the_table_has_as_ends(schema: str) -> None:
    lists = [
        words(found) for text in (schema, *queries.load().values()) for found in re.findall(r"phase NOT IN \((.*?)\)", text, re.DOTALL)
    ]

    assert {frozenset(found) for found in lists} == {lifecycles.RUN_TERMINAL, lifecycles.CALL_TERMINAL}


def test_a_phase_that_sql_names_is_one_that_the_table_has() -> None:
    known = {*lifecycles.RUN, *lifecycles.TOOLCALL, *lifecycles.REQUEST, *lifecycles.DELIVERY}
    named = {
        word
        for text in queries.load().values()
        for found in re.findall(r"phase (?:IN \((.*?)\)|= ('\w+'))", text, re.DOTALL)
        for word in words("".join(found))
    }

    assert named
    assert named <= known
