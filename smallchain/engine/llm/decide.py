"""Whether an LLM can be used, and when to find out; pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from smallchain.engine.checks import words_of
from smallchain.model.decision import Decision, Effect
from smallchain.model.lifecycles import Readiness


@dataclass(frozen=True, slots=True)
class LLMFacts:
    """An LLM as it stands. `checked` is the mark of the last check, `mark` that of one made now; `retry_at` after an error."""

    name: str
    status: Readiness
    unsupported: str | None
    failures: int
    checked: str
    mark: str
    retry_at: datetime


def decide(facts: LLMFacts, /, *, now: datetime) -> Decision:
    """`missing` when this version cannot use it; a `check` when it is new, changed, of an earlier life of the daemon and not
    ready, or due again after an error."""
    if facts.unsupported is not None:
        return Decision(cause="missing", detail=facts.unsupported)
    check = Effect("llm", "check", facts.name, facts.failures)
    if facts.status is Readiness.READY and words_of(facts.checked) == words_of(facts.mark):
        return Decision()
    if facts.checked != facts.mark:
        return Decision(effects=(check,))
    if facts.status is Readiness.ERROR:
        return Decision(effects=(check,)) if now >= facts.retry_at else Decision(look_at=facts.retry_at)
    return Decision()
