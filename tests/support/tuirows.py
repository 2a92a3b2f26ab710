"""Rows of the dashboard with nothing special about them, for tests to change one thing of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from smallchain_tui.viewmodel.rows import EventRow, RunRow

BEGIN = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def event_item(seq: int, **fields: Any) -> dict[str, Any]:
    """An event as the daemon tells it; a tenth of a second after the one before it."""
    time = fields.pop("time", BEGIN + timedelta(seconds=seq / 10))
    item = {
        "kind": "event",
        "name": "ToolCallStarted",
        "id": str(seq),
        "seq": seq,
        "time": f"{time:%Y-%m-%dT%H:%M:%S.%f}Z",
        "level": "INFO",
        "reason": "ToolCallStarted",
        "object": {"kind": "toolcall", "name": "search", "id": f"0199aaaa-0000-7000-8000-{seq:012d}"},
        "message": f"Agent 'researcher' is using tool: search {seq}",
        "run": "blog-7",
        "run_id": "0199bbbb-0000-7000-8000-000000000007",
    }
    return item | fields


def event(seq: int, **fields: Any) -> EventRow:
    """The same as a row."""
    return EventRow.of(event_item(seq, **fields))


def run_item(name: str, **fields: Any) -> dict[str, Any]:
    """A run as the daemon tells it."""
    item = {
        "kind": "run",
        "name": name,
        "id": f"id of {name}",
        "run": name,
        "run_id": f"id of {name}",
        "status": "Running",
        "phase": "calling_model",
        "paused": False,
        "detail": "calling the model",
        "output": "",
        "error": "",
        "agent": "publisher",
        "llm": "fast",
        "task": "write_blog",
        "parent": None,
        "parent_id": None,
        "root": name,
        "root_id": f"id of {name}",
        "depth": 0,
        "turns": 1,
        "priority": 0,
        "cost_usd": "0.00",
        "tree_cost_usd": "0.00",
        "due_at": None,
        "created_at": "2026-11-23T09:00:00.000000Z",
        "started_at": "2026-11-23T09:00:00.000000Z",
        "finished_at": None,
        "file": "",
    }
    return item | fields


def run(name: str, **fields: Any) -> RunRow:
    """The same as a row."""
    return RunRow.of(run_item(name, **fields))


def child(name: str, parent: str, **fields: Any) -> RunRow:
    """A run that another one delegated to."""
    return run(name, parent=parent, parent_id=f"id of {parent}", depth=1, **fields)


def call_item(id: str, run: str, **fields: Any) -> dict[str, Any]:
    """A tool call as the daemon tells it."""
    item = {
        "kind": "toolcall",
        "name": "search",
        "id": id,
        "run": run,
        "run_id": f"id of {run}",
        "tool": "search",
        "function": "search",
        "arguments": {"q": "ai news"},
        "phase": "succeeded",
        "result": "three hits",
        "detail": "",
        "attempts": 1,
        "effects": "none",
        "asked_id": f"call_{id}",
        "turn": 1,
        "child": None,
        "created_at": "2026-11-23T09:00:01.000000Z",
        "finished_at": "2026-11-23T09:00:02.000000Z",
    }
    return item | fields
