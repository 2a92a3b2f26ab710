"""A request to a person: whatever waits for one is a row of this kind (design section 5). And what a person decided, where it stays."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from smallchain.model.lifecycles import DeliveryPhase, RequestPhase

MOST_OPEN = 20
"""Requests of one run that are open at a time: who is asked too much reads nothing. Further calls wait until one is decided."""


class RequestKind(StrEnum):
    """What is asked of the person."""

    APPROVAL = "approval"
    QUESTION = "question"
    SETTLE = "settle"
    BUDGET = "budget"
    LOOP = "loop"
    TOOL_CHANGED = "tool_changed"
    QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True)
class HumanRequest:
    """A request's row. `decision` is canonical JSON once there is one; all from `tool` to `arguments` is as it was when it was asked."""

    id: str
    kind: RequestKind
    run_id: str
    call_id: str | None
    phase: RequestPhase
    question: str
    digest: str
    tool: str
    path: str
    """From the root's agent to the tool: `manager > publisher > publish_post`."""
    why: str
    """The model's last words before it asked."""
    rule: str
    """Which rule asks for it, and where it is written."""
    risk: str
    choices: str
    """Answers to choose from, a JSON list; empty for none."""
    arguments: str
    """The arguments, canonical JSON; empty where there are none."""
    channel: str
    """Where it is asked; empty: in the inbox alone."""
    expires_at: datetime | None
    on_expiry: str
    remind: str
    """The gaps between reminders in seconds, a JSON list; the last repeats."""
    reminders: int
    remind_at: datetime | None
    escalate_at: datetime | None
    escalate_to: str
    decision: str
    note: str
    decided_by: str
    decided_via: str
    created_at: datetime
    decided_at: datetime | None
    version: int


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """The telling of one request on one channel. `due_at`: when to try again; `epoch` and `mark`: the life of the daemon and the
    channel's words at the last attempt."""

    id: str
    request_id: str
    channel: str
    phase: DeliveryPhase
    attempts: int
    failures: int
    reminder: int
    reference: str
    detail: str
    epoch: int
    mark: str
    due_at: datetime | None
    created_at: datetime
    delivered_at: datetime | None
    version: int


@dataclass(frozen=True, slots=True)
class Approved:
    """That a person let a call run. `arguments`: what runs in the place of the model's, canonical JSON; empty: as they are."""

    call_id: str
    run_id: str
    request_id: str
    digest: str
    arguments: str
    note: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Grant:
    """That a person let a tool, as it is pinned, run in one run without being asked again. It ends with the run."""

    id: str
    run_id: str
    tool: str
    target: str
    """The digest of the tool and its executor, without arguments."""
    by: str
    via: str
    note: str
    created_at: datetime
    revoked_at: datetime | None
    revoked_by: str
