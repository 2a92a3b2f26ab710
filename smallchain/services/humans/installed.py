"""Types of channels that installed packages bring: entry points of the group `smallchain.channels`, each a class or function without
arguments that makes a `Channel`.

They run in the daemon's process, as a channel listens for as long as it lives; who installs one trusts it as much. It is imported at its
first use, in a thread; one that cannot be imported is a channel in Error, never a daemon that does not start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from importlib import metadata

from smallchain.engine.ports import Channel
from smallchain.model.delivery import ChannelInUse, Delivered, Delivery, Heard, Said, Undelivered

GROUP = "smallchain.channels"


def installed() -> dict[str, Channel]:
    """The types that packages bring, by name; nothing of them is imported yet."""
    return {each.name: InstalledChannel(each) for each in metadata.entry_points(group=GROUP)}


class InstalledChannel:
    """Implements `Channel` by what an entry point makes."""

    def __init__(self, entry_point: metadata.EntryPoint) -> None:
        self._entry_point = entry_point
        self._made: Channel | None = None
        self._making = asyncio.Lock()

    async def deliver(self, delivery: Delivery, /) -> Delivered | Undelivered:
        """Tell a request, by what the package made."""
        made = await self._channel()
        return Undelivered(made, for_now=False) if isinstance(made, str) else await made.deliver(delivery)

    async def tell_end(self, delivery: Delivery, sentence: str, /) -> None:
        """Say that a request is closed."""
        made = await self._channel()
        if not isinstance(made, str):
            await made.tell_end(delivery, sentence)

    async def listen(self, channels: Sequence[ChannelInUse], hear: Callable[[Said], Awaitable[Heard]], /) -> None:
        """Bring back what people say."""
        made = await self._channel()
        if not isinstance(made, str):
            await made.listen(channels, hear)

    async def check(self, channel: ChannelInUse, /) -> str:
        """Why it can't be used: it can't be imported, or what it says itself."""
        made = await self._channel()
        return made if isinstance(made, str) else await made.check(channel)

    async def close(self) -> None:
        """Let go of what was made."""
        if self._made is not None:
            await self._made.close()

    async def _channel(self) -> Channel | str:
        """What the entry point makes, or why it makes nothing."""
        async with self._making:
            if self._made is None:
                try:
                    make = await asyncio.to_thread(self._entry_point.load)
                    self._made = make()
                except Exception as error:  # noqa: BLE001 - it is somebody else's module: whatever it raises is the reason
                    what = f"the channel type {self._entry_point.name!r} ({self._entry_point.value})"
                    return f"{what} can't be loaded: {type(error).__name__}: {error}"[:500]
            return self._made
