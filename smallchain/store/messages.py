"""Messages: a conversation, append-only, each kept in the very text that is sent to the model."""

from __future__ import annotations

from typing import Any

from smallchain.model.canonical import canonical
from smallchain.model.context import Part
from smallchain.model.run import Run
from smallchain.store.contract import Row, Tx
from smallchain.store.times import to_text


def append(tx: Tx, run: Run, message: dict[str, Any], /, *, number: int, template: str = "", attempt: int | None = None) -> None:
    """Append message `number` (from 1) of a run; `template` names the template whose words these are, when they are ours.

    The caller saves the run's own count of messages in the same transaction.
    """
    tx.later(
        "messages.append",
        run_id=run.id,
        seq=number,
        role=str(message["role"]),
        wire=canonical(message),
        template=template,
        attempt=attempt,
        created_at=to_text(tx.now),
    )


def wire(tx: Tx, run_id: str, upto: int, /, *, after: int = 0) -> list[str]:
    """The messages 1 to `upto`, or those `after` a number, as texts of JSON, ready to be joined into a request."""
    return [row["wire"] for row in tx.all("messages.wire", run_id=run_id, upto=upto, after=after)]


def sent(tx: Tx, run_id: str, part: Part, /) -> list[Row]:
    """The rows (`wire`, `template`) of the messages that a request holds."""
    if not part.first:
        return tx.all("messages.wire", run_id=run_id, upto=part.upto, after=0)
    found = tx.all("messages.wire", run_id=run_id, upto=head(tx, run_id), after=0)
    if not part.summary:
        return found + tx.all("messages.wire", run_id=run_id, upto=part.upto, after=part.first - 1)
    found += tx.all("messages.wire", run_id=run_id, upto=part.summary, after=part.summary - 1)
    return found + tx.all("messages.wire_without_summaries", run_id=run_id, upto=part.upto, after=part.first - 1)


def head(tx: Tx, run_id: str, /) -> int:
    """The number of the last message of the head, which is in every request."""
    row = tx.one("messages.head", run_id=run_id)
    return int(row["head"]) if row else 0


def replies(tx: Tx, run_id: str, /, *, first: int = 0, most: int = -1) -> list[int]:
    """The numbers of the newest replies behind the head and from `first` on, at most so many (-1: all of them), in rising order."""
    first = max(first, head(tx, run_id) + 1)
    return [row["seq"] for row in reversed(tx.all("messages.replies", run_id=run_id, first=first, most=most))]


def fresh(tx: Tx, run_id: str, /) -> dict[int, str]:
    """The texts of those messages that this transaction has appended, as far as they are at hand, by number."""
    return {row["seq"]: row["wire"] for row in tx.late("messages.append") if row["run_id"] == run_id}  # type: ignore[misc]


def following(tx: Tx, run_id: str, after: int, upto: int, /) -> list[str]:
    """The texts of the messages after a number up to another; those of this very transaction are at hand, and not written for it."""
    at_hand = fresh(tx, run_id)
    numbers = range(after + 1, upto + 1)
    return [at_hand[number] for number in numbers] if at_hand.keys() >= set(numbers) else wire(tx, run_id, upto, after=after)


def one(tx: Tx, run_id: str, seq: int, /) -> str:
    """One message as a text of JSON; empty when there is none."""
    row = tx.one("messages.one", run_id=run_id, seq=seq)
    return str(row["wire"]) if row else ""


def template_of(tx: Tx, run_id: str, number: int, /) -> str:
    """The template that a message is of; empty when it is not ours, or not there."""
    row = tx.one("messages.template_of", run_id=run_id, seq=number)
    return row["template"] if row else ""


def of_run(tx: Tx, run_id: str, /) -> list[Row]:
    """All rows of a conversation, in order."""
    return tx.all("messages.of_run", run_id=run_id)
