"""The unit of work: whatever a transaction does and takes back, the tables hold what they would hold had each step been written at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smallchain.model.errors import Conflict
from smallchain.model.lifecycles import CallPhase
from smallchain.model.run import Run
from smallchain.model.toolcall import ToolCall
from smallchain.store import messages, meta, migrate, runs, toolcalls
from smallchain.store.transaction import SqliteTx
from support.rows import NOON, put_call, put_run


class Refusal(Exception):
    """What a part that is to fail raises."""


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(migrate.prepare(tmp_path_factory.mktemp("state")), isolation_level=None)) as opened:
        opened.row_factory = sqlite3.Row
        yield opened


@pytest.fixture
def tx(connection: sqlite3.Connection) -> Iterator[SqliteTx]:
    """A transaction that is taken back at the end of a test."""
    connection.execute("BEGIN IMMEDIATE")
    yield SqliteTx(connection, now=NOON, epoch=1)
    connection.execute("ROLLBACK")


def said(connection: sqlite3.Connection) -> list[str]:
    """Every statement from now on, as the connection is told it."""
    heard: list[str] = []
    connection.set_trace_callback(heard.append)
    return heard


def verbs(heard: list[str], table: str) -> list[str]:
    """What was done to a table, in order."""
    return [line.split()[0] for line in heard if f" {table} " in line.replace("\n", " ")]


# ---- each row once


def test_a_row_that_is_moved_many_times_is_written_once(tx: SqliteTx) -> None:
    run = put_run(tx)
    heard = said(tx.connection)
    call = put_call(tx, run)
    for number in range(5):
        call = toolcalls.save(tx, call, detail=str(number))
    tx.flush()
    tx.connection.set_trace_callback(None)

    assert verbs(heard, "toolcalls") == ["INSERT"]
    assert tx.connection.execute("SELECT detail, version FROM toolcalls WHERE id = ?", (call.id,)).fetchone()[:] == ("4", 6)


def test_a_row_that_is_at_hand_is_not_read_again_in_the_next_transaction(tx: SqliteTx) -> None:
    run = put_run(tx)
    tx.flush()
    tx.committed()
    heard = said(tx.connection)

    assert runs.get(tx, run.id) == run
    assert heard == []
    tx.connection.set_trace_callback(None)


def test_a_run_that_is_moved_is_not_written_for_a_look_at_its_messages(tx: SqliteTx) -> None:
    run = put_run(tx)
    heard = said(tx.connection)
    run = runs.save(tx, run, detail="moved")

    assert messages.wire(tx, run.id, 9) == []
    assert verbs(heard, "runs") == ["SELECT"], "which looks up its number, and that never changes"
    tx.connection.set_trace_callback(None)


def test_rows_that_are_over_are_let_go_at_the_commit(tx: SqliteTx) -> None:
    call = put_call(tx, put_run(tx), phase=CallPhase.SUCCEEDED)
    tx.flush()
    tx.committed()
    heard = said(tx.connection)

    assert toolcalls.get(tx, call.id) == call
    assert verbs(heard, "toolcalls") == ["SELECT"]
    tx.connection.set_trace_callback(None)


def test_rows_at_hand_are_bounded(tx: SqliteTx) -> None:
    run = put_run(tx)
    for position in range(3000):
        put_call(tx, run, position=position)
    tx.flush()
    tx.committed()

    assert sum(len(kept.cells) for kept in tx._kept.values()) < 2100


# ---- what others wrote


def test_a_row_at_hand_that_went_stale_is_a_conflict_and_is_read_again(tx: SqliteTx) -> None:
    run = put_run(tx)
    tx.flush()
    tx.committed()
    tx.connection.execute("UPDATE runs SET detail = 'by another', version = 7 WHERE id = ?", (run.id,))

    def change() -> None:
        runs.save(tx, runs.get(tx, run.id), detail="ours")
        tx.flush()

    with pytest.raises(Conflict):
        tx.attempt(change)
    assert runs.get(tx, run.id).detail == "by another"
    tx.attempt(change)
    assert runs.get(tx, run.id).detail == "ours"


def test_what_was_recalled_is_made_again_once_its_table_was_written_to(tx: SqliteTx) -> None:
    made: list[str] = []

    def look() -> str:
        made.append(meta.get(tx, "a"))
        return made[-1]

    first = [tx.recall("meta", "key", look), tx.recall("meta", "key", look)]
    meta.put(tx, "a", "1")

    assert first == ["", ""]
    assert tx.recall("meta", "key", look) == "1"
    assert made == ["", "1"]


def test_what_was_recalled_within_a_part_that_is_taken_back_is_made_again(tx: SqliteTx) -> None:
    def part() -> None:
        meta.put(tx, "a", "1")
        assert tx.recall("meta", "key", lambda: meta.get(tx, "a")) == "1"
        raise Refusal

    with pytest.raises(Refusal):
        tx.attempt(part)

    assert tx.recall("meta", "key", lambda: meta.get(tx, "a")) == ""


# ---- whatever is done and taken back


STEPS = st.deferred(
    lambda: st.lists(
        st.one_of(
            st.sampled_from([("call",), ("message",), ("read",), ("write",), ("group",)]),
            st.tuples(st.just("save"), st.integers(0, 3), st.text("abc", max_size=3)),
            st.tuples(st.just("end"), st.integers(0, 3)),
            st.tuples(st.just("rename"), st.text("abc", max_size=3)),
            st.tuples(st.just("part"), STEPS, st.booleans()),
        ),
        max_size=6,
    )
)


class Told:
    """What the tables should hold: each call's detail and phase, the messages, the run's detail, and a fact."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.messages = 0
        self.detail = ""
        self.fact = 0

    def copy(self) -> Told:
        """As it is now."""
        copied = Told()
        copied.calls, copied.messages, copied.detail, copied.fact = list(self.calls), self.messages, self.detail, self.fact
        return copied


def carry_out(tx: SqliteTx, run_id: str, steps: list[Any], told: Told) -> Told:
    """Carry out steps, and tell what the tables should hold afterwards."""
    for step in steps:
        match step:
            case ("call",):
                put_call(tx, runs.get(tx, run_id), position=len(told.calls))
                told.calls.append(("", "pending"))
            case ("message",):
                told.messages += 1
                messages.append(tx, runs.get(tx, run_id), {"role": "user", "content": "x"}, number=told.messages)
            case ("read",):
                assert [(call.detail, str(call.phase)) for call in toolcalls.of_run(tx, run_id)] == told.calls
                assert len(messages.wire(tx, run_id, 1000)) == told.messages
            case ("group",):
                assert [(call.detail, str(call.phase)) for call in toolcalls.of_turn(tx, run_id, 0)] == told.calls
            case ("write",):
                told.fact += 1
                meta.put(tx, run_id, str(told.fact))
            case ("save", number, text) if number < len(told.calls):
                toolcalls.save(tx, call_at(tx, run_id, number), detail=text)
                told.calls[number] = (text, told.calls[number][1])
            case ("end", number) if number < len(told.calls):
                toolcalls.save(tx, call_at(tx, run_id, number), phase=CallPhase.SUCCEEDED)
                told.calls[number] = (told.calls[number][0], "succeeded")
            case ("rename", text):
                runs.save(tx, runs.get(tx, run_id), detail=text)
                told.detail = text
            case ("part", inner, fails):
                told = part(tx, run_id, inner, told, fails=fails)
            case _:
                pass
    return told


def part(tx: SqliteTx, run_id: str, steps: list[Any], told: Told, *, fails: bool) -> Told:
    """Carry out a part, which may be taken back."""
    after: list[Told] = []

    def work() -> None:
        after.append(carry_out(tx, run_id, steps, told.copy()))
        if fails:
            raise Refusal

    if not fails:
        tx.attempt(work)
        return after[0]
    with pytest.raises(Refusal):
        tx.attempt(work)
    return told


def call_at(tx: SqliteTx, run_id: str, position: int) -> ToolCall:
    return toolcalls.of_turn(tx, run_id, 0)[position]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(transactions=st.lists(st.tuples(STEPS, st.booleans()), min_size=1, max_size=3))
def test_the_tables_hold_what_the_steps_say(connection: sqlite3.Connection, transactions: list[tuple[list[Any], bool]]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    tx = SqliteTx(connection, now=NOON, epoch=1)
    run: Run = put_run(tx)
    told = Told()
    for steps, fails in transactions:
        told = part(tx, run.id, steps, told, fails=fails)
        tx.flush()
        tx.committed()
    fresh = SqliteTx(connection, now=NOON, epoch=1)

    assert [(call.detail, str(call.phase)) for call in toolcalls.of_run(fresh, run.id)] == told.calls
    assert len(messages.of_run(fresh, run.id)) == told.messages
    assert runs.get(fresh, run.id).detail == told.detail
    assert meta.get(fresh, run.id) == (str(told.fact) if told.fact else "")
    connection.execute("ROLLBACK")
