"""The tools that need no process: arithmetic and the time. Pure and fast; a wrong argument is a readable answer."""

from __future__ import annotations

import functools
import zoneinfo
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any

from smallchain.engine.ports import Clock
from smallchain.model.arithmetic import OPERATIONS, compute
from smallchain.model.ids import did_you_mean
from smallchain.model.toolcall import Outcome, OutcomeKind, Start

BUILTINS = (*OPERATIONS, "now")


class BuiltinExecutor:
    """Runs `{"builtin": NAME}` for the names in BUILTINS."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock

    async def execute(self, start: Start, /) -> Outcome:
        """Answer at once."""
        return self.compute(start.executor, start.arguments)

    def compute(self, executor: Mapping[str, Any], arguments: Mapping[str, Any], /) -> Outcome:
        """Answer at once, on any thread; nothing outside is touched."""
        name = executor.get("builtin")
        if name in OPERATIONS:
            ok, text = compute(name, arguments.get("a"), arguments.get("b"))
            return Outcome(OutcomeKind.SUCCEEDED if ok else OutcomeKind.FAILED, text)
        if name == "now":
            return _now(self._clock.now(), arguments.get("time_zone"))
        return Outcome(OutcomeKind.NOT_STARTED, f"there is no built-in tool {name!r}; there are {', '.join(BUILTINS)}")


def _now(moment: datetime, time_zone: Any) -> Outcome:
    if time_zone is None or time_zone == "":
        return Outcome(OutcomeKind.SUCCEEDED, moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"))
    zone = _zone(time_zone)
    if zone is None:
        near = did_you_mean(str(time_zone)[:64], _zones())
        text = f"there is no time zone {str(time_zone)[:64]!r}; {near or 'use a name such as Europe/Berlin, or none for UTC'}"
        return Outcome(OutcomeKind.FAILED, text)
    return Outcome(OutcomeKind.SUCCEEDED, moment.astimezone(zone).isoformat(timespec="seconds"))


@functools.cache
def _zones() -> frozenset[str]:
    """All names there are; to find them, zoneinfo reads its whole folder."""
    return frozenset(zoneinfo.available_timezones())


def _zone(name: Any) -> tzinfo | None:
    """The zone, or None; zoneinfo answers a folder's name ("Europe") and a path with errors of their own."""
    if not isinstance(name, str) or len(name) > 64:
        return None
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return None
