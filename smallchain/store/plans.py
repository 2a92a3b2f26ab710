"""Plans that agents make for themselves: kept by turn, so that a run that goes on from an earlier turn has the plan of then."""

from __future__ import annotations

import json

from smallchain.model.canonical import canonical
from smallchain.model.run import Run
from smallchain.model.steps import PlanStep, steps_of
from smallchain.store.contract import Tx
from smallchain.store.times import to_text


def put(tx: Tx, run: Run, steps: tuple[PlanStep, ...], /) -> None:
    """Keep a run's plan as its present turn tells it."""
    tx.run("plans.put", run_id=run.id, turn=run.turns, steps=canonical([step.shown() for step in steps]), made_at=to_text(tx.now))


def of_run(tx: Tx, run: Run, /, *, turn: int | None = None) -> tuple[PlanStep, ...]:
    """A run's plan as it stands, or as it was after a turn; empty where it told none."""
    row = tx.one("plans.newest", run_id=run.id, turn=run.turns if turn is None else turn)
    return steps_of(json.loads(row["steps"])) if row is not None else ()
