"""A request to a person: whatever waits for one is a row of this kind (design section 5)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from smallchain.model.lifecycles import RequestPhase


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
    """A request's row. `decision` is canonical JSON once there is one."""

    id: str
    kind: RequestKind
    run_id: str
    call_id: str | None
    phase: RequestPhase
    question: str
    digest: str
    decision: str
    note: str
    decided_by: str
    created_at: datetime
    decided_at: datetime | None
    version: int
