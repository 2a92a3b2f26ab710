"""All executors behind one port: the single key of a tool's executor picks who runs it, and few processes run at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from smallchain.engine.ports import Checked, Executor, Instant, Recoverable, Yielding
from smallchain.model.ids import did_you_mean
from smallchain.model.toolcall import Outcome, OutcomeKind, Start
from smallchain.model.toolspec import ToolSpec

PROCESSES_AT_A_TIME = 8
CONNECTIONS_AT_A_TIME = 64


class Tools:
    """The executor of executors. Those `in_process` start at once, those with `processes` wait for one of `at_most` places, and
    those that only wait for others, `outside`, for one of many.

    The time spent waiting for a place is no part of the attempt's time-out.
    """

    def __init__(
        self,
        *,
        in_process: Mapping[str, Instant],
        processes: Mapping[str, Executor],
        outside: Mapping[str, Executor] | None = None,
        at_most: int = PROCESSES_AT_A_TIME,
    ) -> None:
        self._in_process = dict(in_process)
        self._processes = dict(processes)
        self._outside = dict(outside or {})
        self._connections = asyncio.Semaphore(CONNECTIONS_AT_A_TIME)
        self._places = asyncio.Semaphore(at_most)

    def is_instant(self, executor: str, /) -> bool:
        """Whether an executor is one of this process: those are pure and done at once."""
        return executor in self._in_process

    def compute(self, executor: Mapping[str, Any], arguments: Mapping[str, Any], /) -> Outcome:
        """Run one attempt of an instant executor at once, on whichever thread."""
        (name,) = executor
        return self._in_process[name].compute(executor, arguments)

    async def check(self, tool: ToolSpec, /, *, folder: str) -> str:
        """Why the tool's executor can't run it now; empty when nothing speaks against it."""
        executor = self._of(tool)
        return await executor.check(tool, folder=folder) if isinstance(executor, Checked) else ""

    def fence(self, tool: ToolSpec, /) -> str:
        """What its executor puts around the tool; empty for nothing."""
        executor = self._of(tool)
        return executor.fence(tool) if isinstance(executor, Checked) else ""

    def instead(self, tool: ToolSpec, /) -> str:
        """What its executor runs the tool with instead of what its entry would rather have, and why; empty when it has that."""
        executor = self._of(tool)
        return executor.instead(tool) if isinstance(executor, Yielding) else ""

    def is_recoverable(self, executor: str, /) -> bool:
        """Whether an executor's attempts can be looked up after a crash."""
        return isinstance(self._processes.get(executor), Recoverable)

    async def look_up(self, start: Start, /) -> Outcome | None:
        """What came of an attempt of an earlier life; None where its executor can't say. What still runs takes a place."""
        (name,) = start.executor
        executor = self._processes.get(name)
        if not isinstance(executor, Recoverable):
            return None
        async with self._places:
            return await executor.look_up(start)

    async def let_go(self, start: Start, /) -> None:
        """Remove what an attempt left behind for looking it up."""
        (name,) = start.executor
        executor = self._processes.get(name)
        if isinstance(executor, Recoverable):
            await executor.let_go(start)

    def _of(self, tool: ToolSpec) -> Executor | None:
        executors = {**self._processes, **self._outside}
        return executors.get(tool.executor.kind) if tool.executor is not None else None

    async def execute(self, start: Start, /) -> Outcome:
        """Run one attempt with the executor that its spec names."""
        names = list(start.executor)
        if len(names) != 1:
            return _not_started(start, f"names {len(names)} executors; it needs exactly one", names)
        name = names[0]
        if name in self._in_process:
            return await self._in_process[name].execute(start)
        if name in self._processes:
            async with self._places:
                return await self._processes[name].execute(start)
        if name in self._outside:
            async with self._connections:
                return await self._outside[name].execute(start)
        known = [*self._in_process, *self._processes, *self._outside]
        return _not_started(start, f"names the executor {name!r}, which is not here; {did_you_mean(name, known)}", known)


def _not_started(start: Start, why: str, names: list[str]) -> Outcome:
    there = f" ({', '.join(sorted(names))})" if names else ""
    return Outcome(OutcomeKind.NOT_STARTED, f"the tool {start.tool!r} {why.rstrip('; ')}{there}; nothing ran")
