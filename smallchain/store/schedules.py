"""Schedules: how far each has come, and which run was made for which moment; a moment's run is made once, which the table keeps."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from smallchain.model.errors import Conflict
from smallchain.store.contract import Row, Tx, Value
from smallchain.store.times import from_text, maybe, to_text

KIND = "schedule"


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a schedule has come. `timing`: the words that its moments come from; `since`: when they began to hold."""

    name: str
    timing: str
    since: datetime
    considered_at: datetime
    """Moments up to here are settled: started, skipped, or waiting."""
    waiting: datetime | None = None
    """The moment whose start waits until the last run is over."""
    skipped: int = 0
    skipped_at: datetime | None = None
    skipped_why: str = ""
    version: int = 1


@dataclass(frozen=True, slots=True)
class Start:
    """A run that a schedule made, and the moment it was made for."""

    moment: datetime
    run_id: str


def get(tx: Tx, name: str, /) -> Standing | None:
    """How far a schedule has come, or None before it was first looked at."""
    row = tx.one("schedules.get", name=name)
    return _from_row(row) if row else None


def add(tx: Tx, standing: Standing, /) -> Standing:
    """A schedule that is new."""
    tx.run("schedules.insert", **_values(standing))
    return standing


def save(tx: Tx, standing: Standing, /, **changes: Any) -> Standing:
    """Write changes; raises Conflict when the row has another version."""
    after = replace(standing, **changes, version=standing.version + 1)
    if tx.run("schedules.save", **_values(after), read=standing.version) != 1:
        raise Conflict(f"schedule {standing.name!r} was changed meanwhile")
    return after


def forget(tx: Tx, name: str, /) -> None:
    """It is no longer written anywhere. What it has started stays, so that a moment starts once also if it comes back."""
    tx.run("schedules.forget", name=name)


def waiting(tx: Tx, /) -> list[str]:
    """Names of the schedules that have a start which waits until the last run is over."""
    return list(tx.recall("schedules", "waiting", lambda: [row["name"] for row in tx.all("schedules.waiting")]))


def count_started(tx: Tx, name: str, first: datetime, last: datetime, /) -> int:
    """For how many moments of a time, both ends included, a run was made."""
    row = tx.one("schedules.count_started", schedule=name, first=to_text(first), last=to_text(last))
    return int(row["count"]) if row else 0


def add_start(tx: Tx, name: str, start: Start, /) -> None:
    """Write down the run of a moment; a second one for it breaks the table's rule, and so the transaction."""
    tx.run("schedules.add_start", schedule=name, moment=to_text(start.moment), run_id=start.run_id)


def starts(tx: Tx, name: str, /, *, most: int) -> list[Start]:
    """What a schedule has started, the newest first."""
    return [Start(from_text(row["moment"]), row["run_id"]) for row in tx.all("schedules.starts", schedule=name, most=most)]


def _from_row(row: Row) -> Standing:
    return Standing(
        name=row["name"],
        timing=row["timing"],
        since=from_text(row["since"]),
        considered_at=from_text(row["considered_at"]),
        waiting=maybe(row["waiting"]),
        skipped=row["skipped"],
        skipped_at=maybe(row["skipped_at"]),
        skipped_why=row["skipped_why"],
        version=row["version"],
    )


def _values(standing: Standing) -> dict[str, Value]:
    return {key: to_text(value) if isinstance(value, datetime) else value for key, value in asdict(standing).items()}
