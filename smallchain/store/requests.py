"""Requests to people: made in the transaction of the phase that needs them, decided once."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from smallchain.model import lifecycles
from smallchain.model.errors import Conflict
from smallchain.model.human import HumanRequest, RequestKind
from smallchain.model.lifecycles import RequestPhase
from smallchain.model.run import Run
from smallchain.store import eventlog
from smallchain.store.contract import Row, Tx, Value
from smallchain.store.times import from_text, maybe, to_text

_COLUMNS = tuple(field.name for field in fields(HumanRequest))


def _values(request: HumanRequest) -> dict[str, Value]:
    values: dict[str, Any] = {name: getattr(request, name) for name in _COLUMNS}
    values["created_at"] = to_text(request.created_at)
    values["decided_at"] = to_text(request.decided_at) if request.decided_at else None
    return values


def from_row(row: Row) -> HumanRequest:
    """The value of a row (which may hold more columns)."""
    found: dict[str, Any] = {name: row[name] for name in _COLUMNS}
    found["created_at"], found["decided_at"] = from_text(found["created_at"]), maybe(found["decided_at"])
    found["kind"], found["phase"] = RequestKind(found["kind"]), RequestPhase(found["phase"])
    return HumanRequest(**found)


def open_request(tx: Tx, run: Run, /, *, kind: RequestKind, question: str, call_id: str | None = None, digest: str = "") -> HumanRequest:
    """Ask a person, in the transaction of the phase that needs it."""
    request = HumanRequest(
        id=tx.new_id(),
        kind=kind,
        run_id=run.id,
        call_id=call_id,
        phase=RequestPhase.OPEN,
        question=question,
        digest=digest,
        decision="",
        note="",
        decided_by="",
        created_at=tx.now,
        decided_at=None,
        version=1,
    )
    tx.run("requests.insert", **_values(request))
    eventlog.tell(tx, "RequestOpened", eventlog.about(run), of=run, question=question)
    return request


def decide(tx: Tx, request: HumanRequest, cause: str, /, *, decision: str, by: str, note: str = "") -> HumanRequest:
    """Close a request along an edge of its lifecycle; raises Conflict when somebody else did first."""
    phase = RequestPhase(lifecycles.move(lifecycles.REQUEST, request.phase, cause))
    changed = replace(request, phase=phase, decision=decision, decided_by=by, note=note, decided_at=tx.now)
    values = _values(changed)
    for fixed in ("kind", "run_id", "call_id", "question", "digest", "created_at"):
        del values[fixed]
    if tx.run("requests.save", **values) != 1:
        raise Conflict(f"request {request.id} was decided meanwhile")
    return replace(changed, version=request.version + 1)


def find(tx: Tx, id: str, /) -> HumanRequest | None:
    """A request by id, or None."""
    row = tx.one("requests.get", id=id)
    return from_row(row) if row else None


def open_of_run(tx: Tx, run_id: str, /) -> list[HumanRequest]:
    """What a run asks people, oldest first."""
    return [from_row(row) for row in tx.all("requests.open_of_run", run_id=run_id)]


def of_call(tx: Tx, call_id: str, /) -> HumanRequest | None:
    """The newest request about a tool call, or None."""
    row = tx.one("requests.of_call", call_id=call_id)
    return from_row(row) if row else None
