"""How runs are counted and which of them a loop has to look at: told by SQL alone, and the same as told row by row."""

from __future__ import annotations

import itertools
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from smallchain.model.lifecycles import CALL_TERMINAL, CallPhase, RunPhase
from smallchain.model.run import OpenCall, Run, status_of
from smallchain.store import migrate, runs, toolcalls
from smallchain.store.transaction import SqliteTx
from support.rows import NOON, put_call, put_run


@pytest.fixture
def tx(tmp_path: Path) -> Iterator[SqliteTx]:
    with closing(sqlite3.connect(migrate.prepare(tmp_path), isolation_level=None)) as opened:
        opened.row_factory = sqlite3.Row
        yield SqliteTx(opened, now=NOON, epoch=1)


def stands(tx: SqliteTx, name: str, phase: RunPhase, *calls: CallPhase, paused: bool = False, held: bool = False) -> Run:
    """A run in a phase, with the calls of its present turn."""
    run = runs.save(tx, put_run(tx, name), phase=phase, paused=paused, turns=1)
    for position, each in enumerate(calls):
        call = put_call(tx, run, position=position, phase=each)
        if held:
            toolcalls.save(tx, call, detail="a rule that is not kept")
    return run


def test_counts_are_what_each_row_says(tx: SqliteTx) -> None:
    expected: Counter[str] = Counter()
    number = itertools.count()
    for phase, paused, first, second, held in itertools.product(
        RunPhase, (False, True), (None, *CallPhase), (None, CallPhase.SLEEPING, CallPhase.IN_DOUBT), (False, True)
    ):
        if phase is not RunPhase.AWAITING_TOOLS and (first or second):
            continue
        calls = [call for call in (first, second) if call is not None]
        run = stands(tx, f"run-{next(number)}", phase, *calls, paused=paused, held=held)
        opened = [OpenCall(call, "publish", "held" if held else "") for call in calls if call not in CALL_TERMINAL]
        expected[status_of(run, opened)[0]] += 1

    assert runs.counts(tx) == expected
    assert runs.count_live(tx) == len(runs.live_ids(tx))


@pytest.mark.parametrize("phase", [CallPhase.IN_DOUBT, CallPhase.AWAITING_APPROVAL, CallPhase.AWAITING_ANSWER, CallPhase.AWAITING_CALLBACK])
def test_a_run_that_waits_for_the_world_is_not_looked_at(tx: SqliteTx, phase: CallPhase) -> None:
    stands(tx, "waits", RunPhase.AWAITING_TOOLS, CallPhase.SUCCEEDED, phase)

    assert runs.unsettled_ids(tx) == []
    assert toolcalls.unsettled_ids(tx) == []


def test_a_run_that_is_paused_before_its_next_call_is_not_looked_at(tx: SqliteTx) -> None:
    stands(tx, "paused", RunPhase.READY, paused=True)
    stands(tx, "before its tool", RunPhase.AWAITING_TOOLS, CallPhase.READY, paused=True)

    assert runs.unsettled_ids(tx) == []
    assert toolcalls.unsettled_ids(tx) == []


@pytest.mark.parametrize("phase", [RunPhase.PENDING, RunPhase.READY, RunPhase.CALLING_MODEL])
def test_a_run_that_a_loop_can_move_is_looked_at(tx: SqliteTx, phase: RunPhase) -> None:
    run = stands(tx, "moves", phase)

    assert runs.unsettled_ids(tx) == [run.id]


def test_a_run_whose_results_are_all_there_is_looked_at_although_calls_of_earlier_turns_are_too(tx: SqliteTx) -> None:
    run = stands(tx, "moves", RunPhase.AWAITING_TOOLS, CallPhase.SUCCEEDED, CallPhase.REJECTED)

    assert runs.unsettled_ids(tx) == [run.id]


def test_a_delegation_is_looked_at_once_its_child_is_over(tx: SqliteTx) -> None:
    run = put_run(tx)
    call = put_call(tx, run, phase=CallPhase.DELEGATED)
    child = runs.create(tx, name="child", task="write_post", parent=run, parent_call_id=call.id)

    assert toolcalls.unsettled_ids(tx) == []
    runs.save(tx, child, phase=RunPhase.SUCCEEDED)
    assert toolcalls.unsettled_ids(tx) == [call.id]


@pytest.mark.parametrize("phase", [CallPhase.PENDING, CallPhase.READY, CallPhase.EXECUTING])
def test_a_call_that_a_loop_can_move_is_looked_at(tx: SqliteTx, phase: CallPhase) -> None:
    call = put_call(tx, put_run(tx), phase=phase)

    assert toolcalls.unsettled_ids(tx) == [call.id]


@pytest.mark.parametrize(("left", "looked_at"), [(timedelta(), True), (timedelta(seconds=-1), True), (timedelta(seconds=1), False)])
def test_a_call_that_sleeps_is_looked_at_once_its_moment_has_come(tx: SqliteTx, left: timedelta, looked_at: bool) -> None:
    call = put_call(tx, put_run(tx), phase=CallPhase.SLEEPING)
    toolcalls.save(tx, call, due_at=tx.now + left)

    assert toolcalls.unsettled_ids(tx) == ([call.id] if looked_at else [])


@pytest.mark.parametrize(
    ("names", "following"),
    [
        ([], "work-1"),
        (["work", "work-1", "work-2"], "work-3"),
        (["work-9", "work-10"], "work-11"),
        (["work-99", "work-100", "work-3"], "work-101"),
        (["work-2", "work-9x", "work-ab", "work-1/helper-7", "work-1000000000", "works-8", "work-", "wor-9"], "work-3"),
        (["work-007"], "work-1"),
    ],
)
def test_the_next_name_of_a_task_is_above_all_there_are(tx: SqliteTx, names: list[str], following: str) -> None:
    for name in names:
        put_run(tx, name)

    assert runs.next_name(tx, "work") == following
