"""Requests that a person's context strategy made: kept, since nothing can make the same one again. `full` needs no rows here."""

from __future__ import annotations

from smallchain.store.contract import Tx


def put(tx: Tx, run_id: str, attempt: int, body: str, /) -> None:
    """Keep the body of an attempt, before it is sent."""
    tx.run("composed.put", run_id=run_id, attempt=attempt, body=body)


def get(tx: Tx, run_id: str, attempt: int, /) -> str | None:
    """The body of an attempt, or None when none was kept."""
    row = tx.one("composed.get", run_id=run_id, attempt=attempt)
    return row["body"] if row else None
