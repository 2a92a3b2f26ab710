"""Whether something outside is looked at before it is used, and when again: what channels and tools share; pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from smallchain.model.decision import STAY, Decision, Effect
from smallchain.model.lifecycles import Readiness

FIRST_RETRY = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class CheckFacts:
    """A resource as it stands. `checked` is the mark of the last check, `mark` that of one made now; `retry_at` after an error."""

    kind: str
    name: str
    status: Readiness
    unsupported: str
    failures: int
    checked: str
    mark: str
    retry_at: datetime


def decide(facts: CheckFacts, /, *, now: datetime) -> Decision:
    """`missing` when nothing here can use it; a `check` when it is new, changed, of an earlier life of the daemon, or due again."""
    if facts.unsupported:
        return Decision(cause="missing", detail=facts.unsupported)
    check = Effect(facts.kind, "check", facts.name, facts.failures)
    if facts.checked != facts.mark:
        return Decision(effects=(check,))
    if facts.status is Readiness.ERROR:
        return Decision(effects=(check,)) if now >= facts.retry_at else Decision(look_at=facts.retry_at)
    return STAY


def mark_of(epoch: int, *digests: str) -> str:
    """What a check or an attempt looked at: the life of the daemon (its environment), and the words."""
    return f"{epoch}/{'/'.join(digest[:16] for digest in digests)}"


def words_of(mark: str) -> str:
    """The part of a mark that tells the words apart."""
    return mark.partition("/")[2]
