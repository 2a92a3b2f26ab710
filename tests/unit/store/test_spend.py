"""Sums of what model calls cost: by hour, day, agent, LLM, task and run, read from an index alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from smallchain.model.money import Usage
from smallchain.model.run import Run
from smallchain.store import migrate, modelcalls, queries, runs
from smallchain.store.spend import By, sums
from smallchain.store.transaction import SqliteTx
from support.rows import NOON, put_run

HOUR = timedelta(hours=1)


@pytest.fixture
def tx(tmp_path: Path) -> Iterator[SqliteTx]:
    with closing(sqlite3.connect(migrate.prepare(tmp_path), isolation_level=None)) as opened:
        opened.row_factory = sqlite3.Row
        yield SqliteTx(opened, now=NOON, epoch=1)


def call(tx: SqliteTx, run: Run, attempt: int, cost: int | None, *, llm: str = "fast", at: datetime = NOON, replied: bool = True) -> None:
    """A call of a run, opened and settled at a moment."""
    tx.begin(at)
    modelcalls.open_call(tx, run, attempt=attempt, llm=llm, model="m")
    usage = Usage(10, 2, 1) if replied else None
    modelcalls.settle(tx, run.id, attempt, outcome="replied" if replied else "failed", usage=usage, cost_nanousd=cost)


def test_nothing_was_spent_before_the_first_call_is_settled(tx: SqliteTx) -> None:
    modelcalls.open_call(tx, put_run(tx), attempt=1, llm="fast", model="m")

    assert sums(tx, [By.AGENT]) == []


def test_calls_are_summed_by_what_is_asked_and_by_nothing_else(tx: SqliteTx) -> None:
    monday = put_run(tx)
    tuesday = runs.create(tx, name="tuesday", task="read", agent="reader")
    call(tx, monday, 1, 5)
    call(tx, monday, 2, 7, llm="slow")
    call(tx, tuesday, 1, 100)

    assert [(each.agent, each.llm, each.calls, each.cost_nanousd) for each in sums(tx, [By.AGENT])] == [
        ("reader", None, 1, 100),
        ("publisher", None, 2, 12),
    ]
    assert [(each.llm, each.cost_nanousd) for each in sums(tx, [By.LLM])] == [("fast", 105), ("slow", 7)]
    assert [(each.run, each.run_id, each.llm, each.cost_nanousd) for each in sums(tx, [By.RUN, By.LLM])] == [
        ("tuesday", tuesday.id, "fast", 100),
        ("monday", monday.id, "slow", 7),
        ("monday", monday.id, "fast", 5),
    ]
    (whole,) = sums(tx, [])
    assert (whole.calls, whole.input_tokens, whole.output_tokens, whole.cached_tokens, whole.cost_nanousd) == (3, 30, 6, 3, 112)


def test_a_call_belongs_to_the_hour_and_the_day_in_which_it_was_settled(tx: SqliteTx) -> None:
    run = put_run(tx)
    modelcalls.open_call(tx, run, attempt=1, llm="fast", model="m")
    tx.begin(NOON + HOUR)
    modelcalls.settle(tx, run.id, 1, outcome="replied", usage=Usage(1, 1), cost_nanousd=1)
    call(tx, run, 2, 2, at=NOON)
    call(tx, run, 3, 4, at=NOON + 24 * HOUR)

    assert [(each.hour, each.day, each.cost_nanousd) for each in sums(tx, [By.HOUR])] == [
        ("2026-01-02T12", None, 2),
        ("2026-01-02T13", None, 1),
        ("2026-01-03T12", None, 4),
    ]
    assert [(each.day, each.cost_nanousd) for each in sums(tx, [By.DAY])] == [("2026-01-02", 3), ("2026-01-03", 4)]
    assert [each.cost_nanousd for each in sums(tx, [], since=NOON + HOUR)] == [5]


def test_a_call_that_no_price_list_knows_is_told_as_unpriced_and_one_that_failed_is_not(tx: SqliteTx) -> None:
    run = put_run(tx)
    call(tx, run, 1, None)
    call(tx, run, 2, None, replied=False)

    (whole,) = sums(tx, [])

    assert (whole.calls, whole.unpriced, whole.cost_nanousd) == (2, 1, 0)


def test_a_tree_is_summed_without_its_neighbours(tx: SqliteTx) -> None:
    root = put_run(tx)
    child = runs.create(tx, name="child", task="write_post", parent=root, parent_call_id="call", agent="writer")
    call(tx, root, 1, 1)
    call(tx, child, 1, 2)
    call(tx, put_run(tx, "other"), 1, 4)

    assert [(each.run, each.cost_nanousd) for each in sums(tx, [By.RUN], tree_of=root.id)] == [("child", 2), ("monday", 1)]
    assert [each.cost_nanousd for each in sums(tx, [], tree_of=child.id)] == [2]


def test_sums_read_an_index_and_none_of_the_replies(tx: SqliteTx) -> None:
    values = {name: None for name in (*By, "tree_of")} | {"since": ""}

    plan = [row["detail"] for row in tx.connection.execute(f"EXPLAIN QUERY PLAN {queries.load()['spend.sums']}", values)]

    assert any("modelcalls USING COVERING INDEX modelcalls_spent" in step for step in plan), plan
