"""The parts of a daemon around its config folder, in this process: database, loops and config service, without the socket.

In a test: `async with config_house(tmp_path) as house: house.write("a.yaml", ...); await house.look(); ...`. With
`house.watching()` the folder is watched as in a daemon; without it, it is looked at when the test says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

from smallchain.protocol.text import visible
from smallchain.services.config.service import Answer, Source
from smallchain.settings import Settings
from smallchain.store import eventlog
from smallchain.store.contract import Tx
from smallchaind.api import finding, items, lists
from smallchaind.api.pages import HISTORIES, Wanted, page
from smallchaind.clock import SystemClock
from smallchaind.compose import House, compose

PATIENCE_S = 20.0
Item = dict[str, Any]


class ConfigHouse:
    """What stands and runs, and the folder it stands on."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.root = house.settings.config_dir
        self.service = house.config

    def write(self, name: str, text: str) -> Path:
        """A file of the folder, there as a whole or not at all, as a careful editor saves it."""
        path = self.root / name
        draft = path.with_name(f".{path.name}.draft")
        draft.write_text(text, encoding="utf-8")
        draft.chmod(0o600)
        os.replace(draft, path)
        return path

    async def look(self, *, accept: bool = False) -> Answer:
        """Look at the folder now."""
        return await self.service.reconcile(accept=accept)

    async def apply(self, text: str, *, source: str = "/elsewhere/team.yaml", **options: bool) -> Answer:
        """Apply a text as a person would with `apply -f`."""
        return await self.service.apply([Source(source, "/elsewhere", text, Path(source).name)], by="ada", **options)

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """The folder is watched meanwhile."""
        task = asyncio.create_task(self.service.run())
        try:
            yield
        finally:
            assert not task.done(), "the watch ended by itself"
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def names(self, kind: str) -> list[str]:
        """The names of a kind."""
        return [item["name"] for item in await self.items(kind)]

    async def items(self, kind: str) -> list[Item]:
        """The items of a kind, as `get` shows them."""
        return await self._house.database.read(
            lambda tx: lists.listed(tx, kind, None) if kind not in HISTORIES else page(tx, kind, Wanted()).items
        )

    async def run(self, name: str) -> Item:
        """A run."""
        return await self._house.database.read(lambda tx: items.run_item(tx, finding.find_run(tx, name).id))

    async def events(self, *reasons: str) -> list[Item]:
        """The events of these reasons, or all, oldest first."""

        def read(tx: Tx) -> list[Item]:
            return [items.event(row) for row in eventlog.after(tx, 0, most=100_000)]

        return [event for event in await self._house.database.read(read) if not reasons or event["reason"] in reasons]

    async def until(self, condition: Callable[[Iterable[Item]], Any], /, *reasons: str) -> list[Item]:
        """The events of these reasons, as soon as the condition holds of them; looked at whenever there is a new one."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    bell = self._house.feed.listen()
                    if condition(found := await self.events(*reasons)):
                        return found
                    await bell.wait()
        except TimeoutError:
            told = "\n".join(visible(event["message"]) for event in await self.events())
            raise AssertionError(f"it did not come within {PATIENCE_S:g} s; the events were:\n{told}") from None


@contextlib.asynccontextmanager
async def config_house(folder: Path) -> AsyncIterator[ConfigHouse]:
    """A house on `config` and `state` below the folder; its loops run, its config folder is watched only when asked."""
    settings = Settings.read({}, config_dir=folder / "config", state_dir=folder / "state", socket=folder / "socket")
    for each in (settings.config_dir, settings.state_dir):
        each.mkdir(mode=0o700, exist_ok=True)
    house = await compose(settings, SystemClock(), {})
    tasks = [asyncio.create_task(house.driver.run()), asyncio.create_task(house.alarms.run())]
    try:
        yield ConfigHouse(house)
    finally:
        await house.driver.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await house.close()
