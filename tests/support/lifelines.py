"""A named pipe that processes hold open: its end is the proof that all of them are gone, whoever reaps them."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path


class Lifeline:
    """Shell code in `hold` opens the pipe, says that it is up, and hands it down to all that it starts afterwards."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "lifeline"
        os.mkfifo(self._path)
        self._reader = asyncio.StreamReader()
        self._keep = -1

    @property
    def hold(self) -> str:
        return f'exec 9> "{self._path}"; echo up >&9'

    async def __aenter__(self) -> Lifeline:
        reading = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK)
        self._keep = os.open(self._path, os.O_WRONLY)
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(self._reader), os.fdopen(reading, "rb", buffering=0)
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._transport.close()
        self._let_go()

    async def started(self) -> None:
        """Somebody holds it."""
        async with asyncio.timeout(20):
            assert await self._reader.readline() == b"up\n"
        self._let_go()

    async def ended(self) -> None:
        """Nobody holds it any more."""
        async with asyncio.timeout(10):
            await self._reader.read()

    def _let_go(self) -> None:
        if self._keep >= 0:
            os.close(self._keep)
            self._keep = -1
