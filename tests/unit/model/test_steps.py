"""An agent's plan as its model writes it: bounded, in order, and told whole."""

from __future__ import annotations

from typing import Any

import pytest

from smallchain.model.artifact import TOLD
from smallchain.model.errors import BadInput
from smallchain.model.steps import LARGEST, LONGEST, MOST_STEPS, PlanStep, StepStatus, steps_of, told


def test_a_plan_is_what_the_model_wrote_in_its_order() -> None:
    steps = steps_of([{"item": "research ", "status": "done"}, {"item": "write", "status": "in_progress", "priority": 5, "note": "short"}])

    assert steps == (PlanStep("research", StepStatus.DONE), PlanStep("write", StepStatus.IN_PROGRESS, 5, "short"))
    assert told(steps) == "The plan, 1 of 2 done:\n1. [done] research\n2. [in_progress] write (priority 5): short"


def test_a_plan_of_plain_texts_is_taken_as_what_is_still_to_be_done() -> None:
    assert steps_of(["write"]) == (PlanStep("write"),)


def test_what_is_shown_reads_back_as_the_same_plan() -> None:
    steps = (PlanStep("a"), PlanStep("b", StepStatus.DROPPED, -3, "why"), PlanStep("c", priority=0))

    assert steps_of([step.shown() for step in steps]) == steps


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ("write", "is a list of steps"),
        ([7], "step 1 is no object"),
        ([{"status": "done"}], "step 1 has no `item`"),
        ([{"item": "   "}], "step 1 has no `item`"),
        ([{"item": ["a"]}], "`item` of step 1 is a text"),
        ([{"item": "a"}, {"item": "b", "status": "finished"}], "the status of step 2 is one of pending, in_progress, done, dropped"),
        ([{"item": "a", "status": ["done"]}], "the status of step 1 is one of"),
        ([{"item": "a", "priority": "high"}], "the priority of step 1 is a whole number from -1000 to 1000"),
        ([{"item": "a", "priority": True}], "the priority of step 1 is a whole number"),
        ([{"item": "a", "priority": 10**30}], "the priority of step 1 is a whole number"),
        ([{"item": "a", "prio": 1}], "step 1 has 'prio'"),
        ([{"item": "a", "note": "x" * (LONGEST + 1)}], "`note` of step 1 has 1001 characters; 1000 are the most"),
        ([{"item": "a"}] * (MOST_STEPS + 1), "101 steps; 100 are the most"),
        ([{"item": "x" * LONGEST}] * 17, "17000 characters in all; 16000 are the most"),
    ],
)
def test_what_is_no_plan_is_refused_in_words_the_model_can_act_on(plan: Any, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        steps_of(plan)

    assert words in caught.value.message


def test_the_largest_plan_is_told_whole() -> None:
    assert len(told((PlanStep("x" * (LARGEST // MOST_STEPS), StepStatus.IN_PROGRESS, -1000),) * MOST_STEPS)) < TOLD
