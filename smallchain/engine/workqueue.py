"""What to look at: a set of keys, each at most once, some not before a moment. A key carries no news; the loop reads everything again."""

from __future__ import annotations

import asyncio

Key = tuple[str, str]
"""Kind and key of a row."""


class WorkQueue:
    """Keys in the order they came; a key that already waits is not added again."""

    def __init__(self) -> None:
        self._ready: dict[Key, None] = {}
        self._bell = asyncio.Event()
        self._faults: dict[Key, int] = {}
        self._timers: dict[Key, asyncio.TimerHandle] = {}

    def add(self, key: Key) -> None:
        """Look at a row as soon as possible."""
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        self._ready[key] = None
        self._bell.set()

    def add_later(self, key: Key) -> None:
        """Look at a row again after a while that doubles with each fault in a row, up to a minute."""
        faults = self._faults[key] = self._faults.get(key, 0) + 1
        if key not in self._timers:
            self._timers[key] = asyncio.get_running_loop().call_later(min(60.0, 0.1 * 2**faults), self.add, key)

    def went_well(self, key: Key) -> None:
        """Forget the faults of a row."""
        self._faults.pop(key, None)

    async def take(self, most: int) -> list[Key]:
        """Wait until there is something, then take up to `most` keys."""
        while not self._ready:
            self._bell.clear()
            await self._bell.wait()
        taken = list(self._ready)[:most]
        for key in taken:
            del self._ready[key]
        return taken

    def close(self) -> None:
        """Drop the timers."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
