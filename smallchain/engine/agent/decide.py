"""Whether an agent can be used; pure."""

from __future__ import annotations

from dataclasses import dataclass

from smallchain.model.lifecycles import Readiness


@dataclass(frozen=True, slots=True)
class AgentFacts:
    """What of an agent's reach is waited for (`lacking`) and what is wrong (`broken`), as sentences."""

    lacking: tuple[str, ...]
    broken: tuple[str, ...]


def decide(facts: AgentFacts, /) -> tuple[Readiness, str]:
    """The readiness of an agent and why. What is lacking comes first: it heals when it appears."""
    if facts.lacking:
        return Readiness.PENDING, "; ".join(facts.lacking)
    if facts.broken:
        return Readiness.ERROR, "; ".join(facts.broken)
    return Readiness.READY, ""
