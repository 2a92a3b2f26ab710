"""Answers kept under the key of the request that caused them, in the transaction of the change, for 24 hours."""

from __future__ import annotations

from datetime import timedelta

from smallchain.model.errors import Refused
from smallchain.store.contract import Tx
from smallchain.store.times import to_text

KEPT = timedelta(hours=24)


def recall(tx: Tx, key: str, /, *, asked: str) -> str | None:
    """The first answer under a key, or None; raises Refused when the key was used for another request."""
    row = tx.one("idempotency.get", key=key)
    if row is None:
        return None
    if row["asked"] != asked:
        raise Refused("this Idempotency-Key was used for another request", hint="make a new key for each act")
    return str(row["answer"])


def keep(tx: Tx, key: str, /, *, asked: str, answer: str) -> None:
    """Keep an answer under a key."""
    tx.run("idempotency.put", key=key, asked=asked, answer=answer, at=to_text(tx.now))


def sweep(tx: Tx, /) -> None:
    """Forget what is older than a day."""
    tx.run("idempotency.sweep", before=to_text(tx.now - KEPT))
