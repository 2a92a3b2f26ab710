"""Whether a channel can be used, and when to find out; pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from smallchain.model.decision import STAY, Decision, Effect
from smallchain.model.lifecycles import Readiness


@dataclass(frozen=True, slots=True)
class ChannelFacts:
    """A channel as it stands. `checked` is the mark of the last check, `mark` that of one made now; `retry_at` after an error."""

    name: str
    status: Readiness
    unsupported: str
    failures: int
    checked: str
    mark: str
    retry_at: datetime


def decide(facts: ChannelFacts, /, *, now: datetime) -> Decision:
    """`missing` when nothing here speaks its type; a `check` when it is new, changed, of an earlier life of the daemon, or due again."""
    if facts.unsupported:
        return Decision(cause="missing", detail=facts.unsupported)
    check = Effect("channel", "check", facts.name, facts.failures)
    if facts.checked != facts.mark:
        return Decision(effects=(check,))
    if facts.status is Readiness.ERROR:
        return Decision(effects=(check,)) if now >= facts.retry_at else Decision(look_at=facts.retry_at)
    return STAY
