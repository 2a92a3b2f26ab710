"""The dashboard on a request, with a clock for its keys that a test sets: nobody waits for the arm delay, and no load makes it pass."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from textual import events

from smallchain.protocol.client import Client
from smallchain_tui.app import Dashboard
from smallchain_tui.desk import Desk
from smallchain_tui.options import Options
from smallchain_tui.screens.deciding import DecidingScreen
from smallchain_tui.viewmodel.decision import Stage
from support.dashboard import WIDE, Clock, Watched
from support.fakedaemon import FakeDaemon


class Seconds:
    """A monotonic clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


class Deciding(Watched):
    """A dashboard whose keys are under test."""

    seconds: Seconds

    @property
    def screen(self) -> DecidingScreen:
        """The screen in front, on which something is decided."""
        screen = self.app.screen
        assert isinstance(screen, DecidingScreen), f"{screen} decides nothing\n{self.text()}"
        return screen

    @property
    def stage(self) -> Stage | None:
        """Where the decision stands."""
        return self.screen.decision.stage if self.screen.decision is not None else None

    async def open(self, *ids: str) -> Deciding:
        """Open a request, or several together; returns once it is on the screen, its keys not armed."""
        await self.until(lambda: self.app.state.loaded and self.app.may_act() is None, "a connection")
        await self.until(lambda: set(ids) <= set(self.app.state.requests), "the requests")
        if len(ids) == 1:
            self.app.open_request(ids[0])
        else:
            self.app.open_bulk(ids)
        return await self.opened()

    async def opened(self) -> Deciding:
        """Wait until there is something to decide."""
        await self.until(lambda: isinstance(self.app.screen, DecidingScreen) and self.app.screen.decision is not None, "a decision")
        await self.pilot.pause()
        return self

    async def wait(self, seconds: float = 1.0) -> None:
        """Let the time of the keys go on, and whatever becomes due by it happen."""
        self.seconds.at += seconds
        await self.pilot.pause(0.25)

    async def alone(self, *keys: str) -> None:
        """Keys that stand alone: nothing before for a second, nothing after."""
        for key in keys:
            await self.wait()
            await self.press(key)

    async def paste(self, text: str) -> None:
        """As a terminal does that brackets what is pasted."""
        self.app.post_message(events.Paste(text))
        await self.pilot.pause()

    async def comes_to(self, stage: Stage) -> None:
        """Wait for a stage."""
        await self.until(lambda: self.stage is stage, f"the stage {stage}")


@asynccontextmanager
async def deciding(
    where: FakeDaemon | Path, *, size: tuple[int, int] = WIDE, desk: Desk | None = None, clock: Clock | None = None, **options: Any
) -> AsyncIterator[Deciding]:
    """The dashboard, open on a daemon."""
    client = Client(where.path if isinstance(where, FakeDaemon) else where, timeout_s=10.0, via="dashboard")
    seconds = Seconds()
    app = Dashboard(client, Options(**options), desk=desk, now=clock or Clock(), monotonic=seconds)
    async with app.run_test(size=size) as pilot:
        seen = Deciding(app, pilot)
        seen.seconds = seconds
        yield seen
    await asyncio.sleep(0)
