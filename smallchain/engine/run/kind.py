"""The run loop, assembled: what is observed for a decision, and how each cause is recorded."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import Any

from smallchain.engine import reach
from smallchain.engine.backoff import delay
from smallchain.engine.human.asking import ask
from smallchain.engine.human.telling import results_of
from smallchain.engine.kind import Step, Transact
from smallchain.engine.llm import kind as llm_loop
from smallchain.engine.pace import desk
from smallchain.engine.run import decide as rules
from smallchain.engine.run.execute import ModelCaller, ModelOutcome, Prepared, prepare
from smallchain.engine.specs import ServerInUse, ToolInUse, pins_of, typed, why_unsupported
from smallchain.model import jsonmode
from smallchain.model.agent import limits_of, llm_of
from smallchain.model.decision import Decision, Effect
from smallchain.model.durations import parse_duration, show_duration
from smallchain.model.errors import Refused, Unknown
from smallchain.model.human import RequestKind
from smallchain.model.ids import did_you_mean
from smallchain.model.lifecycles import CALL_TERMINAL, CallPhase, RunPhase
from smallchain.model.llm import Failure, Reply
from smallchain.model.run import Run
from smallchain.model.sections import AgentSpec, RunSpec, TaskSpec
from smallchain.model.templates import render
from smallchain.model.toolcall import Effects, ToolCall
from smallchain.store import eventlog, messages, meta, modelcalls, paces, requests, resources, runs, toolcalls
from smallchain.store.contract import Tx

RETRY_FOR = timedelta(hours=6)
_MOVES = 8
_SETTLING = "what it needs is being looked at"


class RunKind:
    """Moves runs."""

    name = "run"

    def __init__(self, caller: ModelCaller) -> None:
        self._caller = caller

    def step(self, tx: Tx, key: str, /) -> Step:
        """Take a run as far as it goes now: results and the next model call are one step. After `_MOVES`, others come first."""
        run = runs.find(tx, key)
        if run is None:
            return Step(at_rest=True)
        for _ in range(_MOVES):
            decision = rules.decide(_observe(tx, run), now=tx.now)
            if run.phase is RunPhase.READY and not decision.to:
                paces.withdraw(tx, run)
            if decision.cause is None:
                break
            _RECORD[decision.cause](tx, run, decision)
            run = runs.get(tx, key)
        else:
            return Step()
        if decision.to:
            desk.ask(tx, run, decision.to)
        elif decision.detail and decision.detail != run.detail:
            runs.save(tx, run, detail=decision.detail)
            if decision.detail != _SETTLING:
                eventlog.tell(tx, "RunPending", eventlog.about(run), of=run, detail=decision.detail)
        effects = tuple(replace(effect, carries=_prepared(tx, run)) for effect in decision.effects)
        return Step(effects=effects, look_at=decision.look_at, at_rest=decision.at_rest, has_settled=True)

    async def perform(self, effect: Effect, transact: Transact, /) -> None:
        """Call the model and record what came back."""
        if not isinstance(effect.carries, Prepared):
            raise Unknown(f"run {effect.target} is not pinned to its agent and LLM")
        outcome = await self._caller.call(effect.carries)
        if outcome is not None:
            await transact(lambda tx: record_outcome(tx, effect.target, effect.attempt, outcome))

    def lost(self, tx: Tx, effect: Effect, error: str, /) -> None:
        """A call that ended by a fault of ours fails the run: calling again would meet the same fault."""
        run = runs.find(tx, effect.target)
        if run is not None and run.phase is RunPhase.CALLING_MODEL and run.attempts == effect.attempt:
            modelcalls.settle(tx, run.id, run.attempts, outcome="failed", error=error)
            desk.ended(tx, _llm_of(tx, run))
            _fail(tx, run, "call_failed", error)

    def keys(self, tx: Tx, /) -> list[str]:
        """The runs that a loop can move."""
        return runs.unsettled_ids(tx)


def _prepared(tx: Tx, run: Run) -> Prepared | None:
    """What the attempt sends; None, which fails the call and not the look at the run, when it cannot be sent."""
    try:
        return prepare(tx, run)
    except Unknown:
        return None


# ---- observing


def _observe(tx: Tx, run: Run) -> rules.RunFacts:
    facts = rules.RunFacts(run.id, run.phase, run.paused, tx.epoch)
    match run.phase:
        case RunPhase.PENDING:
            facts.lacking = _lacking_to_start(tx, run) if run.started_at is None else _lacking_to_go_on(tx, run)
        case RunPhase.READY:
            agent = pins_of(tx, run.root_id).agent(run.agent)
            turn = desk.look(tx, run)
            facts.turns, facts.lacking = run.turns, turn.lacking or _unkept_cap(tx, run, turn.llm)
            facts.llm, facts.llm_why, facts.has_place = turn.llm, turn.why, turn.has_place
            if agent is not None:
                facts.turn_limit = limits_of(agent).turns
        case RunPhase.CALLING_MODEL:
            attempt = modelcalls.get(tx, run.id, run.attempts)
            facts.attempts = run.attempts
            if attempt is not None:
                facts.attempt = rules.Attempt(attempt.epoch, attempt.outcome == "open")
        case RunPhase.AWAITING_TOOLS:
            calls = toolcalls.of_turn(tx, run.id, run.turns)
            facts.calls_expected = run.calls_expected
            facts.calls_done = sum([call.phase in CALL_TERMINAL for call in calls])
        case RunPhase.BACKING_OFF:
            facts.due_at = run.due_at
    return facts


def _lacking_to_go_on(tx: Tx, run: Run) -> str:
    turn = desk.look(tx, run)
    return turn.lacking or _unkept_cap(tx, run, turn.llm)


def _unkept_cap(tx: Tx, run: Run, llm: str) -> str:
    """Why a cap over a run, as it is written now, cannot be kept by this version; empty where there is none (design rule 8)."""
    agent = resources.get(tx, "agent", run.agent)
    if agent is not None and typed(agent).budget is not None:
        return f"agent '{run.agent}': {why_unsupported(agent)}"
    caps = resources.of_kind(tx, "budget")
    counted = {("agent", run.agent), ("llm", llm), ("task", run.task)}
    each = run if caps else None
    while each is not None:
        counted.add(("run", each.name))
        each = runs.find(tx, each.parent_id) if each.parent_id else None
    for cap in caps:
        over = typed(cap).over
        if over == "everything" or over.counts in counted:
            return f"budget '{cap.name}': {why_unsupported(cap)}"
    return ""


def _lacking_to_start(tx: Tx, run: Run) -> str:
    if run.parent_id is not None:
        return "" if _llm_of_child(tx, run) else reach.why_no_llm(tx, run.agent)
    task_row = resources.get(tx, "task", run.task)
    if task_row is None:
        near = did_you_mean(run.task, resources.names(tx, "task"))
        return f"task '{run.task}' does not exist" + (f"; {near}" if near else "")
    entry = resources.get(tx, "run", run.name) if run.file else None
    if entry is not None and (why := why_unsupported(entry)):
        return f"run '{run.name}': {why}"
    task: TaskSpec = typed(task_row)
    if cap := _unkept_cap(tx, run, run.llm):
        return cap
    found = reach.reach_of(tx, task.agent)
    if found.settling:
        return _SETTLING
    if found.lacking or found.broken:
        return "; ".join((*found.lacking, *found.broken))
    return "" if found.llm else reach.why_no_llm(tx, task.agent)


def _llm_of_child(tx: Tx, run: Run) -> str | None:
    pins = pins_of(tx, run.root_id)
    agent, defaults = pins.agent(run.agent), pins.defaults()
    parent = runs.get(tx, run.parent_id or "")
    if agent is None:
        return None
    return llm_of(agent, default=defaults.llm if defaults else None, llms=pins.llm_names(), caller=parent.llm)


# ---- recording


def _start(tx: Tx, run: Run, decision: Decision) -> None:
    if run.started_at is not None:
        runs.move(tx, run, "dependencies_ready", detail="")
        return
    run = _start_root(tx, run) if run.parent_id is None else _start_child(tx, run)
    eventlog.tell(tx, "AgentStarted", eventlog.about(run), of=run)


def _start_root(tx: Tx, run: Run) -> Run:
    row = resources.get(tx, "task", run.task)
    if row is None:
        raise Unknown(f"task {run.task!r} is gone")
    task: TaskSpec = typed(row)
    found = reach.reach_of(tx, task.agent)
    for resource in (row, *found.found.values()):
        resources.pin(tx, run.id, resource)
    agent = pins_of(tx, run.id).agent(task.agent)
    opening = _opening(agent, task, run) if run.messages == 0 else []
    run = _open(tx, run, opening, agent=task.agent, llm=found.llm or "")
    eventlog.tell(tx, "RunStarted", eventlog.about(run), of=run)
    return run


def _opening(agent: AgentSpec | None, task: TaskSpec, run: Run) -> list[dict[str, Any]]:
    """The first messages of a run: the agent's prompt, then what it is told; a given transcript may bring its own prompt."""
    opening: list[dict[str, Any]] = []
    if agent is not None and agent.system_prompt:
        opening.append({"role": "system", "content": agent.system_prompt})
    if run.user_message is not None:
        opening.append({"role": "user", "content": run.user_message})
    elif task.user_message is not None:
        opening.append({"role": "user", "content": task.user_message})
    for message in task.context_window or ():
        given = message.model_dump(mode="json", exclude_none=True)
        if not given.get("tool_calls"):
            given.pop("tool_calls", None)
        if given["role"] == "system" and opening and opening[0]["role"] == "system":
            opening.pop(0)
        opening.append(given)
    return opening


def _start_child(tx: Tx, run: Run) -> Run:
    agent = pins_of(tx, run.root_id).agent(run.agent)
    opening: list[dict[str, Any]] = []
    if agent is not None and agent.system_prompt:
        opening.append({"role": "system", "content": agent.system_prompt})
    opening.append({"role": "user", "content": run.user_message or ""})
    return _open(tx, run, opening, agent=run.agent, llm=_llm_of_child(tx, run) or "")


def _open(tx: Tx, run: Run, opening: list[dict[str, Any]], *, agent: str, llm: str) -> Run:
    for number, message in enumerate(opening, 1):
        messages.append(tx, run, message, number=number)
    changes = {"agent": agent, "llm": llm, "messages": run.messages + len(opening), "started_at": tx.now, "detail": ""}
    return runs.move(tx, run, "dependencies_ready", **changes)


def _call(tx: Tx, run: Run, decision: Decision) -> None:
    attempt = run.attempts + 1
    pinned = pins_of(tx, run.root_id).llm(decision.to)
    if pinned is None and (row := resources.get(tx, "llm", decision.to)) is not None:
        resources.pin(tx, run.root_id, row)  # a fallback that was written later: pinned by its first use
        pinned = typed(row)
    if decision.detail:
        desk.tell_switch(tx, run, decision.to, decision.detail)
    modelcalls.open_call(tx, run, attempt=attempt, llm=decision.to, model=(pinned.model if pinned else None) or decision.to)
    runs.move(tx, run, "model_called", attempts=attempt, detail="")


def _interrupted(tx: Tx, run: Run, decision: Decision) -> None:
    attempt = modelcalls.get(tx, run.id, run.attempts)
    modelcalls.settle(tx, run.id, run.attempts, outcome="interrupted", error="the daemon ended before the reply was recorded")
    if attempt is not None:
        desk.ended(tx, attempt.llm)
    crashes = run.crashes + (attempt is None or str(attempt.epoch) != meta.get(tx, meta.CLEAN_EPOCH))
    run = runs.move(tx, run, "call_interrupted", crashes=crashes)
    eventlog.tell(tx, "ModelCallInterrupted", eventlog.about(run), of=run)
    question = rules.after_crash(crashes)
    if question:
        stop_and_ask(tx, run, RequestKind.QUARANTINE, question)


def _results_in(tx: Tx, run: Run, decision: Decision) -> None:
    calls = toolcalls.of_turn(tx, run.id, run.turns)
    count = append_results(tx, run, calls)
    last_call, same_calls = _repeats(run, calls)
    run = runs.move(tx, run, "results_in", messages=count, calls_expected=0, last_call=last_call, same_calls=same_calls)
    question = rules.after_results(same_calls, function=calls[-1].function)
    if question:
        stop_and_ask(tx, run, RequestKind.LOOP, question)


def _repeats(run: Run, calls: list[ToolCall]) -> tuple[str, int]:
    """What tells the last call apart (function, arguments and result), and how often it was made in a row."""
    last, count = run.last_call, run.same_calls
    for call in calls:
        if call.target_kind == "timer":  # an agent that looks at something each hour is no loop
            continue
        mark = hashlib.sha256(f"{call.function}\0{call.arguments}\0{call.result}".encode()).hexdigest()[:32]
        last, count = mark, count + 1 if mark == last else 1
    return last, count


def append_results(tx: Tx, run: Run, calls: list[ToolCall]) -> int:
    """Append one result for each call, in the order the model asked; how many messages the run has then."""
    for number, (call, (content, template)) in enumerate(zip(calls, results_of(tx, run, calls), strict=True), run.messages + 1):
        message = {"role": "tool", "tool_call_id": call.asked_id, "content": content}
        messages.append(tx, run, message, number=number, template=template)
    return run.messages + len(calls)


def stop_and_ask(tx: Tx, run: Run, kind: RequestKind, question: str) -> None:
    """Pause a run and ask a person whether it should go on; `resume` is the answer."""
    run = runs.save(tx, run, paused=True, detail=question)
    ask(tx, run, kind=kind, question=question)


def _waited(tx: Tx, run: Run, decision: Decision) -> None:
    runs.move(tx, run, "waited", due_at=None, detail="")


def _lost_dependencies(tx: Tx, run: Run, decision: Decision) -> None:
    run = runs.move(tx, run, "dependencies_lost", detail=decision.detail)
    eventlog.tell(tx, "RunPending", eventlog.about(run), of=run, detail=decision.detail)


def _limit(tx: Tx, run: Run, decision: Decision) -> None:
    _fail(tx, run, "limit_reached", decision.detail)


_RECORD = {
    "dependencies_ready": _start,
    "model_called": _call,
    "call_interrupted": _interrupted,
    "results_in": _results_in,
    "waited": _waited,
    "dependencies_lost": _lost_dependencies,
    "limit_reached": _limit,
}


# ---- recording what came back


def record_outcome(tx: Tx, run_id: str, attempt: int, outcome: ModelOutcome, /) -> None:
    """Record a reply or a failure: the attempt, the message, the calls it asks for and the move, all in one transaction.

    A run that moved on meanwhile (cancelled) keeps its state; the attempt is settled all the same.
    """
    run = runs.find(tx, run_id)
    if run is None:
        return
    llm = _llm_of(tx, run, attempt)
    reply = outcome.answer if isinstance(outcome.answer, Reply) else None
    settled = modelcalls.settle(
        tx,
        run_id,
        attempt,
        outcome="replied" if reply else "failed",
        error="" if isinstance(outcome.answer, Reply) else outcome.answer.message,
        finish_reason=reply.finish_reason if reply else None,
        usage=reply.usage if reply else None,
        cost_nanousd=outcome.cost_nanousd,
        priced_by=outcome.priced_by,
        raw=outcome.answer.raw,
    )
    if not settled:
        return
    desk.ended(tx, llm)
    if outcome.cost_nanousd:
        run = runs.save(tx, run, cost_nanousd=run.cost_nanousd + outcome.cost_nanousd)
    if run.phase is not RunPhase.CALLING_MODEL or run.attempts != attempt:
        return
    if isinstance(outcome.answer, Reply):
        _replied(tx, run, outcome.answer, llm)
    else:
        _failed_call(tx, run, outcome.answer, llm)


def _llm_of(tx: Tx, run: Run, attempt: int | None = None) -> str:
    """The LLM that an attempt (the newest where none is given) went to: the run's own, or a fallback."""
    row = modelcalls.get(tx, run.id, run.attempts if attempt is None else attempt)
    return run.llm if row is None else row.llm


def _replied(tx: Tx, run: Run, reply: Reply, llm: str) -> None:
    llm_loop.works(tx, llm)
    if reply.held_for is not None:
        desk.used_up(tx, llm, reply.held_for)
    for note in reply.notes:
        eventlog.tell(tx, "ReplyMended", eventlog.about(run), of=run, detail=note)
    cause, why = rules.after_reply(
        reply,
        silent=_silent_before(tx, run) if reply.is_silent else 0,
        unfit_before=_unfit_before(tx, run) if reply.unfit else 0,
    )
    if cause == "call_failed":
        _fail(tx, run, cause, why)
        return
    if cause == "call_failed_for_now":
        _wait_and_retry(tx, run, why, None)
        return
    number = run.messages + 1
    messages.append(tx, run, reply.message, number=number, attempt=run.attempts)
    changes = {"messages": number, "turns": run.turns + 1, "failures": 0, "failing_since": None, "crashes": 0}
    if cause == "reply_unfit":
        _say_what_is_wanted(tx, run, why, changes)
        return
    if cause == "asked_for_tools":
        run = runs.move(tx, run, cause, calls_expected=len(reply.calls), **changes)
        _make_calls(tx, run, reply)
    else:
        run = runs.move(tx, run, cause, output=reply.content, detail="", **changes)
        _tell_success(tx, run)


def _unfit_before(tx: Tx, run: Run) -> int:
    """How many replies in a row, up to now, were answered with our sentence."""
    count = 0
    while count < rules.UNFIT_REPLIES and messages.template_of(tx, run.id, run.messages - 2 * count) == jsonmode.NOT_USED:
        count += 1
    return count


def _say_what_is_wanted(tx: Tx, run: Run, why: str, changes: dict[str, Any]) -> None:
    """Keep the reply as it came, and answer it with a sentence of ours."""
    number = run.messages + 2
    text = render(jsonmode.NOT_USED, pins_of(tx, run.root_id).templates(), detail=why)
    messages.append(tx, run, {"role": "user", "content": text}, number=number, template=jsonmode.NOT_USED)
    run = runs.move(tx, run, "reply_unfit", detail="", **(changes | {"messages": number}))
    eventlog.tell(tx, "ReplyUnfit", eventlog.about(run), of=run, detail=why)


def _silent_before(tx: Tx, run: Run) -> int:
    """The replies of this turn before the newest: had one of them said anything, the turn would be over."""
    return sum(1 for row in modelcalls.of_run(tx, run.id) if row["turn"] == run.turns and row["outcome"] == "replied") - 1


def _make_calls(tx: Tx, run: Run, reply: Reply) -> None:
    pins = pins_of(tx, run.root_id)
    agent = pins.agent(run.agent)
    functions = pins.functions(agent) if agent is not None else {}
    for position, asked in enumerate(reply.calls):
        function = functions.get(asked.name)
        behind: ToolInUse | ServerInUse | None = None
        if function is not None and function.kind in ("tool", "mcp"):
            behind = pins.server(function.server) if function.kind == "mcp" else pins.tool(function.target)
        toolcalls.create(
            tx,
            run,
            position=position,
            asked_id=asked.id,
            function=asked.name,
            target_kind=function.kind if function else "",
            tool=function.target if function and function.kind == "tool" else asked.name,
            arguments=asked.arguments,
            effects=behind.effects if behind else Effects.IDEMPOTENT,
        )


def _tell_success(tx: Tx, run: Run) -> None:
    about = eventlog.about(run)
    eventlog.tell(tx, "AgentCompleted", about, of=run)
    if run.parent_id is None:
        eventlog.tell(tx, "TaskCompleted", about, of=run)
        eventlog.tell(tx, "RunOutput", about, of=run, output=run.output)
        eventlog.tell(tx, "RunSucceeded", about, of=run)


def _failed_call(tx: Tx, run: Run, failure: Failure, llm: str) -> None:
    own = resources.get(tx, "llm", run.llm)
    spec = typed(own) if own is not None else pins_of(tx, run.root_id).llm(run.llm)
    retry_for = parse_duration(spec.retry_for) if spec is not None and spec.retry_for else RETRY_FOR
    cause, why = rules.after_failure(failure, failing_since=run.failing_since, retry_for=retry_for, now=tx.now)
    desk.failed(tx, run, llm, failure)
    if cause == "call_failed_for_now":
        _wait_and_retry(tx, run, why, failure.retry_after, elsewhere=desk.look(tx, run).llm != llm)
    elif cause == "model_unusable" and resources.get(tx, "llm", llm) is None:
        _wait_and_retry(tx, run, why, None)  # it was deleted: no row can say when it is usable again
    elif cause == "model_unusable":
        detail = f"LLM '{llm}' can't be used: {why}"
        llm_loop.broken(tx, llm, why)
        run = runs.move(tx, run, cause, detail=detail)
        if desk.look(tx, run).lacking:
            eventlog.tell(tx, "RunPending", eventlog.about(run), of=run, detail=detail)
    else:
        _fail(tx, run, cause, why)


def _wait_and_retry(tx: Tx, run: Run, why: str, retry_after: timedelta | None, *, elsewhere: bool = False) -> None:
    """Call again after a while, or at once where the next call goes to another LLM."""
    failures = run.failures + 1
    wait = timedelta() if elsewhere else delay(failures, key=run.id, at_least=retry_after)
    changes = {"failures": failures, "failing_since": run.failing_since or tx.now, "due_at": tx.now + wait, "detail": why}
    run = runs.move(tx, run, "call_failed_for_now", **changes)
    if not elsewhere:
        eventlog.tell(tx, "RunBackingOff", eventlog.about(run), of=run, when=f"in {show_duration(wait)}", detail=why)


def _fail(tx: Tx, run: Run, cause: str, why: str) -> None:
    run = runs.move(tx, run, cause, error=why, detail=why)
    eventlog.tell(tx, "RunFailed", eventlog.about(run), of=run, error=why)


# ---- what people do


def cancel(tx: Tx, run: Run, /, *, by: str, note: str = "", only: bool = False) -> list[Run]:
    """Cancel a run and its descendants; those that are over stay as they are. Returns the runs that were cancelled."""
    cancelled = []
    for each in [run] if only else runs.tree(tx, run.id):
        if not each.is_over:
            cancelled.append(_cancel(tx, each, by, note))
    return cancelled


def _cancel(tx: Tx, run: Run, by: str, note: str) -> Run:
    detail = f"cancelled by {by}" + (f": {note}" if note else "")
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
    changes: dict[str, Any] = {}
    if run.phase is RunPhase.AWAITING_TOOLS:  # the history stays legal: one result for each call
        changes["messages"] = append_results(tx, run, toolcalls.of_turn(tx, run.id, run.turns))
    if run.phase is RunPhase.CALLING_MODEL:
        modelcalls.settle(tx, run.id, run.attempts, outcome="abandoned", error=detail)
        desk.ended(tx, _llm_of(tx, run))
    if run.phase is RunPhase.READY:
        paces.withdraw(tx, run)
    run = runs.move(tx, run, "cancelled", detail=detail, error=detail, **changes)
    eventlog.tell(tx, "RunCancelled", eventlog.about(run), of=run, by=by, note=f": {note}" if note else "")
    return run


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
        changed = runs.save(tx, each, paused=False, detail="", crashes=0, last_call="", same_calls=0)
        eventlog.tell(tx, "RunResumed", eventlog.about(changed), of=changed, by=by)
        for call in toolcalls.open_of_run(tx, each.id):
            toolcalls.save(tx, call, crashes=0)
        resumed.append(changed)
    return resumed


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
