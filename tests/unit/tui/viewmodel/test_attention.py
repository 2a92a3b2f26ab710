"""What needs a person comes first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from smallchain_tui.viewmodel import attention
from smallchain_tui.viewmodel.rows import EventRow, RequestRow, RunRow
from support import dashboard

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)


def _run(name: str, status: str, **fields: object) -> RunRow:
    return RunRow.of(dashboard.run(name, status, **fields))


def _asks(id: str, of: str, **fields: object) -> RequestRow:
    return RequestRow.of(dashboard.request(id, of, **fields))


def test_a_run_that_asks_stands_before_all_whatever_its_status() -> None:
    runs = [_run("a", "Failed"), _run("b", "Running"), _run("c", "Waiting")]

    found = attention.ordered(runs, {"r": _asks("r", "b")})
    assert [row.name for row in found] == ["b", "a", "c"]


def test_the_order_is_failed_over_budget_waiting_running_asleep_done() -> None:
    words = ["Cancelled", "Succeeded", "Paused", "Sleeping", "Pending", "Running", "Waiting", "OverBudget", "Failed"]
    runs = [_run(word.lower(), word, due_at="2026-11-23T10:00:00Z") for word in words]

    assert [row.status for row in attention.ordered(runs, {})] == list(reversed(words))


def test_what_cannot_go_on_without_a_person_stands_with_what_failed() -> None:
    runs = [
        _run("fails", "Failed", created_at="2026-11-23T08:00:00Z"),
        _run("lacks", "Pending", detail="agent 'writr' does not exist; did you mean 'writer'?", created_at="2026-11-23T07:00:00Z"),
        _run("capped", "OverBudget", detail="run 'capped' of $1.00 is used up", created_at="2026-11-23T06:00:00Z"),
        _run("wakes", "OverBudget", due_at="2026-11-23T10:00:00Z"),
        _run("works", "Running"),
        _run("new", "Pending"),
    ]

    assert [row.name for row in attention.ordered(runs, {})] == ["fails", "lacks", "capped", "wakes", "works", "new"]


def test_within_a_rank_the_newest_is_first() -> None:
    runs = [_run("old", "Running", created_at="2026-11-23T07:00:00Z"), _run("new", "Running", created_at="2026-11-23T08:00:00Z")]

    assert [row.name for row in attention.ordered(runs, {})] == ["new", "old"]


def test_a_status_that_this_program_does_not_know_is_not_lost_at_the_end() -> None:
    runs = [_run("done", "Succeeded"), _run("odd", "Levitating")]

    assert [row.name for row in attention.ordered(runs, {})] == ["odd", "done"]


def test_each_order_of_the_menu_sorts_and_turns_round() -> None:
    runs = [
        _run("b", "Running", agent="z", task="y", tree_cost_usd="1.00", created_at="2026-11-23T07:00:00Z"),
        _run("a", "Failed", agent="y", task="z", tree_cost_usd="2.00", created_at="2026-11-23T06:00:00Z"),
    ]
    last = {"id-of-a": EventRow.of({"seq": 2}), "id-of-b": EventRow.of({"seq": 1})}
    first = {"attention": "a", "age": "b", "name": "a", "status": "a", "cost": "a", "last event": "a", "agent": "a", "task": "b"}

    assert set(first) == set(attention.ORDERS)
    for by, name in first.items():
        found = attention.ordered(runs, {}, by=by, last_event=last)
        assert found[0].name == name, by
        assert attention.ordered(runs, {}, by=by, last_event=last, reverse=True) == found[::-1], by


def test_the_inbox_begins_with_what_expires_then_with_risk_then_with_who_has_waited_longest() -> None:
    rows = [
        _asks("patient", "a", created_at="2026-11-23T05:00:00Z"),
        _asks("older", "a", created_at="2026-11-23T04:00:00Z"),
        _asks("risky", "a", risk="high"),
        _asks("urgent", "a", risk="low", expires_at=(NOW + timedelta(minutes=5)).isoformat()),
    ]

    assert [row.id for row in attention.inbox(rows)] == ["urgent", "risky", "older", "patient"]
