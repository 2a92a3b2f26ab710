"""What model calls have cost, summed from their rows; the one rule: a sum is never kept, so that it cannot differ from what it sums."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum

from smallchain.store.contract import Tx
from smallchain.store.times import to_text


class By(StrEnum):
    """What a sum is of: hours and days are UTC's, a call belongs to the one in which it was settled."""

    HOUR = "hour"
    DAY = "day"
    AGENT = "agent"
    LLM = "llm"
    MODEL = "model"
    TASK = "task"
    RUN = "run"


@dataclass(frozen=True, slots=True)
class Spent:
    """A sum; what it is not told apart by is None. `unpriced` calls told their tokens and are in no price list: they count as nothing."""

    hour: str | None
    """Its first 13 characters: `2026-11-24T20`."""
    day: str | None
    agent: str | None
    llm: str | None
    model: str | None
    task: str | None
    run_id: str | None
    run: str | None
    calls: int
    unpriced: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_nanousd: int


_COLUMNS = tuple(field.name for field in fields(Spent))


def sums(tx: Tx, by: Collection[By], /, *, since: datetime | None = None, tree_of: str | None = None) -> list[Spent]:
    """What settled calls came to, a sum for each combination of what it is told apart `by`: oldest first, then the dearest.

    `since`: of calls settled from this moment on. `tree_of`: of a run and its descendants.
    """
    asked = {each.value: int(each in by) for each in By}
    rows = tx.all("spend.sums", **asked, since=to_text(since) if since is not None else "", tree_of=tree_of)
    return [Spent(*[row[name] for name in _COLUMNS]) for row in rows]
