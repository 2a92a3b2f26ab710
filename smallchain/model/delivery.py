"""What passes between the inbox and the places where people are: a request as it is told there, and what somebody answered.

The one rule: whatever a channel brings back is only said, never done. The engine decides whether it counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from smallchain.model.human import RequestKind


class Verb(StrEnum):
    """What a person can say to a request; which of them a kind of request takes, `VERBS` tells."""

    APPROVE = "approve"
    DENY = "deny"
    ANSWER = "answer"
    HAPPENED = "happened"
    DID_NOT_HAPPEN = "did_not_happen"
    RUN_AGAIN = "run_again"
    RESUME = "resume"
    CANCEL = "cancel"


VERBS: dict[RequestKind, tuple[Verb, ...]] = {
    RequestKind.APPROVAL: (Verb.APPROVE, Verb.DENY),
    RequestKind.QUESTION: (Verb.ANSWER,),
    RequestKind.SETTLE: (Verb.HAPPENED, Verb.DID_NOT_HAPPEN, Verb.RUN_AGAIN),
    RequestKind.LOOP: (Verb.RESUME, Verb.CANCEL),
    RequestKind.QUARANTINE: (Verb.RESUME, Verb.CANCEL),
    RequestKind.BUDGET: (Verb.APPROVE, Verb.DENY),
    RequestKind.TOOL_CHANGED: (Verb.APPROVE, Verb.DENY),
}


UNPROVEN = frozenset({Verb.ANSWER, Verb.DENY})
"""What counts without the request's code where a sender can be forged: nothing starts by it, and nothing ends."""


@dataclass(frozen=True, slots=True)
class Told:
    """A request as a person is told of it. All but ids, kind, risk and times is written by models and tools: never interpreted."""

    request_id: str
    kind: RequestKind
    run: str
    path: str
    """From the root's agent to the tool: `manager > publisher > publish_post`."""
    tool: str
    question: str
    choices: tuple[str, ...]
    arguments: str
    """The arguments as canonical JSON, what the digest is over; empty where there are none."""
    digest: str
    risk: str
    why: str
    """The model's last words before it asked."""
    outcomes: tuple[tuple[Verb, str], ...]
    """What each answer leads to, a sentence each, in the order they are offered."""
    opened_at: datetime
    expires_at: datetime | None
    on_expiry: str


@dataclass(frozen=True, slots=True)
class ChannelInUse:
    """A channel as it is written now, with its token resolved for this use: never stored, logged or shown."""

    name: str
    type: str
    to: str
    allowed: tuple[str, ...]
    parameters: dict[str, Any]
    token: str | None = None

    def __repr__(self) -> str:
        return f"ChannelInUse({self.name}, {self.type}, {self.to})"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One telling of a request on one channel. `id` is the same however often it is tried, and over reminders; `reminder` counts
    from 0, the first telling. `reference` is what the channel answered to the first telling (a message's id), else empty."""

    id: str
    channel: ChannelInUse
    told: Told
    attempt: int
    reminder: int
    reference: str
    code: str
    """The request's one-time code: whoever repeats it has seen this delivery."""
    callback_key: bytes
    """The key that each channel's own key for callbacks about this request is derived from (`callback.key_for`)."""
    callback_url: str
    """Where a signed callback is heard; empty while the listener is off."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """The channel took it; `reference` is its own name for the message."""

    reference: str = ""


@dataclass(frozen=True, slots=True)
class Undelivered:
    """The channel did not take it. `for_now`: worth trying again; else somebody must change the channel first."""

    message: str
    for_now: bool
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """What somebody answered through a channel. `by` is who, as the channel itself knows them, never as the text claims."""

    request_id: str
    verb: Verb
    by: str
    via: str
    """The channel's name; `terminal`, `file` and `dashboard` for those of the owner's own machine."""
    text: str = ""
    """The answer, or what happened."""
    note: str = ""
    edits: dict[str, Any] | None = None
    """Arguments to put in the place of the model's, whole; None: as they are."""
    for_run: bool = False
    expect_digest: str | None = None
    code: str | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """What became of what was said: a sentence to the one who said it."""

    counted: bool
    sentence: str
    facts: dict[str, Any] = field(default_factory=dict)
