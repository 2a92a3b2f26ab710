"""Whether an MCP server should be kept running now; pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from smallchain.model.decision import Decision, Effect
from smallchain.model.lifecycles import Readiness

STABLE = timedelta(minutes=1)
"""A server that lived so long begins anew: its next end is the first again."""
CRASH_LOOP = 5
"""So many ends in a row, none of them after a minute, are told as a crash loop."""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """A server as it stands. `generation` tells its words apart; `checked` is the mark of its last end or start, `mark` that of one made
    now; `retry_at` after an error."""

    name: str
    generation: int
    status: Readiness
    unsupported: str
    checked: str
    mark: str
    retry_at: datetime


def decide(facts: ServerFacts, /, *, now: datetime) -> Decision:
    """`missing` when this version cannot keep what it asks for; to `keep` it, at once or when its pause after an end is over."""
    if facts.unsupported:
        return Decision(cause="missing", detail=facts.unsupported, at_rest=True)
    if facts.checked == facts.mark and facts.status is Readiness.ERROR and now < facts.retry_at:
        return Decision(look_at=facts.retry_at)
    return Decision(effects=(Effect("mcp_server", "keep", facts.name, facts.generation),))


def after_end(why: str, *, lived: timedelta, failures: int) -> tuple[int, str]:
    """How many ends in a row this is, and what to say of it."""
    count = 1 if lived >= STABLE else failures + 1
    return count, f"it has ended {count} times in a row: {why}" if count >= CRASH_LOOP else why
