"""What a run does next, phase by phase, and what no run ever does."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallchain.engine.budget.decide import Word
from smallchain.engine.run import kind
from smallchain.engine.run.decide import EMPTY_REPLIES, Attempt, RunFacts, after_crash, after_failure, after_reply, after_results, decide
from smallchain.model.agent import Limits
from smallchain.model.cap import OnLimit
from smallchain.model.decision import STAY, Decision, Effect
from smallchain.model.lifecycles import RUN, RUN_TERMINAL, RunPhase
from smallchain.model.llm import AskedCall, Failure, FailureKind, Reply

NOW = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOURS = timedelta(hours=1)


def run(phase: RunPhase, **changes: Any) -> RunFacts:
    return replace(RunFacts(id="run-1", phase=phase, paused=False, epoch=3), **changes)


lengths = st.none() | st.integers(1, 100).map(lambda seconds: seconds * SECOND)
moments = st.none() | st.integers(-100, 100).map(lambda seconds: NOW + seconds * SECOND)
facts = st.builds(
    RunFacts,
    id=st.just("run-1"),
    phase=st.sampled_from(RunPhase),
    paused=st.booleans(),
    epoch=st.integers(1, 3),
    lacking=st.sampled_from(["", "LLM 'fast' waits"]),
    turns=st.integers(0, 3),
    limits=st.builds(Limits, turns=st.integers(1, 3), wall_time=lengths, wall_time_total=lengths),
    at_work=st.booleans(),
    worked=st.integers(0, 100).map(lambda seconds: seconds * SECOND),
    started_at=moments,
    attempts=st.integers(0, 3),
    attempt=st.none() | st.builds(Attempt, epoch=st.integers(1, 3), is_open=st.booleans()),
    calls_expected=st.integers(0, 3),
    calls_done=st.integers(0, 3),
    waits_for=st.sampled_from(["", "for work-1-1 (helper)"]),
    due_at=moments,
)


def reply(content: str = "", *calls: AskedCall, finish_reason: str | None = "stop") -> Reply:
    return Reply({"role": "assistant", "content": content}, "{}", content, calls, finish_reason, None, None)


ADD = AskedCall("call-1", "add", "{}")

# ---- phase by phase

CALL = Effect("run", "call_model", "run-1", 7)
HOUR, DAY = Limits(wall_time=HOURS), Limits(wall_time_total=24 * HOURS)
ENOUGH = Decision(cause="limit_reached", detail="the limit `wall_time: 1h` of agent '' is reached: so long it has been at work")
TOO_OLD = Decision(cause="limit_reached", detail="the limit `wall_time_total: 1d` of agent '' is reached: it began 1d ago")
TABLE: list[tuple[str, RunFacts, Decision]] = [
    ("all that it needs is there", run(RunPhase.PENDING), Decision(cause="dependencies_ready")),
    ("something is lacking", run(RunPhase.PENDING, lacking="why"), Decision(detail="why")),
    ("paused before it began", run(RunPhase.PENDING, paused=True), STAY),
    ("its turn", run(RunPhase.READY), Decision(cause="model_called")),
    ("the last turn of its limit", run(RunPhase.READY, turns=49), Decision(cause="model_called")),
    (
        "a turn too many",
        run(RunPhase.READY, turns=50),
        Decision(cause="limit_reached", detail="the limit `turns: 50` of agent '' is reached"),
    ),
    ("its model is lacking", run(RunPhase.READY, lacking="why"), Decision(cause="dependencies_lost", detail="why")),
    ("paused between turns", run(RunPhase.READY, paused=True), STAY),
    ("paused at its limit", run(RunPhase.READY, paused=True, turns=50), STAY),
    ("the call is out", run(RunPhase.CALLING_MODEL, attempts=7, attempt=Attempt(3, is_open=True)), Decision(effects=(CALL,))),
    (
        "paused while the call is out",
        run(RunPhase.CALLING_MODEL, paused=True, attempts=7, attempt=Attempt(3, is_open=True)),
        Decision(effects=(CALL,)),
    ),
    (
        "the call is of an earlier life",
        run(RunPhase.CALLING_MODEL, attempts=7, attempt=Attempt(2, is_open=True)),
        Decision(cause="call_interrupted"),
    ),
    ("the call was settled", run(RunPhase.CALLING_MODEL, attempt=Attempt(3, is_open=False)), Decision(cause="call_interrupted")),
    ("the call is not recorded", run(RunPhase.CALLING_MODEL), Decision(cause="call_interrupted")),
    ("no result is in", run(RunPhase.AWAITING_TOOLS, calls_expected=3), STAY),
    ("one result is missing", run(RunPhase.AWAITING_TOOLS, calls_expected=3, calls_done=2), STAY),
    ("every result is in", run(RunPhase.AWAITING_TOOLS, calls_expected=3, calls_done=3), Decision(cause="results_in")),
    (
        "every result is in while it is paused",
        run(RunPhase.AWAITING_TOOLS, paused=True, calls_expected=1, calls_done=1),
        Decision(cause="results_in"),
    ),
    ("no call is known of", run(RunPhase.AWAITING_TOOLS), STAY),
    ("not yet time", run(RunPhase.BACKING_OFF, due_at=NOW + SECOND), Decision(look_at=NOW + SECOND)),
    ("time", run(RunPhase.BACKING_OFF, due_at=NOW), Decision(cause="waited")),
    ("time while it is paused", run(RunPhase.BACKING_OFF, due_at=NOW, paused=True), STAY),
    ("detached work is open", run(RunPhase.AWAITING_WORK, waits_for="for it"), Decision(detail="for it")),
    ("detached work has ended", run(RunPhase.AWAITING_WORK), Decision(cause="work_finished")),
    ("detached work has ended while it is paused", run(RunPhase.AWAITING_WORK, paused=True), STAY),
    (
        "results are in, and one of them waits for work",
        run(RunPhase.AWAITING_TOOLS, calls_expected=1, calls_done=1, waits_for="for it"),
        Decision(cause="results_in_with_work_awaited", detail="for it"),
    ),
    ("a call that fits", run(RunPhase.READY, llm="l", money=Word.FITS), Decision(cause="model_called", to="l")),
    ("a call that others leave no room", run(RunPhase.READY, money=Word.AWAITS_OTHERS, money_why="held"), Decision(detail="held")),
    ("over a cap", run(RunPhase.READY, money=Word.OVER, money_why="spent"), Decision(cause="over_cap", detail="spent")),
    ("over a cap that asks", run(RunPhase.READY, money=Word.OVER, on_limit=OnLimit.ASK), Decision(cause="over_cap")),
    ("over a cap that stops", run(RunPhase.READY, money=Word.OVER, on_limit=OnLimit.STOP), Decision(cause="stopped_by_cap")),
    ("one call beyond a cap", run(RunPhase.READY, money=Word.NEVER), Decision(cause="stopped_by_cap")),
    ("no place yet, whatever the caps say", run(RunPhase.READY, llm="l", has_place=False, money=Word.OVER), Decision(to="l")),
    ("room again", run(RunPhase.OVER_BUDGET), Decision(cause="room")),
    ("only others in between", run(RunPhase.OVER_BUDGET, money=Word.AWAITS_OTHERS), Decision(cause="room")),
    ("over still", run(RunPhase.OVER_BUDGET, money=Word.OVER, due_at=NOW + SECOND), Decision(look_at=NOW + SECOND)),
    ("over still, and late", run(RunPhase.OVER_BUDGET, money=Word.OVER, due_at=NOW), Decision()),
    ("room while it is paused", run(RunPhase.OVER_BUDGET, paused=True), STAY),
    ("a cap that stops now", run(RunPhase.OVER_BUDGET, money=Word.OVER, on_limit=OnLimit.STOP), Decision(cause="stopped_by_cap")),
    ("at work still", run(RunPhase.AWAITING_TOOLS, limits=HOUR, at_work=True, worked=HOURS - SECOND), Decision(look_at=NOW + SECOND)),
    ("at work for too long", run(RunPhase.AWAITING_TOOLS, limits=HOUR, at_work=True, worked=HOURS), ENOUGH),
    ("at rest after much work", run(RunPhase.AWAITING_TOOLS, limits=HOUR, worked=HOURS - SECOND), STAY),
    ("paused after too much work", run(RunPhase.READY, limits=HOUR, worked=HOURS, paused=True), STAY),
    ("begun, and waits", run(RunPhase.AWAITING_TOOLS, limits=DAY, started_at=NOW), Decision(look_at=NOW + 24 * HOURS)),
    (
        "a timer before its last moment",
        run(RunPhase.BACKING_OFF, limits=DAY, started_at=NOW, due_at=NOW + SECOND),
        Decision(look_at=NOW + SECOND),
    ),
    (
        "a timer after its last moment",
        run(RunPhase.BACKING_OFF, limits=DAY, started_at=NOW, due_at=NOW + 25 * HOURS),
        Decision(look_at=NOW + 24 * HOURS),
    ),
    ("begun too long ago", run(RunPhase.AWAITING_WORK, limits=DAY, started_at=NOW - 24 * HOURS), TOO_OLD),
    ("begun too long ago, and paused", run(RunPhase.AWAITING_WORK, limits=DAY, started_at=NOW - 24 * HOURS, paused=True), STAY),
    ("not begun", run(RunPhase.PENDING, limits=DAY, lacking="why"), Decision(detail="why")),
    ("over", run(RunPhase.SUCCEEDED), Decision(at_rest=True)),
    ("over", run(RunPhase.FAILED), Decision(at_rest=True)),
    ("over", run(RunPhase.CANCELLED), Decision(at_rest=True)),
]


@pytest.mark.parametrize(("situation", "seen", "expected"), TABLE, ids=[f"{seen.phase}-{what}" for what, seen, _ in TABLE])
def test_each_situation_has_its_answer(situation: str, seen: RunFacts, expected: Decision) -> None:
    assert decide(seen, now=NOW) == expected


def test_the_table_of_situations_leaves_no_phase_out() -> None:
    assert {seen.phase for _, seen, _ in TABLE} == set(RunPhase)


# ---- what holds for every run


@given(seen=facts)
def test_no_decision_leaves_the_table(seen: RunFacts) -> None:
    cause = decide(seen, now=NOW).cause

    assert cause is None or cause in RUN[seen.phase]


@given(seen=facts)
def test_every_decision_can_be_recorded(seen: RunFacts) -> None:
    cause = decide(seen, now=NOW).cause

    assert cause is None or cause in kind._RECORD


@given(seen=facts)
def test_nothing_that_time_brings_ends_a_run_that_a_person_has_paused(seen: RunFacts) -> None:
    seen = replace(seen, paused=True, turns=0, money=Word.FITS)

    assert decide(seen, now=NOW).cause not in ("limit_reached", "stopped_by_cap")


@given(seen=facts)
def test_a_run_that_has_a_last_moment_is_looked_at_then_at_the_latest(seen: RunFacts) -> None:
    total = seen.limits.wall_time_total
    seen = replace(seen, paused=False)
    answer = decide(seen, now=NOW)

    if total is not None and seen.started_at is not None and seen.phase not in RUN_TERMINAL and answer.cause is None:
        assert answer.look_at is not None
        assert answer.look_at <= seen.started_at + total


@given(seen=facts)
def test_the_same_facts_give_the_same_answer(seen: RunFacts) -> None:
    assert decide(seen, now=NOW) == decide(replace(seen), now=NOW)


@given(seen=facts)
def test_a_paused_run_never_starts_anything(seen: RunFacts) -> None:
    decision = decide(replace(seen, paused=True), now=NOW)
    out = seen.phase is RunPhase.CALLING_MODEL and seen.attempt == Attempt(seen.epoch, is_open=True)

    assert decision.cause in (None, "results_in", "results_in_with_work_awaited", "call_interrupted")
    assert not decision.effects or out  # what is out finishes: it is asked for under the key it has


@given(seen=facts)
def test_a_model_is_only_called_for_an_attempt_recorded_in_this_life(seen: RunFacts) -> None:
    decision = decide(seen, now=NOW)

    if decision.effects:
        assert seen.attempt == Attempt(seen.epoch, is_open=True)
        assert decision.effects == (Effect("run", "call_model", seen.id, seen.attempts),)
        assert decision.cause is None


@given(seen=facts)
def test_the_next_call_needs_every_result(seen: RunFacts) -> None:
    if decide(seen, now=NOW).cause in ("results_in", "results_in_with_work_awaited"):
        assert seen.calls_done == seen.calls_expected > 0


@given(seen=facts)
def test_exactly_the_runs_that_are_over_are_at_rest(seen: RunFacts) -> None:
    assert decide(seen, now=NOW).at_rest == (seen.phase in RUN_TERMINAL)


@given(seen=facts, crashes=st.integers(1, 5))
def test_a_waiting_run_asks_again_for_the_same_after_a_crash(seen: RunFacts, crashes: int) -> None:
    again = decide(replace(seen, epoch=seen.epoch + crashes), now=NOW)

    if seen.phase is not RunPhase.CALLING_MODEL:
        assert again == decide(seen, now=NOW)


@given(seen=facts)
def test_a_call_that_is_out_is_asked_for_under_one_key_however_often_it_is_looked_at(seen: RunFacts) -> None:
    keys = {effect.key for minutes in range(3) for effect in decide(seen, now=NOW + minutes * 60 * SECOND).effects}

    assert len(keys) <= 1


@given(seen=facts)
def test_a_moment_to_look_again_is_still_to_come(seen: RunFacts) -> None:
    look_at = decide(seen, now=NOW).look_at

    assert look_at is None or look_at > NOW


# ---- after a reply


def test_a_reply_with_calls_asks_for_tools_whatever_else_it_says() -> None:
    assert after_reply(reply("I add.", ADD), silent=0) == ("asked_for_tools", "")
    assert after_reply(reply("", ADD), silent=EMPTY_REPLIES) == ("asked_for_tools", "")


def test_a_reply_with_a_text_is_the_answer() -> None:
    assert after_reply(reply("8"), silent=EMPTY_REPLIES) == ("answered", "")


@pytest.mark.parametrize("content", ["", "  \n"])
def test_a_reply_that_says_nothing_is_asked_for_again_and_then_fails_the_run(content: str) -> None:
    causes = [after_reply(reply(content), silent=before)[0] for before in range(EMPTY_REPLIES + 1)]

    assert causes == ["call_failed_for_now"] * (EMPTY_REPLIES - 1) + ["call_failed"] * 2


def test_a_run_that_fails_for_silence_says_so_with_the_finish_reason() -> None:
    assert "length" in after_reply(reply(finish_reason="length"), silent=5)[1]
    assert "raise it in the LLM's `parameters`" in after_reply(reply(finish_reason="length"), silent=5)[1]
    assert "content filter" in after_reply(reply(finish_reason="content_filter"), silent=5)[1]
    assert "not given" in after_reply(reply(finish_reason=None), silent=5)[1]


# ---- after a failure


def failed(what: FailureKind, since: datetime | None = None) -> tuple[str, str]:
    return after_failure(Failure(what, "the words"), failing_since=since, retry_for=6 * HOURS, now=NOW)


@pytest.mark.parametrize(
    ("what", "since", "cause"),
    [
        (FailureKind.TRANSIENT, None, "call_failed_for_now"),
        (FailureKind.TRANSIENT, NOW - 6 * HOURS + SECOND, "call_failed_for_now"),
        (FailureKind.TRANSIENT, NOW - 6 * HOURS, "call_failed"),
        (FailureKind.UNUSABLE, None, "model_unusable"),
        (FailureKind.UNUSABLE, NOW - 60 * HOURS, "model_unusable"),
        (FailureKind.REFUSED, None, "call_failed"),
        (FailureKind.OVERFLOW, None, "shortened"),
    ],
)
def test_what_kind_of_failure_it_is_decides(what: FailureKind, since: datetime | None, cause: str) -> None:
    assert failed(what, since)[0] == cause


@pytest.mark.parametrize("what", FailureKind)
def test_the_words_of_the_provider_are_told(what: FailureKind) -> None:
    assert "the words" in failed(what)[1]
    assert "the words" in failed(what, NOW - 60 * HOURS)[1]


def test_a_conversation_that_is_too_long_and_can_not_be_shorter_fails_the_run_with_what_to_do() -> None:
    failure = Failure(FailureKind.OVERFLOW, "the words")
    cause, why = after_failure(failure, failing_since=None, retry_for=6 * HOURS, now=NOW, not_shorter="its older half was left out already")

    assert cause == "call_failed"
    assert why.startswith("the conversation is longer than the model takes, and its older half was left out already")
    assert "`context: {window: N}`" in why
    assert why.endswith("the words")


def test_a_run_that_gives_up_says_since_when() -> None:
    assert "2026-01-02 05:00:00 UTC" in failed(FailureKind.TRANSIENT, NOW - 7 * HOURS)[1]


@pytest.mark.parametrize("what", FailureKind)
def test_every_failure_leads_along_the_table(what: FailureKind) -> None:
    assert failed(what)[0] in RUN["calling_model"]


# ---- going round in circles, and dying


def test_the_fifth_same_call_asks_a_person() -> None:
    assert [bool(after_results(repeats, function="add")) for repeats in range(7)] == [False] * 5 + [True] * 2
    assert "add was called 5 times" in after_results(5, function="add")


def test_the_third_death_in_one_step_asks_a_person() -> None:
    assert [bool(after_crash(crashes)) for crashes in range(5)] == [False] * 3 + [True] * 2


# ---- summaries


def test_a_summary_is_any_text_and_what_it_calls_is_not_done() -> None:
    assert after_reply(reply("so far", ADD), silent=0, is_summary=True) == ("shortened", "")


@pytest.mark.parametrize("content", ["", " \n"])
def test_a_summary_that_says_nothing_is_asked_for_again_and_then_fails_the_run(content: str) -> None:
    causes = [after_reply(reply(content, ADD), silent=before, is_summary=True)[0] for before in range(EMPTY_REPLIES)]

    assert causes == ["call_failed_for_now"] * (EMPTY_REPLIES - 1) + ["call_failed"]
