"""What a request and its deliveries do next; pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from smallchain.model.decision import STAY, Decision, Effect
from smallchain.model.lifecycles import DeliveryPhase, RequestPhase


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """What time can bring a request. `on_expiry: escalate`: at `expires_at` the next channel is asked, and it waits on."""

    phase: RequestPhase
    expires_at: datetime | None = None
    on_expiry: str = ""
    remind_at: datetime | None = None
    escalate_at: datetime | None = None


def decide(facts: RequestFacts, /, *, now: datetime) -> Decision:
    """The next step of a request: `expired`, `escalated`, `reminded`, or when to look again."""
    match facts.phase:
        case RequestPhase.OPEN:
            if facts.expires_at is not None and now >= facts.expires_at:
                return Decision(cause="escalated" if facts.on_expiry == "escalate" else "expired")
            if facts.escalate_at is not None and now >= facts.escalate_at:
                return Decision(cause="escalated")
            if facts.remind_at is not None and now >= facts.remind_at:
                return Decision(cause="reminded")
            moments = [each for each in (facts.expires_at, facts.escalate_at, facts.remind_at) if each is not None]
            return Decision(look_at=min(moments, default=None))
        case RequestPhase.ANSWERED | RequestPhase.EXPIRED | RequestPhase.WITHDRAWN:
            return Decision(at_rest=True)
        case _:
            assert_never(facts.phase)


def next_reminder(gaps: tuple[timedelta, ...], made: int, /, *, now: datetime) -> datetime | None:
    """When to remind again after `made` reminders: the gaps in turn, the last one for ever."""
    return now + gaps[min(made, len(gaps) - 1)] if gaps else None


@dataclass(frozen=True, slots=True)
class DeliveryFacts:
    """What a delivery's next step depends on. `epoch` is the life of the daemon, `tried_in` the one of its last attempt; `mark` tells
    the channel as it was at that attempt, `channel` as it is now (empty: it can't be used)."""

    id: str
    phase: DeliveryPhase
    request_is_open: bool
    epoch: int = 0
    tried_in: int = 0
    attempts: int = 0
    due_at: datetime | None = None
    mark: str = ""
    channel: str = ""


def decide_delivery(facts: DeliveryFacts, /, *, now: datetime) -> Decision:
    """The next step of a delivery. One that is under way ends before the end is told; one that never arrived is told no end."""
    match facts.phase:
        case DeliveryPhase.WAITING:
            return _wait(facts, now)
        case DeliveryPhase.DELIVERING:
            if facts.tried_in != facts.epoch:
                return Decision(cause="interrupted")
            return Decision(effects=(Effect("delivery", "deliver", facts.id, facts.attempts),))
        case DeliveryPhase.DELIVERED:
            return STAY if facts.request_is_open else Decision(cause="ended")
        case DeliveryPhase.HELD:
            if not facts.request_is_open:
                return _end(facts)
            return Decision(cause="channel_changed") if facts.channel not in ("", facts.mark) else STAY
        case DeliveryPhase.CLOSING:
            return Decision(effects=(Effect("delivery", "tell_end", facts.id, facts.attempts),))
        case DeliveryPhase.CLOSED:
            return Decision(at_rest=True)
        case _:
            assert_never(facts.phase)


def _wait(facts: DeliveryFacts, now: datetime) -> Decision:
    if not facts.request_is_open:
        return _end(facts)
    if facts.due_at is not None and now < facts.due_at:
        return Decision(look_at=facts.due_at)
    return Decision(cause="attempted" if facts.channel else "channel_lacking")


def _end(facts: DeliveryFacts) -> Decision:
    """An attempt may have arrived although nobody recorded it: then the end is told there too."""
    return Decision(cause="ended" if facts.attempts else "ended_untold")
