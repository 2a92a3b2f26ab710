"""How a state machine of Hypothesis is played: the same moves each time in CI, SMALLCHAIN_EXAMPLES of them by hand."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test


def play(machine: type[RuleBasedStateMachine]) -> None:
    """Play it; raises what a rule or an invariant of it raises."""
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine,
        settings=settings(
            max_examples=int(os.environ.get("SMALLCHAIN_EXAMPLES", "15")),
            stateful_step_count=25,
            deadline=None,
            derandomize="CI" in os.environ,
            phases=[Phase.generate, *([Phase.shrink] if "SMALLCHAIN_SHRINK" in os.environ else [])],  # shrinking takes minutes
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
