"""The tools that come with Smallchain, as the model sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from smallchain.model.artifact import MOST_READ
from smallchain.model.ids import did_you_mean
from smallchain.model.steps import PARAMETERS as _PLAN


@dataclass(frozen=True, slots=True)
class Builtin:
    """What a model is told about a built-in tool."""

    name: str
    description: str
    parameters: dict[str, Any]


QUESTION: dict[str, Any] = {
    "type": "object",
    "properties": {
        "question": {"type": "string", "description": "What to ask"},
        "choices": {"type": "array", "items": {"type": "string"}, "description": "Answers to choose from"},
    },
    "required": ["question"],
}
ASK_HUMAN = "ask_human"
READ_ARTIFACT = "read_artifact"
UPDATE_PLAN = "update_plan"
CHECK_BUDGET, CHECK_SPEND = "check_budget", "check_current_spend_since"
LIST_WORK, CANCEL_WORK, SET_PRIORITY, WAIT_FOR_WORK = "list_work", "cancel_work", "set_priority", "wait_for_work"
SLEEP_FOR, SLEEP_UNTIL = "sleep_for", "sleep_until"
SLEEPS = frozenset({SLEEP_FOR, SLEEP_UNTIL})
_PIECE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "description": "The artifact's id, as a result names it"},
        "offset": {"type": "integer", "minimum": 0, "description": "The byte to begin at; 0 when left out"},
        "length": {"type": "integer", "minimum": 1, "description": f"How many bytes; at most, and when left out, {MOST_READ}"},
    },
    "required": ["id"],
}


_WORK: dict[str, Any] = {"type": "string", "description": "The id of the work, as the call that began it told it"}
_CANCEL: dict[str, Any] = {
    "type": "object",
    "properties": {"id": _WORK, "note": {"type": "string", "description": "Why"}},
    "required": ["id"],
}
_PRIORITY: dict[str, Any] = {
    "type": "object",
    "properties": {"id": _WORK, "priority": {"type": "integer", "minimum": -1000, "maximum": 1000, "description": "Higher goes first"}},
    "required": ["id", "priority"],
}
_WAIT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "mode": {"type": "string", "enum": ["any", "all"], "description": "all when left out"},
        "ids": {"type": "array", "items": {"type": "string"}, "description": "Which work; whatever goes on when left out"},
    },
}


def _of_two_numbers(name: str, description: str, first: str, second: str) -> Builtin:
    parameters = {
        "type": "object",
        "properties": {
            "a": {"type": "number", "description": first},
            "b": {"type": "number", "description": second},
        },
        "required": ["a", "b"],
    }
    return Builtin(name, description, parameters)


def _one_text(name: str, description: str) -> dict[str, Any]:
    return {"type": "object", "properties": {name: {"type": "string", "description": description}}, "required": [name]}


_SINCE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "since": {"type": "string", "description": "A duration (1h, 2d) or a moment with a time zone; all of it when not given"},
        "scope": {
            "type": "string",
            "enum": ["run", "tree", "agent", "everything"],
            "description": "You with those you delegated to (the default), the whole tree, all runs of your agent, or everything",
        },
    },
}


BUILTINS: dict[str, Builtin] = {
    builtin.name: builtin
    for builtin in (
        _of_two_numbers("add", "Add two numbers: a + b.", "The first number", "The second number"),
        _of_two_numbers("subtract", "Subtract two numbers: a - b.", "The number to subtract from", "The number to subtract"),
        _of_two_numbers("multiply", "Multiply two numbers: a * b.", "The first number", "The second number"),
        _of_two_numbers("divide", "Divide two numbers: a / b.", "The number to divide", "The number to divide by"),
        Builtin(ASK_HUMAN, "Ask a person and wait for the answer, which may take days.", QUESTION),
        Builtin(READ_ARTIFACT, "Read a part of an artifact: of a result that was cut, or of a text that a tool left.", _PIECE),
        Builtin(SLEEP_FOR, "Do nothing for a while; nothing is spent meanwhile.", _one_text("duration", "Such as 30s, 10m, 1h30m or 2d")),
        Builtin(
            SLEEP_UNTIL,
            "Do nothing until a moment; nothing is spent meanwhile.",
            _one_text("time", "ISO 8601 with a time zone, such as 2026-01-31T06:00:00Z"),
        ),
        Builtin(CHECK_BUDGET, "How the caps on your spending stand: what is left, spent and held.", {"type": "object", "properties": {}}),
        Builtin(CHECK_SPEND, "What model calls have cost since a moment, or within a duration.", _SINCE),
        Builtin(UPDATE_PLAN, "Keep a plan of what is to be done and how far it is; people see it too.", _PLAN),
        Builtin(LIST_WORK, "List the work that goes on in the background, and how it is.", {"type": "object", "properties": {}}),
        Builtin(CANCEL_WORK, "Cancel work in the background.", _CANCEL),
        Builtin(SET_PRIORITY, "Say how urgent work in the background is.", _PRIORITY),
        Builtin(WAIT_FOR_WORK, "Wait for work in the background; nothing is spent meanwhile.", _WAIT),
        Builtin("now", "The current time in UTC, as ISO 8601.", {"type": "object", "properties": {}}),
    )
}


def fault_in_builtin(name: str) -> tuple[str, str] | None:
    """Why a name cannot stand under `builtin` and what to do instead, or None when it can."""
    if name in BUILTINS:
        return None
    hint = did_you_mean(name, BUILTINS) or "the built-in tools are " + ", ".join(BUILTINS)
    return f"{name[:64]!r} is not a built-in tool", hint
