"""Messages: a conversation, append-only, each kept in the very text that is sent to the model."""

from __future__ import annotations

from typing import Any

from smallchain.model.canonical import canonical
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


def fresh(tx: Tx, run_id: str, /) -> dict[int, str]:
    """The texts of those messages that this transaction has appended, as far as they are at hand, by number."""
    return {row["seq"]: row["wire"] for row in tx.late("messages.append") if row["run_id"] == run_id}  # type: ignore[misc]


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
