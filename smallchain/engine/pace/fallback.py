"""Which LLM an attempt goes to: the run's own, or one that takes its place; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from smallchain.model.lifecycles import Readiness

SHORT = timedelta(seconds=10)
"""A hold that is over so soon is waited for; for a longer one the fallback is called."""


@dataclass(frozen=True, slots=True)
class Link:
    """An LLM of a chain of fallbacks, as it stands now. `held_until`: None when it takes calls."""

    name: str
    status: Readiness
    detail: str = ""
    held_until: datetime | None = None
    held_why: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """The LLM to call, and why it is not the run's own (empty when it is). `lacking`: why none can be called, empty when one can."""

    llm: str
    why: str = ""
    lacking: str = ""


def choose(chain: Sequence[Link], /, *, now: datetime) -> Choice:
    """The first of a chain that can be called now, else the one that takes calls again first.

    An LLM that is Pending (not looked at yet, or not supported) is waited for: its fallback is for what fails, not for what is missing.
    """
    own = chain[0]
    if own.status is Readiness.PENDING:
        return Choice(own.name, lacking=f"LLM '{own.name}' waits: {own.detail}")
    ready = [link for link in chain if link.status is Readiness.READY]
    if not ready:
        others = "".join(f"; nor can its fallback '{link.name}': {link.detail}" for link in chain[1:])
        return Choice(own.name, lacking=f"LLM '{own.name}' cannot be used: {own.detail}{others}")
    free = [link for link in ready if link.held_until is None or link.held_until <= now + SHORT]
    best = free[0] if free else min(ready, key=lambda link: link.held_until or now)
    return Choice(best.name, _why_not(own, now) if best is not own else "")


def _why_not(own: Link, now: datetime) -> str:
    if own.status is not Readiness.READY:
        return own.detail
    return own.held_why if own.held_until is not None and own.held_until > now else "it takes no calls now"
