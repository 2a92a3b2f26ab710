"""What becomes of moments that are due: overlap, misfires, clocks that are set, and that nothing comes in a burst."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallchain.engine.schedule.decide import LATE, MISSED, ScheduleFacts, Skipped, Turn, considered_from, decide
from smallchain.model.schedule import Timing, overdue
from support.rows import NOON

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
HOURLY = ScheduleFacts(Timing("digest", NOON, every=HOUR), overlap="skip", misfire="once", considered_at=NOON)


def at(now: datetime, facts: ScheduleFacts = HOURLY, **changes: Any) -> Turn:
    """What is decided at a moment, with what is due by then."""
    facts = replace(facts, **changes)
    due = overdue(facts.timing, considered_from(facts.considered_at, now=now), now=now)
    return decide(replace(facts, overdue=due), now=now)


def test_before_its_moment_nothing_happens_but_a_look_at_it() -> None:
    assert at(NOON + MINUTE) == Turn(NOON, look_at=NOON + HOUR)


def test_at_its_moment_it_starts_and_looks_at_the_next() -> None:
    assert at(NOON + HOUR) == Turn(NOON + HOUR, start=NOON + HOUR, look_at=NOON + 2 * HOUR)


@pytest.mark.parametrize(
    ("overlap", "expected"),
    [
        ("skip", {"skipped": (Skipped(NOON + HOUR, 1, "run 'digest-1' still runs"),)}),
        ("queue", {"waiting": NOON + HOUR}),
        ("replace", {"start": NOON + HOUR}),
    ],
)
def test_while_the_last_one_runs_the_overlap_policy_holds(overlap: str, expected: dict[str, Any]) -> None:
    assert at(NOON + HOUR, overlap=overlap, running="digest-1") == Turn(NOON + HOUR, look_at=NOON + 2 * HOUR, **expected)


def test_one_start_waits_and_what_comes_behind_it_is_skipped() -> None:
    turn = at(NOON + 2 * HOUR, overlap="queue", running="digest-1", considered_at=NOON + HOUR, waiting=NOON + HOUR)

    assert (turn.start, turn.waiting) == (None, NOON + HOUR)
    assert turn.skipped == (Skipped(NOON + 2 * HOUR, 1, "an earlier start waits already"),)


def test_what_waited_starts_when_the_last_one_is_over() -> None:
    turn = at(NOON + 1.5 * HOUR, overlap="queue", considered_at=NOON + HOUR, waiting=NOON + HOUR)

    assert (turn.start, turn.waiting, turn.skipped) == (NOON + HOUR, None, ())


def test_what_waits_goes_by_the_policy_that_is_written_now() -> None:
    waits = replace(HOURLY, running="digest-1", considered_at=NOON + HOUR, waiting=NOON + HOUR)

    assert at(NOON + 1.5 * HOUR, waits, overlap="replace").start == NOON + HOUR
    assert at(NOON + 1.5 * HOUR, waits, overlap="skip").skipped == (Skipped(NOON + HOUR, 1, "run 'digest-1' still runs"),)


def test_overdue_starts_are_made_up_for_once() -> None:
    turn = at(NOON + 5.5 * HOUR)

    assert turn.start == turn.considered_at == NOON + 5 * HOUR
    assert turn.skipped == (Skipped(NOON + HOUR, 4, f"{MISSED}; the last that was due makes up for it"),)
    assert turn.look_at == NOON + 6 * HOUR


def test_a_start_that_is_in_time_makes_up_for_none_of_those_before_it() -> None:
    turn = at(NOON + 5 * HOUR + timedelta(seconds=10), misfire="skip")

    assert turn.start == NOON + 5 * HOUR
    assert turn.skipped == (Skipped(NOON + HOUR, 4, MISSED),)


def test_or_not_at_all() -> None:
    turn = at(NOON + 5.5 * HOUR, misfire="skip")

    assert (turn.start, turn.considered_at) == (None, NOON + 5 * HOUR)
    assert turn.skipped == (Skipped(NOON + HOUR, 5, MISSED),)


def test_a_start_within_a_minute_is_in_time() -> None:
    assert at(NOON + HOUR + LATE, misfire="skip").start == NOON + HOUR
    assert at(NOON + HOUR + LATE + timedelta(seconds=1), misfire="skip").start is None
    assert at(NOON + 5 * HOUR, misfire="skip").start == NOON + 5 * HOUR


def test_what_lacks_its_task_skips_its_moments_and_goes_on() -> None:
    turn = at(NOON + HOUR, lacking="task 'x' does not exist")

    assert turn == Turn(NOON + HOUR, skipped=(Skipped(NOON + HOUR, 1, "task 'x' does not exist"),), look_at=NOON + 2 * HOUR)


def test_a_moment_that_has_its_run_starts_nothing_and_is_told_to_nobody() -> None:
    assert at(NOON + HOUR, started=1, is_started=True) == Turn(NOON + HOUR, look_at=NOON + 2 * HOUR)
    assert at(NOON + HOUR, started=1, is_started=True, running="digest-1", overlap="queue").waiting is None


def test_what_waits_is_not_wanted_again_when_the_clock_brings_its_moment_back() -> None:
    turn = at(NOON + HOUR, overlap="queue", waiting=NOON + HOUR)

    assert (turn.start, turn.waiting, turn.skipped) == (NOON + HOUR, None, ())
    assert at(NOON + HOUR, overlap="queue", waiting=NOON + HOUR, running="digest-1").skipped == ()


def test_a_clock_that_steps_back_a_little_changes_nothing() -> None:
    facts = replace(HOURLY, considered_at=NOON + HOUR)

    assert at(NOON + HOUR - LATE, facts) == Turn(NOON + HOUR, look_at=NOON + 2 * HOUR)


def test_a_clock_that_was_a_year_ahead_does_not_silence_a_schedule_for_a_year() -> None:
    turn = at(NOON + 1.25 * HOUR, considered_at=NOON + timedelta(days=365))

    assert turn == Turn(NOON + 1.25 * HOUR - LATE, look_at=NOON + 2 * HOUR)


class World:
    """A schedule over time: what was started, told apart by its moment as the table's key does."""

    def __init__(self, overlap: Literal["skip", "queue", "replace"], misfire: Literal["once", "skip"]) -> None:
        self.facts = replace(HOURLY, overlap=overlap, misfire=misfire)
        self.started: list[datetime] = []
        self.running = False

    def look(self, now: datetime) -> Turn:
        """One look, recorded."""
        timing = self.facts.timing
        due = overdue(timing, considered_from(self.facts.considered_at, now=now), now=now)
        known = [moment for moment in self.started if due is not None and due.first <= moment <= due.last]
        facts = replace(
            self.facts,
            overdue=due,
            started=len(known),
            is_started=due is not None and due.last in known,
            running="digest-1" if self.running else "",
        )
        turn = decide(facts, now=now)
        if turn.start is not None:
            self.started.append(turn.start)
            self.running = True
        self.facts = replace(self.facts, considered_at=turn.considered_at, waiting=turn.waiting)
        return turn


STEPS = st.lists(st.tuples(st.integers(-40_000, 90_000), st.booleans()), max_size=40)


@given(overlap=st.sampled_from(["skip", "queue", "replace"]), misfire=st.sampled_from(["once", "skip"]), steps=STEPS)
def test_whatever_the_clock_does_no_moment_starts_twice_and_none_before_its_time(overlap: Any, misfire: Any, steps: Any) -> None:
    world, now = World(overlap, misfire), NOON
    latest = now
    for seconds, ends in steps:
        now += timedelta(seconds=seconds)
        latest = max(latest, now)
        world.running = world.running and not ends
        ran = world.running
        turn = world.look(now)

        assert len(set(world.started)) == len(world.started)
        if turn.start is not None:
            assert turn.start <= latest
            assert overlap == "replace" or not ran
        assert turn.look_at is not None
        assert turn.look_at > now - LATE
        assert turn.waiting is None or overlap == "queue"
        assert world.look(now).start is None or turn.start is None


@given(gaps=st.lists(st.integers(1, 50_000), min_size=1, max_size=40))
def test_while_time_goes_on_each_moment_is_started_or_told_as_skipped(gaps: list[int]) -> None:
    world, now, told = World("queue", "once"), NOON, 0
    for seconds in gaps:
        now += timedelta(seconds=seconds)
        turn = world.look(now)
        told += sum(each.count for each in turn.skipped)

    assert len(world.started) + told + (world.facts.waiting is not None) == (now - NOON) // HOUR
