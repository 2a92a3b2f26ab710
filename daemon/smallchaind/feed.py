"""Who follows events hears of new ones here; what is new is read from the database, never carried by the news."""

from __future__ import annotations

import asyncio


class Feed:
    """One bell for all followers."""

    def __init__(self) -> None:
        self._bell = asyncio.Event()
        self._closed = False

    def ring(self) -> None:
        """There are new events."""
        bell, self._bell = self._bell, asyncio.Event()
        bell.set()

    def close(self) -> None:
        """No more will come: followers end."""
        self._closed = True
        self.ring()

    @property
    def closed(self) -> bool:
        """Whether followers should end."""
        return self._closed

    def listen(self) -> asyncio.Event:
        """What the next ring sets; take it before reading, so that nothing falls in between."""
        return self._bell
