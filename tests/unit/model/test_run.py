"""The one word that people see of a run, for every phase and flag."""

from __future__ import annotations

import pytest

from smallchain.model.lifecycles import CALL_TERMINAL, RUN_TERMINAL, CallPhase, RunPhase
from smallchain.model.run import OpenCall, Status, status_of
from support.rows import a_run

OPEN_PHASES = [phase for phase in CallPhase if phase not in CALL_TERMINAL]
LIVE_PHASES = [phase for phase in RunPhase if phase not in RUN_TERMINAL]


def calls(*phases: CallPhase) -> list[OpenCall]:
    return [OpenCall(phase, f"tool{number}") for number, phase in enumerate(phases, 1)]


@pytest.mark.parametrize(
    ("phase", "status"),
    [
        (RunPhase.PENDING, Status.PENDING),
        (RunPhase.READY, Status.RUNNING),
        (RunPhase.CALLING_MODEL, Status.RUNNING),
        (RunPhase.AWAITING_TOOLS, Status.RUNNING),
        (RunPhase.AWAITING_WORK, Status.WAITING),
        (RunPhase.BACKING_OFF, Status.WAITING),
        (RunPhase.OVER_BUDGET, Status.OVER_BUDGET),
        (RunPhase.SUCCEEDED, Status.SUCCEEDED),
        (RunPhase.FAILED, Status.FAILED),
        (RunPhase.CANCELLED, Status.CANCELLED),
    ],
)
def test_each_phase_has_its_word(phase: RunPhase, status: Status) -> None:
    assert status_of(a_run(phase=phase), [])[0] is status


@pytest.mark.parametrize("phase", RunPhase)
def test_every_phase_has_a_word_whatever_is_open(phase: RunPhase) -> None:
    for open_phase in OPEN_PHASES:
        assert status_of(a_run(phase=phase), calls(open_phase))[0] in Status


@pytest.mark.parametrize("phase", LIVE_PHASES)
def test_a_paused_run_is_paused_in_every_phase_and_says_why(phase: RunPhase) -> None:
    assert status_of(a_run(phase=phase, paused=True, detail="paused by ann"), calls(CallPhase.EXECUTING)) == (
        Status.PAUSED,
        "paused by ann",
    )


@pytest.mark.parametrize("phase", sorted(RUN_TERMINAL))
def test_a_run_that_is_over_is_not_paused(phase: str) -> None:
    assert status_of(a_run(phase=RunPhase(phase), paused=True), [])[0] is not Status.PAUSED


@pytest.mark.parametrize("phase", [RunPhase.PENDING, RunPhase.BACKING_OFF, RunPhase.OVER_BUDGET, RunPhase.FAILED, RunPhase.CANCELLED])
def test_a_run_that_stands_says_what_for(phase: RunPhase) -> None:
    assert status_of(a_run(phase=phase, detail="why"), [])[1] == "why"


@pytest.mark.parametrize(
    ("phase", "words"),
    [
        (CallPhase.AWAITING_APPROVAL, "for an approval of tool2"),
        (CallPhase.AWAITING_ANSWER, "for an answer to tool2"),
        (CallPhase.AWAITING_CALLBACK, "for the callback of tool2"),
        (CallPhase.IN_DOUBT, "for a person to settle tool2"),
    ],
)
def test_a_run_that_waits_for_somebody_says_for_what_although_another_call_runs(phase: CallPhase, words: str) -> None:
    assert status_of(a_run(phase=RunPhase.AWAITING_TOOLS), calls(CallPhase.EXECUTING, phase)) == (Status.WAITING, words)


def test_a_run_all_of_whose_calls_sleep_is_asleep() -> None:
    assert status_of(
        a_run(phase=RunPhase.AWAITING_TOOLS),
        [OpenCall(CallPhase.SLEEPING, "sleep_until", until) for until in ("until 2026-01-03", "until 2026-01-02")],
    ) == (Status.SLEEPING, "asleep until 2026-01-02")


def test_a_run_one_of_whose_calls_sleeps_is_running() -> None:
    assert status_of(a_run(phase=RunPhase.AWAITING_TOOLS), calls(CallPhase.SLEEPING, CallPhase.EXECUTING))[0] is Status.RUNNING


def test_a_running_run_names_its_tools_each_once() -> None:
    twice = [OpenCall(CallPhase.EXECUTING, "add"), OpenCall(CallPhase.READY, "add"), OpenCall(CallPhase.DELEGATED, "write")]

    assert status_of(a_run(phase=RunPhase.AWAITING_TOOLS), twice) == (Status.RUNNING, "using add, write")


def test_a_run_that_calls_the_model_says_so() -> None:
    assert status_of(a_run(phase=RunPhase.CALLING_MODEL), []) == (Status.RUNNING, "calling the model")


def test_a_run_that_waits_for_a_place_at_an_llm_says_which_and_why() -> None:
    place = "for a place at LLM 'fast' (8 of 8 calls out)"

    assert status_of(a_run(phase=RunPhase.READY), [], place=place) == (Status.WAITING, place)
    assert status_of(a_run(phase=RunPhase.READY, paused=True, detail="paused by ann"), [], place=place)[0] is Status.PAUSED
    assert status_of(a_run(phase=RunPhase.CALLING_MODEL), [], place=place)[0] is Status.RUNNING


@pytest.mark.parametrize("phase", RunPhase)
def test_a_run_is_over_in_the_ends_of_the_table(phase: RunPhase) -> None:
    assert a_run(phase=phase).is_over == (phase in RUN_TERMINAL)


def test_a_run_whose_call_may_not_start_waits_and_says_why() -> None:
    held = OpenCall(CallPhase.PENDING, "post", "tool 'post': `approval` is not yet supported by this version")

    assert status_of(a_run(phase=RunPhase.AWAITING_TOOLS), [*calls(CallPhase.EXECUTING), held]) == (
        Status.WAITING,
        "post may not start: tool 'post': `approval` is not yet supported by this version",
    )
