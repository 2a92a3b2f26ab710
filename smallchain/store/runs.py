"""Runs: their rows, written against the version that was read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

from smallchain.model import lifecycles
from smallchain.model.changed import changed
from smallchain.model.errors import Unknown
from smallchain.model.lifecycles import CallPhase, RunPhase
from smallchain.model.run import OpenCall, Run, Status, status_word
from smallchain.store import alarms, detached, schedules
from smallchain.store.contract import Row, Shape, Tx, Value
from smallchain.store.times import from_text, maybe, to_text

KIND = "run"
LATER_THAN_ALL = "g"
"""Sorts behind every id, which is hexadecimal."""


NOT_FAILING: Mapping[str, Any] = {"failures": 0, "failing_since": None}
"""The fields of a run whose next failure is the first in a row."""
_MOST_DIGITS = 9
_COLUMNS = tuple(field.name for field in fields(Run))


def _values(run: Run) -> dict[str, Value]:
    values: dict[str, Any] = dict(run.__dict__)
    for name in ("failing_since", "due_at", "active_since", "created_at", "started_at", "finished_at"):
        if values[name] is not None:
            values[name] = to_text(values[name])
    values["phase"] = str(run.phase)
    values["paused"] = int(run.paused)
    return values


def from_row(row: Row) -> Run:
    """The value of a row (which may hold more columns)."""
    found: dict[str, Any] = {name: row[name] for name in _COLUMNS}
    for name in ("failing_since", "due_at", "active_since", "started_at", "finished_at"):
        found[name] = maybe(found[name])
    found["created_at"] = from_text(found["created_at"])
    found["phase"] = RunPhase(found["phase"])
    found["paused"] = bool(found["paused"])
    return Run(**found)


_RUN: Shape[Run] = Shape(
    table="runs",
    word="run",
    get="runs.get",
    insert="runs.insert",
    save="runs.save",
    key_names=("id",),
    key=lambda run: (run.id,),
    mark=lambda run: run.version,
    name=lambda run: repr(run.name),
    from_row=from_row,
    values=_values,
    is_over=lambda run: run.is_over,
    told_at_once=True,
)


def create(
    tx: Tx,
    /,
    *,
    name: str,
    task: str,
    agent: str = "",
    user_message: str | None = None,
    parent: Run | None = None,
    parent_call_id: str | None = None,
    file: str = "",
    spec_digest: str = "",
    priority: int = 0,
) -> Run:
    """A new run in `pending`; a child takes root, task and priority from its parent."""
    id = tx.new_id()
    run = Run(
        id=id,
        name=name,
        root_id=parent.root_id if parent else id,
        parent_id=parent.id if parent else None,
        parent_call_id=parent_call_id,
        depth=parent.depth + 1 if parent else 0,
        task=task,
        agent=agent,
        llm="",
        user_message=user_message,
        file=file,
        spec_digest=spec_digest,
        priority=priority,
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
        created_at=tx.now,
        started_at=None,
        finished_at=None,
        version=1,
    )
    tx.add(_RUN, run)
    tx.wake(KIND, run.id)
    return run


def save(tx: Tx, run: Run, /, **changes: Any) -> Run:
    """Write changes of a run; raises Conflict when its row has another version."""
    after = changed(run, **changes, version=run.version + 1)
    tx.change(_RUN, run, after)
    tx.wake(KIND, run.id)
    return after


def move(tx: Tx, run: Run, cause: str, /, **changes: Any) -> Run:
    """Move a run along an edge of its lifecycle, with other changes; a run that is over is stamped and wakes who waits for it."""
    phase = RunPhase(lifecycles.move(lifecycles.RUN, run.phase, cause))
    if phase in lifecycles.RUN_TERMINAL:
        changes = {"finished_at": tx.now, "due_at": None, "paused": False, **_at_rest(run, tx.now), **changes}
        alarms.drop(tx, KIND, run.id)
        _end_of_work(tx, run)
        if run.parent_call_id is not None:
            tx.wake("toolcall", run.parent_call_id)
        if run.parent_id is None:
            for schedule in schedules.waiting(tx):
                tx.wake(schedules.KIND, schedule)
    elif phase in (RunPhase.PENDING, RunPhase.OVER_BUDGET):
        changes = {**NOT_FAILING, **changes}  # time in which it stands still is no time of failing
    return save(tx, run, phase=phase, **changes)


def keep_time(tx: Tx, run: Run, /, *, at_work: bool) -> Run:
    """Let a run's time at work begin, or book it when it ends."""
    if at_work == (run.active_since is not None):
        return run
    return save(tx, run, **({"active_since": tx.now} if at_work else _at_rest(run, tx.now)))


def _at_rest(run: Run, now: datetime) -> dict[str, Any]:
    return {"active_ms": run.worked(now) // timedelta(milliseconds=1), "active_since": None}


def _end_of_work(tx: Tx, run: Run) -> None:
    """Tell whoever began a run as detached work that it has ended, and what it has begun itself that nobody will ask for it."""
    work = detached.of_child(tx, run.parent_id, run.id) if run.parent_id is not None else None
    if work is not None:
        detached.finish(tx, work)
        tx.wake(KIND, work.run_id)
    for each in detached.of_run(tx, run.id):
        if each.finished is None:
            tx.wake(KIND, each.child_id)


def get(tx: Tx, id: str, /) -> Run:
    """A run by id; raises Unknown."""
    run = find(tx, id)
    if run is None:
        raise Unknown(f"there is no run with the id {id}")
    return run


def find(tx: Tx, id: str, /) -> Run | None:
    """A run by id, or None."""
    return tx.find(_RUN, id)


def by_name(tx: Tx, name: str, /) -> Run | None:
    """A run by its unique name, or None."""
    row = tx.one("runs.by_name", name=name)
    return from_row(row) if row else None


def by_part(tx: Tx, part: str, /) -> list[str]:
    """Ids of at most two runs whose id begins or ends with this."""
    return [row["id"] for row in tx.all("runs.by_part", part=part)]


def by_call(tx: Tx, call_id: str, /) -> Run | None:
    """The child that a delegation made, or None."""
    row = tx.one("runs.by_call", call_id=call_id)
    return from_row(row) if row else None


def tree(tx: Tx, id: str, /) -> list[Run]:
    """A run and its descendants, parents before children."""
    return [from_row(row) for row in tx.all("runs.tree", id=id)]


def open_calls(row: Row) -> list[OpenCall]:
    """The open calls that a row of `runs.list` carries."""
    return [OpenCall(CallPhase(phase), tool, detail) for phase, tool, detail in json.loads(row["open_calls"])]


def page(tx: Tx, /, *, after: str, most: int, live: bool = False) -> list[str]:
    """Ids of the runs that were made after one, the oldest first; `live`: of those that are not over."""
    return [row["id"] for row in tx.all("runs.page_live" if live else "runs.page", after=after, most=most)]


def page_back(tx: Tx, /, *, before: str | None, most: int) -> list[str]:
    """Ids of the runs that were made before one (None: the newest), the newest first."""
    return [row["id"] for row in tx.all("runs.page_back", before=before or LATER_THAN_ALL, most=most)]


def page_of_tree(tx: Tx, id: str, /, *, after: str, most: int) -> list[str]:
    """Ids of a run and its descendants that were made after one, the oldest first."""
    return [row["id"] for row in tx.all("runs.page_tree", id=id, after=after, most=most)]


def children_ids(tx: Tx, id: str, /) -> list[str]:
    """Ids of the runs that a run has made."""
    return [row["id"] for row in tx.all("runs.ids_of_children", id=id)]


def counts(tx: Tx, /) -> dict[Status, int]:
    """How many runs have each status; no run is read whole for it."""
    found: dict[Status, int] = {}

    def add(status: Status, count: int) -> None:
        found[status] = found.get(status, 0) + count

    for row in tx.all("runs.count"):
        phase, paused = RunPhase(row["phase"]), bool(row["paused"])
        if phase is not RunPhase.AWAITING_TOOLS or paused:
            add(status_word(phase, paused, []), row["count"])
    for row in tx.all("runs.count_waiting"):
        add(status_word(RunPhase.AWAITING_TOOLS, False, open_calls(row)), row["count"])
    in_line = tx.one("runs.count_in_line")
    if in_line is not None and in_line["count"]:  # they are ready, and wait for a place at an LLM
        add(Status.WAITING, in_line["count"])
        add(Status.RUNNING, -in_line["count"])
    return {status: count for status, count in found.items() if count}


def count_live(tx: Tx, /) -> int:
    """How many runs are not over."""
    return sum(row["count"] for row in tx.all("runs.count") if RunPhase(row["phase"]) not in lifecycles.RUN_TERMINAL)


def live_ids(tx: Tx, /) -> list[str]:
    """Ids of the runs that are not over, by priority and age."""
    return [row["id"] for row in tx.all("runs.live")]


def being_timed(tx: Tx, /) -> list[Run]:
    """The runs of which something is measured that goes on: how long they work, fail, or wait after a failure."""
    return [from_row(row) for row in tx.all("runs.being_timed")]


def live_of_agent(tx: Tx, agent: str, /) -> list[str]:
    """Ids of the runs of an agent that are not over."""
    return [row["id"] for row in tx.all("runs.live_of_agent", agent=agent)]


def children_of(tx: Tx, id: str, /, *, agent: str | None = None) -> int:
    """How many children a run has made; of one agent where given."""
    row = tx.one("runs.children", id=id, agent=agent or "")
    return int(row["count" if agent is None else "of_agent"]) if row else 0


def pending_ids(tx: Tx, /) -> list[str]:
    """Ids of the runs that wait for their agent or model."""
    return [row["id"] for row in tx.all("runs.pending")]


def unsettled_ids(tx: Tx, /) -> list[str]:
    """Ids of the runs that a loop, and not only the world, can move."""
    return [row["id"] for row in tx.all("runs.unsettled")]


def backing_off_ids(tx: Tx, /, *, agents: Iterable[str], llms: Iterable[str]) -> set[str]:
    """Ids of the runs of these agents, or on these LLMs, that wait after a failure of the model call."""
    wanted = [*((agent, "") for agent in agents), *(("", llm) for llm in llms)]
    return {row["id"] for agent, llm in wanted for row in tx.all("runs.backing_off", agent=agent, llm=llm)}


def next_name(tx: Tx, stem: str, /) -> str:
    """`STEM-n` with the first n above all that there are of the stem."""
    stem = f"{stem}-"
    for digits in range(_MOST_DIGITS, 0, -1):
        first, last = f"{stem}1{'0' * (digits - 1)}", f"{stem}{'9' * digits}"
        row = tx.one("runs.numbered", stem=stem, first=first, last=last)
        if row is not None:
            return f"{stem}{1 + int(row['name'][len(stem) :])}"
    return f"{stem}1"
