"""Hears what people say where they are: one listener for each type of channel, begun again whenever its channels change."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from functools import partial
from typing import Any

from smallchain.engine import readiness
from smallchain.engine.channel.kind import in_use
from smallchain.engine.human.deciding import hear
from smallchain.engine.kind import Transact
from smallchain.engine.ports import Channel, Secrets
from smallchain.model.delivery import ChannelInUse, Heard, Said
from smallchain.model.errors import BadInput
from smallchain.model.lifecycles import Readiness
from smallchain.store import resources
from smallchain.store.contract import Store, Tx
from smallchain.store.resources import Written

log = logging.getLogger(__name__)

_PAUSE_S = 5.0
"""So long after a listener that ended by a fault, the next begins."""
_Mark = frozenset[tuple[str, str]]


class Ears:
    """Runs the listeners of all ready channels; `run` until cancelled."""

    def __init__(self, store: Store, transact: Transact, channels: Mapping[str, Channel], secrets: Secrets, *, key: bytes) -> None:
        self._store = store
        self._transact = transact
        self._channels = channels
        self._secrets = secrets
        self._key = key
        self._bell = asyncio.Event()

    def ring(self) -> None:
        """A channel may have changed."""
        self._bell.set()

    async def hear(self, said: Said) -> Heard:
        """Let what somebody said count, if it does."""
        return await self._transact(lambda tx: hear(tx, said, key=self._key))

    async def run(self) -> None:
        """Listen on what is ready, until cancelled; a listener that ends by a fault is begun again, the others go on."""
        listening: dict[str, tuple[_Mark, asyncio.Task[None]]] = {}
        bell = asyncio.create_task(self._bell.wait())
        try:
            while True:
                if bell.done():
                    self._bell.clear()
                    bell = asyncio.create_task(self._bell.wait())
                broken = [kind for kind, (_, task) in listening.items() if _is_broken(kind, task)]
                for kind in broken:
                    del listening[kind]
                if broken:
                    await asyncio.sleep(_PAUSE_S)
                await self._follow(listening)
                under_way = [task for _, task in listening.values() if not task.done()]
                await asyncio.wait([bell, *under_way], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (bell, *(task for _, task in listening.values())):
                await _stop(task)

    async def _follow(self, listening: dict[str, tuple[_Mark, asyncio.Task[None]]]) -> None:
        """Begin and end listeners so that they are those of the channels that are ready now."""
        ready = await self._store.read(_ready)
        for kind in (listening.keys() | ready.keys()) & self._channels.keys():
            rows = ready.get(kind, [])
            mark = frozenset((row.name, row.digest) for row in rows)
            if kind in listening and listening[kind][0] == mark:
                continue
            if kind in listening:
                await _stop(listening.pop(kind)[1])
            if rows:
                listening[kind] = (mark, asyncio.create_task(self._listen(kind, rows), name=f"listening on {kind}"))

    async def _listen(self, kind: str, rows: list[Written]) -> None:
        channels: list[ChannelInUse] = []
        for row in rows:
            try:
                channels.append(await in_use(row, self._secrets))
            except BadInput as error:
                await self._transact(partial(readiness.record_check, row=row, fault=str(error)))
        if channels:
            await self._channels[kind].listen(channels, self.hear)


def _ready(tx: Tx) -> dict[str, list[Written]]:
    found: dict[str, list[Written]] = {}
    for row in resources.of_kind(tx, "channel"):
        if row.status is Readiness.READY:
            found.setdefault(str(row.spec.get("type", "")), []).append(row)
    return found


def _is_broken(kind: str, task: asyncio.Task[None]) -> bool:
    """Whether a listener has ended by a fault; one that has nothing to hear has ended too, and that is well."""
    if not task.done() or task.cancelled() or task.exception() is None:
        return False
    log.error("a fault while listening on %s; it begins again", kind, exc_info=task.exception())
    return True


async def _stop(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
