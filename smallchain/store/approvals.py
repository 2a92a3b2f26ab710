"""What people have let through: approvals, one for a call, and grants, for the rest of a run."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from smallchain.model.human import Approved, Grant
from smallchain.model.run import Run
from smallchain.model.toolcall import ToolCall
from smallchain.store.contract import Row, Tx
from smallchain.store.times import from_text, maybe, to_text


def put(tx: Tx, call: ToolCall, /, *, request_id: str, digest: str, arguments: str, by: str, note: str) -> None:
    """Record that a call may run, with these arguments where any are given; an earlier approval gives way."""
    values: dict[str, Any] = {"request_id": request_id, "digest": digest, "arguments": arguments, "by": by, "note": note}
    tx.run("approvals.put", run_id=call.run_id, call_id=call.id, at=to_text(tx.now), **values)


def of_call(tx: Tx, call: ToolCall, /) -> Approved | None:
    """What lets a call run, or None."""
    return of_run(tx, call.run_id).get(call.id)


def of_run(tx: Tx, run_id: str, /) -> dict[str, Approved]:
    """What lets the calls of a run run, by call; most runs have none, and asking again costs nothing."""
    return tx.recall("approvals", run_id, lambda: {row["call_id"]: _approved(row) for row in tx.all("approvals.of_run", run_id=run_id)})


def grant(tx: Tx, run: Run, /, *, tool: str, target: str, by: str, via: str, note: str) -> Grant:
    """Let a tool run in a run without asking again."""
    made = Grant(tx.new_id(), run.id, tool, target, by, via, note, tx.now, None, "")
    values = {field.name: getattr(made, field.name) for field in fields(Grant)}
    tx.run("grants.insert", **values | {"created_at": to_text(tx.now)})
    return made


def granted(tx: Tx, run_id: str, target: str, /) -> Grant | None:
    """The grant a run has for a tool as it is pinned, or None."""

    def look() -> Grant | None:
        row = tx.one("grants.of_target", run_id=run_id, target=target)
        return _grant(row) if row else None

    return tx.recall("grants", (run_id, target), look)


def find_grant(tx: Tx, id: str, /) -> Grant | None:
    """A grant by id, or None."""
    row = tx.one("grants.get", id=id)
    return _grant(row) if row else None


def grants_by_part(tx: Tx, part: str, /) -> list[str]:
    """At most two ids that begin or end with a text."""
    return [row["id"] for row in tx.all("grants.by_part", part=part)]


def revoke(tx: Tx, grant: Grant, /, *, by: str) -> bool:
    """Take a grant back; False when somebody did before."""
    return tx.run("grants.revoke", id=grant.id, now=to_text(tx.now), by=by) == 1


def _approved(row: Row) -> Approved:
    return Approved(**{field.name: row[field.name] for field in fields(Approved)} | {"at": from_text(row["at"])})


def _grant(row: Row) -> Grant:
    found = {field.name: row[field.name] for field in fields(Grant)}
    return Grant(**found | {"created_at": from_text(found["created_at"]), "revoked_at": maybe(found["revoked_at"])})
