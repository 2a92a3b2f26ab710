"""What needs a person comes first: the order of runs and requests, and the other orders that the sort menu offers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from smallchain_tui.viewmodel.rows import EventRow, RequestRow, RunRow

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RANK = {"Failed": 1, "OverBudget": 2, "Running": 4, "Pending": 5, "Sleeping": 6, "Paused": 7, "Succeeded": 8, "Cancelled": 9}
_RISKS = {"high": 0, "normal": 1, "low": 2}

ORDERS = ("attention", "age", "name", "status", "cost", "last event", "agent", "task")
"""The names of the orders, as the sort menu shows them."""


def rank(run: RunRow, asked: bool) -> int:
    """How much a run wants to be seen: 0 is most. `asked`: it has an open request.

    With what failed stands what goes on only once somebody has done something: a run that needs what is not there (its detail says what: an
    agent that is written nowhere, an LLM without its key), and one at a cap that no time brings room under.
    """
    if asked:
        return 0
    if (run.status == "Pending" and run.detail) or (run.status == "OverBudget" and run.due_at is None):
        return _RANK["Failed"]
    if run.status == "Waiting":
        return 3
    return _RANK.get(run.status, 3)


def ordered(
    runs: Iterable[RunRow],
    requests: Mapping[str, RequestRow],
    *,
    by: str = "attention",
    reverse: bool = False,
    last_event: Mapping[str, EventRow] | None = None,
) -> list[RunRow]:
    """Runs in an order of `ORDERS`; within the same rank the newest is first. `requests` are the open ones, by id."""
    asked = {row.run_id for row in requests.values()}
    last = last_event or {}

    def newest(run: RunRow) -> float:
        return -(run.created_at or _EPOCH).timestamp()

    keys: dict[str, Callable[[RunRow], Any]] = {
        "attention": lambda run: (rank(run, run.id in asked), newest(run), run.name),
        "age": lambda run: (newest(run), run.name),
        "name": lambda run: run.name.casefold(),
        "status": lambda run: (run.status, newest(run)),
        "cost": lambda run: (-run.tree_cost_nanousd, newest(run)),
        "last event": lambda run: (-last[run.id].seq if run.id in last else 0, newest(run)),
        "agent": lambda run: (run.agent.casefold(), newest(run)),
        "task": lambda run: (run.task.casefold(), newest(run)),
    }
    return sorted(runs, key=keys.get(by, keys["attention"]), reverse=reverse)


def inbox(requests: Iterable[RequestRow]) -> list[RequestRow]:
    """Requests in the order to look at them: what expires soonest, then high risk, then who has waited longest."""

    def key(row: RequestRow) -> tuple[datetime, int, datetime]:
        return (row.expires_at or datetime.max.replace(tzinfo=UTC), _RISKS.get(row.risk, 1), row.created_at or _EPOCH)

    return sorted(requests, key=key)
