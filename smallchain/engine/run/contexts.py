"""Which messages of a run's conversation the next request holds: what its strategy sends, less what a model did not take.

The one rule: what was left out once stays out of the run's later requests, so that where they begin only ever moves forward.
"""

from __future__ import annotations

from dataclasses import dataclass

from smallchain.engine.agent import strategy
from smallchain.engine.specs import pins_of
from smallchain.model import context
from smallchain.model.agent import summarise_of, window_of
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


def summarises(tx: Tx, run: Run, /) -> int:
    """The message before which all is to be summed up before the run goes on; 0: nothing is."""
    agent = pins_of(tx, run.root_id).agent(run.agent)
    if agent is None or strategy.is_own(agent):
        return 0
    turns = summarise_of(agent)
    if run.summarise_to or turns is None:
        return run.summarise_to
    replies = messages.replies(tx, run.id, first=run.first_message, most=turns + 1)
    return context.half(replies) if len(replies) > turns else 0


@dataclass(frozen=True, slots=True)
class Shorter:
    """Where a request begins that holds less than the newest did; `why_not` says why there is none."""

    first: int = 0
    why_not: str = ""
    in_summary: bool = False
    """Whether what is left out is summed up first."""


def shorter(tx: Tx, run: Run, /) -> Shorter:
    """The request after one that was longer than the model takes: once a turn, with the newer half of the turns."""
    agent = pins_of(tx, run.root_id).agent(run.agent)
    call = modelcalls.get(tx, run.id, run.attempts)
    if agent is None or strategy.is_own(agent):
        return Shorter(why_not="the agent's own context strategy chooses what is sent")
    if call is not None and call.summarises:
        return Shorter(why_not="so is its older half, which was to be summed up")
    turns = [row for row in modelcalls.of_run(tx, run.id) if row["turn"] == run.turns and not row["summarises"]]
    if any(row["first_message"] < run.first_message for row in turns):
        return Shorter(why_not="its older half was left out already")
    first = context.half(messages.replies(tx, run.id, first=run.first_message))
    if not first:
        return Shorter(why_not="there are no turns that could be left out")
    return Shorter(first, in_summary=summarise_of(agent) is not None)
