"""Going on from a conversation that is recorded: a new run with the old one's messages. Calls that are copied never start again."""

from __future__ import annotations

import json

from smallchain.model.errors import Place, Problem, Refused, Unconfirmed
from smallchain.model.history import legal_cuts, turns_in
from smallchain.model.lifecycles import CallPhase, RunPhase
from smallchain.model.run import Run
from smallchain.model.toolcall import Effects
from smallchain.store import artifacts, eventlog, messages, plans, runs, toolcalls
from smallchain.store.contract import Row, Tx


def retry(tx: Tx, run: Run, /, *, by: str, from_start: bool = False, confirmed: bool = False) -> Run:
    """A new run from the whole transcript of one that failed or was cancelled, results included, at the first turn not finished.

    `from_start` repeats all of it; raises Unconfirmed with the `once` calls that succeeded, unless `confirmed`. Raises Refused for a
    run that is live or succeeded, and for a child.
    """
    _refuse_child(run)
    if not run.is_over:
        raise Refused(f"run {run.name!r} is not over", hint="`smallchain cancel` ends it, `smallchain resume` lets a paused one go on")
    if from_start:
        if not confirmed:
            _confirm(tx, run)
        return _begin(tx, run, [], 0, by)
    if run.phase is RunPhase.SUCCEEDED:
        raise Refused(f"run {run.name!r} succeeded", hint=f"`smallchain run {run.task}` starts another; `fork --at` goes on from a message")
    whole = messages.of_run(tx, run.id)
    return _begin(tx, run, whole, _cuts(whole)[-1], by)


def fork(tx: Tx, run: Run, /, *, at: int, by: str) -> Run:
    """A new run with the messages 1 to `at` of another; raises Refused where that would part a reply from its results."""
    _refuse_child(run)
    whole = messages.of_run(tx, run.id)
    cuts = _cuts(whole)[1:]
    if at not in cuts:
        before = max((cut for cut in cuts if cut < at), default=None)
        after = min((cut for cut in cuts if cut > at), default=None)
        near = " or ".join(str(cut) for cut in (before, after) if cut is not None)
        hint = f"the nearest are {near}; `smallchain transcript` numbers them" if near else ""
        raise Refused(f"run {run.name!r} can't be forked at message {at}", hint=hint)
    return _begin(tx, run, whole, at, by)


def _begin(tx: Tx, run: Run, whole: list[Row], at: int, by: str) -> Run:
    """A new run with the first `at` of the whole messages of another, and the plan it had then."""
    copied = whole[:at]
    new = runs.create(tx, name=runs.next_name(tx, run.name), task=run.task, user_message=run.user_message, priority=run.priority)
    for number, row in enumerate(copied, 1):
        messages.append(tx, new, json.loads(row["wire"]), number=number, template=row["template"])
    if copied:
        artifacts.inherit(tx, new, run)
    new = runs.save(tx, new, messages=len(copied), turns=_turns(copied))
    plan = plans.of_run(tx, run, turn=run.turns - _turns(whole[at:])) if copied else ()
    if plan:
        plans.put(tx, new, plan)
    eventlog.tell(tx, "RunContinues", eventlog.about(new), of=new, old=run.name, count=str(len(copied)), by=by)
    return new


def _cuts(whole: list[Row]) -> list[int]:
    return legal_cuts([json.loads(row["wire"]) for row in whole])


def _turns(rows: list[Row]) -> int:
    return turns_in([json.loads(row["wire"]) for row in rows])


def _refuse_child(run: Run) -> None:
    if run.parent_id is not None:
        raise Refused(f"run {run.name!r} is the child of another", hint="retry or fork the run at the root of its tree")


def _confirm(tx: Tx, run: Run) -> None:
    done = [
        Problem(Place(each.name), f"{call.function} succeeded there and would be done again")
        for each in runs.tree(tx, run.id)
        for call in toolcalls.of_run(tx, each.id)
        if call.effects is Effects.ONCE and call.phase is CallPhase.SUCCEEDED
    ]
    if done:
        raise Unconfirmed("starting over would repeat calls that succeeded", hint="add --yes to do it", problems=tuple(done))
