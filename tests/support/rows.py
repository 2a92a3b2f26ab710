"""Valid rows for tests of the store and of decisions, of which a test changes one thing."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from smallchain.model.lifecycles import CallPhase, RunPhase
from smallchain.model.run import Run
from smallchain.model.toolcall import Effects, ToolCall
from smallchain.store import requests, resources, runs, toolcalls
from smallchain.store.contract import Row, Tx

NOON = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)
_ALL = 1_000_000


def all_runs(tx: Tx) -> list[Row]:
    """Every run there is, oldest first."""
    return tx.all("runs.list", ids=json.dumps(runs.page(tx, after="", most=_ALL)))


def all_toolcalls(tx: Tx) -> list[Row]:
    """Every tool call there is, oldest first."""
    return tx.all("toolcalls.list", ids=json.dumps(toolcalls.page(tx, after="", most=_ALL)))


def all_deliveries(tx: Tx) -> list[Row]:
    """Every telling of a request there is."""
    return tx.all("deliveries.of_requests", ids=json.dumps(requests.page(tx, after="", most=_ALL, whole=True)))


def a_run(**changes: Any) -> Run:
    """A run as a value, in `pending`."""
    run = Run(
        id="run-1",
        name="monday",
        root_id="run-1",
        parent_id=None,
        parent_call_id=None,
        depth=0,
        task="write_post",
        agent="publisher",
        llm="fast",
        user_message=None,
        file="",
        spec_digest="",
        priority=0,
        phase=RunPhase.PENDING,
        paused=False,
        detail="",
        turns=0,
        attempts=0,
        failures=0,
        failing_since=None,
        crashes=0,
        messages=0,
        first_message=0,
        summary=0,
        summarise_to=0,
        calls_expected=0,
        last_call="",
        same_calls=0,
        due_at=None,
        output="",
        error="",
        cost_nanousd=0,
        active_ms=0,
        active_since=None,
        created_at=NOON,
        started_at=None,
        finished_at=None,
        version=1,
    )
    return replace(run, **changes)


def put_run(tx: Tx, name: str = "monday") -> Run:
    """A run in the database."""
    return runs.create(tx, name=name, task="write_post", agent="publisher")


def put_call(tx: Tx, run: Run, *, position: int = 0, effects: Effects = Effects.ONCE, phase: CallPhase = CallPhase.PENDING) -> ToolCall:
    """A tool call of a run, in any phase."""
    call = toolcalls.create(
        tx,
        run,
        position=position,
        asked_id=f"asked-{position}",
        function="publish",
        target_kind="tool",
        tool="publish",
        arguments="{}",
        effects=effects,
    )
    return call if phase is CallPhase.PENDING else toolcalls.save(tx, call, phase=phase)


def put_llm(tx: Tx, name: str = "fast") -> resources.Written:
    """An LLM in the database."""
    spec = {"name": name, "provider": "scripted", "replies": [{"content": "hello"}]}
    resources.put(tx, kind="llm", name=name, spec=spec, folder="", file="smallchain.yaml", line=1)
    found = resources.get(tx, "llm", name)
    assert found is not None
    return found
