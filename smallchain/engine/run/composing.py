"""A request of a person's own context strategy, made before its attempt: what is asked of the strategy, and what it made, kept.

The one rule: what it may cost is known before the attempt is recorded, and what was looked at for that is what is sent.
"""

from __future__ import annotations

from smallchain.engine.agent import strategy
from smallchain.engine.budget import desk as money
from smallchain.engine.run import contexts
from smallchain.engine.run.compose import Composition, composition_of, made_for
from smallchain.engine.run.execute import ModelOutcome, bounded
from smallchain.engine.run.replies import record_outcome
from smallchain.engine.specs import pins_of
from smallchain.model.lifecycles import RunPhase
from smallchain.model.llm import Failure, FailureKind
from smallchain.model.run import Run
from smallchain.store import composed, modelcalls, runs
from smallchain.store.composed import Composed
from smallchain.store.contract import Tx


def is_wanted(tx: Tx, run: Run, llm: str, /) -> bool:
    """Whether the next attempt of a run on an LLM waits for its request to be made (anew, where a cap has been written since)."""
    agent = pins_of(tx, run.root_id).agent(run.agent)
    if agent is None or not strategy.is_own(agent):
        return False
    made = made_for(tx, run, llm)
    return made is None or bool(money.why_unbounded(tx, run, llm, made))


def wanted(tx: Tx, run: Run, llm: str, /) -> Composition | None:
    """What the strategy is given; where caps bound the reply and nothing written does, its parameters say what they leave."""
    spec = money.spec_of(tx, run, llm)
    return composition_of(tx, run, bounded(spec, money.left_for_reply(tx, run, llm))) if spec is not None else None


def record_made(tx: Tx, run_id: str, attempt: int, wanted: Composition, made: str | Failure, /) -> None:
    """Keep what the strategy made for an attempt that is not recorded yet; where it made nothing that can be sent, that is what came
    of the attempt. A run that moved on meanwhile asks anew."""
    run = runs.find(tx, run_id)
    if run is None or (run.phase, run.attempts + 1, run.messages) != (RunPhase.READY, attempt, wanted.messages):
        return
    if isinstance(made, str) and (why := money.why_unbounded(tx, run, wanted.llm, made)):
        made = Failure(FailureKind.TRANSIENT, f"what the context strategy {wanted.function.name} returned {why}")
    if isinstance(made, str):
        composed.put(tx, run_id, attempt, Composed(made, wanted.llm, wanted.messages))
        tx.wake("run", run_id)
    elif not run.paused:
        spec = money.spec_of(tx, run, wanted.llm)
        model = spec.model if spec is not None and spec.model else wanted.llm
        modelcalls.open_call(tx, run, attempt=attempt, llm=wanted.llm, model=model, first_message=contexts.first_message(tx, run))
        runs.move(tx, run, "model_called", attempts=attempt, detail="")
        record_outcome(tx, run_id, attempt, ModelOutcome(made))
