"""Why a run does not go on: what it waits for, through its calls, children, people, models and timers, down to what can be moved.

It only reads. A command is named where running it moves the run; where time or the world moves it, the moment is.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import assert_never

from smallchain.engine.budget import desk as money
from smallchain.engine.llm.endpoint import timeout_of
from smallchain.engine.pace import desk
from smallchain.engine.pace.kind import standing
from smallchain.engine.run import work
from smallchain.engine.specs import pins_of, typed
from smallchain.model.human import HumanRequest, RequestKind
from smallchain.model.lifecycles import CallPhase, RequestPhase, RunPhase
from smallchain.model.reason import Reason
from smallchain.model.run import Run
from smallchain.model.toolcall import ToolCall
from smallchain.store import ledger, modelcalls, requests, resources, runs, toolcalls
from smallchain.store.contract import Tx
from smallchain.store.times import from_text

_SHORT = 8
"""Digits of an id's end that a person types."""


def why(tx: Tx, run: Run, /) -> Reason:
    """Why a run stands where it stands."""
    if run.is_over:
        again = (("retry", run.name),) if run.phase is not RunPhase.SUCCEEDED else ()
        return _of(run, f"it is over: {run.phase}" + (f": {run.error}" if run.error else ""), since=run.finished_at, commands=again)
    if run.paused:
        stopped_by = (RequestKind.LOOP, RequestKind.QUARANTINE)
        asked = tuple(_request(each) for each in requests.open_of_run(tx, run.id) if each.kind in stopped_by)
        words = f"it is {run.detail}" if run.detail.startswith("paused") else f"it is paused: {run.detail}"
        return _of(run, words, commands=(("resume", run.name), ("cancel", run.name)), because=asked)
    match run.phase:
        case RunPhase.PENDING:
            return _of(run, f"it needs what is not there: {run.detail}" if run.detail else "what it needs is being looked at")
        case RunPhase.READY:
            return _ready(tx, run)
        case RunPhase.CALLING_MODEL:
            return _calling(tx, run)
        case RunPhase.AWAITING_TOOLS:
            open_calls = toolcalls.open_of_run(tx, run.id)
            if not open_calls:
                return _of(run, "its results are being handed to the model")
            count = f"{len(open_calls)} tool calls" if len(open_calls) > 1 else "a tool call"
            return _of(run, f"it waits for {count}", because=tuple(_call(tx, run, call) for call in open_calls))
        case RunPhase.BACKING_OFF:
            return _of(run, f"it calls the model again after {_times(run.failures)}: {run.detail}", until=run.due_at)
        case RunPhase.AWAITING_WORK:
            awaited = tuple(why(tx, runs.get(tx, each.child_id)) for each in work.waited_for(tx, run))
            return _of(run, "it waits for work that it has begun", because=awaited)
        case RunPhase.OVER_BUDGET:
            return _of(run, f"it stands still at a cap: {run.detail}", until=run.due_at, because=_about_cap(tx, run))
        case RunPhase.SUCCEEDED | RunPhase.FAILED | RunPhase.CANCELLED:
            raise AssertionError("it is over")
        case _:
            assert_never(run.phase)


def _of(
    run: Run,
    words: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    commands: tuple[tuple[str, ...], ...] = (),
    because: tuple[Reason, ...] = (),
) -> Reason:
    return Reason("run", run.name, words, since, until, commands, because)


def _times(failures: int) -> str:
    return "a failure" if failures == 1 else f"{failures} failures in a row"


def _about_cap(tx: Tx, run: Run) -> tuple[Reason, ...]:
    """The open request to raise the cap at which a run stands still, whichever run asked it."""
    account = ledger.waited_for(tx, run.id)
    asked = requests.about_budget(tx, money.digest_of(account)) if account is not None else None
    return (_request(asked),) if asked is not None and asked.phase is RequestPhase.OPEN else ()


# ---- models


def _ready(tx: Tx, run: Run) -> Reason:
    turn = desk.look(tx, run)
    if turn.lacking:
        return _of(run, f"it needs what is not there: {turn.lacking}")
    if turn.has_place and run.detail:
        return _of(run, run.detail)
    if turn.has_place:
        return _of(run, "its next model call is about to go out")
    now = standing(tx, turn.llm)
    line = f"{now.why or 'others go first'}; {now.waiting} in line"
    held = Reason("llm", turn.llm, line, until=now.held_until)
    return _of(run, f"it waits for a place at LLM '{turn.llm}'", because=(held,))


def _calling(tx: Tx, run: Run) -> Reason:
    attempt = modelcalls.get(tx, run.id, run.attempts)
    if attempt is None:
        return _of(run, "the model is being called")
    row = resources.get(tx, "llm", attempt.llm)
    spec = typed(row) if row is not None else pins_of(tx, run.root_id).llm(attempt.llm)
    defaults = resources.get(tx, "defaults", "defaults")
    started = from_text(attempt.started_at)
    until = started + timeout_of(spec, typed(defaults).timeout if defaults is not None else None) if spec is not None else None
    return _of(run, f"LLM '{attempt.llm}' was called and has not replied yet", since=started, until=until)


# ---- tool calls


def _call(tx: Tx, run: Run, call: ToolCall) -> Reason:
    match call.phase:
        case CallPhase.PENDING:
            return _about(call, call.detail or "it is about to be looked at")
        case CallPhase.READY if call.due_at is not None:
            return _about(call, f"it runs again after a failure: {call.detail}", until=call.due_at)
        case CallPhase.READY:
            return _about(call, "it is about to start")
        case CallPhase.EXECUTING:
            return _executing(tx, run, call)
        case CallPhase.AWAITING_APPROVAL | CallPhase.AWAITING_ANSWER | CallPhase.IN_DOUBT:
            asked = requests.of_call(tx, call.id)
            waits = "for a person" if call.phase is not CallPhase.IN_DOUBT else f"to be settled: {call.detail}"
            return _about(call, f"it waits {waits}", because=(_request(asked),) if asked is not None else ())
        case CallPhase.DELEGATED:
            child = runs.by_call(tx, call.id)
            return _about(call, "it waits for its child", because=(why(tx, child),) if child is not None else ())
        case CallPhase.SLEEPING:
            return _about(call, "it sleeps", until=call.due_at)
        case CallPhase.AWAITING_CALLBACK:
            return _about(call, "it waits for its result from outside", until=call.due_at)
        case CallPhase.SUCCEEDED | CallPhase.FAILED | CallPhase.REJECTED | CallPhase.CANCELLED | CallPhase.TIMED_OUT:
            raise AssertionError("it is over")
        case _:
            assert_never(call.phase)


def _executing(tx: Tx, run: Run, call: ToolCall) -> Reason:
    attempt = toolcalls.attempt_of(tx, call)
    tool = pins_of(tx, run.root_id).tool(call.tool)
    started = from_text(attempt.started_at) if attempt is not None else None
    until = started + timedelta(seconds=tool.timeout_s) if started is not None and tool is not None else None
    return _about(call, "it runs", since=started, until=until)


def _about(
    call: ToolCall, words: str, *, since: datetime | None = None, until: datetime | None = None, because: tuple[Reason, ...] = ()
) -> Reason:
    return Reason("toolcall", call.function, words, since, until, (), because)


# ---- people


def _request(request: HumanRequest) -> Reason:
    id = request.id[-_SHORT:]
    commands: dict[RequestKind, tuple[tuple[str, ...], ...]] = {
        RequestKind.APPROVAL: (("approve", id), ("deny", id)),
        RequestKind.QUESTION: (("answer", id, "TEXT"),),
        RequestKind.SETTLE: (("settle", id, "--happened", "RESULT"), ("settle", id, "--did-not-happen"), ("settle", id, "--run-again")),
        RequestKind.BUDGET: (("approve", id), ("deny", id)),
        RequestKind.TOOL_CHANGED: (("approve", id), ("deny", id)),
    }
    if request.phase is not RequestPhase.OPEN:
        return Reason("request", id, f"the {request.kind} was decided, and is being carried out")
    words = f"a person has to decide ({request.kind}): {request.question}"
    until = request.expires_at if request.on_expiry != "escalate" else None
    return Reason("request", id, words, request.created_at, until, commands.get(request.kind, ()))
