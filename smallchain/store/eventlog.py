"""Events: appended with the change they tell of, in its transaction; never changed."""

from __future__ import annotations

from datetime import datetime

from smallchain.model.events import Object, sentence
from smallchain.model.run import Run
from smallchain.model.toolcall import ToolCall
from smallchain.store.contract import Row, Tx
from smallchain.store.times import from_text, to_text

FEED = "events"
"""The kind that is woken when there is a new event."""


def tell(tx: Tx, reason: str, about: Object, /, *, of: Run | None = None, **facts: str) -> None:
    """Append an event with the sentence of its reason; `of` is the run it belongs to, whose name the sentence may use."""
    if of is not None:
        facts = {"run": of.name, "agent": of.agent, "task": of.task, **facts}
    level, message = sentence(reason, facts)
    tx.later(
        "events.append",
        time=to_text(tx.now),
        level=str(level),
        reason=reason,
        object_kind=about.kind,
        object_name=about.name,
        object_id=about.id,
        run_id=of.id if of else None,
        run=of.name if of else None,
        message=message.encode("utf-8", "backslashreplace").decode(),
    )
    tx.wake(FEED, "")


def about(run: Run) -> Object:
    """A run as the object of an event."""
    return Object("run", run.name, run.id)


def about_call(call: ToolCall) -> Object:
    """A tool call as the object of an event."""
    return Object("toolcall", call.function, call.id)


def after(tx: Tx, seq: int, /, *, most: int, run_id: str | None = None) -> list[Row]:
    """At most `most` events after a sequence number, oldest first; of one run and its descendants where given."""
    if run_id is None:
        return tx.all("events.after", after=seq, most=most)
    return tx.all("events.after_of_tree", after=seq, most=most, run_id=run_id)


def before_tail(tx: Tx, count: int, /, *, run_id: str | None = None) -> int:
    """The sequence number after which the last `count` events lie."""
    query, of = ("events.tail", {}) if run_id is None else ("events.tail_of_tree", {"run_id": run_id})
    row = tx.one(query, most=count, **of)
    return int(row["seq"]) if row else 0


def before_moment(tx: Tx, time: str, /) -> int:
    """The sequence number after which the events since a stored moment lie."""
    row = tx.one("events.since", time=time)
    return int(row["seq"]) if row else 0


def newest_time(tx: Tx, /) -> datetime | None:
    """When the newest event was told: the last sign of a life that has ended; None before the first."""
    row = tx.one("events.newest_time")
    return from_text(row["time"]) if row else None


def last(tx: Tx, /) -> int:
    """The last sequence number given; 0 before the first."""
    row = tx.one("events.last")
    return int(row["seq"]) if row else 0


def go_on_after(tx: Tx, seq: int, /) -> None:
    """Give no sequence number again that was given up to `seq`: readers that saw them ask for what comes after."""
    tx.run("events.go_on_after", seq=seq)
    tx.run("events.begin_after", seq=seq)
