"""Requests to people: made in the transaction of the phase that needs them, decided once."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from smallchain.model import lifecycles
from smallchain.model.errors import Conflict, Unknown
from smallchain.model.events import Object
from smallchain.model.human import HumanRequest, RequestKind
from smallchain.model.lifecycles import RequestPhase
from smallchain.model.run import Run
from smallchain.store import eventlog, runs
from smallchain.store.contract import Row, Tx, Value
from smallchain.store.times import from_text, maybe, to_text

KIND = "request"
INBOX = "inbox"
"""The kind that is woken when what is open may have changed: whoever shows it looks again."""

Mark = tuple[str, int]
"""Id and version: what a request says is the same as long as its mark is."""

_COLUMNS = tuple(field.name for field in fields(HumanRequest))
_MOMENTS = ("expires_at", "remind_at", "escalate_at", "decided_at")
_FIXED = (
    *("kind", "run_id", "call_id", "question", "digest", "tool", "path", "why", "rule", "risk", "choices", "arguments"),
    *("channel", "remind", "escalate_to", "created_at"),
)


def _values(request: HumanRequest) -> dict[str, Value]:
    values: dict[str, Any] = {name: getattr(request, name) for name in _COLUMNS}
    values["created_at"] = to_text(request.created_at)
    for name in _MOMENTS:
        values[name] = to_text(values[name]) if values[name] else None
    return values


def from_row(row: Row) -> HumanRequest:
    """The value of a row (which may hold more columns)."""
    found: dict[str, Any] = {name: row[name] for name in _COLUMNS}
    for name in _MOMENTS:
        found[name] = maybe(found[name])
    found["created_at"] = from_text(found["created_at"])
    found["kind"], found["phase"] = RequestKind(found["kind"]), RequestPhase(found["phase"])
    return HumanRequest(**found)


def open_request(tx: Tx, run: Run | None, /, *, kind: RequestKind, question: str, **words: Any) -> HumanRequest:
    """Ask a person, in the transaction of the phase that needs it; `words` are further fields of the request. No run: it is about
    something that none owns (a tool of an MCP server), which `path` names."""
    blank: dict[str, Any] = dict.fromkeys(_COLUMNS, "") | dict.fromkeys(_MOMENTS) | {"call_id": None, "remind": "[]", "risk": "normal"}
    run_id = run.id if run is not None else ""
    fixed: dict[str, Any] = {"id": tx.new_id(), "kind": kind, "run_id": run_id, "phase": RequestPhase.OPEN, "question": question}
    request = HumanRequest(**{**blank, **words, **fixed, "reminders": 0, "created_at": tx.now, "version": 1})
    tx.run("requests.insert", **_values(request))
    tell(tx, "RequestOpened", request, question=question)
    tx.wake(KIND, request.id)
    tx.wake(INBOX, "")
    return request


def tell(tx: Tx, reason: str, request: HumanRequest, /, **facts: str) -> None:
    """Append an event about a request: of its run, or of what it is about where no run owns it."""
    run = runs.find(tx, request.run_id) if request.run_id else None
    about = eventlog.about(run) if run is not None else Object("request", request.tool, request.id)
    asker = f"run '{run.name}'" if run is not None else request.path
    eventlog.tell(tx, reason, about, of=run, asker=asker, Asker=asker[:1].upper() + asker[1:], **facts)


def save(tx: Tx, request: HumanRequest, /, **changes: Any) -> HumanRequest:
    """Write changes of a request; raises Conflict when its row has another version."""
    changed = replace(request, **changes)
    values = _values(changed)
    for fixed in _FIXED:
        del values[fixed]
    if tx.run("requests.save", **values) != 1:
        raise Conflict(f"request {request.id} was decided meanwhile")
    tx.wake(KIND, request.id)
    tx.wake(INBOX, "")
    return replace(changed, version=request.version + 1)


def decide(tx: Tx, request: HumanRequest, cause: str, /, *, decision: str, by: str, via: str = "", note: str = "") -> HumanRequest:
    """Close a request along an edge of its lifecycle; raises Conflict when somebody else did first."""
    phase = RequestPhase(lifecycles.move(lifecycles.REQUEST, request.phase, cause))
    return save(tx, request, phase=phase, decision=decision, decided_by=by, decided_via=via, note=note, decided_at=tx.now)


def mark_of(request: HumanRequest, /) -> Mark:
    """What tells whether a request has changed."""
    return request.id, request.version


def get(tx: Tx, id: str, /) -> HumanRequest:
    """A request by id; raises Unknown."""
    request = find(tx, id)
    if request is None:
        raise Unknown(f"there is no request with the id {id}")
    return request


def find(tx: Tx, id: str, /) -> HumanRequest | None:
    """A request by id, or None."""
    row = tx.one("requests.get", id=id)
    return from_row(row) if row else None


def about_budget(tx: Tx, digest: str, /) -> HumanRequest | None:
    """The newest request to raise the cap that a digest tells, or None."""
    row = tx.one("requests.about_budget", digest=digest)
    return from_row(row) if row else None


def by_part(tx: Tx, part: str, /) -> list[str]:
    """At most two ids that begin or end with a text."""
    return [row["id"] for row in tx.all("requests.by_part", part=part)]


def page(tx: Tx, /, *, after: str, most: int, whole: bool) -> list[str]:
    """Ids of the open requests that were made after one, the oldest first; `whole`: of all."""
    return [row["id"] for row in tx.all("requests.page" if whole else "requests.page_open", after=after, most=most)]


def page_of_tree(tx: Tx, run_id: str, /, *, after: str, most: int, whole: bool) -> list[str]:
    """The same, of a run and its descendants."""
    query = "requests.page_tree" if whole else "requests.page_tree_open"
    return [row["id"] for row in tx.all(query, run_id=run_id, after=after, most=most)]


def ids_of_run(tx: Tx, run_id: str, /) -> list[str]:
    """Ids of a run's own requests."""
    return [row["id"] for row in tx.all("requests.ids_of_run", run_id=run_id)]


def open_of_run(tx: Tx, run_id: str, /) -> list[HumanRequest]:
    """What a run asks people, oldest first."""
    return [from_row(row) for row in tx.all("requests.open_of_run", run_id=run_id)]


def newest_open(tx: Tx, most: int, /) -> list[HumanRequest]:
    """What waits for a person, newest first."""
    return [from_row(row) for row in tx.all("requests.newest_open", most=most)]


def marks_of_open(tx: Tx, most: int, /) -> list[Mark]:
    """The marks of the same, in the same order; no request is read whole for it."""
    return [(row["id"], row["version"]) for row in tx.all("requests.marks_of_open", most=most)]


def count_open(tx: Tx, run_id: str, /) -> int:
    """How many requests of a run are open."""
    row = tx.one("requests.count_open", run_id=run_id)
    return int(row["count"]) if row else 0


def count_all_open(tx: Tx, /) -> int:
    """How many requests of all runs are open."""
    row = tx.one("requests.count_all_open")
    return int(row["count"]) if row else 0


def timed_ids(tx: Tx, /) -> list[str]:
    """Ids of open requests to which time brings something by now."""
    return [row["id"] for row in tx.all("requests.timed", now=to_text(tx.now))]


def of_call(tx: Tx, call_id: str, /) -> HumanRequest | None:
    """The newest request about a tool call, or None."""
    row = tx.one("requests.of_call", call_id=call_id)
    return from_row(row) if row else None
