"""All worker processes: one call at a time each, kept while idle, replaced when a file they loaded has changed.

A process serves the modules of one folder. At most `at_most` are at work; a call that finds none free waits, which is no part of its
time limit. The most recently used goes first, so that calls one after another share one process and what it holds in memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from importlib import metadata
from typing import Any

from smallchain.model.code import CALLABLE, Fault, FaultKind, Function
from smallchain.model.ids import did_you_mean
from smallchain.services.python.child import mark_of
from smallchain.services.python.worker import Worker

AT_A_TIME = 8
LOADING = timedelta(seconds=60)
_LOOK_S = 1.0
_MOST_FAILED = 256


class Workers:
    """Implements `engine.ports.Code`. Close it before its event loop ends."""

    def __init__(
        self, *, at_most: int = AT_A_TIME, marks: Mapping[str, str] | None = None, unused: timedelta = timedelta(minutes=10)
    ) -> None:
        """`marks` stand in the environment of every process, and of what it starts: by them the next daemon finds what is left.

        A process that was `unused` for so long is ended by `watch`: a run that waits for days holds none.
        """
        self._unused = unused.total_seconds()
        self._marks = dict(marks or {})
        self._idle: list[Worker] = []
        self._all: set[Worker] = set()
        self._places = asyncio.Semaphore(at_most)
        self._at_most = at_most
        self._failed: dict[str, dict[str, str | None]] = {}
        """Of each folder whose modules could not be loaded: the files whose change may heal it."""
        self._closed = False

    async def call(self, function: Function, arguments: list[Any], /, *, timeout: timedelta) -> Any:
        """What a person's function returned (JSON), or a Fault."""
        return await self._use(function, lambda worker, target: worker.ask(target, arguments, timeout=timeout))

    async def check(self, function: Function, /) -> Fault | None:
        """Whether it can be loaded; None when it can."""
        found = await self._use(function, None)
        return found if isinstance(found, Fault) else None

    async def watch(self, changed: Callable[[], Awaitable[None]]) -> None:
        """Look each second at the files that were loaded, or could not be; say so when some have changed. Until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_S)
            stale = [worker for worker in self._idle if worker.is_stale]
            unused_since = asyncio.get_running_loop().time() - self._unused
            over = {worker for worker in self._idle if not worker.is_alive or worker.used_at < unused_since} | set(stale)
            self._idle = [worker for worker in self._idle if worker not in over]
            for worker in over:
                await self._end(worker)
            healed = [folder for folder, files in self._failed.items() if _differ(files)]
            for folder in healed:
                del self._failed[folder]
            if stale or healed:
                await changed()

    async def close(self) -> None:
        """End all processes."""
        self._closed = True
        await asyncio.gather(*(worker.end() for worker in self._all))

    async def _use(self, function: Function, ask: Callable[[Worker, str], Awaitable[Any]] | None) -> Any:
        target = await _target(function)
        if isinstance(target, Fault):
            return target
        async with self._places:
            try:
                worker = await self._take(function.folder or "/")
            except OSError as error:
                return Fault(FaultKind.NOT_LOADED, f"{target} can't be loaded: no process for it in {function.folder!r}: {error.strerror}")
            try:
                if target not in worker.loaded:
                    found = await worker.ask(target, None, timeout=LOADING)
                    if isinstance(found, Fault):
                        return await self._could_not_load(worker, found)
                    worker.loaded.add(target)
                return await ask(worker, target) if ask is not None else None
            finally:
                self._give_back(worker)

    async def _take(self, folder: str) -> Worker:
        while free := [worker for worker in self._idle if worker.folder == folder]:
            worker = free[-1]
            self._idle.remove(worker)
            if worker.is_alive and not worker.is_stale:
                return worker
            await self._end(worker)
        if self._closed:
            raise OSError(0, "the daemon is stopping")
        while len(self._all) >= self._at_most and self._idle:
            await self._end(self._idle.pop(0))
        worker = await Worker.start(folder, self._marks)
        self._all.add(worker)
        if self._closed:  # meanwhile
            await self._end(worker)
        return worker

    def _give_back(self, worker: Worker) -> None:
        if worker.is_alive and not self._closed:
            self._idle.append(worker)
        else:
            self._all.discard(worker)

    async def _end(self, worker: Worker) -> None:
        self._all.discard(worker)
        await worker.end()

    async def _could_not_load(self, worker: Worker, fault: Fault) -> Fault:
        """A half-imported module is not asked again: the process goes, and the files it went through are watched."""
        if len(self._failed) >= _MOST_FAILED:
            del self._failed[next(iter(self._failed))]
        self._failed.setdefault(worker.folder, {}).update(worker.files)
        await worker.end()
        return fault


def _differ(files: Mapping[str, str | None]) -> bool:
    return any(mark is None or mark_of(file) != mark for file, mark in files.items())


async def _target(function: Function) -> str | Fault:
    """`module:function`, as written or as an installed package's entry point names it."""
    if CALLABLE.fullmatch(function.name):
        return function.name
    group = f"smallchain.{function.group}"
    installed = await asyncio.to_thread(metadata.entry_points, group=group)
    for each in installed:
        if each.name == function.name:
            return each.value
    near = did_you_mean(function.name, installed.names)
    listed = near or (f"there are: {', '.join(sorted(installed.names))}" if installed.names else "no package brings one")
    return Fault(FaultKind.NOT_LOADED, f"no entry point {function.name!r} of {group} is installed; {listed}")
