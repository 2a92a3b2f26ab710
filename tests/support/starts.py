"""Attempts at tool calls for tests of executors: a valid one, of which a test changes one thing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from smallchain.model.clocks import Reading
from smallchain.model.toolcall import Start


@dataclass
class FixedClock:
    """A clock that stands until a test moves it: time passes, or the machine sleeps; to change `moment` is to set it."""

    moment: datetime = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    awake: timedelta = timedelta(hours=1)
    asleep: timedelta = timedelta()

    def now(self) -> datetime:
        return self.moment

    def reading(self) -> Reading:
        return Reading(self.moment, self.awake + self.asleep, self.awake)

    def passes(self, length: timedelta) -> None:
        """So much time passes."""
        self.moment, self.awake = self.moment + length, self.awake + length

    def sleeps(self, length: timedelta) -> None:
        """So much time passes while the machine is suspended."""
        self.moment, self.asleep = self.moment + length, self.asleep + length


def a_start(executor: dict[str, Any], arguments: dict[str, Any] | None = None, /, **changes: Any) -> Start:
    """An attempt with a call id of its own; `parameters` are the given ones unless said otherwise, and no fence."""
    given = arguments or {}
    facts: dict[str, Any] = {
        "call_id": f"call-{uuid4()}",
        "run_id": "run-1",
        "tool": "tested",
        "parameters": tuple(given),
        "idempotency_key": "key-1",
        "attempt": 1,
        "timeout": timedelta(seconds=30),
        "deadline": datetime(2026, 1, 2, 3, 4, 35, tzinfo=UTC),
        "isolation": "none",
    }
    return Start(executor=executor, arguments=given, **facts | changes)
