"""What every backend of the store must keep (`smallchain.store.contract`): add a backend to BACKENDS and it is held to all of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from smallchain.model.errors import Busy, Conflict, Damaged
from smallchain.model.events import Object
from smallchain.model.human import DeliveryRow, Grant, RequestKind
from smallchain.model.lifecycles import Readiness
from smallchain.model.money import Usage
from smallchain.model.run import Run
from smallchain.model.toolcall import ToolCall
from smallchain.store import approvals, deliveries, eventlog, meta, modelcalls, paces, requests, resources, runs, toolcalls
from smallchain.store.contract import Store, Tx
from smallchain.store.database import Database
from support.rows import put_call, put_llm, put_run
from support.starts import FixedClock

PATIENCE_S = 10.0
Wakes = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Backend:
    """How a store of this kind is opened on a place, and how what its commits wake is heard."""

    name: str
    open: Callable[[Path, Callable[[], datetime]], Awaitable[Any]]
    hear: Callable[[Any, Callable[[Wakes], None]], None]


def _hear_sqlite(store: Database, heard: Callable[[Wakes], None]) -> None:
    store.on_commit = heard


BACKENDS = [Backend("sqlite", lambda place, now: Database.open(place, now=now), _hear_sqlite)]


@pytest.fixture(params=BACKENDS, ids=lambda backend: backend.name)
def backend(request: pytest.FixtureRequest) -> Backend:
    return request.param


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
async def store(backend: Backend, tmp_path: Path, clock: FixedClock) -> AsyncIterator[Store]:
    opened = await backend.open(tmp_path, clock.now)
    async with asyncio.timeout(6 * PATIENCE_S):
        yield opened
    await opened.close()


class Held:
    """A piece of work that stands still within its transaction until it is let go."""

    def __init__(self, before: Callable[[Tx], Any], after: Callable[[Tx], Any] = lambda tx: None) -> None:
        self._before, self._after = before, after
        self._inside = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._go = threading.Event()

    def __call__(self, tx: Tx) -> tuple[Any, Any]:
        first = self._before(tx)
        self._loop.call_soon_threadsafe(self._inside.set)
        assert self._go.wait(PATIENCE_S)
        return first, self._after(tx)

    async def inside(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self._inside.wait()

    def let_go(self) -> None:
        self._go.set()


class Refusal(Exception):
    """What a piece of work in a test raises."""


def put(name: str, value: str = "1") -> Callable[[Tx], str]:
    def work(tx: Tx) -> str:
        meta.put(tx, name, value)
        return name

    return work


def put_and_fail(name: str) -> Callable[[Tx], None]:
    def work(tx: Tx) -> None:
        meta.put(tx, name, "1")
        tx.wake("run", name)
        tell(tx, name)
        raise Refusal(name)

    return work


def tell(tx: Tx, what: str = "") -> None:
    eventlog.tell(tx, "ConfigApplied", Object("file", "tests"), what=what)


async def value(store: Store, name: str) -> str:
    return await store.read(lambda tx: meta.get(tx, name))


# ---- all or nothing


async def test_a_write_returns_its_result_and_is_seen_afterwards(store: Store) -> None:
    assert await store.write(put("a")) == "a"

    assert await value(store, "a") == "1"


async def test_what_was_acknowledged_is_there_after_the_store_is_opened_again(backend: Backend, tmp_path: Path, clock: FixedClock) -> None:
    first = await backend.open(tmp_path, clock.now)
    await first.write(put("a"))
    await first.close()
    second = await backend.open(tmp_path, clock.now)

    assert await value(second, "a") == "1"
    await second.close()


async def test_work_that_raises_leaves_nothing_behind(store: Store) -> None:
    with pytest.raises(Refusal, match="a"):
        await store.write(put_and_fail("a"))

    assert await value(store, "a") == ""
    assert await store.read(lambda tx: eventlog.after(tx, 0, most=10)) == []


async def test_an_error_in_one_of_a_shared_batch_leaves_the_others(store: Store) -> None:
    works: list[Callable[[Tx], Any]] = [put_and_fail(str(n)) if n % 3 == 0 else put(str(n)) for n in range(30)]
    answers = await asyncio.gather(*(store.write(work) for work in works), return_exceptions=True)

    assert [isinstance(answer, Refusal) for answer in answers] == [n % 3 == 0 for n in range(30)]
    assert [await value(store, str(n)) for n in range(30)] == ["" if n % 3 == 0 else "1" for n in range(30)]


async def test_a_broken_constraint_fails_its_own_work_alone(store: Store) -> None:
    answers = await asyncio.gather(
        store.write(lambda tx: put_run(tx, "same")),
        store.write(lambda tx: put_run(tx, "same")),
        store.write(lambda tx: put_run(tx, "other")),
        return_exceptions=True,
    )

    assert [isinstance(answer, Exception) for answer in answers] == [False, True, False]
    assert await store.read(lambda tx: len(runs.live_ids(tx))) == 2


async def test_work_that_asks_to_be_alone_keeps_its_place_among_the_others(store: Store) -> None:
    seen: list[str] = []

    def note(name: str) -> Callable[[Tx], None]:
        return lambda tx: seen.append(name)

    await asyncio.gather(store.write(note("a")), store.write(note("b")), store.write(note("c"), alone=True), store.write(note("d")))

    assert seen == ["a", "b", "c", "d"]


async def test_an_error_in_work_that_is_alone_leaves_nothing_behind(store: Store) -> None:
    with pytest.raises(Refusal):
        await store.write(put_and_fail("a"), alone=True)

    assert await value(store, "a") == ""


# ---- parts that may fail alone


async def test_an_attempt_that_fails_is_taken_back_and_the_rest_stands(store: Store) -> None:
    def work(tx: Tx) -> None:
        meta.put(tx, "before", "1")
        with pytest.raises(Refusal):
            tx.attempt(lambda: put_and_fail("inside")(tx))
        meta.put(tx, "after", "1")

    await store.write(work)

    assert [await value(store, name) for name in ("before", "inside", "after")] == ["1", "", "1"]


async def test_an_attempt_returns_its_result_and_stands(store: Store) -> None:
    assert await store.write(lambda tx: tx.attempt(lambda: put("inside")(tx))) == "inside"

    assert await value(store, "inside") == "1"


async def test_a_nested_attempt_fails_alone(store: Store) -> None:
    def outer(tx: Tx) -> None:
        meta.put(tx, "outer", "1")
        with pytest.raises(Refusal):
            tx.attempt(lambda: put_and_fail("inner")(tx))

    await store.write(lambda tx: tx.attempt(lambda: outer(tx)))

    assert [await value(store, name) for name in ("outer", "inner")] == ["1", ""]


async def test_an_outer_attempt_takes_back_what_a_nested_one_did(store: Store) -> None:
    def outer(tx: Tx) -> None:
        tx.attempt(lambda: put("inner")(tx))
        raise Refusal

    def work(tx: Tx) -> None:
        with pytest.raises(Refusal):
            tx.attempt(lambda: outer(tx))

    await store.write(work)

    assert await value(store, "inner") == ""


async def test_a_broken_constraint_within_an_attempt_is_taken_back_alone(store: Store) -> None:
    def work(tx: Tx) -> None:
        put_run(tx, "same")
        with pytest.raises(Exception, match=r"(?i)unique"):
            tx.attempt(lambda: put_run(tx, "same"))
        put_run(tx, "other")

    await store.write(work)

    assert await store.read(lambda tx: len(runs.live_ids(tx))) == 2


# ---- callers that go away


async def test_a_caller_cancelled_within_its_transaction_changes_nothing_about_it(store: Store) -> None:
    work = Held(put("a"), put("b"))
    caller = asyncio.create_task(store.write(work))
    await work.inside()
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    work.let_go()
    await store.write(put("c"))

    assert caller.cancelled()
    assert [await value(store, name) for name in "abc"] == ["1", "1", "1"]


async def test_callers_cancelled_while_they_wait_never_wedge_the_others(store: Store) -> None:
    work = Held(put("first"))
    first = asyncio.create_task(store.write(work))
    await work.inside()
    callers = [asyncio.create_task(store.write(put(str(n)))) for n in range(40)]
    await asyncio.sleep(0)
    for caller in callers[::2]:
        caller.cancel()
    work.let_go()
    await asyncio.gather(first, *callers, return_exceptions=True)
    await store.write(put("last"))

    assert [caller.cancelled() for caller in callers] == [n % 2 == 0 for n in range(40)]
    assert [await value(store, str(n)) for n in range(40)] == ["1"] * 40


async def test_a_cancelled_caller_of_work_that_fails_is_no_trouble(store: Store) -> None:
    work = Held(put("a"), put_and_fail("b"))
    caller = asyncio.create_task(store.write(work))
    await work.inside()
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    work.let_go()
    await store.write(put("c"))

    assert [await value(store, name) for name in "abc"] == ["", "", "1"]


async def test_a_cancelled_reader_leaves_the_next_one_alone(store: Store) -> None:
    await store.write(put("a"))
    work = Held(lambda tx: None)
    reader = asyncio.create_task(store.read(work))
    await work.inside()
    reader.cancel()
    await asyncio.gather(reader, return_exceptions=True)
    work.let_go()

    assert await value(store, "a") == "1"


# ---- what is heard, and when


async def test_wakes_are_heard_after_the_commit_and_not_before(backend: Backend, store: Store) -> None:
    heard: Wakes = []
    backend.hear(store, heard.extend)
    work = Held(lambda tx: tx.wake("run", "a"), put("a"))
    caller = asyncio.create_task(store.write(work))
    await work.inside()
    before = list(heard)
    work.let_go()
    await caller

    assert before == []
    assert heard == [("run", "a")]


async def test_who_hears_a_wake_finds_the_change_it_tells_of(backend: Backend, store: Store) -> None:
    found: list[asyncio.Task[str]] = []
    backend.hear(store, lambda wakes: found.extend(asyncio.create_task(value(store, key)) for _, key in wakes))

    def work(tx: Tx) -> None:
        tx.wake("run", "a")
        meta.put(tx, "a", "1")

    await store.write(work)

    assert await asyncio.gather(*found) == ["1"]


async def test_wakes_of_failed_work_are_not_heard(backend: Backend, store: Store) -> None:
    heard: Wakes = []
    backend.hear(store, heard.extend)
    good = store.write(lambda tx: tx.wake("run", "good"))
    await asyncio.gather(store.write(put_and_fail("bad")), good, return_exceptions=True)

    assert heard == [("run", "good")]


async def test_wakes_of_a_failed_attempt_are_not_heard(backend: Backend, store: Store) -> None:
    heard: Wakes = []
    backend.hear(store, heard.extend)

    def work(tx: Tx) -> None:
        tx.wake("run", "before")
        with pytest.raises(Refusal):
            tx.attempt(lambda: put_and_fail("inside")(tx))

    await store.write(work)

    assert heard == [("run", "before")]


async def test_wakes_that_are_taken_are_not_heard_unless_they_are_said_again(backend: Backend, store: Store) -> None:
    heard: Wakes = []
    backend.hear(store, heard.extend)

    def work(tx: Tx) -> Wakes:
        tx.wake("run", "a")
        taken = tx.take_wakes()
        tx.wake("run", "b")
        return taken

    assert await store.write(work) == [("run", "a")]
    assert heard == [("run", "b")]


async def test_then_is_called_with_the_result_after_the_commit(store: Store) -> None:
    called: list[str] = []
    await store.write(put("a"), then=called.append)

    assert called == ["a"]


async def test_then_is_called_although_the_caller_was_cancelled(store: Store) -> None:
    called = asyncio.Event()
    work = Held(put("a"))
    caller = asyncio.create_task(store.write(work, then=lambda result: called.set()))
    await work.inside()
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    work.let_go()

    async with asyncio.timeout(PATIENCE_S):
        await called.wait()


async def test_then_is_not_called_for_work_that_failed(store: Store) -> None:
    called: list[Any] = []
    with pytest.raises(Refusal):
        await store.write(put_and_fail("a"), then=called.append)

    assert called == []


# ---- reading


async def test_a_read_does_not_see_what_is_not_committed(store: Store) -> None:
    work = Held(put("a"))
    caller = asyncio.create_task(store.write(work))
    await work.inside()
    during = await value(store, "a")
    work.let_go()
    await caller

    assert (during, await value(store, "a")) == ("", "1")


async def test_a_read_is_of_one_state_whatever_is_written_beside_it(store: Store) -> None:
    work = Held(lambda tx: meta.get(tx, "a"), lambda tx: meta.get(tx, "a"))
    reader = asyncio.create_task(store.read(work))
    await work.inside()
    await store.write(put("a"))
    work.let_go()

    assert await reader == ("", "")
    assert await value(store, "a") == "1"


async def test_a_read_cannot_write(store: Store) -> None:
    with pytest.raises(Exception, match=r"(?i)read-?only|query.only"):
        await store.read(put("a"))

    assert await value(store, "a") == ""


async def test_a_read_that_raises_leaves_the_next_one_alone(store: Store) -> None:
    def work(tx: Tx) -> None:
        meta.get(tx, "a")
        raise Refusal

    with pytest.raises(Refusal):
        await store.read(work)

    assert await value(store, "a") == ""


# ---- versions


async def test_a_run_written_against_an_old_version_is_a_conflict(store: Store) -> None:
    run = await store.write(put_run)
    await store.write(lambda tx: runs.save(tx, run, detail="first"))

    with pytest.raises(Conflict):
        await store.write(lambda tx: runs.save(tx, run, detail="second"))
    assert (await store.read(lambda tx: runs.get(tx, run.id))).detail == "first"


async def test_a_saved_value_has_the_version_of_its_row(store: Store) -> None:
    run = await store.write(put_run)
    saved = await store.write(lambda tx: runs.save(tx, runs.save(tx, run, detail="a"), detail="b"))

    assert await store.read(lambda tx: runs.get(tx, run.id)) == saved


async def test_a_tool_call_written_against_an_old_version_is_a_conflict(store: Store) -> None:
    call = await store.write(lambda tx: put_call(tx, put_run(tx)))
    await store.write(lambda tx: toolcalls.save(tx, call, detail="first"))

    with pytest.raises(Conflict):
        await store.write(lambda tx: toolcalls.save(tx, call, detail="second"))
    assert (await store.read(lambda tx: toolcalls.get(tx, call.id))).detail == "first"


async def test_a_readiness_written_against_an_old_version_is_a_conflict(store: Store) -> None:
    row = await store.write(put_llm)
    await store.write(lambda tx: resources.set_status(tx, row, Readiness.READY, detail=""))

    with pytest.raises(Conflict):
        await store.write(lambda tx: resources.set_status(tx, row, Readiness.ERROR, detail="late"))
    found = await store.read(lambda tx: resources.get(tx, "llm", "fast"))
    assert found is not None
    assert found.status is Readiness.READY


async def test_the_first_decision_of_a_request_wins(store: Store) -> None:
    def ask(tx: Tx) -> Any:
        return requests.open_request(tx, put_run(tx), kind=RequestKind.LOOP, question="go on?")

    request = await store.write(ask)
    decide = [
        store.write(lambda tx, by=by: requests.decide(tx, request, "answered", decision="{}", by=by))  # type: ignore[misc]
        for by in ("ann", "bob")
    ]
    answers = await asyncio.gather(*decide, return_exceptions=True)

    assert isinstance(answers[1], Conflict)
    found = await store.read(lambda tx: requests.find(tx, request.id))
    assert found is not None
    assert found.decided_by == "ann"


async def test_a_request_is_told_once_on_each_channel_and_a_stale_telling_conflicts(store: Store) -> None:
    def ask(tx: Tx) -> list[DeliveryRow]:
        request = requests.open_request(tx, put_run(tx), kind=RequestKind.LOOP, question="go on?")
        for channel in ("ops", "ceo", "ops"):
            deliveries.create(tx, request.id, channel)
        return deliveries.of_request(tx, request.id)

    first, second = await store.write(ask)
    await store.write(lambda tx: deliveries.move(tx, first, "attempted", attempts=1))

    assert (first.channel, second.channel) == ("ops", "ceo")
    assert await store.read(deliveries.live_ids) == [first.id, second.id]
    with pytest.raises(Conflict):
        await store.write(lambda tx: deliveries.move(tx, first, "attempted", attempts=1))


async def test_a_newer_approval_of_a_call_takes_the_place_of_the_older(store: Store) -> None:
    def approve(tx: Tx) -> ToolCall:
        call = put_call(tx, put_run(tx))
        for digest, arguments in (("first", '{"a":1}'), ("second", "")):
            approvals.put(tx, call, request_id="r", digest=digest, arguments=arguments, by="ann", note="")
        return call

    call = await store.write(approve)
    found = await store.read(lambda tx: approvals.of_run(tx, call.run_id))

    assert [(each.call_id, each.digest, each.arguments) for each in found.values()] == [(call.id, "second", "")]
    assert await store.read(lambda tx: approvals.of_call(tx, call)) == found[call.id]


async def test_a_grant_holds_for_its_run_and_tool_until_it_is_revoked_once(store: Store) -> None:
    def make(tx: Tx) -> Grant:
        return approvals.grant(tx, put_run(tx), tool="publish", target="t", by="ann", via="terminal", note="")

    grant = await store.write(make)
    assert await store.read(lambda tx: approvals.granted(tx, grant.run_id, "t")) == grant
    assert await store.read(lambda tx: approvals.granted(tx, grant.run_id, "other")) is None
    assert await store.read(lambda tx: approvals.granted(tx, "other", "t")) is None

    assert await store.write(lambda tx: approvals.revoke(tx, grant, by="bob"))
    assert not await store.write(lambda tx: approvals.revoke(tx, grant, by="ann"))
    assert await store.read(lambda tx: approvals.granted(tx, grant.run_id, "t")) is None


# ---- events, ids and time


async def test_events_are_gapless_and_in_order_under_rollbacks(store: Store) -> None:
    def twice(tx: Tx) -> None:
        tell(tx, "good")
        with pytest.raises(Refusal):
            tx.attempt(lambda: put_and_fail("inside")(tx))
        tell(tx, "good")

    works: list[Callable[[Tx], Any]] = [put_and_fail("bad") if n % 2 else twice for n in range(40)]
    await asyncio.gather(*(store.write(work) for work in works), return_exceptions=True)
    events = await store.read(lambda tx: eventlog.after(tx, 0, most=1000))

    assert [event["seq"] for event in events] == list(range(1, 41))
    assert {event["message"] for event in events} == {"Applied good"}
    assert await store.read(eventlog.last) == 40


async def test_a_reader_that_asks_after_a_number_gets_each_later_event_once(store: Store) -> None:
    seen: list[int] = []
    for _ in range(5):
        await asyncio.gather(*(store.write(tell) for _ in range(7)))
        last = seen[-1] if seen else 0
        later = await store.read(lambda tx, last=last: eventlog.after(tx, last, most=1000))  # type: ignore[misc]
        seen += [row["seq"] for row in later]

    assert seen == list(range(1, 36))


async def test_ids_sort_in_the_order_of_their_making_although_the_clock_goes_back(store: Store, clock: FixedClock) -> None:
    ids: list[str] = []
    for _ in range(3):
        ids += await store.write(lambda tx: [tx.new_id(), tx.new_id()])
        clock.moment -= timedelta(hours=1)

    assert ids == sorted(set(ids))


async def test_a_transaction_knows_its_moment_in_utc(store: Store, clock: FixedClock) -> None:
    moments = [await store.write(lambda tx: tx.now), await store.read(lambda tx: tx.now)]

    assert moments == [clock.moment, clock.moment]
    assert {moment.tzinfo for moment in moments} == {UTC}


# ---- lives


async def test_each_opening_begins_a_new_epoch(backend: Backend, tmp_path: Path, clock: FixedClock) -> None:
    epochs = []
    for _ in range(3):
        opened = await backend.open(tmp_path, clock.now)
        epochs.append(await opened.write(lambda tx: tx.epoch))
        await opened.close()

    assert epochs == [1, 2, 3]


async def test_a_predecessor_is_fenced_out_by_the_next_epoch(backend: Backend, tmp_path: Path, clock: FixedClock) -> None:
    first = await backend.open(tmp_path, clock.now)
    await first.write(put("a"))
    second = await backend.open(tmp_path, clock.now)
    async with asyncio.timeout(PATIENCE_S):
        answers = await asyncio.gather(*(first.write(put(name)) for name in "bcd"), return_exceptions=True)
        with pytest.raises(Damaged):
            await first.write(put("e"))
        await second.write(put("f"))

    assert [type(answer) for answer in answers] == [Damaged] * 3
    assert [await value(second, name) for name in "abcdef"] == ["1", "", "", "", "", "1"]
    await first.close()
    await second.close()


async def test_closing_finishes_what_was_asked_before_and_refuses_what_comes_after(
    backend: Backend, tmp_path: Path, clock: FixedClock
) -> None:
    first = await backend.open(tmp_path, clock.now)
    asked = [asyncio.create_task(first.write(put(str(n)))) for n in range(20)]
    await asyncio.sleep(0)
    closing = asyncio.create_task(first.close())
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await first.write(put("late"))
    await closing
    await asyncio.gather(*asked)
    second = await backend.open(tmp_path, clock.now)

    assert [await value(second, str(n)) for n in range(20)] == ["1"] * 20
    assert await value(second, "late") == ""
    await second.close()


# ---- places at an LLM


def at_the_llm(tx: Tx, name: str, *, priority: int = 0) -> Run:
    """A run that is ready and waits for a place at the LLM `fast`."""
    run = runs.move(tx, runs.save(tx, put_run(tx, name), llm="fast", priority=priority), "dependencies_ready")
    paces.ask(tx, run, "fast", tokens=7)
    return run


async def test_a_place_is_used_by_the_model_call_of_its_attempt_and_swept_once_that_ended(store: Store, clock: FixedClock) -> None:
    run = await store.write(lambda tx: at_the_llm(tx, "monday"))
    assert await store.read(lambda tx: (paces.waits(tx, "fast"), paces.is_granted(tx, run, "fast"))) == (1, False)

    await store.write(lambda tx: paces.grant(tx, run.id, 1))
    assert await store.read(lambda tx: (paces.waits(tx, "fast"), paces.is_granted(tx, run, "fast"), paces.out(tx, "fast"))) == (0, True, 0)
    assert [row["alive"] for row in await store.read(lambda tx: paces.unused(tx, "fast"))] == [1]

    def call(tx: Tx) -> None:
        modelcalls.open_call(tx, run, attempt=1, llm="fast", model="m")
        runs.move(tx, run, "model_called", attempts=1)

    await store.write(call)
    since = clock.moment - timedelta(seconds=1)
    assert await store.read(lambda tx: (paces.out(tx, "fast"), paces.unused(tx, "fast"))) == (1, [])
    assert await store.read(lambda tx: paces.started(tx, "fast", since=since)) == [(clock.moment, 7)]

    await store.write(lambda tx: modelcalls.settle(tx, run.id, 1, outcome="replied", usage=Usage(40, 2, 0)))
    assert await store.read(lambda tx: paces.out(tx, "fast")) == 0
    assert await store.read(lambda tx: paces.started(tx, "fast", since=since)) == [(clock.moment, 42)]
    await store.write(lambda tx: paces.tidy(tx, "fast", before=clock.moment))
    assert await store.read(lambda tx: (paces.started(tx, "fast", since=since), paces.kept(tx))) == ([], [])


async def test_trees_of_runs_stand_in_line_by_priority_and_by_who_was_served_longest_ago(store: Store) -> None:
    def ask(tx: Tx) -> list[Run]:
        return [at_the_llm(tx, "a"), at_the_llm(tx, "b"), at_the_llm(tx, "c", priority=5)]

    a, b, c = await store.write(ask)
    assert list(await store.read(lambda tx: paces.next_trees(tx, "fast", most=9))) == [(5, c.id), (0, a.id), (0, b.id)]

    await store.write(lambda tx: paces.to_the_end(tx, "fast", 0, a.id))
    assert list(await store.read(lambda tx: paces.next_trees(tx, "fast", most=2))) == [(5, c.id), (0, b.id)]
    await store.write(lambda tx: paces.move_up(tx, replace(a, priority=9), "fast"))
    assert list(await store.read(lambda tx: paces.next_trees(tx, "fast", most=1))) == [(9, a.id)]


async def test_a_place_that_an_earlier_life_granted_is_not_granted_in_this_one(backend: Backend, tmp_path: Path, clock: FixedClock) -> None:
    (tmp_path / "one").mkdir()
    first = await backend.open(tmp_path / "one", clock.now)
    run = await first.write(lambda tx: at_the_llm(tx, "monday"))
    await first.write(lambda tx: paces.grant(tx, run.id, 1))
    await first.close()
    second = await backend.open(tmp_path / "one", clock.now)
    assert await second.read(lambda tx: paces.is_granted(tx, run, "fast")) is False

    await second.write(lambda tx: paces.tidy(tx, "fast", before=clock.moment - timedelta(minutes=1)))
    assert await second.read(lambda tx: paces.waits(tx, "fast")) == 1
    await second.close()


async def test_a_hold_ends_at_its_moment_with_other_words_and_with_a_clock_that_was_set_back(store: Store, clock: FixedClock) -> None:
    until = clock.moment + timedelta(minutes=1)
    await store.write(lambda tx: paces.hold(tx, "fast", paces.Held(clock.moment, until, "slow down", "words")))

    async def held(digest: str = "words") -> bool:
        return await store.read(lambda tx: paces.held(tx, "fast", digest=digest) is not None)

    assert (await held(), await held("other words")) == (True, False)
    clock.moment -= timedelta(days=1)
    assert not await held()
    clock.moment = until
    assert not await held()
