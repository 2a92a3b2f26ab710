"""An agent's plan: kept on its run, and told back to it as the result of the call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smallchain.model.errors import BadInput
from smallchain.model.run import Run
from smallchain.model.steps import steps_of, told
from smallchain.model.toolcall import Outcome, OutcomeKind
from smallchain.store import plans
from smallchain.store.contract import Tx


def update_plan(tx: Tx, run: Run, arguments: Mapping[str, Any], /) -> Outcome:
    """Replace a run's plan by the one that is given; tell it as it stands."""
    if arguments.get("plan") is None:
        return Outcome(OutcomeKind.SUCCEEDED, told(plans.of_run(tx, run)))
    try:
        steps = steps_of(arguments["plan"])
    except BadInput as error:
        return Outcome(OutcomeKind.FAILED, f"the plan was not changed: {error.message}")
    plans.put(tx, run, steps)
    return Outcome(OutcomeKind.SUCCEEDED, told(steps))
