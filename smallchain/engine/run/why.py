"""Why a run does not go on: what it waits for, through its calls, children, people, models and timers, down to what can be moved.

It only reads. A command is named where running it moves the run; where time or the world moves it, the moment is; where a line in a
file does, where that line stands.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import assert_never

from smallchain.engine import reach
from smallchain.engine.budget import desk as money
from smallchain.engine.budget.caps import caps_over
from smallchain.engine.human.deciding import too_late
from smallchain.engine.human.why import why_asked
from smallchain.engine.llm.endpoint import retry_for_of, timeout_of
from smallchain.engine.pace import desk
from smallchain.engine.pace.kind import standing
from smallchain.engine.run import work
from smallchain.engine.run.replies import llm_of_attempt
from smallchain.engine.specs import pins_of, typed
from smallchain.engine.toolcall import observing, starting
from smallchain.model.cap import OnLimit
from smallchain.model.errors import Unknown
from smallchain.model.human import MOST_OPEN, HumanRequest, RequestKind
from smallchain.model.lifecycles import CallPhase, Readiness, RunPhase
from smallchain.model.llmspec import LLMSpec
from smallchain.model.reason import Command, Reason
from smallchain.model.run import Run
from smallchain.model.toolcall import ToolCall
from smallchain.store import alarms, callbacks, ledger, mcptools, modelcalls, paces, requests, resources, runs, toolcalls
from smallchain.store.contract import Tx
from smallchain.store.resources import Written
from smallchain.store.times import from_text

_SHORT = 8
"""Digits of an id's end that a person types."""
_MOST_NAMED = 5
"""Runs that are named of those that hold what another waits for."""
_STOPPED_BY = (RequestKind.LOOP, RequestKind.QUARANTINE)


def why(tx: Tx, run: Run, /) -> Reason:
    """Why a run stands where it stands."""
    if run.is_over:
        return _of(
            run, f"it is over: {run.phase}" + (f": {run.error}" if run.error else ""), since=run.finished_at, commands=_again(tx, run)
        )
    stands = _stands(tx, run)
    return _paused(tx, run, stands) if run.paused else stands


def _again(tx: Tx, run: Run) -> tuple[Command, ...]:
    """What goes on from a run that is over: a tree goes on from its root, once that is over too."""
    root = runs.get(tx, run.root_id)
    return (("retry", root.name),) if root.phase in (RunPhase.FAILED, RunPhase.CANCELLED) else ()


def _paused(tx: Tx, run: Run, stands: Reason) -> Reason:
    """A paused run, and what it will still wait for when it is resumed: that can be seen to before."""
    asked = tuple(why_asked(tx, each) for each in requests.open_of_run(tx, run.id) if each.kind in _STOPPED_BY)
    words = f"it is {run.detail}" if run.detail.startswith("paused") else f"it is paused: {run.detail}"
    commands = (("resume", run.name), ("cancel", run.name))
    return _of(run, words, commands=commands, because=(*asked, *(_without(each, {"resume", "cancel"}) for each in stands.because)))


def _without(reason: Reason, verbs: set[str]) -> Reason:
    """A reason without what a command above it does already: resuming a run resumes those below it."""
    commands = tuple(each for each in reason.commands if each[0] not in verbs)
    return replace(reason, commands=commands, because=tuple(_without(each, verbs) for each in reason.because))


def _stands(tx: Tx, run: Run) -> Reason:
    """What a live run's phase waits for, paused or not."""
    match run.phase:
        case RunPhase.PENDING:
            return _pending(tx, run)
        case RunPhase.READY:
            return _ready(tx, run)
        case RunPhase.CALLING_MODEL:
            return _calling(tx, run)
        case RunPhase.AWAITING_TOOLS:
            return _awaiting_tools(tx, run)
        case RunPhase.BACKING_OFF:
            return _backing_off(tx, run)
        case RunPhase.AWAITING_WORK:
            awaited = tuple(why(tx, runs.get(tx, each.child_id)) for each in work.waited_for(tx, run))
            return _of(run, "it waits for work that it has begun", because=awaited)
        case RunPhase.OVER_BUDGET:
            return _of(run, f"it stands still at a cap: {run.detail}", until=run.due_at, because=_cap(tx, run))
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
    commands: tuple[Command, ...] = (),
    because: tuple[Reason, ...] = (),
) -> Reason:
    return Reason("run", run.name, words, since, until, commands, because)


# ---- what is not there, or can't be used


def _pending(tx: Tx, run: Run) -> Reason:
    if not run.detail or run.detail == reach.SETTLING:
        return _of(run, reach.SETTLING)
    verb = "starts" if run.started_at is None else "goes on"
    words = f"it can't {'start' if run.started_at is None else 'go on'}: {run.detail} (it {verb} by itself once that is mended)"
    return _of(run, words, because=_needs(tx, run))


def _needs(tx: Tx, run: Run) -> tuple[Reason, ...]:
    """What a run can't use now, where it is written and when it is looked at again; and what it waits to see accepted. Where what it
    lacks is written nowhere, the agents that name it."""
    if run.started_at is not None:
        return _unusable(tx, _own_llms(tx, run))
    task = resources.get(tx, "task", run.task)
    if task is None or run.parent_id is not None:
        return ()
    found = reach.reach_of(tx, typed(task).agent)
    asked = tuple(why_asked(tx, each, goes_on_by=True) for id in found.asked if (each := requests.find(tx, id)) is not None)
    rows = [row for row in found.found.values() if isinstance(row, Written) and row.kind != "defaults"]
    things = _unusable(tx, (row for row in rows if row.kind != "agent"))
    return (*(things or _unusable(tx, rows)), *asked)


def _own_llms(tx: Tx, run: Run) -> list[Written]:
    """The LLM of a run, and those that take its place."""
    own = resources.get(tx, "llm", run.llm)
    return desk.chain_of(tx, own) if own is not None else []


def _unusable(tx: Tx, rows: Iterable[Written]) -> tuple[Reason, ...]:
    return tuple(_state(tx, row) for row in rows if row.status is not Readiness.READY)


def _state(tx: Tx, row: Written) -> Reason:
    words = f"{row.status}, written at {row.file}:{row.line}"
    again = alarms.due_at(tx, row.kind, row.name)
    return Reason(row.kind, row.name, words + ("; it is looked at again" if again is not None else ""), row.updated_at, again)


# ---- models


def _ready(tx: Tx, run: Run) -> Reason:
    turn = desk.look(tx, run)
    if turn.lacking:
        return _of(run, f"it can't go on: {turn.lacking} (it goes on by itself once that is mended)", because=_needs(tx, run))
    if turn.has_place and run.detail:
        return _of(run, run.detail, because=_holders(tx, run))
    if turn.has_place or run.paused:
        return _of(run, "its next model call is about to go out")
    return _of(
        run,
        f"it waits for a place at LLM '{turn.llm}'",
        commands=_ahead_of_others(tx, run, turn.llm),
        because=(_in_line(tx, turn.llm), *_callers(tx, turn.llm)),
    )


def _in_line(tx: Tx, llm: str) -> Reason:
    now = standing(tx, llm)
    others = now.waiting - 1
    beside = f"{others} other run{'s wait' if others > 1 else ' waits'} too" if others > 0 else "nobody else waits"
    full = f"it takes no calls: {now.held_why}" if now.held_until is not None else now.why or "others go first"
    return Reason("llm", llm, f"{full}; {beside}", until=now.room_at)


def _callers(tx: Tx, llm: str) -> tuple[Reason, ...]:
    """The runs whose calls fill an LLM, where its `concurrency` is what is used up."""
    row = resources.get(tx, "llm", llm)
    limits = typed(row).limits if row is not None else None
    if limits is None or limits.concurrency is None:
        return ()
    ids = paces.callers(tx, llm, most=_MOST_NAMED)
    return tuple(_calling(tx, runs.get(tx, id)) for id in ids) if len(ids) >= min(limits.concurrency, _MOST_NAMED) else ()


def _ahead_of_others(tx: Tx, run: Run, llm: str) -> tuple[Command, ...]:
    """What puts a run at the head of the line, where others stand before it or beside it."""
    highest = paces.highest_of_others(tx, run, llm)
    return (("set", "priority", run.name, str(highest + 1)),) if highest is not None and highest >= run.priority else ()


def _calling(tx: Tx, run: Run) -> Reason:
    attempt = modelcalls.get(tx, run.id, run.attempts)
    if attempt is None:
        return _of(run, "the model is being called")
    spec = _llm(tx, run, attempt.llm)
    defaults = resources.get(tx, "defaults", "defaults")
    started = from_text(attempt.started_at)
    until = started + timeout_of(spec, typed(defaults).timeout if defaults is not None else None) if spec is not None else None
    return _of(run, f"LLM '{attempt.llm}' was called and has not replied yet", since=started, until=until)


def _llm(tx: Tx, run: Run, name: str) -> LLMSpec | None:
    row = resources.get(tx, "llm", name)
    return typed(row) if row is not None else pins_of(tx, run.root_id).llm(name)


def _backing_off(tx: Tx, run: Run) -> Reason:
    name = llm_of_attempt(tx, run)
    times = "a failure" if run.failures == 1 else f"{run.failures} failures in a row"
    words = f"it calls LLM '{name}' again after {times}: {run.detail}"
    spec = _llm(tx, run, name)
    if spec is not None and run.failing_since is not None:
        words += f" (it gives up at {run.failing_since + retry_for_of(spec):%Y-%m-%d %H:%M:%S} UTC)"
    return _of(run, words, since=run.failing_since, until=run.due_at, because=_unusable(tx, _own_llms(tx, run)))


# ---- caps


def _cap(tx: Tx, run: Run) -> tuple[Reason, ...]:
    """The cap that a run stands at: where it is written, and who is asked to raise it."""
    account = ledger.waited_for(tx, run.id)
    of = ledger.cap_of(tx, account) if account is not None else None
    cap = next((each for each in caps_over(tx, run, desk.look(tx, run).llm) if (each.key, each.subject) == of), None)
    if account is None or cap is None:
        return ()
    row = resources.get(tx, cap.kind, cap.name)
    asked = requests.about_budget(tx, money.digest_of(account)) if cap.on_limit is OnLimit.ASK else None
    where = f"written at {row.file}:{row.line}: " if row is not None else ""
    written = Reason(cap.kind, cap.name, f"{where}a higher limit there lets the run go on at once")
    return (written, *((_of_cap(tx, asked),) if asked is not None else ()))


def _of_cap(tx: Tx, asked: HumanRequest) -> Reason:
    found = why_asked(tx, asked)
    if asked.decided_at is None:
        return found
    note = f": {asked.note}" if asked.note else ""
    return replace(found, words=f"{too_late(asked)}{note}: the cap stays as it is", since=asked.decided_at)


def _holders(tx: Tx, run: Run) -> tuple[Reason, ...]:
    """The runs whose calls hold what is left of a cap; they end by themselves."""
    account = ledger.waited_for(tx, run.id)
    if account is None:
        return ()
    others = [each for id in ledger.holders(tx, account, most=_MOST_NAMED) if (each := runs.find(tx, id)) is not None]
    return tuple(_calling(tx, each) for each in others)


# ---- tool calls


def _awaiting_tools(tx: Tx, run: Run) -> Reason:
    open_calls = toolcalls.open_of_run(tx, run.id)
    if not open_calls:
        return _of(run, "its results are being handed to the model")
    count = f"{len(open_calls)} tool calls" if len(open_calls) > 1 else "a tool call"
    return _of(run, f"it waits for {count}", because=tuple(_call(tx, run, call) for call in open_calls))


def _call(tx: Tx, run: Run, call: ToolCall) -> Reason:
    match call.phase:
        case CallPhase.READY if call.due_at is not None and call.due_at > tx.now:
            return _about(call, f"it runs again after a failure: {call.detail}", until=call.due_at)
        case CallPhase.PENDING | CallPhase.READY:
            return _not_begun(tx, run, call)
        case CallPhase.EXECUTING:
            return _executing(tx, call)
        case CallPhase.AWAITING_APPROVAL | CallPhase.AWAITING_ANSWER | CallPhase.IN_DOUBT:
            asked = requests.of_call(tx, call.id)
            waits = "for a person" if call.phase is not CallPhase.IN_DOUBT else f"to be settled: {call.detail}"
            return _about(call, f"it waits {waits}", because=(why_asked(tx, asked),) if asked is not None else ())
        case CallPhase.DELEGATED:
            child = runs.by_call(tx, call.id)
            return _about(call, "it waits for its child", because=(why(tx, child),) if child is not None else ())
        case CallPhase.SLEEPING:
            return _about(call, "it sleeps", until=call.due_at)
        case CallPhase.AWAITING_CALLBACK:
            return _handed_out(tx, call)
        case CallPhase.SUCCEEDED | CallPhase.FAILED | CallPhase.REJECTED | CallPhase.CANCELLED | CallPhase.TIMED_OUT:
            raise AssertionError("it is over")
        case _:
            assert_never(call.phase)


def _not_begun(tx: Tx, run: Run, call: ToolCall) -> Reason:
    held = observing.why_held(tx, run, call)
    if not held:
        return _about(call, "it starts once its run is resumed" if run.paused else "it is about to start")
    because: tuple[Reason, ...] = ()
    if call.target_kind == "mcp":
        because = _at_server(tx, run, call)
    elif requests.count_open(tx, run.id) >= MOST_OPEN:
        because = tuple(why_asked(tx, each) for each in requests.open_of_run(tx, run.id))
    return _about(call, f"it may not start: {held}", because=because)


def _at_server(tx: Tx, run: Run, call: ToolCall) -> tuple[Reason, ...]:
    """The MCP server of a call where it is not ready, and the question about its tool where that has changed."""
    function = pins_of(tx, run.root_id).function(run.agent, call.function)
    row = resources.get(tx, "mcp_server", function.server) if function is not None else None
    if function is None or row is None:
        return ()
    tool = mcptools.get(tx, function.server, function.target)
    asked = requests.find(tx, tool.request_id) if tool is not None and tool.request_id else None
    return (*_unusable(tx, (row,)), *((why_asked(tx, asked),) if asked is not None else ()))


def _executing(tx: Tx, call: ToolCall) -> Reason:
    attempt = toolcalls.attempt_of(tx, call)
    began_before = attempt is not None and attempt.epoch != tx.epoch
    return _about(
        call,
        "the daemon died while it ran: what came of it is being looked up" if began_before else "it runs",
        since=from_text(attempt.started_at) if attempt is not None else None,
        until=_deadline(tx, call),
    )


def _deadline(tx: Tx, call: ToolCall) -> datetime | None:
    """Until when an attempt may run, by the time-out that is written now."""
    try:
        start = starting.begun(tx, call.id, call.attempts)
    except Unknown:
        return None
    return start.deadline if start is not None else None


def _handed_out(tx: Tx, call: ToolCall) -> Reason:
    handout = callbacks.find(tx, call.id)
    words = "its work is done elsewhere, and nobody has brought its result yet"
    commands = (("callback", call.id[-_SHORT:], "--result", "RESULT"), ("callback", call.id[-_SHORT:], "--error", "TEXT"))
    if handout is None:
        return _about(call, words)
    if handout.tell_at is not None:
        words = "whoever does its work has not been told yet" + (f": {call.detail}" if call.detail else "")
        words += f" (tried again at {handout.tell_at:%Y-%m-%d %H:%M:%S} UTC)" if handout.refusals else ""
    return replace(_about(call, words, since=handout.handed_out_at, until=handout.expires_at), commands=commands)


def _about(
    call: ToolCall, words: str, *, since: datetime | None = None, until: datetime | None = None, because: tuple[Reason, ...] = ()
) -> Reason:
    return Reason("toolcall", call.function, words, since, until, (), because)
