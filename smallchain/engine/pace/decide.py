"""Who may call an LLM now, in which order, and when to look again; pure.

The order: the higher priority first. Among equals the trees of runs take turns, the one that was served or came longest ago first;
within a tree, who asked first. Nobody is passed over because their request is larger: what does not fit waits, and all behind it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import heapify, heappop, heappush
from itertools import islice

WINDOW = timedelta(seconds=60)
AT_ONCE = 64
"""So many are let go at once; for the rest the loop looks again. What is read for it suffices: the first trees, and the first of each."""
Tree = tuple[int, str]
"""A priority and the root of a tree of runs: each priority has a line of its own, as a tree that is served in one must not lose its
turn in another."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How hard an LLM may be used; None: as hard as runs like."""

    concurrency: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """A call that was let go, and its tokens: the provider's count, or an estimate until there is one."""

    at: datetime
    tokens: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """An attempt that waits for its place. `tokens` is an estimate."""

    run_id: str
    attempt: int
    root_id: str
    priority: int
    asked_at: datetime
    tokens: int


@dataclass(frozen=True, slots=True)
class PaceFacts:
    """What is known of an LLM: how many calls are out, those of the last minute in the order they were let go, who waits, and
    where each tree of runs stands in line among those of its priority (the lowest number first)."""

    limits: Limits
    held_until: datetime | None = None
    out: int = 0
    started: tuple[Started, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    line: Mapping[Tree, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pace:
    """Who is let go, in this order. Where somebody is left: when there may be room (None: when a call ends), and what is used up."""

    granted: tuple[Waiting, ...] = ()
    look_at: datetime | None = None
    why: str = ""


def decide(facts: PaceFacts, /, *, now: datetime) -> Pace:
    """Let go whom the limits let."""
    granted: list[Waiting] = []
    started = [each for each in facts.started if now - WINDOW < each.at <= now]
    for one in islice(in_order(facts.waiting, facts.line), AT_ONCE):
        look_at, why = _room(facts, out=facts.out + len(granted), started=started, tokens=one.tokens, now=now)
        if why:
            return Pace(tuple(granted), look_at, why)
        granted.append(one)
        started.append(Started(now, one.tokens))
    return Pace(tuple(granted))


def room(facts: PaceFacts, /, *, now: datetime) -> Pace:
    """Whether there is room for the smallest call there could be, whoever waits; when there may be, and what is used up."""
    started = [each for each in facts.started if now - WINDOW < each.at <= now]
    return Pace((), *_room(facts, out=facts.out, started=started, tokens=1, now=now))


def in_order(waiting: Iterable[Waiting], line: Mapping[Tree, int], /) -> Iterator[Waiting]:
    """Who waits, in the order they are served in; a tree that the line does not know came last."""
    classes: dict[int, dict[str, deque[Waiting]]] = {}
    for one in sorted(waiting, key=lambda each: (each.asked_at, each.run_id)):
        classes.setdefault(one.priority, {}).setdefault(one.root_id, deque()).append(one)
    last = max(line.values(), default=0)
    for priority, trees in sorted(classes.items(), reverse=True):
        turns = [(line.get((priority, root), last + came), root) for came, root in enumerate(trees, 1)]
        last += len(trees)
        heapify(turns)
        while turns:
            _, root = heappop(turns)
            yield trees[root].popleft()
            if trees[root]:  # served: to the end of the line
                last += 1
                heappush(turns, (last, root))


def _room(facts: PaceFacts, *, out: int, started: list[Started], tokens: int, now: datetime) -> tuple[datetime | None, str]:
    """When a call may go and what stands in between; an empty text: nothing does."""
    limits = facts.limits
    if facts.held_until is not None and facts.held_until > now:
        return facts.held_until, f"it is held until {_clock(facts.held_until)}"
    if limits.concurrency is not None and out >= limits.concurrency:
        return None, f"{out} of {limits.concurrency} calls out"
    most = limits.requests_per_minute
    if most is not None and len(started) >= most:
        free_at = started[len(started) - most].at + WINDOW
        return free_at, f"{_used_up(most, 'request')} until {_clock(free_at)}"
    most = limits.tokens_per_minute
    if most is not None:
        over = sum(each.tokens for each in started) + min(tokens, most) - most
        leaving = iter(started)  # the oldest leave the window first
        while over > 0 and (oldest := next(leaving, None)) is not None:
            over -= oldest.tokens
            free_at = oldest.at + WINDOW
            if over <= 0:
                return free_at, f"{_used_up(most, 'token')} until {_clock(free_at)}"
    return None, ""


def _used_up(most: int, what: str) -> str:
    return f"{most} {what} a minute is used up" if most == 1 else f"{most} {what}s a minute are used up"


def _clock(moment: datetime) -> str:
    whole = moment if moment.microsecond == 0 else moment + timedelta(microseconds=1_000_000 - moment.microsecond)
    return f"{whole:%H:%M:%S}"
