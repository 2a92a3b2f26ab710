"""What a tool call does next; pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from smallchain.model.agent import MOST_CALLS
from smallchain.model.approval import Word
from smallchain.model.decision import STAY, Decision, Effect
from smallchain.model.human import MOST_OPEN
from smallchain.model.lifecycles import CallPhase, RunPhase
from smallchain.model.toolcall import Effects, Outcome, OutcomeKind


@dataclass(frozen=True, slots=True)
class Child:
    """The run that a delegation made."""

    phase: RunPhase
    agent: str
    output: str
    error: str


@dataclass(slots=True)  # not frozen: one is made at each step, and each field of a frozen one is a call
class CallFacts:
    """What a call's next step depends on. `held`: why it may not start now (a rule this version cannot keep, an MCP server that is not
    there), empty when it may. `lost`: why it never may (its tool was refused by a person).
    `target_kind`: what carries it out; empty where its agent may call no such thing.
    `used_up`: that a limit of calls leaves it no room, and when there is some; empty when it does.
    `rule` and `why`: what the strictest rule says; `approved`: a person let exactly this through; `open_requests`: of its run.
    `hands_out`: its work is done elsewhere; `tell_at`: when whoever does it is to be told (None: they know); `expires_at`: until when
    a result is waited for (None: without end).
    `detaches`: the child goes on beside its caller.
    `can_be_looked_up`: its executor may know what came of an attempt of an earlier life; `nothing_ran`: it knows that nothing did."""

    id: str
    phase: CallPhase
    effects: Effects
    target_kind: str
    position: int = 0
    paused: bool = False
    run_is_over: bool = False
    epoch: int = 0
    attempts: int = 0
    attempt_epoch: int = 0
    attempt_is_open: bool = False
    can_be_looked_up: bool = False
    nothing_ran: bool = False
    due_at: datetime | None = None
    held: str = ""
    lost: str = ""
    fault_in_arguments: str = ""
    used_up: str = ""
    rule: Word = Word.NEVER
    why: str = ""
    approved: bool = False
    open_requests: int = 0
    hands_out: bool = False
    tell_at: datetime | None = None
    expires_at: datetime | None = None
    beyond_depth: bool = False
    beyond_children: bool = False
    detaches: bool = False
    child: Child | None = None


STARTS = frozenset({"started", "child_made", "detached", "asked", "handed_out", "fell_asleep"})
"""The causes by which a call begins to be carried out."""


def decide(facts: CallFacts, /, *, now: datetime) -> Decision:
    """The next step of a call. `detail` names the template of a result that is ours, or says what is waited for."""
    match facts.phase:
        case CallPhase.PENDING:
            return _admit(facts)
        case CallPhase.READY:
            return _start(facts, now)
        case CallPhase.EXECUTING:
            return _watch_attempt(facts)
        case CallPhase.DELEGATED:
            return _watch_child(facts)
        case CallPhase.SLEEPING:
            return Decision(cause="woke") if facts.due_at is None or now >= facts.due_at else Decision(look_at=facts.due_at)
        case CallPhase.AWAITING_CALLBACK:
            return _await_callback(facts, now)
        case CallPhase.AWAITING_APPROVAL | CallPhase.AWAITING_ANSWER | CallPhase.IN_DOUBT:
            return STAY
        case CallPhase.SUCCEEDED | CallPhase.FAILED | CallPhase.REJECTED | CallPhase.CANCELLED | CallPhase.TIMED_OUT:
            return Decision(at_rest=True)
        case _:
            assert_never(facts.phase)


def _admit(facts: CallFacts) -> Decision:
    if facts.run_is_over:
        return STAY
    if facts.position >= MOST_CALLS:
        return Decision(cause="not_possible", detail="too_many_calls")
    if not facts.target_kind:
        return Decision(cause="not_possible", detail="unknown_function")
    if facts.lost:
        return Decision(cause="refused_by_policy", detail=facts.lost)
    if facts.fault_in_arguments:
        return Decision(cause="not_possible", detail="bad_arguments")
    if facts.held:
        return Decision(detail=facts.held)
    return _gate(facts) or Decision(cause="admitted")


def _gate(facts: CallFacts) -> Decision | None:
    """What stands between a call and its start: a rule that forbids it, a limit of calls that is used up, or a person who has not yet
    been asked, and is not about what would not run."""
    if facts.rule is Word.DENY:
        return Decision(cause="refused_by_policy", detail=facts.why)
    if facts.used_up:
        return Decision(cause="not_possible", detail="calls_used_up")
    if facts.rule is Word.REQUIRED and not facts.approved:
        return _too_much_asked(facts) or Decision(cause="approval_needed", detail=facts.why)
    return None


def _too_much_asked(facts: CallFacts) -> Decision | None:
    if facts.open_requests < MOST_OPEN:
        return None
    return Decision(detail=f"{MOST_OPEN} requests of this run wait for a person already")


def _start(facts: CallFacts, now: datetime) -> Decision:
    if facts.paused or facts.run_is_over:
        return STAY
    if facts.due_at is not None and now < facts.due_at:
        return Decision(look_at=facts.due_at)
    if not facts.target_kind:
        return Decision(cause="not_possible", detail="unknown_function")
    if facts.lost:
        return Decision(cause="refused_by_policy", detail=facts.lost)
    if facts.fault_in_arguments:
        return Decision(cause="not_possible", detail="bad_arguments")
    if facts.held:
        return Decision(detail=facts.held)
    gate = _gate(facts)
    if gate is not None:
        return gate
    if facts.target_kind == "human":
        return _too_much_asked(facts) or Decision(cause="asked")
    if facts.target_kind == "timer":
        return Decision(cause="fell_asleep")
    if facts.target_kind != "agent":
        return Decision(cause="handed_out" if facts.hands_out else "started")
    if facts.beyond_depth:
        return Decision(cause="not_possible", detail="too_deep")
    if facts.beyond_children:
        return Decision(cause="not_possible", detail="too_many_children")
    return Decision(cause="detached" if facts.detaches else "child_made")


def _watch_attempt(facts: CallFacts) -> Decision:
    if facts.attempt_is_open and facts.attempt_epoch == facts.epoch:
        return Decision(effects=(Effect("toolcall", "execute", facts.id, facts.attempts),))
    if facts.attempt_is_open and facts.can_be_looked_up:
        return Decision(effects=(Effect("toolcall", "look_up", facts.id, facts.attempts),))
    harmless = facts.effects is not Effects.ONCE or facts.nothing_ran
    return Decision(cause="interrupted" if harmless else "interrupted_once")


def _await_callback(facts: CallFacts, now: datetime) -> Decision:
    """Tell whoever does the work until they know, and wait. An attempt at telling that the daemon's end cut off may have reached them."""
    if facts.expires_at is not None and now >= facts.expires_at:
        return Decision(cause="took_too_long")
    if facts.tell_at is None:
        return Decision(look_at=facts.expires_at)
    if facts.attempt_is_open and facts.attempt_epoch == facts.epoch:
        return Decision(effects=(Effect("toolcall", "execute", facts.id, facts.attempts),), look_at=facts.expires_at)
    if facts.attempt_is_open and facts.effects is Effects.ONCE:
        return Decision(cause="telling_in_doubt")
    if facts.paused or facts.run_is_over:
        return Decision(look_at=facts.expires_at)
    if now < facts.tell_at:
        return Decision(look_at=facts.tell_at if facts.expires_at is None else min(facts.tell_at, facts.expires_at))
    return Decision(cause="telling")


def _watch_child(facts: CallFacts) -> Decision:
    if facts.child is None:
        return STAY
    match facts.child.phase:
        case RunPhase.SUCCEEDED:
            return Decision(cause="child_succeeded")
        case RunPhase.FAILED:
            return Decision(cause="child_failed")
        case RunPhase.CANCELLED:
            return Decision(cause="child_cancelled")
    return STAY


def after_outcome(outcome: Outcome, /, *, effects: Effects, attempts: int, retries: int) -> str:
    """Where an attempt's outcome leads. What ran is tried again only if doing it twice is harmless; what never started, always.
    Of what may have happened and must not be doubled, a person says what became of it."""
    harmless = effects is not Effects.ONCE or outcome.kind is OutcomeKind.NOT_STARTED
    match outcome.kind:
        case OutcomeKind.SUCCEEDED:
            return "finished"
        case _ if harmless and attempts <= retries:
            return "retry_due"
        case OutcomeKind.UNKNOWN if not harmless:
            return "interrupted_once"
        case OutcomeKind.TIMED_OUT:
            return "took_too_long"
        case (
            OutcomeKind.FAILED
            | OutcomeKind.OUT_OF_MEMORY
            | OutcomeKind.KILLED
            | OutcomeKind.FLOODED
            | OutcomeKind.NOT_STARTED
            | OutcomeKind.UNKNOWN
        ):
            return "went_wrong"
        case _:
            assert_never(outcome.kind)
