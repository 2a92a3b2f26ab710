"""What a run does next; pure: the same facts give the same answer, today and after a crash."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never

from smallchain.engine.budget.decide import Word
from smallchain.model.agent import MOST_CRASHES, SAME_CALLS, STANDARD, Limits
from smallchain.model.cap import OnLimit
from smallchain.model.decision import STAY, Decision, Effect
from smallchain.model.durations import show_duration
from smallchain.model.lifecycles import RUN_TERMINAL, RunPhase
from smallchain.model.llm import Failure, FailureKind, Reply

EMPTY_REPLIES = 3
"""Replies in a row that say nothing, after which the run fails."""
UNFIT_REPLIES = 3
"""Replies in a row that are not in the wanted form (`tool_mode: json`), after which the run fails."""

_WHAT_TO_DO = {
    "length": "; it used up its `max_tokens` without an answer (reasoning counts): raise it in the LLM's `parameters`",
    "content_filter": "; the provider's content filter withholds the answer: change the task's words, or use another LLM",
}
_SHORTEN = " (choose an LLM that takes more, `context: {window: N}` with fewer turns, or tools that say less, then `smallchain retry`)"


@dataclass(frozen=True, slots=True)
class Attempt:
    """The newest model call: of which life of the daemon, and whether its outcome is still open."""

    epoch: int
    is_open: bool


@dataclass(slots=True)  # not frozen: one is made at each step, and each field of a frozen one is a call
class RunFacts:
    """What a run's next step depends on. `lacking`: why it cannot go on now (agent, LLM), empty when it can.

    `limits` are those of its agent. `at_work`: the model is called or a tool executes, and it is not paused; `worked`: for how long in all.
    """

    id: str
    phase: RunPhase
    paused: bool
    epoch: int
    lacking: str = ""
    agent: str = ""
    limits: Limits = STANDARD
    turns: int = 0
    at_work: bool = False
    worked: timedelta = timedelta()
    started_at: datetime | None = None
    attempts: int = 0
    attempt: Attempt | None = None
    calls_expected: int = 0
    calls_done: int = 0
    waits_for: str = ""
    """Which detached work is waited for before the next turn; empty for none."""
    due_at: datetime | None = None
    llm: str = ""
    """The LLM that the next attempt goes to: its own, or a fallback."""
    llm_why: str = ""
    """What is new about that, empty when nothing is."""
    has_place: bool = True
    """Whether that LLM's limits let the attempt go now."""
    money: Word = Word.FITS
    """Whether the attempt fits under every cap over it; `money_why` says which it does not fit, `on_limit` what that one wants."""
    money_why: str = ""
    on_limit: OnLimit = OnLimit.WAIT
    composes: bool = False
    """Whether a person's own strategy has to make the request first."""
    fit: object = None
    """What was looked at for it; no part of the decision."""


def decide(facts: RunFacts, /, *, now: datetime) -> Decision:
    """The next step of a run. Whatever it does or waits for, time ends it; but nothing ends what a person has paused."""
    if facts.paused or facts.phase in RUN_TERMINAL:
        return _next(facts, now)
    reached = _out_of_time(facts, now)
    if reached:
        return Decision(cause="limit_reached", detail=reached)
    decision, deadline = _next(facts, now), _deadline(facts, now)
    if deadline is None or decision.cause is not None:
        return decision
    return replace(decision, look_at=min(deadline, decision.look_at or deadline))


def _out_of_time(facts: RunFacts, now: datetime) -> str:
    limits = facts.limits
    if limits.wall_time is not None and facts.worked >= limits.wall_time:
        return f"{limits.reached('wall_time', facts.agent)}: so long it has been at work"
    total = limits.wall_time_total
    if total is not None and facts.started_at is not None and now >= facts.started_at + total:
        return f"{limits.reached('wall_time_total', facts.agent)}: it began {show_duration(_whole(now - facts.started_at))} ago"
    return ""


def _whole(length: timedelta) -> timedelta:
    return timedelta(seconds=int(length.total_seconds()))


def _deadline(facts: RunFacts, now: datetime) -> datetime | None:
    """When time ends the run, as things stand: a run that rests uses up nothing of its time at work."""
    limits, ends = facts.limits, []
    if limits.wall_time is not None and facts.at_work:
        ends.append(now + limits.wall_time - facts.worked)
    if limits.wall_time_total is not None and facts.started_at is not None:
        ends.append(facts.started_at + limits.wall_time_total)
    return min(ends, default=None)


def _next(facts: RunFacts, now: datetime) -> Decision:
    match facts.phase:
        case RunPhase.PENDING:
            return _start(facts)
        case RunPhase.READY:
            return _call_model(facts)
        case RunPhase.CALLING_MODEL:
            return _watch_call(facts)
        case RunPhase.AWAITING_TOOLS:
            return _await_tools(facts)
        case RunPhase.BACKING_OFF:
            return _back_off(facts, now)
        case RunPhase.OVER_BUDGET:
            return _await_room(facts, now)
        case RunPhase.AWAITING_WORK:
            return _await_work(facts)
        case RunPhase.SUCCEEDED | RunPhase.FAILED | RunPhase.CANCELLED:
            return Decision(at_rest=True)
        case _:
            assert_never(facts.phase)


def _start(facts: RunFacts) -> Decision:
    if facts.lacking:
        return Decision(detail=facts.lacking)
    return STAY if facts.paused else Decision(cause="dependencies_ready")


def _call_model(facts: RunFacts) -> Decision:
    if facts.paused:
        return STAY
    if facts.turns >= facts.limits.turns:
        return Decision(cause="limit_reached", detail=facts.limits.reached("turns", facts.agent))
    if facts.lacking:
        return Decision(cause="dependencies_lost", detail=facts.lacking)
    if not facts.has_place:
        return Decision(to=facts.llm)
    if facts.composes:
        return Decision(effects=(Effect("run", "compose", facts.id, facts.attempts + 1),))
    if facts.money is not Word.FITS:
        return _over(facts)
    return Decision(cause="model_called", to=facts.llm, detail=facts.llm_why)


def _over(facts: RunFacts) -> Decision:
    """A call that does not fit: others' calls end by themselves, a cap does as it is written, and what fits never fails at once."""
    if facts.money is Word.AWAITS_OTHERS:
        return Decision(detail=facts.money_why)
    if facts.money is Word.NEVER or facts.on_limit is OnLimit.STOP:
        return Decision(cause="stopped_by_cap", detail=facts.money_why)
    return Decision(cause="over_cap", detail=facts.money_why)


def _await_room(facts: RunFacts, now: datetime) -> Decision:
    if facts.paused:
        return STAY
    if facts.money in (Word.FITS, Word.AWAITS_OTHERS):
        return Decision(cause="room")
    if facts.money is Word.OVER and facts.on_limit is not OnLimit.STOP:
        return Decision(look_at=facts.due_at if facts.due_at is not None and facts.due_at > now else None)
    return Decision(cause="stopped_by_cap", detail=facts.money_why)


def _watch_call(facts: RunFacts) -> Decision:
    if facts.attempt is None or not facts.attempt.is_open or facts.attempt.epoch != facts.epoch:
        return Decision(cause="call_interrupted")
    return Decision(effects=(Effect("run", "call_model", facts.id, facts.attempts),))


def _await_tools(facts: RunFacts) -> Decision:
    if facts.calls_done == facts.calls_expected > 0:
        return Decision(cause="results_in_with_work_awaited" if facts.waits_for else "results_in", detail=facts.waits_for)
    return STAY


def _await_work(facts: RunFacts) -> Decision:
    if facts.paused:
        return STAY
    return Decision(detail=facts.waits_for) if facts.waits_for else Decision(cause="work_finished")


def _back_off(facts: RunFacts, now: datetime) -> Decision:
    if facts.paused or facts.due_at is None:
        return STAY
    return Decision(cause="waited") if now >= facts.due_at else Decision(look_at=facts.due_at)


def after_reply(
    reply: Reply, /, *, silent: int, unfit_before: int = 0, work_left: bool = False, is_summary: bool = False
) -> tuple[str, str]:
    """Where a reply leads, and why when it is not an answer.

    `silent`: the replies of this turn before it, which said nothing. `unfit_before`: replies in a row before it that were not as wanted.
    `work_left`: detached work of which the run has to be told goes on, or has just ended.
    `is_summary`: it was asked to sum up older turns; `silent` then counts those that did not.
    """
    if is_summary:
        return _after_summary(reply, silent)
    if reply.unfit:
        if unfit_before + 1 >= UNFIT_REPLIES:
            return "call_failed", f"the model did not answer in the wanted JSON, {UNFIT_REPLIES} times in a row: {reply.unfit}"
        return "reply_unfit", reply.unfit
    if reply.calls:
        return "asked_for_tools", ""
    if not reply.is_silent:
        return ("answered_with_work_open" if work_left else "answered"), ""
    what = f"the model answered with nothing (finish reason {reply.finish_reason or 'not given'})"
    if silent + 1 >= EMPTY_REPLIES:
        return "call_failed", f"{what}, {EMPTY_REPLIES} times in a row{_WHAT_TO_DO.get(reply.finish_reason or '', '')}"
    return "call_failed_for_now", what


def _after_summary(reply: Reply, silent: int) -> tuple[str, str]:
    """A summary is a text; calls that stand beside it are not made."""
    if reply.content.strip() and not reply.unfit:
        return "shortened", ""
    what = f"the model did not sum up the conversation (finish reason {reply.finish_reason or 'not given'})"
    if silent + 1 >= EMPTY_REPLIES:
        return "call_failed", f"{what}, {EMPTY_REPLIES} times in a row{_WHAT_TO_DO.get(reply.finish_reason or '', '')}"
    return "call_failed_for_now", what


def after_failure(
    failure: Failure, /, *, failing_since: datetime | None, retry_for: timedelta, now: datetime, not_shorter: str = ""
) -> tuple[str, str]:
    """Where a failed model call leads, and the words for it (design rule 3).

    `not_shorter`: why a request that was longer than the model takes can't be sent with less in it; empty when it can.
    """
    match failure.kind:
        case FailureKind.TRANSIENT:
            since = failing_since or now
            if now - since >= retry_for:
                return "call_failed", f"the model could not be reached since {since:%Y-%m-%d %H:%M:%S} UTC: {failure.message}"
            return "call_failed_for_now", failure.message
        case FailureKind.UNUSABLE:
            return "model_unusable", failure.message
        case FailureKind.REFUSED:
            return "call_failed", f"the model refused the request: {failure.message}"
        case FailureKind.OVERFLOW:
            if not not_shorter:
                return "shortened", failure.message
            return "call_failed", f"the conversation is longer than the model takes, and {not_shorter}{_SHORTEN}: {failure.message}"
        case _:
            assert_never(failure.kind)


def after_results(repeats: int, /, *, function: str) -> str:
    """The question to a person when the run goes round in circles, or an empty text."""
    if repeats < SAME_CALLS:
        return ""
    why = f"{function} was called {repeats} times in a row with the same arguments and the same result"
    return f"The loop guard has stopped the run: {why}; should it go on?"


def after_crash(crashes: int) -> str:
    """The question to a person when the daemon died too often within one step, or an empty text."""
    if crashes < MOST_CRASHES:
        return ""
    return f"the daemon died {crashes} times while this run was in the same step; should it go on?"
