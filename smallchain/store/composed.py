"""Requests that a person's context strategy made: kept, since nothing can make the same one again. `full` needs no rows here."""

from __future__ import annotations

from dataclasses import dataclass

from smallchain.store.contract import Tx


@dataclass(frozen=True, slots=True)
class Composed:
    """The body of an attempt, for which LLM it was made and of how many messages of the conversation."""

    body: str
    llm: str
    messages: int


def put(tx: Tx, run_id: str, attempt: int, made: Composed, /) -> None:
    """Keep the body of an attempt that is not recorded yet; takes the place of an earlier one."""
    tx.run("composed.put", run_id=run_id, attempt=attempt, body=made.body, llm=made.llm, messages=made.messages)


def find(tx: Tx, run_id: str, attempt: int, /) -> Composed | None:
    """What was kept for an attempt, or None."""
    row = tx.one("composed.get", run_id=run_id, attempt=attempt)
    return Composed(row["body"], row["llm"], row["messages"]) if row else None


def get(tx: Tx, run_id: str, attempt: int, /) -> str | None:
    """The body of an attempt, or None when none was kept."""
    found = find(tx, run_id, attempt)
    return found.body if found is not None else None
