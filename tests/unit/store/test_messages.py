"""Conversations as requests hold them: whole, or the head and all from a reply on; on the real tables."""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smallchain.model import context
from smallchain.store import messages, migrate
from smallchain.store.transaction import SqliteTx
from support.house import is_legal
from support.rows import NOON, put_run

Message = dict[str, Any]
SYSTEM: Message = {"role": "system", "content": "be brief"}
NAMES = itertools.count()


@pytest.fixture
def tx(tmp_path: Path) -> Iterator[SqliteTx]:
    with closing(sqlite3.connect(migrate.prepare(tmp_path), isolation_level=None)) as opened:
        opened.row_factory = sqlite3.Row
        yield SqliteTx(opened, now=NOON, epoch=1)


def said(*ids: str) -> list[Message]:
    """A reply with its results."""
    calls = [{"id": id, "type": "function", "function": {"name": "add", "arguments": "{}"}} for id in ids]
    reply = {"role": "assistant", "content": None, "tool_calls": calls} if calls else {"role": "assistant", "content": "so"}
    return [reply, *({"role": "tool", "tool_call_id": id, "content": "x"} for id in ids)]


def asks(number: int = 0) -> Message:
    return {"role": "user", "content": f"go {number}"}


@st.composite
def histories(draw: st.DrawFn) -> list[Message]:
    """Any conversation that a server would take: prompts or none, a greeting or none, turns with calls or words, words of ours between."""
    found = [SYSTEM] * draw(st.integers(0, 2))
    if draw(st.booleans()):
        found += said()
    for turn, calls in enumerate(draw(st.lists(st.integers(-1, 3), max_size=12))):
        found += [asks(turn)] if calls < 0 else said(*(f"{turn}-{number}" for number in range(calls)))
    return found


def put(tx: SqliteTx, history: list[Message]) -> str:
    run = put_run(tx, f"run-{next(NAMES)}")
    for number, message in enumerate(history, 1):
        messages.append(tx, run, message, number=number)
    return run.id


def sent(tx: SqliteTx, id: str, upto: int, first: int) -> list[Message]:
    return [json.loads(row["wire"]) for row in messages.sent(tx, id, context.Part(upto, first))]


def replies(history: list[Message]) -> int:
    return sum(message["role"] == "assistant" for message in history)


@given(histories(), st.integers(1, 6))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_a_window_of_any_history_is_legal_and_holds_the_head_and_the_newest_turns(tx: SqliteTx, whole: list[Message], turns: int) -> None:
    id = put(tx, whole)
    head = messages.head(tx, id)
    first = context.window(messages.replies(tx, id, most=turns + 1), turns)
    kept = sent(tx, id, len(whole), first)

    assert is_legal(kept)
    assert kept[:head] == whole[:head]
    assert kept[head:] == whole[len(whole) - len(kept) + head :], "nothing is left out within"
    assert replies(kept[head:]) == min(turns, replies(whole[head:]))
    if first == 0:
        assert kept == whole
    if asks_of := [number for number, message in enumerate(whole, 1) if message["role"] == "user"]:
        assert head == asks_of[0]


@given(histories())
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_half_after_half_every_request_is_legal_and_the_newest_turn_stays(tx: SqliteTx, whole: list[Message]) -> None:
    id = put(tx, whole)
    head, count = messages.head(tx, id), replies(whole[messages.head(tx, id) :])
    first = 0
    while count > 1:
        first = context.half(messages.replies(tx, id, first=first))
        kept = sent(tx, id, len(whole), first)
        count //= 2

        assert is_legal(kept)
        assert kept[:head] == whole[:head]
        assert replies(kept[head:]) == count
    assert context.half(messages.replies(tx, id, first=first)) == 0


def test_the_head_is_the_prompt_and_what_is_to_be_done(tx: SqliteTx) -> None:
    for history, head in (
        ([SYSTEM, asks(), *said()], 2),
        ([asks(), *said()], 1),
        ([SYSTEM, *said(), asks(), *said()], 3),
        ([SYSTEM, SYSTEM, *said()], 2),
        ([], 0),
    ):
        assert messages.head(tx, put(tx, history)) == head


def test_a_request_ends_where_it_was_recorded_to_end(tx: SqliteTx) -> None:
    whole = [SYSTEM, asks(), *said("a"), *said("b"), *said("c")]
    id = put(tx, whole)

    assert sent(tx, id, 6, 5) == [SYSTEM, asks(), *said("b")]


def test_the_newest_summary_stands_behind_the_head_for_all_that_were_made(tx: SqliteTx) -> None:
    summaries = [{"role": "user", "content": f"summary {number}"} for number in range(2)]
    whole = [SYSTEM, asks(), *said("a"), *said("b"), summaries[0], *said("c"), summaries[1], *said("d")]
    run = put_run(tx, "sums")
    for number, message in enumerate(whole, 1):
        messages.append(tx, run, message, number=number, template=context.SUMMARY if message in summaries else "")
    rows = messages.sent(tx, run.id, context.Part(len(whole), 5, 10))

    assert [json.loads(row["wire"]) for row in rows] == [SYSTEM, asks(), summaries[1], *said("b"), *said("c"), *said("d")]
