"""The run loop, assembled: what is observed for a decision, and how each cause is recorded."""

from __future__ import annotations

from shlex import quote
from typing import Any

from smallchain.engine import reach
from smallchain.engine.budget import desk as money
from smallchain.engine.budget.bounds import around
from smallchain.engine.budget.decide import Word
from smallchain.engine.human.asking import ask, stop_and_ask
from smallchain.engine.kind import Step, Transact
from smallchain.engine.limits import limits_over
from smallchain.engine.pace import desk
from smallchain.engine.run import contexts, work
from smallchain.engine.run import decide as rules
from smallchain.engine.run.acts import cancel, end_what_is_open, fail_whole
from smallchain.engine.run.compose import Composition
from smallchain.engine.run.composing import is_wanted, record_made, wanted
from smallchain.engine.run.execute import ModelCaller, Prepared, prepare
from smallchain.engine.run.replies import book_lost, fail, llm_of_attempt, record_outcome
from smallchain.engine.run.results import append_results, repeats
from smallchain.engine.specs import pins_of, typed, why_unsupported
from smallchain.model.agent import llm_of
from smallchain.model.canonical import canonical
from smallchain.model.decision import Decision, Effect
from smallchain.model.errors import Unknown
from smallchain.model.human import RequestKind
from smallchain.model.ids import did_you_mean
from smallchain.model.lifecycles import CALL_TERMINAL, CallPhase, RunPhase
from smallchain.model.llm import Failure, FailureKind
from smallchain.model.run import Run
from smallchain.model.sections import AgentSpec, TaskSpec
from smallchain.model.templates import render
from smallchain.store import eventlog, ledger, messages, meta, modelcalls, paces, requests, resources, runs, toolcalls
from smallchain.store.contract import Tx
from smallchain.store.times import show_moment

_MOVES = 8


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
        if work.is_left_behind(tx, run):
            cancel(tx, run, by=f"run '{runs.get(tx, run.parent_id or '').name}'", note="it has ended")
            run = runs.get(tx, key)
        for _ in range(_MOVES):
            if run.phase is RunPhase.READY and not run.paused:
                run = work.enter(tx, run)
            facts = _observe(tx, run)
            decision = rules.decide(facts, now=tx.now)
            if run.phase is RunPhase.READY and not decision.to:
                paces.withdraw(tx, run)
            if decision.cause is None:
                break
            _RECORD[decision.cause](tx, run, facts, decision)
            run = runs.get(tx, key)
        else:
            return Step()
        if decision.to:
            desk.ask(tx, run, decision.to)
        elif isinstance(facts.fit, money.Fit) and facts.money is not Word.FITS:
            _keep_waiting(tx, run, facts.fit)
        elif decision.detail and decision.detail != run.detail:
            runs.save(tx, run, detail=decision.detail)
            if decision.detail != reach.SETTLING and run.phase is not RunPhase.AWAITING_WORK:
                eventlog.tell(tx, "RunPending", eventlog.about(run), of=run, detail=decision.detail)
        runs.keep_time(tx, runs.get(tx, key), at_work=facts.at_work)
        effects = tuple(effect.carrying(_carried(tx, run, effect, facts.llm)) for effect in decision.effects)
        return Step(effects=effects, look_at=decision.look_at, at_rest=decision.at_rest, has_settled=True)

    async def perform(self, effect: Effect, transact: Transact, /) -> None:
        """Have a person's own strategy make the request, or call the model; record what came of it."""
        if isinstance(effect.carries, Composition):
            wanted, made = effect.carries, await self._caller.compose(effect.carries)
            await transact(lambda tx: record_made(tx, effect.target, effect.attempt, wanted, made))
            return
        if not isinstance(effect.carries, Prepared):
            raise Unknown(f"run {effect.target} is not pinned to its agent and LLM")
        outcome = await self._caller.call(effect.carries)
        await transact(lambda tx: record_outcome(tx, effect.target, effect.attempt, outcome))

    def lost(self, tx: Tx, effect: Effect, error: str, /) -> None:
        """A call that ended by a fault of ours fails the run: calling again would meet the same fault."""
        run = runs.find(tx, effect.target)
        if isinstance(effect.carries, Composition):
            record_made(tx, effect.target, effect.attempt, effect.carries, Failure(FailureKind.TRANSIENT, error))
        elif run is not None and run.phase is RunPhase.CALLING_MODEL and run.attempts == effect.attempt:
            run = book_lost(tx, run, outcome="failed", error=error)
            desk.ended(tx, llm_of_attempt(tx, run))
            fail(tx, run, "call_failed", error)

    def keys(self, tx: Tx, /) -> list[str]:
        """The runs that a loop can move."""
        return runs.unsettled_ids(tx)


def _carried(tx: Tx, run: Run, effect: Effect, llm: str) -> Prepared | Composition | None:
    """What the attempt sends, or its strategy is given; None, which fails the call and not the look at the run, when there is no such."""
    try:
        return wanted(tx, run, llm) if effect.name == "compose" else prepare(tx, run)
    except Unknown:
        return None


# ---- observing


def _observe(tx: Tx, run: Run) -> rules.RunFacts:
    facts = rules.RunFacts(run.id, run.phase, run.paused, tx.epoch)
    if run.started_at is not None and not run.is_over:
        facts.agent, facts.limits = run.agent, limits_over(tx, run)
        facts.started_at, facts.worked = run.started_at, run.worked(tx.now)
    match run.phase:
        case RunPhase.PENDING:
            facts.lacking = _lacking_to_start(tx, run) if run.started_at is None else _lacking_to_go_on(tx, run)
        case RunPhase.READY:
            turn = desk.look(tx, run)
            facts.turns, facts.attempts, facts.lacking = run.turns, run.attempts, turn.lacking
            facts.llm, facts.llm_why, facts.has_place = turn.llm, turn.why, turn.has_place
            if turn.has_place and not turn.lacking and not run.paused:
                facts.composes = is_wanted(tx, run, turn.llm)
                if not facts.composes:
                    _observe_money(tx, run, turn.llm, facts)
        case RunPhase.CALLING_MODEL:
            attempt = modelcalls.get(tx, run.id, run.attempts)
            facts.attempts, facts.at_work = run.attempts, not run.paused
            if attempt is not None:
                facts.attempt = rules.Attempt(attempt.epoch, attempt.outcome == "open")
        case RunPhase.AWAITING_TOOLS:
            calls = toolcalls.of_turn(tx, run.id, run.turns)
            facts.calls_expected = run.calls_expected
            facts.at_work = not run.paused and any(call.phase is CallPhase.EXECUTING for call in calls)
            facts.calls_done = sum([call.phase in CALL_TERMINAL for call in calls])
            if facts.calls_done == facts.calls_expected:
                facts.waits_for = work.shown(work.waited_for(tx, run))
        case RunPhase.AWAITING_WORK:
            facts.waits_for = work.shown(work.waited_for(tx, run))
        case RunPhase.BACKING_OFF:
            facts.due_at = run.due_at
        case RunPhase.OVER_BUDGET:
            fit = _observe_money(tx, run, desk.look(tx, run).llm, facts)
            facts.due_at = fit.room_at
    return facts


def _observe_money(tx: Tx, run: Run, llm: str, facts: rules.RunFacts) -> money.Fit:
    """Put whether the next call fits under all caps to the other facts; of a run that stood still, with what it will be told of that."""
    more = len(canonical(_stood_still(tx, run)).encode()) + 1 if run.phase is RunPhase.OVER_BUDGET else 0  # what it is told at first
    fit = money.look(tx, run, llm, more=more)
    facts.fit, facts.money, facts.money_why = fit, fit.verdict.word, fit.verdict.why
    if fit.verdict.standing is not None:
        facts.on_limit = fit.verdict.standing.cap.on_limit
    facts.lacking = facts.lacking or fit.lacking
    return fit


def _fit_of(facts: rules.RunFacts) -> money.Fit:
    """What a decision over a call was taken on: it was looked at in this very step, and nothing has moved since."""
    assert isinstance(facts.fit, money.Fit), "whoever calls, or may not, was held against the caps"
    return facts.fit


def _lacking_to_go_on(tx: Tx, run: Run) -> str:
    turn = desk.look(tx, run)
    return turn.lacking or money.look(tx, run, turn.llm).lacking


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
    found = reach.reach_of(tx, task.agent)
    if found.settling:
        return reach.SETTLING
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


def _start(tx: Tx, run: Run, facts: rules.RunFacts, decision: Decision) -> None:
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


def _call(tx: Tx, run: Run, facts: rules.RunFacts, decision: Decision) -> None:
    attempt = run.attempts + 1
    pinned = pins_of(tx, run.root_id).llm(decision.to)
    if pinned is None and (row := resources.get(tx, "llm", decision.to)) is not None:
        resources.pin(tx, run.root_id, row)  # a fallback that was written later: pinned by its first use
        pinned = typed(row)
    if decision.detail:
        desk.tell_switch(tx, run, decision.to, decision.detail)
    fit = _fit_of(facts)
    first, summarises = contexts.first_message(tx, run), contexts.summarises(tx, run)
    modelcalls.open_call(
        tx,
        run,
        attempt=attempt,
        llm=decision.to,
        model=(pinned.model if pinned else None) or decision.to,
        first_message=first,
        summarises=summarises,
        around=around(tx, run, pinned) if pinned is not None else None,
        held_nanousd=fit.worst.nanousd if fit.worst is not None else None,
        max_output=fit.output,
    )
    money.hold(tx, run, fit, attempt=attempt)
    runs.move(tx, run, "model_called", attempts=attempt, first_message=first, detail="")


def _interrupted(tx: Tx, run: Run, facts: rules.RunFacts, decision: Decision) -> None:
    attempt = modelcalls.get(tx, run.id, run.attempts)
    run = book_lost(tx, run, outcome="interrupted", error="the daemon ended before the reply was recorded")
    if attempt is not None:
        desk.ended(tx, attempt.llm)
    crashes = run.crashes + (attempt is None or str(attempt.epoch) != meta.get(tx, meta.CLEAN_EPOCH))
    run = runs.move(tx, run, "call_interrupted", crashes=crashes)
    eventlog.tell(tx, "ModelCallInterrupted", eventlog.about(run), of=run)
    question = rules.after_crash(crashes)
    if question:
        stop_and_ask(tx, run, RequestKind.QUARANTINE, question)


def _results_in(tx: Tx, run: Run, facts: rules.RunFacts, decision: Decision) -> None:
    calls = toolcalls.of_turn(tx, run.id, run.turns)
    count = append_results(tx, run, calls)
    waits = work.waits(tx, run, calls)
    last_call, same_calls = repeats(run, [call for call in calls if call not in waits])
    changes: dict[str, Any] = {"messages": count, "calls_expected": 0, "last_call": last_call, "same_calls": same_calls}
    run = runs.move(tx, run, decision.cause or "", **changes)
    if decision.detail:
        eventlog.tell(tx, "RunAwaitsWork", eventlog.about(run), of=run, detail=decision.detail)
    question = rules.after_results(same_calls, function=calls[-1].function)
    if question:
        stop_and_ask(tx, run, RequestKind.LOOP, question)


def _work_finished(tx: Tx, run: Run, facts: rules.RunFacts, decision: Decision) -> None:
    runs.move(tx, run, "work_finished", detail="")


def _waited(tx: Tx, run: Run, facts: rules.RunFacts, decision: Decision) -> None:
    runs.move(tx, run, "waited", due_at=None, detail="")


def _lost_dependencies(tx: Tx, run: Run, facts: rules.RunFacts, decision: Decision) -> None:
    run = runs.move(tx, run, "dependencies_lost", detail=decision.detail)
    eventlog.tell(tx, "RunPending", eventlog.about(run), of=run, detail=decision.detail)


def _over_cap(tx: Tx, run: Run, facts: rules.RunFacts, decision: Decision) -> None:
    fit = _fit_of(facts)
    due = fit.room_at
    run = runs.move(tx, run, "over_cap", due_at=due, detail=decision.detail)
    when = f"until {show_moment(due)}" if due is not None else "until a cap is raised"
    eventlog.tell(tx, "RunOverBudget", eventlog.about(run), of=run, when=when, detail=decision.detail)
    money.wait(tx, run, fit)


def _keep_waiting(tx: Tx, run: Run, fit: money.Fit) -> None:
    """Note what a run waits for, and ask a person to raise the cap where that is written and nobody has said no to it."""
    digest = money.wait(tx, run, fit)
    parked = run.phase is RunPhase.OVER_BUDGET
    if run.detail != fit.verdict.why or (parked and run.due_at != fit.room_at):
        runs.save(tx, run, due_at=fit.room_at if parked else run.due_at, detail=fit.verdict.why)
    if not parked:
        return
    _withdraw(tx, run, "it waits for another cap now", but=digest)
    wish = money.wish_of(tx, fit)
    if wish is not None:
        ask(tx, run, kind=RequestKind.BUDGET, question=wish.question, arguments=wish.arguments, digest=wish.digest, rule=wish.rule)


def _room(tx: Tx, run: Run, facts: rules.RunFacts, decision: Decision) -> None:
    """Go on, and tell the model why it stood still."""
    number = run.messages + 1
    messages.append(tx, run, _stood_still(tx, run), number=number, template="was_over_budget")
    ledger.stop_waiting(tx, run)
    _withdraw(tx, run, "there is room again")
    run = runs.move(tx, run, "room", messages=number, due_at=None, detail="")
    eventlog.tell(tx, "RunHasRoom", eventlog.about(run), of=run)


def _withdraw(tx: Tx, run: Run, why: str, *, but: str = "") -> None:
    """Withdraw what a run has asked about caps, but for one."""
    for request in requests.open_of_run(tx, run.id):
        if request.kind is RequestKind.BUDGET and request.digest != but:
            requests.decide(tx, request, "withdrawn", decision="", by="time", note=why)
            requests.tell(tx, "RequestWithdrawn", request, why=why)


def _stood_still(tx: Tx, run: Run) -> dict[str, Any]:
    text = render("was_over_budget", pins_of(tx, run.root_id).templates(), detail=run.detail, now=show_moment(tx.now))
    return {"role": "user", "content": text}


def _stopped_by_cap(tx: Tx, run: Run, facts: rules.RunFacts, decision: Decision) -> None:
    """Fail the run that owns the cap; what it had started, the caller among it, is cancelled."""
    fit = _fit_of(facts)
    standing = fit.verdict.standing
    why = f"{decision.detail}; {fit.reset}" if fit.reset else decision.detail
    owner = money.owner_of(tx, run, standing.cap) if standing is not None else run
    if owner.id != run.id:
        for child in [each for each in runs.tree(tx, owner.id) if each.id != owner.id]:
            cancel(tx, child, by="a cap", note=why, only=True)
        owner = runs.get(tx, owner.id)
        if owner.phase is not RunPhase.AWAITING_TOOLS:
            return  # it moves by itself, and meets the cap at its own next call
    count = end_what_is_open(tx, owner, by="a cap", detail=why)
    is_over_one = standing is not None and standing.cap.is_over_one_run
    fail(tx, owner, "stopped_by_cap", f"{why}; {_way_past(owner) if is_over_one else _way_on(owner)}", messages=count)


def _limit(tx: Tx, run: Run, facts: rules.RunFacts, decision: Decision) -> None:
    """Fail a run at a limit of its agent, with all that it has out and all that it began."""
    fail_whole(tx, run, "limit_reached", f"{decision.detail}; {_way_on(run)}", by="a limit")


def _way_on(run: Run) -> str:
    """What a person may do about a limit at which a run failed; a child is not retried, its parent goes on."""
    return f"raise it, then `smallchain retry {quote(run.name)}`" if run.parent_id is None else "raise it for what is handed over next"


def _way_past(run: Run) -> str:
    """What a person may do about a cap over this one run: a run that goes on from it is another."""
    return f"`smallchain retry {quote(run.name)}` goes on as another run, which this cap is not over"


_RECORD = {
    "dependencies_ready": _start,
    "model_called": _call,
    "call_interrupted": _interrupted,
    "results_in": _results_in,
    "results_in_with_work_awaited": _results_in,
    "work_finished": _work_finished,
    "waited": _waited,
    "dependencies_lost": _lost_dependencies,
    "limit_reached": _limit,
    "over_cap": _over_cap,
    "room": _room,
    "stopped_by_cap": _stopped_by_cap,
}
