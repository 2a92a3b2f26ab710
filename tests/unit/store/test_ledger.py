"""The ledger under any order of calls, endings, deaths, raises and times: nothing that is let through passes a cap."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from smallchain.engine.budget.decide import Word, admit
from smallchain.model.cap import Cap, OnLimit, Unit, Worst, counts_from
from smallchain.model.money import Usage
from smallchain.model.run import Run
from smallchain.store import ledger, migrate, modelcalls, runs
from smallchain.store.transaction import SqliteTx
from support.rows import NOON, put_run

LIMIT = 1_000
PERIODS = [
    *(("run", "rolling"), ("minute", "rolling"), ("hour", "rolling"), ("day", "rolling")),
    *(("minute", "calendar"), ("hour", "calendar"), ("day", "calendar"), ("month", "calendar")),
]


class Ledger(RuleBasedStateMachine):
    """One run under several caps at once, and a plain list of what was let through and what became of it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.connection = sqlite3.connect(migrate.prepare(self.folder), isolation_level=None)
        self.connection.row_factory = sqlite3.Row
        self.tx = SqliteTx(self.connection, now=NOON, epoch=1)
        self.run = put_run(self.tx)
        self.attempt = 0
        self.open: dict[int, int] = {}
        self.lost: set[int] = set()
        self.calls: dict[int, tuple[object, int]] = {}
        """By attempt: when it was let through, and what it came to (or holds)."""
        self.raised = 0
        self.caps: list[Cap] = []

    @initialize(which=st.lists(st.sampled_from(PERIODS), min_size=1, max_size=3, unique=True))
    def caps_are_written(self, which: list[tuple[str, str]]) -> None:
        self.caps = [Cap("budget", f"{per} {window}", "", Unit.TOKENS, LIMIT, per, window, OnLimit.WAIT) for per, window in which]

    @rule(worst=st.integers(1, LIMIT))
    def a_call_wants_out(self, worst: int) -> None:
        accounts = [ledger.bring_up(self.tx, cap) for cap in self.caps]
        found = admit([each.standing for each in accounts], Worst(0, worst, 0))
        if found.word is not Word.FITS:
            assert any(each.standing.spent + each.standing.held + worst > each.standing.limit for each in accounts)
            return
        self.attempt += 1
        modelcalls.open_call(self.tx, self.run, attempt=self.attempt, llm="fast", model="m")
        for account in accounts:
            ledger.hold(self.tx, account, self.run, attempt=self.attempt, amount=worst)
        self.open[self.attempt] = worst
        self.calls[self.attempt] = (self.tx.now, worst)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), share=st.integers(0, 100))
    def a_call_ends_at_what_it_used(self, data: st.DataObject, share: int) -> None:
        attempt = data.draw(st.sampled_from(sorted(self.open)))
        used = self.open.pop(attempt) * share // 100
        self.calls[attempt] = (self.calls[attempt][0], used)
        ledger.settle(self.tx, self.run.id, attempt, Worst(0, used, 0))

    @precondition(lambda self: self.open)
    @rule()
    def the_daemon_dies_with_all_calls_out(self) -> None:
        self.tx.flush()
        self.tx = SqliteTx(self.connection, now=self.tx.now, epoch=self.tx.epoch + 1)
        for attempt in self.open:
            ledger.settle(self.tx, self.run.id, attempt, None)
        self.lost |= set(self.open)
        self.open.clear()

    @precondition(lambda self: self.lost)
    @rule(data=st.data(), share=st.integers(0, 100))
    def a_reply_comes_after_all(self, data: st.DataObject, share: int) -> None:
        attempt = data.draw(st.sampled_from(sorted(self.lost)))
        self.lost.discard(attempt)
        if self._is_gone(attempt):
            return
        at, worst = self.calls[attempt]
        used = worst * share // 100
        self.calls[attempt] = (at, used)
        ledger.settle(self.tx, self.run.id, attempt, Worst(0, used, 0))

    def _is_gone(self, attempt: int) -> bool:
        return len(self.tx.all("ledger.of_call", run_id=self.run.id, attempt=attempt)) < len(self.caps)

    @rule(
        length=st.sampled_from([timedelta(seconds=1), timedelta(minutes=7), timedelta(minutes=59), timedelta(hours=5), timedelta(days=2)])
    )
    def time_passes(self, length: timedelta) -> None:
        self.tx.begin(self.tx.now + length)

    @rule(by=st.integers(1, LIMIT))
    def a_person_raises_every_cap(self, by: int) -> None:
        if self.raised > 3 * LIMIT:
            return
        for cap in self.caps:
            account = ledger.bring_up(self.tx, cap)
            ledger.raise_limit(self.tx, account.id, by=by, until=None, over=LIMIT)
        self.raised += by

    @invariant()
    def no_cap_is_passed(self) -> None:
        for cap in self.caps:
            found = ledger.look(self.tx, cap)
            assert found.spent >= 0
            assert found.held == sum(self.open.values())
            assert found.spent + found.held <= LIMIT + self.raised

    @invariant()
    def what_is_spent_is_what_the_calls_within_the_window_came_to(self) -> None:
        for cap in self.caps:
            since = counts_from(cap, now=self.tx.now)
            settled = {attempt: call for attempt, call in self.calls.items() if attempt not in self.open}
            plain = sum(used for at, used in settled.values() if since is None or at >= since)  # type: ignore[operator]
            found = ledger.look(self.tx, cap).spent
            assert found == plain
            assert ledger.bring_up(self.tx, cap).standing.spent == found

    def teardown(self) -> None:
        self.connection.close()
        shutil.rmtree(self.folder)


Ledger.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
TestNoOrderOfEventsPassesACap = Ledger.TestCase


@pytest.fixture
def tx(tmp_path: Path):  # type: ignore[no-untyped-def]
    with closing(sqlite3.connect(migrate.prepare(tmp_path), isolation_level=None)) as opened:
        opened.row_factory = sqlite3.Row
        yield SqliteTx(opened, now=NOON, epoch=1)


def test_what_counts_is_read_oldest_first_in_pages_and_none_of_one_moment_is_lost(tx: SqliteTx) -> None:
    run = put_run(tx)
    cap = Cap("budget", "b", "", Unit.TOKENS, 5_000, "hour", "rolling", OnLimit.WAIT)
    for attempt in range(1, 1_203):
        tx.begin(NOON + timedelta(minutes=attempt // 600))
        ledger.hold(tx, ledger.bring_up(tx, cap), run, attempt=attempt, amount=attempt)
        ledger.settle(tx, run.id, attempt, None)
    tx.begin(NOON + timedelta(hours=1, seconds=1))
    account = ledger.find(tx, cap)
    assert account is not None

    found = list(ledger.counted(tx, account))
    assert [amount for _, amount in found] == list(range(600, 1_203))
    assert sum(amount for _, amount in found) == account.standing.spent
    assert found[0][0] == NOON + timedelta(minutes=1)


def test_runs_that_stand_still_are_counted_with_the_moment_at_which_the_first_goes_on(tx: SqliteTx) -> None:
    account = ledger.bring_up(tx, Cap("budget", "b", "", Unit.TOKENS, 100, "hour", "rolling", OnLimit.WAIT)).id
    for number in range(3):
        ready = runs.move(tx, put_run(tx, name=f"run-{number}"), "dependencies_ready")
        run = runs.move(tx, ready, "over_cap", due_at=NOON + timedelta(minutes=9 - number))
        ledger.wait(tx, run, account)
    ledger.wait(tx, put_run(tx, name="others hold"), account)

    assert ledger.parked(tx, account) == ledger.Parked(3, NOON + timedelta(minutes=7))
    assert len(ledger.parked_ids(tx, account, most=2)) == 2
    assert ledger.parked(tx, account + 1) == ledger.Parked(0, None)


def test_what_is_added_for_a_while_ends_and_what_is_added_for_good_stays(tx: SqliteTx) -> None:
    cap = Cap("budget", "b", "", Unit.TOKENS, 100, "hour", "rolling", OnLimit.ASK)
    account = ledger.bring_up(tx, cap).id
    ledger.raise_limit(tx, account, by=10, until=NOON + timedelta(hours=1), over=100)
    ledger.raise_limit(tx, account, by=5, until=None, over=100)
    assert ledger.bring_up(tx, cap).standing.limit == ledger.look(tx, cap).limit == 115
    tx.begin(NOON + timedelta(hours=1))
    assert ledger.look(tx, cap).limit == ledger.bring_up(tx, cap).standing.limit == 105


def test_what_is_added_to_a_limit_goes_when_another_limit_is_written(tx: SqliteTx) -> None:
    cap = Cap("budget", "b", "", Unit.TOKENS, 100, "hour", "rolling", OnLimit.ASK)
    ledger.raise_limit(tx, ledger.bring_up(tx, cap).id, by=100, until=None, over=100)

    assert ledger.bring_up(tx, cap).standing.limit == 200
    assert ledger.bring_up(tx, replace(cap, limit=50)).standing.limit == 50, "who writes less gets less"
    assert ledger.bring_up(tx, cap).standing.limit == 200


def test_what_is_added_twice_ends_each_at_its_own_time(tx: SqliteTx) -> None:
    cap = Cap("budget", "b", "", Unit.TOKENS, 100, "hour", "rolling", OnLimit.ASK)
    account = ledger.bring_up(tx, cap).id
    ledger.raise_limit(tx, account, by=10, until=NOON + timedelta(hours=1), over=100)
    ledger.raise_limit(tx, account, by=5, until=NOON + timedelta(hours=2), over=100)
    assert ledger.look(tx, cap).limit == 115
    tx.begin(NOON + timedelta(hours=1))
    assert ledger.look(tx, cap).limit == 105


def call(tx: SqliteTx, run: Run, attempt: int, *caps: Cap, amount: int = 0) -> None:
    """A call that goes out under some caps."""
    accounts = [ledger.bring_up(tx, cap) for cap in caps]
    modelcalls.open_call(tx, run, attempt=attempt, llm="fast", model="m")
    for account in accounts:
        ledger.hold(tx, account, run, attempt=attempt, amount=amount)


def ends(tx: SqliteTx, run: Run, attempt: int, tokens: int) -> None:
    """A reply that used so much."""
    modelcalls.settle(tx, run.id, attempt, outcome="replied", usage=Usage(tokens, 0))
    ledger.settle(tx, run.id, attempt, Worst(0, tokens, 0))


def test_an_account_that_is_opened_after_replies_were_booked_nowhere_books_the_next(tx: SqliteTx) -> None:
    run = put_run(tx)
    call(tx, run, 1)
    ends(tx, run, 1, 10)
    call(tx, run, 2, DAY, amount=40)
    ends(tx, run, 2, 20)

    assert ledger.look(tx, DAY).spent == 30, "what was spent before counts, and what came after is booked"


def test_a_reply_is_booked_nowhere_again_where_the_opening_of_an_account_is_taken_back(tx: SqliteTx) -> None:
    run = put_run(tx)

    def opened_in_vain() -> None:
        call(tx, run, 1, DAY, amount=40)
        assert ledger.settle(tx, run.id, 1, Worst(0, 5, 0)) != []
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        tx.attempt(opened_in_vain)

    assert ledger.settle(tx, run.id, 1, Worst(0, 5, 0)) == []


DAY = Cap("budget", "b", "", Unit.TOKENS, 100, "day", "calendar", OnLimit.WAIT)


@pytest.mark.parametrize("cap", [DAY, replace(DAY, window="rolling"), replace(DAY, per="run")], ids=["calendar", "rolling", "run"])
def test_a_cap_that_is_written_while_calls_are_out_books_them(tx: SqliteTx, cap: Cap) -> None:
    run, before = put_run(tx), replace(DAY, name="written before")
    call(tx, run, 1)
    call(tx, run, 2, before, amount=40)
    opened = ledger.bring_up(tx, cap).standing
    ends(tx, run, 1, 30)
    ends(tx, run, 2, 20)
    found = ledger.bring_up(tx, cap).standing

    assert (opened.spent, opened.held) == (0, 40), "what holds nothing under any cap is bounded by nothing"
    assert (found.spent, found.held) == (50, 0)


@pytest.mark.parametrize("back", [timedelta(microseconds=1), timedelta(hours=1), timedelta(hours=30), timedelta(days=400)])
@pytest.mark.parametrize("window", ["calendar", "rolling"])
def test_a_clock_that_is_set_back_makes_no_room(tx: SqliteTx, back: timedelta, window: str) -> None:
    run, cap = put_run(tx), replace(DAY, window=window)
    midnight = NOON.replace(hour=0) + timedelta(days=1)
    tx.begin(midnight - timedelta(minutes=5))
    call(tx, run, 1, cap, amount=60)
    ends(tx, run, 1, 60)
    tx.begin(midnight)
    call(tx, run, 2, cap, amount=30)
    ends(tx, run, 2, 30)
    tx.begin(midnight - back)
    assert ledger.bring_up(tx, cap).standing.spent >= 30, "what was spent just before the clock was set counts"
    assert ledger.bring_up(tx, cap).standing.spent >= 90 or back > timedelta(hours=29)
    call(tx, run, 3, cap, amount=10)
    ends(tx, run, 3, 10)
    assert ledger.bring_up(tx, cap).standing.spent >= 40, "what is spent after it too"
    tx.begin(midnight - back + timedelta(days=1, hours=1))
    found = ledger.bring_up(tx, cap).standing
    assert found.spent == 0, "and it leaves the window as if the clock had always gone so"


def test_a_clock_that_ran_years_ahead_holds_nothing_up_once_it_is_set_right(tx: SqliteTx) -> None:
    run = put_run(tx)
    tx.begin(NOON + timedelta(days=2000))
    call(tx, run, 1, DAY, amount=100)
    ends(tx, run, 1, 100)
    tx.begin(NOON)
    assert ledger.bring_up(tx, DAY).standing.room == 0
    tx.begin(NOON + timedelta(days=1))
    assert ledger.bring_up(tx, DAY).standing.room == 100


def test_time_at_models_is_no_longer_than_the_time_out_of_the_call(tx: SqliteTx) -> None:
    run, cap = put_run(tx), replace(DAY, unit=Unit.TIME, limit=1_000_000)
    call(tx, run, 1, cap, amount=120_000)
    ledger.settle(tx, run.id, 1, Worst(0, 0, 8 * 3_600_000))

    assert ledger.look(tx, cap).spent == 120_000, "a machine that slept, or a clock that was set, is no time at a model"


def test_a_server_that_lies_about_its_tokens_breaks_no_account(tx: SqliteTx) -> None:
    run = put_run(tx)
    for attempt in range(1, 12):
        call(tx, run, attempt, DAY, amount=1)
        ledger.settle(tx, run.id, attempt, Worst(0, 10**30, 0))
    found = ledger.look(tx, DAY)

    assert found.held == 0
    assert found.room < 0
