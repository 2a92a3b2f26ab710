"""Which messages of a run's conversation the next request holds: what its strategy sends, less what a model did not take.

The one rule: what was left out once stays out of the run's later requests, so that where they begin only ever moves forward.
"""

from __future__ import annotations

from dataclasses import dataclass

from smallchain.engine.agent import strategy
from smallchain.engine.specs import pins_of
from smallchain.model import context
from smallchain.model.agent import window_of
from smallchain.model.run import Run
from smallchain.store import messages, modelcalls
from smallchain.store.contract import Tx


def first_message(tx: Tx, run: Run, /) -> int:
    """Where the next request begins behind the head of the conversation; 0: it holds all."""
    agent = pins_of(tx, run.root_id).agent(run.agent)
    turns = window_of(agent) if agent is not None else None
    if turns is None:
        return run.first_message
    return max(run.first_message, context.window(messages.replies(tx, run.id, most=turns + 1), turns))


@dataclass(frozen=True, slots=True)
class Shorter:
    """Where a request begins that holds less than the newest did; `why_not` says why there is none."""

    first: int = 0
    why_not: str = ""


def shorter(tx: Tx, run: Run, /) -> Shorter:
    """The request after one that was longer than the model takes: once a turn, with the newer half of the turns."""
    agent = pins_of(tx, run.root_id).agent(run.agent)
    if agent is not None and strategy.is_own(agent):
        return Shorter(why_not="the agent's own context strategy chooses what is sent")
    if any(row["turn"] == run.turns and row["first_message"] < run.first_message for row in modelcalls.of_run(tx, run.id)):
        return Shorter(why_not="its older half was left out already")
    first = context.half(messages.replies(tx, run.id, first=run.first_message))
    return Shorter(first) if first else Shorter(why_not="there are no turns that could be left out")
