"""Who may call an LLM, in which order, and when to look again: single situations, and a simulation of many runs held to every promise."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smallchain.engine.pace.decide import AT_ONCE, WINDOW, Limits, PaceFacts, Started, Waiting, decide, in_order

NOON = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def one(run_id: str, root_id: str = "", *, priority: int = 0, asked: int = 0, tokens: int = 0) -> Waiting:
    return Waiting(run_id, 1, root_id or run_id, priority, NOON + asked * SECOND, tokens)


def facts(*waiting: Waiting, limits: Limits | None = None, **changes: Any) -> PaceFacts:
    return replace(PaceFacts(limits or Limits(), waiting=waiting), **changes)


def let_go(seen: PaceFacts, *, now: datetime = NOON) -> list[str]:
    return [each.run_id for each in decide(seen, now=now).granted]


# ---- single situations


def test_without_limits_everybody_goes() -> None:
    assert let_go(facts(one("a"), one("b", asked=-1))) == ["b", "a"]


def test_as_many_go_as_there_are_places() -> None:
    pace = decide(facts(one("a"), one("b"), one("c"), limits=Limits(concurrency=3), out=1), now=NOON)

    assert [each.run_id for each in pace.granted] == ["a", "b"]
    assert (pace.look_at, pace.why) == (None, "3 of 3 calls out")


def test_the_higher_priority_goes_first_whenever_it_asked() -> None:
    assert let_go(facts(one("a", asked=-9), one("b", priority=5), one("c", priority=-1, asked=-99))) == ["b", "a", "c"]


def test_a_tree_of_many_children_and_a_single_run_take_turns() -> None:
    children = [one(f"child-{number}", "tree", asked=-9) for number in range(4)]

    assert let_go(facts(*children, one("single"), one("other"))) == ["child-0", "other", "single", "child-1", "child-2", "child-3"]


def test_the_tree_that_was_served_longest_ago_goes_first() -> None:
    assert let_go(facts(one("a"), one("b"), one("c"), line={(0, "a"): 7, (0, "b"): 5, (0, "c"): 6})) == ["b", "c", "a"]


def test_a_minute_of_requests_is_a_window_that_slides() -> None:
    started = (Started(NOON - 59 * SECOND, 0), Started(NOON - 10 * SECOND, 0))
    seen = facts(one("a"), one("b"), limits=Limits(requests_per_minute=2), started=started)
    pace = decide(seen, now=NOON)

    assert (pace.granted, pace.look_at, pace.why) == ((), NOON + SECOND, "2 requests a minute are used up until 12:00:01")
    assert let_go(seen, now=NOON + SECOND) == ["a"]
    assert let_go(seen, now=NOON + 50 * SECOND) == ["a", "b"]


def test_tokens_are_waited_for_until_the_moment_enough_have_left_the_window() -> None:
    started = (Started(NOON - 50 * SECOND, 30), Started(NOON - 40 * SECOND, 30), Started(NOON - 10 * SECOND, 30))
    seen = facts(one("a", tokens=50), limits=Limits(tokens_per_minute=100), started=started)
    pace = decide(seen, now=NOON)

    assert (pace.granted, pace.look_at) == ((), NOON + 20 * SECOND)
    assert let_go(seen, now=NOON + 20 * SECOND) == ["a"]


def test_a_request_larger_than_a_whole_minute_goes_when_nothing_else_is_in_the_window() -> None:
    seen = facts(one("large", tokens=1000), limits=Limits(tokens_per_minute=100))

    assert let_go(seen) == ["large"]
    assert let_go(replace(seen, started=(Started(NOON - SECOND, 1),))) == []


def test_a_large_request_is_not_passed_over_for_small_ones() -> None:
    started = (Started(NOON - SECOND, 90),)

    assert (
        let_go(facts(one("large", asked=-1, tokens=50), one("small", tokens=1), limits=Limits(tokens_per_minute=100), started=started))
        == []
    )


def test_while_an_llm_is_held_nobody_goes() -> None:
    seen = facts(one("a"), limits=Limits(concurrency=9), held_until=NOON + 30 * SECOND)
    pace = decide(seen, now=NOON)

    assert (pace.granted, pace.look_at, pace.why) == ((), NOON + 30 * SECOND, "it is held until 12:00:30")
    assert let_go(seen, now=NOON + 30 * SECOND) == ["a"]


def test_a_clock_that_was_set_back_holds_nobody_by_calls_of_the_future() -> None:
    assert let_go(facts(one("a"), limits=Limits(requests_per_minute=1), started=(Started(NOON + timedelta(days=1), 0),))) == ["a"]


def test_so_many_go_at_once_and_the_first_of_the_first_trees_tell_who() -> None:
    everybody = [one(f"run-{number:03}", f"tree-{number % 90}", priority=number % 2) for number in range(900)]
    line = {(priority, f"tree-{number}"): 500 - number for number in range(90) for priority in (0, 1)}
    trees = sorted({(each.priority, each.root_id) for each in everybody}, key=lambda tree: (-tree[0], line[tree]))[:AT_ONCE]
    read = [one for tree in trees for one in [each for each in everybody if (each.priority, each.root_id) == tree][:AT_ONCE]]

    assert len(let_go(facts(*everybody, line=line))) == AT_ONCE
    assert let_go(facts(*read, line={tree: line[tree] for tree in trees})) == let_go(facts(*everybody, line=line))


# ---- what holds for every order

waiting = st.lists(
    st.builds(
        one,
        run_id=st.uuids().map(str),
        root_id=st.sampled_from(["r", "s", "t"]),
        priority=st.integers(-1, 1),
        asked=st.integers(-5, 0),
        tokens=st.integers(0, 120),
    ),
    max_size=12,
    unique_by=lambda each: each.run_id,
)
lines = st.dictionaries(st.tuples(st.integers(-1, 1), st.sampled_from(["r", "s", "t"])), st.integers(1, 9), max_size=6)
Line = dict[tuple[int, str], int]


@given(waiting=waiting, line=lines)
def test_everybody_stands_in_the_order_once_and_no_lower_priority_before_a_higher(waiting: list[Waiting], line: Line) -> None:
    found = list(in_order(waiting, line))

    assert Counter(found) == Counter(waiting)
    assert [each.priority for each in found] == sorted((each.priority for each in found), reverse=True)


@given(waiting=waiting, line=lines)
def test_between_two_turns_of_a_tree_every_other_that_waits_has_one(waiting: list[Waiting], line: Line) -> None:
    found = list(in_order(waiting, line))
    for priority in {each.priority for each in found}:
        roots = [each.root_id for each in found if each.priority == priority]
        for at, root in enumerate(roots):
            again = next((later for later in range(at + 1, len(roots)) if roots[later] == root), None)
            if again is not None:
                assert set(roots[at + 1 : again]) >= set(roots[again:]) - {root}


@given(waiting=waiting, line=lines, shuffled=st.randoms(use_true_random=False))
def test_the_order_does_not_hang_on_the_order_of_the_rows(waiting: list[Waiting], line: Line, shuffled: Any) -> None:
    mixed = list(waiting)
    shuffled.shuffle(mixed)
    trees = [(priority, root) for priority in (-1, 0, 1) for root in ("r", "s", "t")]
    known = {tree: number for number, tree in enumerate(trees, 20)} | line

    assert list(in_order(mixed, known)) == list(in_order(waiting, known))


# ---- a simulation: runs that ask, call for a while, and ask again; deaths in between


@dataclass
class Sim:
    """The rows as the loop keeps them, moved by `decide` alone."""

    limits: Limits
    now: datetime = NOON
    waiting: dict[str, Waiting] = field(default_factory=dict)
    out: dict[str, datetime] = field(default_factory=dict)
    log: list[tuple[datetime, Waiting, tuple[Waiting, ...]]] = field(default_factory=list)
    line: Line = field(default_factory=dict)
    ends: dict[str, datetime] = field(default_factory=dict)

    def ask(self, who: Waiting) -> None:
        self.line.setdefault((who.priority, who.root_id), max(self.line.values(), default=0) + 1)
        self.waiting[who.run_id] = replace(who, asked_at=self.now)

    def look(self, length: timedelta) -> datetime | None:
        started = tuple(Started(at, each.tokens) for at, each, _ in self.log if at > self.now - WINDOW)
        seen = PaceFacts(self.limits, out=len(self.out), started=started, waiting=tuple(self.waiting.values()), line=self.line)
        pace = decide(seen, now=self.now)
        for each in pace.granted:
            del self.waiting[each.run_id]
            self.log.append((self.now, each, tuple(self.waiting.values())))
            self.out[each.run_id] = self.now
            self.ends[each.run_id] = self.now + length
            self.line[each.priority, each.root_id] = max(self.line.values()) + 1
        return pace.look_at

    def end(self, run_id: str) -> None:
        del self.out[run_id], self.ends[run_id]


limits = st.builds(
    Limits,
    concurrency=st.none() | st.integers(1, 4),
    requests_per_minute=st.none() | st.integers(1, 6),
    tokens_per_minute=st.none() | st.integers(20, 200),
)
peers = st.lists(st.tuples(st.sampled_from(["r", "s", "t", "u"]), st.integers(0, 1), st.integers(0, 90)), min_size=1, max_size=10).map(
    lambda each: [Waiting(f"run-{number}", 1, root, priority, NOON, tokens) for number, (root, priority, tokens) in enumerate(each)]
)


@example(
    limits=Limits(tokens_per_minute=20),
    peers=[
        Waiting(f"run-{number}", 1, root, 1, NOON, tokens)
        for number, (root, tokens) in enumerate([("r", 0), ("s", 0), ("s", 0), ("t", 0), ("u", 21)])
    ],
    lengths=[1],
    death=1,
)
@given(limits=limits, peers=peers, lengths=st.lists(st.integers(1, 90), min_size=1, max_size=5), death=st.integers(0, 30))
def test_no_limit_is_ever_passed_nobody_starves_and_nothing_stands_still(
    limits: Limits, peers: list[Waiting], lengths: list[int], death: int
) -> None:
    sim = Sim(limits)
    for each in peers:
        sim.ask(each)
    rounds = 0
    while len(sim.log) < 40:
        rounds += 1
        assert rounds < 1000
        look_at = sim.look(lengths[rounds % len(lengths)] * SECOND)
        assert limits.concurrency is None or len(sim.out) <= limits.concurrency
        if rounds == death:  # the next life interrupts what was out, and those runs ask again
            for run_id in list(sim.out):
                sim.end(run_id)
                sim.ask(next(each for each in peers if each.run_id == run_id))
            continue
        moments = [moment for moment in (*sim.ends.values(), look_at) if moment is not None]
        assert moments, "somebody waits and nothing will ever happen"
        sim.now = min(moments)
        for run_id in [run_id for run_id, at in sim.ends.items() if at <= sim.now]:
            sim.end(run_id)
            sim.ask(next(each for each in peers if each.run_id == run_id))

    for number, (at, _, _) in enumerate(sim.log):
        window = [each for moment, each, _ in sim.log[: number + 1] if moment > at - WINDOW]
        assert limits.requests_per_minute is None or len(window) <= limits.requests_per_minute
        most = limits.tokens_per_minute
        assert most is None or sum(min(each.tokens, most) for each in window) <= most
    passed: Counter[str] = Counter()
    for _, served, left in sim.log:
        assert all(each.priority <= served.priority for each in left)
        passed[served.run_id] = 0
        for each in left:
            if each.priority == served.priority:
                passed[each.run_id] += 1
                rounds = (
                    sum(peer.root_id == each.root_id for peer in peers) + 1
                )  # one more: after a death, a sibling may ask before it again
                assert passed[each.run_id] <= rounds * 4, "it was passed over more often than the line can go round"


@pytest.mark.parametrize("tree", [1, 5, 100])
def test_a_single_run_waits_at_most_one_call_however_large_the_tree_beside_it_is(tree: int) -> None:
    sim = Sim(Limits(concurrency=1))
    for number in range(tree):
        sim.ask(one(f"child-{number}", "tree"))
    sim.look(SECOND)
    sim.now += SECOND / 2
    sim.ask(one("single"))
    order = []
    for _ in range(4):
        sim.now += SECOND
        for run_id in list(sim.out):
            sim.end(run_id)
            if run_id == "single":
                sim.ask(one("single"))
        sim.look(SECOND)
        order += list(sim.out)

    assert order.index("single") <= 1
