"""The one driver: commits what the loops decide, then performs the effects, and is the only place that catches what goes wrong.

A transaction runs on until nothing it woke moves any more, so that a reply, its tool calls, their admission and the attempts they
record are one commit. Whatever is left wakes through the queue. A fault in one row's step takes back that step alone; rows that wake each
other without end are looked at again later, like faulty ones.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from smallchain.engine.kind import Kind
from smallchain.engine.timekeeper import Timekeeper
from smallchain.engine.workqueue import Key, WorkQueue
from smallchain.model.decision import Effect
from smallchain.model.errors import Transient
from smallchain.store import alarms
from smallchain.store.contract import Store, Tx

log = logging.getLogger(__name__)
T = TypeVar("T")

_STEPS = 512
_FEW = 16
"""Rows: a transaction that took all its steps over fewer goes round in circles."""
_KEYS = 64


@dataclass(slots=True)
class _Committed:
    """What a transaction leaves to do once it is durable."""

    effects: list[Effect] = field(default_factory=list)
    at_rest: list[Key] = field(default_factory=list)
    faulty: list[Key] = field(default_factory=list)
    went_well: list[Key] = field(default_factory=list)

    def go_round(self, waiting: list[Key]) -> None:
        """All steps are used up: where few rows took them all, those that still want to be looked at would for ever, and are faulty."""
        rows = set(self.went_well)
        if len(rows) < _FEW:
            self.faulty += [key for key in waiting if key in rows]
            self.went_well = [key for key in self.went_well if key not in self.faulty]
            log.error("rows wake each other without end: %s; trying again later", ", ".join(" ".join(key) for key in self.faulty))


class _Waiting:
    """What a transaction still has to look at, the oldest first, but runs after all else: what happens within a transaction mostly
    happens to what a run waits for, and it is looked at once instead of after each."""

    def __init__(self) -> None:
        self._runs: dict[Key, None] = {}
        self._others: dict[Key, None] = {}

    def add(self, keys: Iterable[Key]) -> None:
        """Keys that were woken; one that waits already keeps its place."""
        for key in keys:
            (self._runs if key[0] == "run" else self._others)[key] = None

    def take(self) -> Key | None:
        """The next key, or None."""
        for waiting in (self._others, self._runs):
            for key in waiting:
                del waiting[key]
                return key
        return None

    def left(self) -> list[Key]:
        """All that was not taken."""
        return [*self._others, *self._runs]


class Driver:
    """Drives all kinds of one store; `run` until cancelled."""

    def __init__(self, store: Store, kinds: Mapping[str, Kind], timekeeper: Timekeeper) -> None:
        self._store = store
        self._timekeeper = timekeeper
        self._kinds = kinds
        self._under_way: dict[str, tuple[Effect, asyncio.Task[None]]] = {}
        self._owned: dict[Key, set[str]] = {}
        self._asked_again: set[str] = set()
        self._admitting = True
        self.queue = WorkQueue()

    def heard(self, wakes: list[Key]) -> None:
        """Take what a commit woke; kinds that are not ours are somebody else's."""
        for key in wakes:
            if key[0] in self._kinds:
                self.queue.add(key)

    async def transact(self, work: Callable[[Tx], T], /, *, alone: bool = False) -> T:
        """Commit a change together with all steps it wakes, then perform their effects; `alone`: it shares its COMMIT with nobody."""

        def whole(tx: Tx) -> tuple[T, _Committed]:
            self._timekeeper.look(tx)
            result = work(tx)
            return result, self._settle(tx)

        result, _ = await self._store.write(whole, alone=alone, then=lambda answer: self._act(answer[1]))
        return result

    async def run(self) -> None:
        """Look at every row once (recovery), then at what is woken, until cancelled."""
        await self.look_at_everything()
        while True:
            keys = await self.queue.take(_KEYS)
            if not self._admitting:
                continue
            try:
                await self.transact(lambda tx, keys=keys: [tx.wake(*key) for key in keys])  # type: ignore[misc]
            except Transient as error:
                log.warning("a step has to wait: %s", error)
                for key in keys:
                    self.queue.add_later(key)

    async def look_at_everything(self) -> None:
        """Wake every row that a step could move."""
        woken = await self._store.read(lambda tx: [(name, key) for name, kind in self._kinds.items() for key in kind.keys(tx)])
        for key in woken:
            self.queue.add(key)

    def under_way(self) -> list[Effect]:
        """The effects that are being performed now."""
        return [effect for effect, _ in self._under_way.values()]

    def stop_admitting(self) -> None:
        """Begin nothing new; what is under way goes on."""
        self._admitting = False

    async def drain(self, deadlines: Mapping[str, float]) -> None:
        """Wait for what is under way, each kind at most its number of seconds, then stop the rest."""
        for kind, seconds in sorted(deadlines.items(), key=lambda each: each[1]):
            tasks = [task for effect, task in self._under_way.values() if effect.kind == kind]
            if tasks:
                _, late = await asyncio.wait(tasks, timeout=seconds)
                for task in late:
                    task.cancel()
        await self.close()

    async def close(self) -> None:
        """Stop everything that is under way and wait until it has stopped."""
        self._admitting = False
        self.queue.close()
        tasks = [task for _, task in self._under_way.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _settle(self, tx: Tx) -> _Committed:
        left = _Committed()
        others: list[Key] = []
        waiting = _Waiting()
        waiting.add(tx.take_wakes())
        for _ in range(_STEPS):
            if not self._admitting or (key := waiting.take()) is None:
                break
            kind = self._kinds.get(key[0])
            if kind is None:
                others.append(key)
                continue
            try:
                step = tx.attempt(lambda kind=kind, key=key: kind.step(tx, key[1]))  # type: ignore[misc]
                if step.at_once is not None:
                    _do_at_once(tx, kind, step.effects[0], step.at_once)
            except Exception:
                log.exception("a fault while looking at %s %s; trying again later", *key)
                left.faulty.append(key)
                continue
            left.went_well.append(key)
            if step.at_once is None:
                left.effects.extend(step.effects)
            if step.at_rest:
                left.at_rest.append(key)
            if step.look_at is not None:
                alarms.put(tx, *key, step.look_at)
            woken = tx.take_wakes()
            waiting.add([each for each in woken if each != key] if step.has_settled else woken)
        else:
            left.go_round(waiting.left())
        for key in (*others, *waiting.left()):
            if key not in left.faulty:
                tx.wake(*key)
        return left

    def _act(self, committed: _Committed) -> None:
        for key in committed.went_well:
            self.queue.went_well(key)
        for key in committed.faulty:
            self.queue.add_later(key)
        for key in committed.at_rest:
            self._stop(key)
        for effect in committed.effects:
            self._begin(effect)

    def _begin(self, effect: Effect) -> None:
        if not self._admitting:
            return
        key = effect.key
        if key in self._under_way:
            self._asked_again.add(key)
            return
        task = asyncio.create_task(self._perform(effect), name=key)
        self._under_way[key] = (effect, task)
        self._owned.setdefault(effect.owner, set()).add(key)
        task.add_done_callback(functools.partial(self._ended, key, effect.owner))

    def _ended(self, key: str, owner: Key, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            return  # done, and not recorded: it stays under way, so that nothing does it again in this life
        del self._under_way[key]
        if key in self._asked_again:  # the row may have changed since it began: look whether it is still wanted
            self._asked_again.discard(key)
            self.queue.add(owner)
        owned = self._owned[owner]
        owned.discard(key)
        if not owned:
            del self._owned[owner]

    def _stop(self, owner: Key) -> None:
        for key in self._owned.get(owner, set()):
            _, task = self._under_way[key]
            if task is not asyncio.current_task():
                task.cancel()

    async def _perform(self, effect: Effect) -> None:
        kind = self._kinds[effect.kind]
        try:
            await kind.perform(effect, self._record)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.exception("a fault in %s", effect.key)
            what = _fault(error)
            await self._record(lambda tx: kind.lost(tx, effect, what))

    async def _record(self, work: Callable[[Tx], T], /, *, alone: bool = False) -> T:
        """Commit the outcome of an effect, however long the disk is full or the row contended: what was done is never done again
        because it could not be written down."""
        wait = 0.1
        while True:
            try:
                return await self.transact(work, alone=alone)
            except Transient as error:
                log.warning("an outcome waits to be recorded: %s", error)
            await asyncio.sleep(wait)
            wait = min(wait * 2, 5.0)


def _do_at_once(tx: Tx, kind: Kind, effect: Effect, work: Callable[[], None]) -> None:
    try:
        tx.attempt(work)
    except Exception as error:
        log.exception("a fault in %s", effect.key)
        what = _fault(error)
        tx.attempt(lambda: kind.lost(tx, effect, what))


def _fault(error: Exception) -> str:
    return f"a fault of smallchain: {type(error).__name__}; see `smallchain logs`"
