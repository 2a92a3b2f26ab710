"""The plan an agent makes for itself: on its run, in its context, and with the run that goes on from it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from smallchain.engine.run import again
from smallchain.model.lifecycles import RunPhase
from smallchain.model.run import Run
from smallchain.model.steps import PlanStep, StepStatus
from smallchain.store import messages, plans, runs
from smallchain.store.contract import Tx
from support.asking import RUN, text
from support.house import House, a_house

FIRST = [{"item": "research", "status": "in_progress"}, {"item": "write", "status": "pending", "priority": 5}]
SECOND = [{"item": "research", "status": "done"}, {"item": "write", "status": "in_progress", "note": "in plain words"}]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as opened:
        yield opened


def planner(*turns: Any) -> str:
    """A model that calls `update_plan` with these arguments, a turn each, and then is done."""
    replies = [{"tool_calls": [{"name": "update_plan", "arguments": each}]} for each in turns]
    return text(replies=[*replies, {"content": "done"}], agent={"tools": ["update_plan"]})


def plan_of(name: str, **turn: int) -> Any:
    """The plan of a run of this name, as a transaction reads it."""
    return lambda tx: plans.of_run(tx, named(tx, name), **turn)


def named(tx: Tx, name: str) -> Run:
    run = runs.by_name(tx, name)
    assert run is not None
    return run


async def test_a_plan_is_kept_on_the_run_and_replaced_whole(house: House) -> None:
    await house.apply(planner({"plan": FIRST}, {"plan": SECOND}))
    await house.run(RUN, RunPhase.SUCCEEDED)

    kept = await house.database.read(plan_of(RUN))
    assert kept == (PlanStep("research", StepStatus.DONE), PlanStep("write", StepStatus.IN_PROGRESS, None, "in plain words"))
    assert await house.database.read(plan_of(RUN, turn=1)) == (
        PlanStep("research", StepStatus.IN_PROGRESS),
        PlanStep("write", StepStatus.PENDING, 5),
    )


async def test_the_agent_reads_its_plan_as_the_result_of_the_call_also_without_changing_it(house: House) -> None:
    await house.apply(planner({"plan": FIRST}, {}))
    await house.run(RUN, RunPhase.SUCCEEDED)
    said = await house.results(RUN)

    assert said == ["The plan, 0 of 2 done:\n1. [in_progress] research\n2. [pending] write (priority 5)"] * 2


async def test_what_is_no_plan_changes_nothing(house: House) -> None:
    await house.apply(planner({"plan": FIRST}, {"plan": [{"item": "x", "status": "soon"}]}))
    await house.run(RUN, RunPhase.SUCCEEDED)

    assert (await house.results(RUN))[1].startswith("Error: the plan was not changed: the status of step 1 is one of")
    assert len(await house.database.read(plan_of(RUN))) == 2


async def test_a_run_that_goes_on_from_a_message_has_the_plan_of_then(house: House) -> None:
    await house.apply(planner({"plan": FIRST}, {"plan": SECOND}))
    await house.run(RUN, RunPhase.SUCCEEDED)

    def fork(tx: Tx) -> tuple[PlanStep, ...]:
        run = named(tx, RUN)
        roles = [json.loads(row["wire"])["role"] for row in messages.of_run(tx, run.id)]
        return plans.of_run(tx, again.fork(tx, run, at=roles.index("tool") + 1, by="ann"))

    assert await house.database.write(fork) == (PlanStep("research", StepStatus.IN_PROGRESS), PlanStep("write", StepStatus.PENDING, 5))


async def test_a_run_without_a_plan_is_told_so(house: House) -> None:
    await house.apply(planner({}))
    await house.run(RUN, RunPhase.SUCCEEDED)

    assert await house.results(RUN) == ["The plan is empty."]
