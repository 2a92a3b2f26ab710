"""A channel without a wire (of type `terminal`, in a house): what it is told is kept, and a test says how it answers and what is said.

Unlike the real ones it can be held: a delivery waits until it is let through, so that a house can die in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from smallchain.model.delivery import ChannelInUse, Delivered, Delivery, Heard, Said, Undelivered

PATIENCE_S = 10.0


class Mailbox:
    """Implements `Channel`."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self.ends: list[tuple[str, str]] = []
        self.answers: list[Delivered | Undelivered] = []
        """How the next deliveries are answered, in order; taken when there is none."""
        self.fault = ""
        self.open = asyncio.Event()
        self.open.set()
        self._heard: asyncio.Queue[tuple[Said, asyncio.Future[Heard]]] = asyncio.Queue()
        self._changed = asyncio.Condition()
        self.listening: list[tuple[str, ...]] = []

    async def deliver(self, delivery: Delivery, /) -> Delivered | Undelivered:
        """Keep it, and answer as the test says."""
        async with self._changed:
            self.deliveries.append(delivery)
            self._changed.notify_all()
        await self.open.wait()
        return self.answers.pop(0) if self.answers else Delivered(f"message {len(self.deliveries)}")

    async def tell_end(self, delivery: Delivery, sentence: str, /) -> None:
        """Keep what is told of the end."""
        async with self._changed:
            self.ends.append((delivery.id, sentence))
            self._changed.notify_all()

    async def listen(self, channels: Sequence[ChannelInUse], hear: Callable[[Said], Awaitable[Heard]], /) -> None:
        """Bring in what a test says."""
        async with self._changed:
            self.listening.append(tuple(sorted(each.name for each in channels)))
            self._changed.notify_all()
        while True:
            said, answer = await self._heard.get()
            answer.set_result(await hear(said))

    async def check(self, channel: ChannelInUse, /) -> str:
        """As the test says."""
        return self.fault

    async def close(self) -> None:
        """Nothing is open."""

    async def say(self, said: Said) -> Heard:
        """Let somebody say something on the channel; what became of it."""
        answer: asyncio.Future[Heard] = asyncio.get_running_loop().create_future()
        self._heard.put_nowait((said, answer))
        async with asyncio.timeout(PATIENCE_S):
            return await answer

    async def listens_to(self, *names: str) -> None:
        """Return once it listens on exactly these channels."""
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(lambda: self.listening[-1:] == [names])

    async def told(self, count: int) -> list[Delivery]:
        """The deliveries, as soon as there are so many."""
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(lambda: len(self.deliveries) >= count)
        return self.deliveries

    async def ended(self, count: int) -> list[tuple[str, str]]:
        """The ends, as soon as there are so many."""
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(lambda: len(self.ends) >= count)
        return self.ends
