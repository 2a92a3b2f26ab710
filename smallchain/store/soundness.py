"""Whether a database file is sound, page by page, by SQLite's own quick_check (https://www.sqlite.org/pragma.html#pragma_quick_check).

A small file is looked through before anything else. A large one is read beside the daemon's first work, as reading it holds up the start by
seconds; what comes out of it is as fatal then.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from smallchain.model.errors import Damaged

SMALL_BYTES = 64 << 20
"""What a disk of these days reads in a fraction of a second."""


def is_small(path: Path) -> bool:
    """Whether a file is looked through before the start goes on."""
    return path.stat().st_size <= SMALL_BYTES


def check(connection: sqlite3.Connection, path: Path) -> None:
    """Read the whole file; raises Damaged with the first fault, and sqlite3.DatabaseError where it cannot even be read as one."""
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise Damaged(f"{path} is damaged: {' '.join(verdict.split())}", hint="put it back from a backup (backups/ in the state folder)")


class Beside:
    """A check on a connection and a thread of its own; `damaged` hears of a fault."""

    def __init__(self, path: Path, damaged: Callable[[BaseException], None]) -> None:
        self._path = path
        self._damaged = damaged
        self._connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False)
        self._stopped = False
        self._task = asyncio.create_task(self._run(), name="the check of the database")

    async def _run(self) -> None:
        with closing(self._connection):
            try:
                await asyncio.to_thread(check, self._connection, self._path)
            except (sqlite3.Error, Damaged) as error:
                if not self._stopped:
                    self._damaged(error)

    async def stop(self) -> None:
        """Leave off, wherever it is."""
        self._stopped = True
        if not self._task.done():
            self._connection.interrupt()
        await asyncio.wait([self._task])
