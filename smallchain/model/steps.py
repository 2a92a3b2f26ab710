"""The plan that an agent makes for itself: an ordered list of steps, replaced whole each time; the model's own words, bounded.

The one rule: what is kept is what the agent is told and what people see; nothing in it ever moves anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from smallchain.model.errors import BadInput

MOST_STEPS = 100
LONGEST = 1000
"""Characters of an item or a note."""
LARGEST = 16_000
"""Characters of all items and notes: a plan is told whole, and never cut."""
PRIORITIES = range(-1000, 1001)
"""As those of runs: higher goes first."""


class StepStatus(StrEnum):
    """Where a step stands, as the agent says."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    DONE = "done"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One step: what is to be done, how far it is, how much it matters (None: the agent did not say), and a remark."""

    item: str
    status: StepStatus = StepStatus.PENDING
    priority: int | None = None
    note: str = ""

    def shown(self) -> dict[str, Any]:
        """The step as an object, without what it does not say."""
        said = {"item": self.item, "status": self.status.value, "priority": self.priority, "note": self.note}
        return {name: value for name, value in said.items() if value not in (None, "")}


PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "plan": {
            "type": "array",
            "description": "The whole plan in order; it replaces the one before. Left out: the plan as it stands is told",
            "items": {
                "type": "object",
                "properties": {
                    "item": {"type": "string", "description": "What is to be done"},
                    "status": {"type": "string", "enum": [status.value for status in StepStatus]},
                    "priority": {"type": "integer", "description": "Higher goes first"},
                    "note": {"type": "string", "description": "What is worth remembering about it"},
                },
                "required": ["item", "status"],
            },
        },
    },
}


def steps_of(value: Any, /) -> tuple[PlanStep, ...]:
    """The steps that a model wrote; raises BadInput in words it can act on."""
    if not isinstance(value, list):
        raise BadInput("`plan` is a list of steps")
    if len(value) > MOST_STEPS:
        raise BadInput(f"{len(value)} steps; {MOST_STEPS} are the most")
    steps = tuple(_step(number, each) for number, each in enumerate(value, 1))
    size = sum(len(step.item) + len(step.note) for step in steps)
    if size > LARGEST:
        raise BadInput(f"{size} characters in all; {LARGEST} are the most")
    return steps


def told(steps: Sequence[PlanStep], /) -> str:
    """The plan as a model reads it, a line for each step."""
    if not steps:
        return "The plan is empty."
    done = sum(step.status is StepStatus.DONE for step in steps)
    return "\n".join((f"The plan, {done} of {len(steps)} done:", *(_line(number, step) for number, step in enumerate(steps, 1))))


def _line(number: int, step: PlanStep) -> str:
    priority = f" (priority {step.priority})" if step.priority is not None else ""
    note = f": {step.note}" if step.note else ""
    return f"{number}. [{step.status}] {step.item}{priority}{note}"


def _step(number: int, value: Any) -> PlanStep:
    if isinstance(value, str):
        value = {"item": value}
    if not isinstance(value, dict):
        raise BadInput(f"step {number} is no object with `item` and `status`")
    unknown = sorted(str(name)[:64] for name in value.keys() - {"item", "status", "priority", "note"})
    if unknown:
        raise BadInput(f"step {number} has {unknown[0]!r}; a step has `item`, `status`, `priority` and `note`")
    item, note = _text(number, "item", value.get("item")), _text(number, "note", value.get("note"))
    if not item:
        raise BadInput(f"step {number} has no `item`")
    given = value.get("status", StepStatus.PENDING)
    if given not in list(StepStatus):
        raise BadInput(f"the status of step {number} is one of {', '.join(StepStatus)}")
    priority = value.get("priority")
    if priority is not None and (isinstance(priority, bool) or not isinstance(priority, int) or priority not in PRIORITIES):
        raise BadInput(f"the priority of step {number} is a whole number from {PRIORITIES.start} to {PRIORITIES[-1]}")
    return PlanStep(item, StepStatus(given), priority, note)


def _text(number: int, name: str, value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadInput(f"`{name}` of step {number} is a text")
    if len(value) > LONGEST:
        raise BadInput(f"`{name}` of step {number} has {len(value)} characters; {LONGEST} are the most")
    return value.strip()
