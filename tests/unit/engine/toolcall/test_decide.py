"""What a tool call does next, phase by phase, and what no call ever does."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallchain.engine.toolcall import kind, recording
from smallchain.engine.toolcall.decide import STARTS, CallFacts, Child, after_outcome, decide
from smallchain.model.agent import MOST_CALLS
from smallchain.model.approval import Word
from smallchain.model.decision import STAY, Decision, Effect
from smallchain.model.human import MOST_OPEN
from smallchain.model.lifecycles import CALL_TERMINAL, TOOLCALL, CallPhase, RunPhase
from smallchain.model.templates import TEMPLATES
from smallchain.model.toolcall import Effects, Outcome, OutcomeKind

NOW = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def call(phase: CallPhase, **changes: Any) -> CallFacts:
    return replace(CallFacts(id="call-1", phase=phase, effects=Effects.ONCE, target_kind="tool", epoch=3), **changes)


def child(phase: RunPhase) -> Child:
    return Child(phase, "writer", "done", "went wrong")


facts = st.builds(
    CallFacts,
    id=st.just("call-1"),
    phase=st.sampled_from(CallPhase),
    effects=st.sampled_from(Effects),
    target_kind=st.sampled_from(["tool", "agent", "human", ""]),
    position=st.integers(0, 40),
    paused=st.booleans(),
    run_is_over=st.booleans(),
    epoch=st.integers(1, 3),
    attempts=st.integers(0, 3),
    attempt_epoch=st.integers(0, 3),
    attempt_is_open=st.booleans(),
    can_be_looked_up=st.booleans(),
    nothing_ran=st.booleans(),
    due_at=st.none() | st.integers(-100, 100).map(lambda seconds: NOW + seconds * SECOND),
    held=st.sampled_from(["", "tool 'publish' needs an approval"]),
    fault_in_arguments=st.sampled_from(["", "not JSON"]),
    rule=st.sampled_from(Word),
    why=st.just("tool 'publish' requires approval"),
    approved=st.booleans(),
    open_requests=st.sampled_from([0, MOST_OPEN]),
    beyond_depth=st.booleans(),
    beyond_children=st.booleans(),
    detaches=st.booleans(),
    used_up=st.sampled_from(["", "why"]),
    child=st.none() | st.sampled_from(RunPhase).map(child),
)

# ---- phase by phase

EXECUTE = Effect("toolcall", "execute", "call-1", 2)
USED_UP = Decision(cause="not_possible", detail="calls_used_up")
OUT = {"attempts": 2, "attempt_epoch": 3, "attempt_is_open": True}
TABLE: list[tuple[str, CallFacts, Decision]] = [
    ("nothing speaks against it", call(CallPhase.PENDING), Decision(cause="admitted")),
    ("a rule forbids it", call(CallPhase.PENDING, rule=Word.DENY, why="no"), Decision(cause="refused_by_policy", detail="no")),
    ("a person must agree", call(CallPhase.PENDING, rule=Word.REQUIRED, why="ask"), Decision(cause="approval_needed", detail="ask")),
    ("a person has agreed", call(CallPhase.PENDING, rule=Word.REQUIRED, approved=True), Decision(cause="admitted")),
    ("a rule came before the start", call(CallPhase.READY, rule=Word.REQUIRED, why="ask"), Decision(cause="approval_needed", detail="ask")),
    ("it was approved", call(CallPhase.READY, rule=Word.REQUIRED, approved=True), Decision(cause="started")),
    (
        "it was forbidden since",
        call(CallPhase.READY, rule=Word.DENY, approved=True, why="no"),
        Decision(cause="refused_by_policy", detail="no"),
    ),
    ("a limit of calls is used up", call(CallPhase.PENDING, used_up="why"), USED_UP),
    ("a limit was used up before the start", call(CallPhase.READY, used_up="why"), USED_UP),
    ("nobody is asked about what would not run", call(CallPhase.PENDING, rule=Word.REQUIRED, used_up="why"), USED_UP),
    ("used up, and approved", call(CallPhase.READY, rule=Word.REQUIRED, approved=True, used_up="why"), USED_UP),
    (
        "used up, and forbidden",
        call(CallPhase.PENDING, rule=Word.DENY, why="no", used_up="why"),
        Decision(cause="refused_by_policy", detail="no"),
    ),
    ("used up, and paused", call(CallPhase.READY, used_up="why", paused=True), STAY),
    ("a question", call(CallPhase.READY, target_kind="human"), Decision(cause="asked")),
    ("paused, with a rule", call(CallPhase.READY, rule=Word.REQUIRED, paused=True), STAY),
    ("nothing speaks against it while paused", call(CallPhase.PENDING, paused=True), Decision(cause="admitted")),
    ("the run is over", call(CallPhase.PENDING, run_is_over=True), STAY),
    ("the last that is carried out", call(CallPhase.PENDING, position=MOST_CALLS - 1), Decision(cause="admitted")),
    ("one too many", call(CallPhase.PENDING, position=MOST_CALLS), Decision(cause="not_possible", detail="too_many_calls")),
    ("no such function", call(CallPhase.PENDING, target_kind=""), Decision(cause="not_possible", detail="unknown_function")),
    ("bad arguments", call(CallPhase.PENDING, fault_in_arguments="why"), Decision(cause="not_possible", detail="bad_arguments")),
    ("a rule that cannot be kept", call(CallPhase.PENDING, held="why"), Decision(detail="why")),
    ("its turn", call(CallPhase.READY), Decision(cause="started")),
    ("its turn, and its time", call(CallPhase.READY, due_at=NOW), Decision(cause="started")),
    ("before its time", call(CallPhase.READY, due_at=NOW + SECOND), Decision(look_at=NOW + SECOND)),
    ("no such function any more", call(CallPhase.READY, target_kind=""), Decision(cause="not_possible", detail="unknown_function")),
    ("paused", call(CallPhase.READY, paused=True), STAY),
    ("paused before its time", call(CallPhase.READY, paused=True, due_at=NOW + SECOND), STAY),
    ("the run is over", call(CallPhase.READY, run_is_over=True), STAY),
    ("to another agent", call(CallPhase.READY, target_kind="agent"), Decision(cause="child_made")),
    ("to another agent, beside", call(CallPhase.READY, target_kind="agent", detaches=True), Decision(cause="detached")),
    (
        "beside, and one agent too many",
        call(CallPhase.READY, target_kind="agent", detaches=True, beyond_children=True),
        Decision(cause="not_possible", detail="too_many_children"),
    ),
    (
        "to another agent too deep",
        call(CallPhase.READY, target_kind="agent", beyond_depth=True),
        Decision(cause="not_possible", detail="too_deep"),
    ),
    (
        "to one agent too many",
        call(CallPhase.READY, target_kind="agent", beyond_children=True),
        Decision(cause="not_possible", detail="too_many_children"),
    ),
    ("a limit of agents is none of tools", call(CallPhase.READY, beyond_depth=True, beyond_children=True), Decision(cause="started")),
    ("out", call(CallPhase.EXECUTING, **OUT), Decision(effects=(EXECUTE,))),
    ("out while paused", call(CallPhase.EXECUTING, **OUT, paused=True), Decision(effects=(EXECUTE,))),
    (
        "out in an earlier life, and its executor may know",
        call(CallPhase.EXECUTING, **OUT | {"attempt_epoch": 2}, can_be_looked_up=True),
        Decision(effects=(Effect("toolcall", "look_up", "call-1", 2),)),
    ),
    (
        "out in an earlier life, and its executor knows that nothing ran",
        call(CallPhase.EXECUTING, **OUT | {"attempt_epoch": 2}, nothing_ran=True),
        Decision(cause="interrupted"),
    ),
    ("out in an earlier life", call(CallPhase.EXECUTING, **OUT | {"attempt_epoch": 2}), Decision(cause="interrupted_once")),
    (
        "out in an earlier life and harmless",
        call(CallPhase.EXECUTING, **OUT | {"attempt_epoch": 2}, effects=Effects.NONE),
        Decision(cause="interrupted"),
    ),
    (
        "out in an earlier life and the same when doubled",
        call(CallPhase.EXECUTING, **OUT | {"attempt_epoch": 2}, effects=Effects.IDEMPOTENT),
        Decision(cause="interrupted"),
    ),
    ("its child is not there yet", call(CallPhase.DELEGATED), STAY),
    ("its child works", call(CallPhase.DELEGATED, child=child(RunPhase.CALLING_MODEL)), STAY),
    ("its child is done", call(CallPhase.DELEGATED, child=child(RunPhase.SUCCEEDED)), Decision(cause="child_succeeded")),
    ("its child failed", call(CallPhase.DELEGATED, child=child(RunPhase.FAILED)), Decision(cause="child_failed")),
    ("its child was cancelled", call(CallPhase.DELEGATED, child=child(RunPhase.CANCELLED)), Decision(cause="child_cancelled")),
    ("asleep", call(CallPhase.SLEEPING, due_at=NOW + SECOND), Decision(look_at=NOW + SECOND)),
    ("slept enough", call(CallPhase.SLEEPING, due_at=NOW), Decision(cause="woke")),
    ("a timer", call(CallPhase.READY, target_kind="timer"), Decision(cause="fell_asleep")),
    ("for a person to allow", call(CallPhase.AWAITING_APPROVAL), STAY),
    ("for a person to answer", call(CallPhase.AWAITING_ANSWER), STAY),
    ("its turn, elsewhere", call(CallPhase.READY, hands_out=True), Decision(cause="handed_out")),
    ("for the outside", call(CallPhase.AWAITING_CALLBACK), STAY),
    ("for the outside, until a time", call(CallPhase.AWAITING_CALLBACK, expires_at=NOW + SECOND), Decision(look_at=NOW + SECOND)),
    ("for the outside, too long", call(CallPhase.AWAITING_CALLBACK, expires_at=NOW, paused=True), Decision(cause="took_too_long")),
    ("to be told", call(CallPhase.AWAITING_CALLBACK, tell_at=NOW), Decision(cause="telling")),
    ("to be told, paused", call(CallPhase.AWAITING_CALLBACK, tell_at=NOW, paused=True), STAY),
    ("to be told again", call(CallPhase.AWAITING_CALLBACK, tell_at=NOW + SECOND), Decision(look_at=NOW + SECOND)),
    (
        "to be told again, until a time",
        call(CallPhase.AWAITING_CALLBACK, tell_at=NOW + 2 * SECOND, expires_at=NOW + SECOND),
        Decision(look_at=NOW + SECOND),
    ),
    ("being told", call(CallPhase.AWAITING_CALLBACK, **OUT, tell_at=NOW, paused=True), Decision(effects=(EXECUTE,))),
    (
        "told in an earlier life",
        call(CallPhase.AWAITING_CALLBACK, **OUT | {"attempt_epoch": 2}, tell_at=NOW),
        Decision(cause="telling_in_doubt"),
    ),
    (
        "told in an earlier life and harmless",
        call(CallPhase.AWAITING_CALLBACK, **OUT | {"attempt_epoch": 2}, tell_at=NOW, effects=Effects.IDEMPOTENT),
        Decision(cause="telling"),
    ),
    ("for a person to settle", call(CallPhase.IN_DOUBT), STAY),
    *(("over", call(CallPhase(phase)), Decision(at_rest=True)) for phase in sorted(CALL_TERMINAL)),
]


@pytest.mark.parametrize(("situation", "seen", "expected"), TABLE, ids=[f"{seen.phase}-{what}" for what, seen, _ in TABLE])
def test_each_situation_has_its_answer(situation: str, seen: CallFacts, expected: Decision) -> None:
    assert decide(seen, now=NOW) == expected


def test_the_table_of_situations_leaves_no_phase_out() -> None:
    assert {seen.phase for _, seen, _ in TABLE} == set(CallPhase)


# ---- what holds for every call


@given(seen=facts)
def test_no_decision_leaves_the_table(seen: CallFacts) -> None:
    cause = decide(seen, now=NOW).cause

    assert cause is None or cause in TOOLCALL[seen.phase]


@given(seen=facts)
def test_every_decision_can_be_recorded(seen: CallFacts) -> None:
    cause = decide(seen, now=NOW).cause

    assert cause in (None, "admitted") or cause in kind._RECORD  # what is admitted starts in the same step


@given(seen=facts)
def test_the_same_facts_give_the_same_answer(seen: CallFacts) -> None:
    assert decide(seen, now=NOW) == decide(replace(seen), now=NOW)


@given(seen=facts)
def test_a_call_that_must_not_be_doubled_goes_back_to_ready_by_itself_only_when_nothing_ran(seen: CallFacts) -> None:
    decision = decide(replace(seen, effects=Effects.ONCE, phase=CallPhase.EXECUTING, nothing_ran=False), now=NOW)

    if decision.cause is not None:
        assert TOOLCALL["executing"][decision.cause] == "in_doubt"


@given(seen=facts)
def test_a_call_in_doubt_waits_for_a_person_whatever_happens(seen: CallFacts) -> None:
    assert decide(replace(seen, phase=CallPhase.IN_DOUBT), now=NOW) == STAY


@given(seen=facts)
def test_a_call_of_a_paused_run_never_starts(seen: CallFacts) -> None:
    decision = decide(replace(seen, paused=True), now=NOW)
    out = seen.phase is CallPhase.EXECUTING and seen.attempt_is_open and (seen.attempt_epoch == seen.epoch or seen.can_be_looked_up)

    assert decision.cause not in STARTS
    assert not decision.effects or out  # what is out finishes: it is asked for under the key it has


@given(seen=facts)
def test_a_call_of_a_run_that_is_over_never_starts(seen: CallFacts) -> None:
    assert decide(replace(seen, run_is_over=True), now=NOW).cause not in STARTS | {"admitted"}


@given(seen=facts)
def test_a_call_is_only_carried_out_for_an_attempt_recorded_in_this_life(seen: CallFacts) -> None:
    decision = decide(seen, now=NOW)

    if decision.effects:
        assert seen.attempt_is_open
        what = "execute" if seen.attempt_epoch == seen.epoch else "look_up"
        assert decision.effects == (Effect("toolcall", what, seen.id, seen.attempts),)
        assert decision.cause is None


@given(seen=facts)
def test_a_call_with_a_rule_that_cannot_be_kept_is_not_admitted(seen: CallFacts) -> None:
    decision = decide(replace(seen, phase=CallPhase.PENDING, held="why"), now=NOW)

    assert decision.cause in (None, "not_possible")


@given(seen=facts)
def test_what_is_not_possible_is_told_in_words_that_there_are(seen: CallFacts) -> None:
    decision = decide(seen, now=NOW)

    if decision.cause == "not_possible":
        assert decision.detail in TEMPLATES


@given(seen=facts, crashes=st.integers(1, 5))
def test_a_waiting_call_asks_again_for_the_same_after_a_crash(seen: CallFacts, crashes: int) -> None:
    again = decide(replace(seen, epoch=seen.epoch + crashes), now=NOW)

    if seen.phase is not CallPhase.EXECUTING:
        assert again == decide(seen, now=NOW)


@given(seen=facts)
def test_an_attempt_that_is_out_is_asked_for_under_one_key_however_often_it_is_looked_at(seen: CallFacts) -> None:
    keys = {effect.key for minutes in range(3) for effect in decide(seen, now=NOW + minutes * 60 * SECOND).effects}

    assert len(keys) <= 1


@given(seen=facts)
def test_exactly_the_calls_that_are_over_are_at_rest(seen: CallFacts) -> None:
    assert decide(seen, now=NOW).at_rest == (seen.phase in CALL_TERMINAL)


@given(seen=facts)
def test_nothing_starts_that_a_rule_forbids_or_that_nobody_approved(seen: CallFacts) -> None:
    if seen.rule is Word.DENY or (seen.rule is Word.REQUIRED and not seen.approved):
        assert decide(seen, now=NOW).cause not in STARTS | {"admitted"}


@given(seen=facts)
def test_nothing_starts_for_which_a_limit_of_calls_leaves_no_room(seen: CallFacts) -> None:
    if seen.used_up:
        assert decide(seen, now=NOW).cause not in STARTS | {"admitted", "approval_needed"}


@given(seen=facts)
def test_nobody_is_asked_by_a_run_that_asks_too_much_already(seen: CallFacts) -> None:
    if seen.open_requests >= MOST_OPEN:
        assert decide(seen, now=NOW).cause not in {"approval_needed", "asked"}


# ---- after an outcome


def ended(what: OutcomeKind, *, effects: Effects = Effects.NONE, attempts: int = 1, retries: int = 0) -> str:
    return after_outcome(Outcome(what, "text"), effects=effects, attempts=attempts, retries=retries)


@pytest.mark.parametrize(
    ("what", "cause"),
    [
        (OutcomeKind.SUCCEEDED, "finished"),
        (OutcomeKind.FAILED, "went_wrong"),
        (OutcomeKind.OUT_OF_MEMORY, "went_wrong"),
        (OutcomeKind.KILLED, "went_wrong"),
        (OutcomeKind.FLOODED, "went_wrong"),
        (OutcomeKind.NOT_STARTED, "went_wrong"),
        (OutcomeKind.UNKNOWN, "went_wrong"),
        (OutcomeKind.TIMED_OUT, "took_too_long"),
    ],
)
def test_without_retries_the_outcome_is_the_end(what: OutcomeKind, cause: str) -> None:
    assert ended(what) == cause


@pytest.mark.parametrize("what", [kind for kind in OutcomeKind if kind is not OutcomeKind.SUCCEEDED])
def test_what_went_wrong_is_tried_again_as_often_as_the_tool_says(what: OutcomeKind) -> None:
    assert [ended(what, attempts=attempts, retries=2) == "retry_due" for attempts in (1, 2, 3)] == [True, True, False]


@pytest.mark.parametrize("what", [kind for kind in OutcomeKind if kind is not OutcomeKind.NOT_STARTED])
def test_what_ran_and_must_not_be_doubled_is_never_tried_again(what: OutcomeKind) -> None:
    assert ended(what, effects=Effects.ONCE, retries=9) != "retry_due"


def test_what_never_started_may_be_tried_again_even_when_it_must_not_be_doubled() -> None:
    assert ended(OutcomeKind.NOT_STARTED, effects=Effects.ONCE, retries=1) == "retry_due"


@pytest.mark.parametrize("retries", [0, 9])
def test_of_what_may_have_happened_and_must_not_be_doubled_a_person_says_what_became_of_it(retries: int) -> None:
    assert TOOLCALL["executing"][ended(OutcomeKind.UNKNOWN, effects=Effects.ONCE, retries=retries)] == "in_doubt"


def test_every_outcome_that_is_no_success_has_words_of_its_own() -> None:
    assert set(recording.TEMPLATES) == {what for what in OutcomeKind if what is not OutcomeKind.SUCCEEDED}
    assert len(set(recording.TEMPLATES.values())) == len(recording.TEMPLATES)


@given(what=st.sampled_from(OutcomeKind), effects=st.sampled_from(Effects), attempts=st.integers(1, 9), retries=st.integers(0, 9))
def test_every_outcome_leads_along_the_table(what: OutcomeKind, effects: Effects, attempts: int, retries: int) -> None:
    assert ended(what, effects=effects, attempts=attempts, retries=retries) in TOOLCALL["executing"]
