"""Calls that were handed out: since when and until when, whether somebody is still to be told, and who brought the result."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from smallchain.model.errors import Conflict
from smallchain.store.contract import Tx
from smallchain.store.times import from_text, maybe, to_text


@dataclass(frozen=True, slots=True)
class HandedOut:
    """A row. `tell_at`: when to tell whoever does the work, None when they know; `digest`: of the body that brought the result."""

    call_id: str
    handed_out_at: datetime
    expires_at: datetime | None
    tell_at: datetime | None
    refusals: int
    digest: str
    brought_by: str
    brought_at: datetime | None


def put(tx: Tx, call_id: str, /, *, expires_at: datetime | None, tells: bool) -> None:
    """Record that a call is handed out now; `tells`: somebody is to be told of it."""
    tx.run(
        "callbacks.put",
        call_id=call_id,
        handed_out_at=to_text(tx.now),
        expires_at=to_text(expires_at) if expires_at else None,
        tell_at=to_text(tx.now) if tells else None,
    )


def find(tx: Tx, call_id: str, /) -> HandedOut | None:
    """How a call was handed out; None when it was not."""
    row = tx.one("callbacks.get", call_id=call_id)
    if row is None:
        return None
    return HandedOut(
        call_id=row["call_id"],
        handed_out_at=from_text(row["handed_out_at"]),
        expires_at=maybe(row["expires_at"]),
        tell_at=maybe(row["tell_at"]),
        refusals=row["refusals"],
        digest=row["digest"],
        brought_by=row["brought_by"],
        brought_at=maybe(row["brought_at"]),
    )


def tell(tx: Tx, call_id: str, at: datetime | None, /, *, refusals: int = 0) -> None:
    """Say when whoever does the work is to be told again, after so many refusals; None: they know."""
    tx.run("callbacks.tell", call_id=call_id, tell_at=to_text(at) if at else None, refusals=refusals)


def bring(tx: Tx, call_id: str, /, *, digest: str, by: str) -> None:
    """Record who brought the result; raises Conflict when somebody else did first."""
    if tx.run("callbacks.bring", call_id=call_id, digest=digest, brought_by=by, brought_at=to_text(tx.now)) != 1:
        raise Conflict(f"the result of tool call {call_id} was brought before")


def to_tell(tx: Tx, /) -> list[str]:
    """Ids of the calls of which somebody is to be told."""
    return [row["call_id"] for row in tx.all("callbacks.to_tell")]
