"""What people do to runs: cancel, pause, resume, adopt, and begin one by an entry in a file."""

from __future__ import annotations

from smallchain.engine import reach
from smallchain.engine.pace import desk
from smallchain.engine.run.replies import book_lost, fail, llm_of_attempt
from smallchain.engine.run.results import append_results
from smallchain.engine.specs import pins_of
from smallchain.model.errors import Refused
from smallchain.model.human import RequestKind
from smallchain.model.lifecycles import CallPhase, RunPhase
from smallchain.model.run import Run
from smallchain.model.sections import RunSpec
from smallchain.model.templates import render
from smallchain.model.toolcall import Effects
from smallchain.store import eventlog, ledger, paces, requests, resources, runs, toolcalls
from smallchain.store.contract import Tx


def cancel(tx: Tx, run: Run, /, *, by: str, note: str = "", only: bool = False) -> list[Run]:
    """Cancel a run and its descendants; those that are over stay as they are. Returns the runs that were cancelled."""
    cancelled = []
    for each in [run] if only else runs.tree(tx, run.id):
        if not each.is_over:
            cancelled.append(_cancel(tx, each, by, note))
    return cancelled


def _cancel(tx: Tx, run: Run, by: str, note: str) -> Run:
    detail = f"cancelled by {by}" + (f": {note}" if note else "")
    run, count = _let_go(tx, run, by=by, detail=detail)
    run = runs.move(tx, run, "cancelled", detail=detail, error=detail, messages=count)
    eventlog.tell(tx, "RunCancelled", eventlog.about(run), of=run, by=by, note=f": {note}" if note else "")
    return run


def fail_whole(tx: Tx, run: Run, cause: str, why: str, /, *, by: str) -> None:
    """Fail a run wherever it stands: what it has begun is cancelled, and what it has out ends as at a cancellation."""
    for child in runs.tree(tx, run.id)[1:]:
        cancel(tx, child, by=by, note=why, only=True)
    run, count = _let_go(tx, run, by=by, detail=why)
    fail(tx, run, cause, why, messages=count)


def _let_go(tx: Tx, run: Run, /, *, by: str, detail: str) -> tuple[Run, int]:
    """End whatever a run that is about to end has out, waits for or asks; how many messages it has then."""
    count = end_what_is_open(tx, run, by=by, detail=detail)
    if run.phase is RunPhase.CALLING_MODEL:
        run = book_lost(tx, run, outcome="abandoned", error=detail)
        desk.ended(tx, llm_of_attempt(tx, run))
    if run.phase is RunPhase.READY:
        paces.withdraw(tx, run)
    return run, count


def end_what_is_open(tx: Tx, run: Run, /, *, by: str, detail: str) -> int:
    """End the open calls and requests of a run that is about to end, so that its history stays legal; how many messages it has then."""
    for call in toolcalls.open_of_run(tx, run.id):
        out = call.phase in (CallPhase.EXECUTING, CallPhase.AWAITING_CALLBACK)
        if out:
            outcome = "unknown" if call.effects is Effects.ONCE else "interrupted"
            toolcalls.settle_attempt(tx, call, outcome=outcome, detail=detail)
        unknown = call.phase is CallPhase.IN_DOUBT or (out and call.effects is Effects.ONCE)
        asked = call.phase in (CallPhase.AWAITING_APPROVAL, CallPhase.AWAITING_ANSWER)
        template = "call_cancelled_unknown" if unknown else "withdrawn" if asked else "call_cancelled"
        text = render(template, pins_of(tx, run.root_id).templates(), name=call.function)
        toolcalls.move(tx, call, "cancelled", result=text, template=template, detail=detail)
    for request in requests.open_of_run(tx, run.id):
        requests.decide(tx, request, "withdrawn", decision="", by=by, note=detail)
        requests.tell(tx, "RequestWithdrawn", request, why=detail)
        if request.kind is RequestKind.BUDGET:  # others may wait for the same answer: one of them asks anew
            for id in ledger.all_waiting(tx):
                tx.wake("run", id)
    ledger.stop_waiting(tx, run)
    if run.phase is not RunPhase.AWAITING_TOOLS:
        return run.messages
    return append_results(tx, run, toolcalls.of_turn(tx, run.id, run.turns))  # one result for each call


def pause(tx: Tx, run: Run, /, *, by: str, only: bool = False) -> list[Run]:
    """Pause a run and its descendants: what is out finishes, nothing new begins. Returns the runs that were paused."""
    paused = []
    for each in [run] if only else runs.tree(tx, run.id):
        if not each.is_over and not each.paused:
            changed = runs.save(tx, each, paused=True, detail=f"paused by {by}")
            eventlog.tell(tx, "RunPaused", eventlog.about(changed), of=changed, by=by)
            paused.append(changed)
    return paused


def resume(tx: Tx, run: Run, /, *, by: str, only: bool = False) -> list[Run]:
    """Let a paused run and its descendants go on; `human.deciding`, which alone calls this, has answered what asks whether it should."""
    resumed = []
    for each in [run] if only else runs.tree(tx, run.id):
        if each.is_over or not each.paused:
            continue
        changed = runs.save(tx, each, paused=False, detail="", crashes=0, last_call="", same_calls=0, **runs.NOT_FAILING)
        eventlog.tell(tx, "RunResumed", eventlog.about(changed), of=changed, by=by)
        for call in toolcalls.open_of_run(tx, each.id):
            toolcalls.save(tx, call, crashes=0)
        resumed.append(changed)
    return resumed


def prioritise(tx: Tx, run: Run, priority: int, /, *, by: str) -> list[Run]:
    """Set the priority of a run and its descendants. Returns the runs that are not over."""
    changed = [runs.save(tx, each, priority=priority) for each in runs.tree(tx, run.id) if not each.is_over]
    eventlog.tell(tx, "RunPriority", eventlog.about(run), of=run, priority=str(priority), by=by)
    return changed


def adopt(tx: Tx, run: Run, /, *, by: str) -> list[str]:
    """Move a run and its descendants to the present: what is written now is what they go on with. The names of what changed.

    The conversation stays as it is. Raises Refused for a child, and when what the agent needs now is lacking.
    """
    if run.parent_id is not None:
        raise Refused(f"run {run.name!r} is the child of another", hint="adopt the run at the root of its tree: its pins hold for all")
    if run.started_at is None:
        return []
    found = reach.reach_of(tx, run.agent)
    if found.lacking or found.broken:
        raise Refused(f"run {run.name!r} can't be moved to the present: {'; '.join((*found.lacking, *found.broken))}")
    before = resources.pinned(tx, run.id)
    task = resources.get(tx, "task", run.task)
    changed = []
    for resource in (*found.found.values(), *([task] if task is not None else ())):
        if before.get((resource.kind, resource.name)) != resource.digest:
            resources.pin(tx, run.id, resource)
            changed.append(f"{resource.kind} '{resource.name}'")
    if changed:
        eventlog.tell(tx, "RunAdopted", eventlog.about(run), of=run, what=", ".join(changed), by=by)
    return changed


def create_from_entry(tx: Tx, spec: RunSpec, /, *, file: str, digest: str) -> Run:
    """The run of a `runs` entry."""
    return runs.create(
        tx, name=spec.name, task=spec.task, user_message=spec.user_message, file=file, spec_digest=digest, priority=spec.priority
    )
