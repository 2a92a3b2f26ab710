"""The channel of the one who sits at the machine: the inbox is its mailbox, and the command is its answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from smallchain.model.delivery import ChannelInUse, Delivered, Delivery, Heard, Said, Undelivered


class TerminalChannel:
    """Implements `Channel` by leaving everything to `smallchain inbox`."""

    async def deliver(self, delivery: Delivery, /) -> Delivered | Undelivered:
        """The request stands in the inbox already."""
        return Delivered()

    async def tell_end(self, delivery: Delivery, sentence: str, /) -> None:
        """The inbox shows it."""

    async def listen(self, channels: Sequence[ChannelInUse], hear: Callable[[Said], Awaitable[Heard]], /) -> None:
        """The command speaks to the socket."""

    async def check(self, channel: ChannelInUse, /) -> str:
        """There is always a terminal."""
        return ""

    async def close(self) -> None:
        """Nothing is open."""
