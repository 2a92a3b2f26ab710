"""The picture of the world: an event says what to read again, and what was read is what is shown."""

from __future__ import annotations

from smallchain_tui.viewmodel import state
from smallchain_tui.viewmodel.connection import Connection, Standing
from smallchain_tui.viewmodel.ring import Gap
from smallchain_tui.viewmodel.rows import EventRow, RequestRow, RunRow
from smallchain_tui.viewmodel.state import State
from support import dashboard


def _run(name: str, status: str = "Running", **fields: object) -> RunRow:
    return RunRow.of(dashboard.run(name, status, **fields))


def _seen() -> State:
    found = State()
    found.take_connection(Connection(Standing.CONNECTED, version="0.1.0", pid=1))
    found.take_runs([_run("a"), _run("b")], whole=True)
    found.take_requests([])
    found.stale_all = found.stale_requests = False
    return found


def test_an_event_of_a_run_makes_that_run_stale_and_the_inbox() -> None:
    seen = _seen()
    changed = seen.take_events([EventRow.of({"seq": 1, "run": "a", "run_id": "id-of-a"})])

    assert changed == {state.EVENTS}
    assert seen.stale_runs == {"id-of-a"}
    assert seen.stale_requests
    assert not seen.stale_all
    assert seen.last_event["id-of-a"].seq == 1


def test_a_gap_makes_everything_stale() -> None:
    seen = _seen()
    seen.take_events([Gap(1, 900)])

    assert seen.stale_all


def test_an_event_that_was_seen_changes_nothing() -> None:
    seen = _seen()
    event = EventRow.of({"seq": 1, "run_id": "id-of-a"})
    seen.take_events([event])
    seen.stale_runs.clear()

    assert seen.take_events([event]) == frozenset()
    assert not seen.stale_runs


def test_a_daemon_found_again_makes_everything_stale_and_one_that_stays_does_not() -> None:
    seen = _seen()
    assert seen.take_connection(Connection(Standing.CONNECTED, version="0.1.0", pid=1)) == frozenset()
    assert not seen.stale_all

    seen.take_connection(Connection(Standing.RECONNECTING, attempt=1))
    assert not seen.stale_all
    assert seen.take_connection(Connection(Standing.CONNECTED, version="0.1.0", pid=2)) == {state.CONNECTION}
    assert seen.stale_all


def test_some_runs_read_again_leave_the_others() -> None:
    seen = _seen()
    changed = seen.take_runs([_run("a", "Succeeded"), _run("c")], whole=False)

    assert changed == {state.RUNS}
    assert {row.name: row.status for row in seen.runs.values()} == {"a": "Succeeded", "b": "Running", "c": "Running"}


def test_reading_what_is_there_already_changes_nothing() -> None:
    seen = _seen()

    assert seen.take_runs([_run("a")], whole=False) == frozenset()
    assert seen.take_runs([_run("a"), _run("b")], whole=True) == frozenset()
    assert seen.take_requests([]) == frozenset()


def test_a_run_that_is_gone_leaves_with_its_last_event() -> None:
    seen = _seen()
    seen.take_events([EventRow.of({"seq": 1, "run_id": "id-of-a"})])
    seen.take_runs([_run("b")], whole=True)

    assert set(seen.runs) == {"id-of-b"}
    assert not seen.last_event


def test_only_open_requests_wait() -> None:
    seen = _seen()
    answered = RequestRow.of(dashboard.request("two", "a", phase="answered"))
    seen.take_requests([RequestRow.of(dashboard.request("one", "a")), answered])

    assert list(seen.requests) == ["one"]
    assert [row.id for row in seen.requests_of("id-of-a")] == ["one"]


def test_counts_name_what_needs_a_person_first() -> None:
    seen = State()
    seen.take_runs([_run("a", "Succeeded"), _run("b", "Failed"), _run("c", "Waiting"), _run("d", "Levitating")], whole=True)

    assert list(seen.counts().items()) == [("Waiting", 1), ("Failed", 1), ("Succeeded", 1), ("Levitating", 1)]
