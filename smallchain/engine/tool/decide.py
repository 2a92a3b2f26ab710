"""Whether a tool can be used; pure."""

from __future__ import annotations

from dataclasses import dataclass

from smallchain.model.lifecycles import Readiness


@dataclass(frozen=True, slots=True)
class ToolFacts:
    """Why this version cannot keep the entry (None: it can)."""

    unsupported: str | None


def decide(facts: ToolFacts, /) -> tuple[Readiness, str]:
    """The readiness of a tool and why."""
    if facts.unsupported is not None:
        return Readiness.PENDING, facts.unsupported
    return Readiness.READY, ""
