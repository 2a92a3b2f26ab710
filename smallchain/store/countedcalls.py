"""Tool calls that a limit of calls counts: a row for each, made in the transaction that starts the call.

Rows do not know the limit: one that is written anew counts what the one before it counted.
"""

from __future__ import annotations

from datetime import datetime

from smallchain.store.contract import Tx
from smallchain.store.times import from_text, to_text


def add(tx: Tx, counted_by: str, run_id: str, /) -> None:
    """Count a call that starts."""
    tx.later("countedcalls.add", counted_by=counted_by, run_id=run_id, at=to_text(tx.now))


def nth_since(tx: Tx, counted_by: str, number: int, since: datetime, /) -> datetime | None:
    """When the `number`-th newest call since a moment was made; None: there are not so many."""
    row = tx.one("countedcalls.nth_since", counted_by=counted_by, since=to_text(since), before=number - 1)
    return from_text(row["at"]) if row else None


def has(tx: Tx, counted_by: str, number: int, run_id: str, /) -> bool:
    """Whether a run has made so many calls."""
    return tx.one("countedcalls.nth_of_run", counted_by=counted_by, run_id=run_id, before=number - 1) is not None


def come_back(tx: Tx, /) -> None:
    """Let calls that a clock which ran ahead recorded count as made now: going back in time makes no room, and takes none for longer."""
    tx.run("countedcalls.come_back", now=to_text(tx.now))


def count(tx: Tx, counted_by: str, since: datetime, /) -> int:
    """How many calls there were since a moment."""
    row = tx.one("countedcalls.count", counted_by=counted_by, since=to_text(since))
    return int(row["count"]) if row else 0
