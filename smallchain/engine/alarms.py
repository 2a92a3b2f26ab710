"""The only sleeper: one timer for the nearest alarm; what is due is woken through the queue, each once."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from smallchain.engine.loop import Driver
from smallchain.engine.ports import Clock
from smallchain.store import alarms
from smallchain.store.contract import Store, Tx

_BATCH = 256
_LONGEST = timedelta(seconds=60)
"""Sleeping no longer than this, a clock that was set or a machine that was suspended is noticed."""


class Alarms:
    """Fires what is due. Time that goes back fires nothing twice: an alarm is dropped in the transaction that fires it."""

    def __init__(self, store: Store, driver: Driver, clock: Clock) -> None:
        self._store = store
        self._driver = driver
        self._clock = clock
        self._bell = asyncio.Event()

    def ring(self) -> None:
        """The nearest alarm may have changed."""
        self._bell.set()

    async def run(self) -> None:
        """Fire what is due, sleep until the next, until cancelled."""
        while True:
            self._bell.clear()
            nearest = await self._store.read(alarms.nearest)
            wait = _LONGEST if nearest is None else min(_LONGEST, nearest - self._clock.now())
            if wait > timedelta(0):
                try:
                    async with asyncio.timeout(wait.total_seconds()):
                        await self._bell.wait()
                except TimeoutError:
                    pass
                continue
            await self._driver.transact(_fire)


def _fire(tx: Tx) -> None:
    for kind, key in alarms.due(tx, most=_BATCH):
        alarms.drop(tx, kind, key)
        tx.wake(kind, key)
