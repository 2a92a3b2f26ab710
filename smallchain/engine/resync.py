"""The periodic look at everything, which finds what a lost wake-up missed; in a healthy daemon it finds nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from smallchain.engine.loop import Driver
from smallchain.store import idempotency

EVERY_S = 60.0


async def run(driver: Driver, check: Callable[[], None], /, *, every_s: float = EVERY_S) -> None:
    """Until cancelled: check that the ground still stands (`check`), look at every row, forget old answers."""
    while True:
        await asyncio.sleep(every_s)
        check()
        await driver.look_at_everything()
        await driver.transact(idempotency.sweep)
