"""THE table: every kind that moves, its phases, what happens to it, and where that leads. Terminal phases are `{}`.

From this table come the store's guard, the SQL checks (compared in a test), the diagrams in `docs/lifecycles.md`, and the
tests that every phase can reach an end and that no decision leaves the table. A phase sums up recorded facts: the table
bounds moves, it never causes them.
"""

from __future__ import annotations

from enum import StrEnum


class RunPhase(StrEnum):
    """Where a run stands."""

    PENDING = "pending"
    READY = "ready"
    CALLING_MODEL = "calling_model"
    AWAITING_TOOLS = "awaiting_tools"
    AWAITING_WORK = "awaiting_work"
    BACKING_OFF = "backing_off"
    OVER_BUDGET = "over_budget"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class CallPhase(StrEnum):
    """Where a tool call stands."""

    PENDING = "pending"
    AWAITING_APPROVAL = "awaiting_approval"
    READY = "ready"
    EXECUTING = "executing"
    AWAITING_ANSWER = "awaiting_answer"
    AWAITING_CALLBACK = "awaiting_callback"
    DELEGATED = "delegated"
    SLEEPING = "sleeping"
    IN_DOUBT = "in_doubt"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"


class RequestPhase(StrEnum):
    """Where a request to a person stands."""

    OPEN = "open"
    ANSWERED = "answered"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class DeliveryPhase(StrEnum):
    """Where the telling of a request on one channel stands."""

    WAITING = "waiting"
    DELIVERING = "delivering"
    DELIVERED = "delivered"
    HELD = "held"
    CLOSING = "closing"
    CLOSED = "closed"


class Readiness(StrEnum):
    """Whether an LLM, agent, tool, MCP server or channel can be used; no state is absorbing."""

    PENDING = "Pending"
    READY = "Ready"
    ERROR = "Error"


RUN: dict[str, dict[str, str]] = {
    "pending": {"dependencies_ready": "ready", "impossible": "failed", "limit_reached": "failed", "cancelled": "cancelled"},
    "ready": {
        "model_called": "calling_model",
        "dependencies_lost": "pending",
        "limit_reached": "failed",
        "over_cap": "over_budget",
        "stopped_by_cap": "failed",
        "cancelled": "cancelled",
    },
    "calling_model": {
        "asked_for_tools": "awaiting_tools",
        "answered": "succeeded",
        "answered_with_work_open": "awaiting_work",
        "call_failed_for_now": "backing_off",
        "call_failed": "failed",
        "model_unusable": "pending",
        "reply_unfit": "ready",
        "shortened": "ready",
        "call_interrupted": "ready",
        "limit_reached": "failed",
        "cancelled": "cancelled",
    },
    "awaiting_tools": {
        "results_in": "ready",
        "results_in_with_work_awaited": "awaiting_work",
        "limit_reached": "failed",
        "stopped_by_cap": "failed",
        "cancelled": "cancelled",
    },
    "awaiting_work": {"work_finished": "ready", "limit_reached": "failed", "cancelled": "cancelled"},
    "backing_off": {"waited": "ready", "gave_up": "failed", "limit_reached": "failed", "cancelled": "cancelled"},
    "over_budget": {"room": "ready", "limit_reached": "failed", "stopped_by_cap": "failed", "cancelled": "cancelled"},
    "succeeded": {},
    "failed": {},
    "cancelled": {},
}

TOOLCALL: dict[str, dict[str, str]] = {
    "pending": {
        "approval_needed": "awaiting_approval",
        "admitted": "ready",
        "not_possible": "failed",
        "refused_by_policy": "rejected",
        "cancelled": "cancelled",
    },
    "awaiting_approval": {"approved": "ready", "denied": "rejected", "expired": "rejected", "cancelled": "cancelled"},
    "ready": {
        "started": "executing",
        "child_made": "delegated",
        "detached": "succeeded",
        "asked": "awaiting_answer",
        "handed_out": "awaiting_callback",
        "fell_asleep": "sleeping",
        "approval_needed": "awaiting_approval",
        "refused_by_policy": "rejected",
        "not_possible": "failed",
        "cancelled": "cancelled",
    },
    "executing": {
        "finished": "succeeded",
        "went_wrong": "failed",
        "took_too_long": "timed_out",
        "interrupted": "ready",
        "interrupted_once": "in_doubt",
        "retry_due": "ready",
        "cancelled": "cancelled",
    },
    "awaiting_answer": {"answered": "succeeded", "expired": "failed", "cancelled": "cancelled"},
    "awaiting_callback": {
        "called_back": "succeeded",
        "called_back_with_error": "failed",
        "took_too_long": "timed_out",
        "telling": "awaiting_callback",
        "telling_in_doubt": "in_doubt",
        "refused": "failed",
        "taken_back": "ready",
        "cancelled": "cancelled",
    },
    "delegated": {
        "child_succeeded": "succeeded",
        "child_failed": "failed",
        "child_cancelled": "failed",
        "cancelled": "cancelled",
    },
    "sleeping": {"woke": "succeeded", "cancelled": "cancelled"},
    "in_doubt": {"it_happened": "succeeded", "it_did_not_happen": "failed", "run_again": "ready", "cancelled": "cancelled"},
    "succeeded": {},
    "failed": {},
    "rejected": {},
    "cancelled": {},
    "timed_out": {},
}

REQUEST: dict[str, dict[str, str]] = {
    "open": {"answered": "answered", "expired": "expired", "withdrawn": "withdrawn"},
    "answered": {},
    "expired": {},
    "withdrawn": {},
}

DELIVERY: dict[str, dict[str, str]] = {
    "waiting": {"attempted": "delivering", "channel_lacking": "held", "ended": "closing", "ended_untold": "closed"},
    "delivering": {"taken": "delivered", "refused_for_now": "waiting", "refused": "held", "interrupted": "waiting"},
    "delivered": {"reminded": "waiting", "ended": "closing"},
    "held": {"channel_changed": "waiting", "ended": "closing", "ended_untold": "closed"},
    "closing": {"end_told": "closed"},
    "closed": {},
}

READINESS: dict[str, dict[str, str]] = {
    "Pending": {"usable": "Ready", "broken": "Error"},
    "Ready": {"missing": "Pending", "broken": "Error"},
    "Error": {"usable": "Ready", "missing": "Pending"},
}

LIFECYCLES: dict[str, dict[str, dict[str, str]]] = {
    "Run": RUN,
    "ToolCall": TOOLCALL,
    "HumanRequest": REQUEST,
    "Delivery": DELIVERY,
    "LLM, Agent, Tool, MCPServer, Channel": READINESS,
}

RUN_TERMINAL = frozenset(phase for phase, edges in RUN.items() if not edges)
CALL_TERMINAL = frozenset(phase for phase, edges in TOOLCALL.items() if not edges)


class IllegalMove(AssertionError):
    """A move that the table does not have: a fault of this program, never of its input."""


def move(table: dict[str, dict[str, str]], phase: str, cause: str) -> str:
    """Where a cause leads from a phase; raises IllegalMove when the table has no such edge."""
    try:
        return table[phase][cause]
    except KeyError:
        raise IllegalMove(f"{cause!r} does not lead out of {phase!r}") from None
