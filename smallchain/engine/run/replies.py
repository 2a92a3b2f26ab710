"""What came back from a model, recorded: the attempt, the message, the calls it asks for and the move, all in one transaction."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from smallchain.engine.backoff import delay
from smallchain.engine.budget import desk as money
from smallchain.engine.llm import kind as llm_loop
from smallchain.engine.llm.endpoint import retry_for_of
from smallchain.engine.pace import desk
from smallchain.engine.run import contexts, work
from smallchain.engine.run import decide as rules
from smallchain.engine.run.execute import ModelOutcome
from smallchain.engine.specs import ServerInUse, ToolInUse, pins_of, typed
from smallchain.model import jsonmode
from smallchain.model.context import SUMMARY
from smallchain.model.durations import show_duration
from smallchain.model.lifecycles import RunPhase
from smallchain.model.llm import Failure, FailureKind, Reply
from smallchain.model.run import Run
from smallchain.model.templates import render
from smallchain.model.toolcall import Effects
from smallchain.store import eventlog, messages, modelcalls, resources, runs, toolcalls
from smallchain.store.contract import Tx

AT_WORST = "the worst case"
"""What prices a call under a cap that does not say what it used."""


def record_outcome(tx: Tx, run_id: str, attempt: int, outcome: ModelOutcome, /) -> None:
    """Record a reply or a failure: the attempt, the message, the calls it asks for and the move, all in one transaction.

    A run that moved on meanwhile (cancelled) keeps its state; the attempt is settled all the same.
    """
    run = runs.find(tx, run_id)
    if run is None:
        return
    llm = llm_of_attempt(tx, run, attempt)
    reply = outcome.answer if isinstance(outcome.answer, Reply) else None
    call = modelcalls.get(tx, run_id, attempt)
    booked = (call.cost_nanousd or 0) if call is not None else 0
    cost, priced_by = _cost_of(outcome, call.held_nanousd if call is not None else None)
    settled = modelcalls.settle(
        tx,
        run_id,
        attempt,
        outcome="replied" if reply else "failed",
        error="" if isinstance(outcome.answer, Reply) else outcome.answer.message,
        finish_reason=reply.finish_reason if reply else None,
        usage=reply.usage if reply else None,
        cost_nanousd=cost,
        priced_by=priced_by,
        raw=outcome.answer.raw,
    )
    if not settled:
        return
    desk.ended(tx, llm)
    if isinstance(outcome.answer, Reply):  # also of one that went out before a cap was written over it
        money.settle_reply(tx, run_id, attempt, usage=outcome.answer.usage, cost_nanousd=cost)
    else:
        money.settle_failure(tx, run_id, attempt, outcome.answer)
    if priced_by == AT_WORST:
        eventlog.tell(tx, "CostAtWorst", eventlog.about(run), of=run)
    if (cost or 0) != booked:
        run = runs.save(tx, run, cost_nanousd=run.cost_nanousd + (cost or 0) - booked)
    if run.phase is not RunPhase.CALLING_MODEL or run.attempts != attempt:
        return
    if isinstance(outcome.answer, Reply):
        _replied(tx, run, outcome.answer, llm)
    else:
        _failed_call(tx, run, outcome.answer, llm)


def _cost_of(outcome: ModelOutcome, held: int | None) -> tuple[int | None, str]:
    """What a call cost and who says so; what may have cost and does not say what counts, under a cap, as what it held."""
    if outcome.cost_nanousd is not None or held is None:
        return outcome.cost_nanousd, outcome.priced_by
    if isinstance(outcome.answer, Reply):  # one that tells its tokens, and has no price now, held nothing where it has none by its YAML
        return (held, AT_WORST) if outcome.answer.usage is None or held else (None, outcome.priced_by)
    return (held, AT_WORST) if outcome.answer.may_have_cost else (None, outcome.priced_by)


def book_lost(tx: Tx, run: Run, /, *, outcome: str, error: str) -> Run:
    """Settle the newest attempt of a run, of which nobody knows what came: under a cap, it counts as what it held."""
    call = modelcalls.get(tx, run.id, run.attempts)
    held = call.held_nanousd if call is not None else None
    priced_by = AT_WORST if held is not None else ""
    if not modelcalls.settle(tx, run.id, run.attempts, outcome=outcome, error=error, cost_nanousd=held, priced_by=priced_by):
        return run
    money.settle_lost(tx, run.id, run.attempts)
    return runs.save(tx, run, cost_nanousd=run.cost_nanousd + held) if held else run


def llm_of_attempt(tx: Tx, run: Run, attempt: int | None = None) -> str:
    """The LLM that an attempt (the newest where none is given) went to: the run's own, or a fallback."""
    row = modelcalls.get(tx, run.id, run.attempts if attempt is None else attempt)
    return run.llm if row is None else row.llm


def _replied(tx: Tx, run: Run, reply: Reply, llm: str) -> None:
    llm_loop.works(tx, llm)
    if reply.held_for is not None:
        desk.used_up(tx, llm, reply.held_for)
    for note in reply.notes:
        eventlog.tell(tx, "ReplyMended", eventlog.about(run), of=run, detail=note)
    call = modelcalls.get(tx, run.id, run.attempts)
    summarises = call.summarises if call is not None else 0
    cause, why = rules.after_reply(
        reply,
        silent=_silent_before(tx, run, summarises) if reply.is_silent or summarises else 0,
        unfit_before=_unfit_before(tx, run) if reply.unfit else 0,
        work_left=bool(work.left_at_end(tx, run)),
        is_summary=summarises > 0,
    )
    if cause == "call_failed":
        fail(tx, run, cause, why)
        return
    if cause == "call_failed_for_now":
        _wait_and_retry(tx, run, why, None)
        return
    if cause == "shortened":
        _keep_summary(tx, run, reply.content, summarises)
        return
    number = run.messages + 1
    messages.append(tx, run, reply.message, number=number, attempt=run.attempts)
    changes = {"messages": number, "turns": run.turns + 1, "crashes": 0, **runs.NOT_FAILING}
    if cause == "reply_unfit":
        _say_what_is_wanted(tx, run, why, changes)
        return
    if cause == "asked_for_tools":
        run = runs.move(tx, run, cause, calls_expected=len(reply.calls), **changes)
        _make_calls(tx, run, reply)
    elif cause == "answered_with_work_open":
        run = runs.move(tx, run, cause, detail="", **changes)
        if awaited := work.shown(work.waited_for(tx, run)):
            eventlog.tell(tx, "RunAwaitsWork", eventlog.about(run), of=run, detail=awaited)
    else:
        run = runs.move(tx, run, cause, output=reply.content, detail="", **changes)
        _tell_success(tx, run)


def _keep_summary(tx: Tx, run: Run, text: str, upto: int) -> None:
    """Let a summary stand for all before a message, from now on."""
    number = run.messages + 1
    content = render(SUMMARY, pins_of(tx, run.root_id).templates(), summary=text.strip())
    messages.append(tx, run, {"role": "user", "content": content}, number=number, template=SUMMARY, attempt=run.attempts)
    changes = {"messages": number, "summary": number, "first_message": upto, "summarise_to": 0}
    run = runs.move(tx, run, "shortened", crashes=0, detail="", **runs.NOT_FAILING, **changes)
    eventlog.tell(tx, "ContextSummarised", eventlog.about(run), of=run, first=str(upto))


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


def _silent_before(tx: Tx, run: Run, summarises: int) -> int:
    """The replies of this turn (or to this wish for a summary) before the newest: had one of them said anything, it would be over."""
    asked = [row for row in modelcalls.of_run(tx, run.id) if row["turn"] == run.turns and row["summarises"] == summarises]
    return len([row for row in asked if row["outcome"] == "replied"]) - 1


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
    retry_for = retry_for_of(spec)
    shorter = contexts.shorter(tx, run) if failure.kind is FailureKind.OVERFLOW else contexts.Shorter()
    cause, why = rules.after_failure(failure, failing_since=run.failing_since, retry_for=retry_for, now=tx.now, not_shorter=shorter.why_not)
    desk.failed(tx, run, llm, failure)
    if cause == "call_failed_for_now":
        _wait_and_retry(tx, run, why, failure.retry_after, elsewhere=desk.look(tx, run).llm != llm)
    elif cause == "shortened" and shorter.in_summary:
        runs.move(tx, run, cause, summarise_to=shorter.first, detail="")
    elif cause == "shortened":
        run = runs.move(tx, run, cause, first_message=shorter.first, detail="")
        eventlog.tell(tx, "ContextShortened", eventlog.about(run), of=run, first=str(shorter.first), detail=why)
    elif cause == "model_unusable" and resources.get(tx, "llm", llm) is None:
        _wait_and_retry(tx, run, why, None)  # it was deleted: no row can say when it is usable again
    elif cause == "model_unusable":
        detail = f"LLM '{llm}' can't be used: {why}"
        llm_loop.broken(tx, llm, why)
        run = runs.move(tx, run, cause, detail=detail)
        if desk.look(tx, run).lacking:
            eventlog.tell(tx, "RunPending", eventlog.about(run), of=run, detail=detail)
    else:
        fail(tx, run, cause, why)


def _wait_and_retry(tx: Tx, run: Run, why: str, retry_after: timedelta | None, *, elsewhere: bool = False) -> None:
    """Call again after a while, or at once where the next call goes to another LLM."""
    failures = run.failures + 1
    wait = timedelta() if elsewhere else delay(failures, key=run.id, at_least=retry_after)
    changes = {"failures": failures, "failing_since": run.failing_since or tx.now, "due_at": tx.now + wait, "detail": why}
    run = runs.move(tx, run, "call_failed_for_now", **changes)
    if not elsewhere:
        eventlog.tell(tx, "RunBackingOff", eventlog.about(run), of=run, when=f"in {show_duration(wait)}", detail=why)


def fail(tx: Tx, run: Run, cause: str, why: str, **changes: Any) -> None:
    """Let a run end as failed, and say why."""
    run = runs.move(tx, run, cause, error=why, detail=why, **changes)
    eventlog.tell(tx, "RunFailed", eventlog.about(run), of=run, error=why)
