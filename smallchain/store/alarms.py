"""Alarms: when to look at a row again, as rows; one timer in the daemon serves them all."""

from __future__ import annotations

from datetime import datetime

from smallchain.store.contract import Tx
from smallchain.store.times import maybe, to_text

KIND = "alarms"
"""The kind that is woken when the nearest alarm may have changed."""


def put(tx: Tx, kind: str, key: str, due_at: datetime, /) -> None:
    """Look at a row again at `due_at`; replaces its earlier alarm."""
    if tx.run("alarms.put", kind=kind, key=key, due_at=to_text(due_at)):
        tx.wake(KIND, "")


def drop(tx: Tx, kind: str, key: str, /) -> None:
    """Forget a row's alarm, if it has one."""
    tx.run("alarms.drop", kind=kind, key=key)


def due_at(tx: Tx, kind: str, key: str, /) -> datetime | None:
    """When a row is looked at again, or None."""
    row = tx.one("alarms.of", kind=kind, key=key)
    return maybe(row["due_at"]) if row else None


def due(tx: Tx, /, *, most: int) -> list[tuple[str, str]]:
    """Kind and key of what is due by now, oldest first."""
    return [(row["kind"], row["key"]) for row in tx.all("alarms.due", now=to_text(tx.now), most=most)]


def nearest(tx: Tx, /) -> datetime | None:
    """The next moment at which anything is due, or None."""
    row = tx.one("alarms.nearest")
    return maybe(row["due_at"]) if row else None
