"""A transaction on a SQLite connection: parts of it that can be undone, ids that rise, and what it wakes."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from smallchain.model.ids import after_id, uuid7
from smallchain.store.sqliteerrors import FATAL, code
from smallchain.store.work import Work

T = TypeVar("T")


class Lost(BaseException):
    """An error ended the whole transaction, not only the savepoint it came from; nobody above a savepoint may carry on from it."""

    def __init__(self, cause: BaseException) -> None:
        self.cause = cause


class Ids:
    """Makes ids that sort in the order of their making, also within one millisecond and when the clock goes back."""

    def __init__(self) -> None:
        self._last = ""
        self._chance = b""

    def next(self, now: datetime) -> str:
        """A new id."""
        if not self._chance:
            self._chance = secrets.token_bytes(10 * 256)  # asking the system each time lets another thread have ours
        chance, self._chance = self._chance[:10], self._chance[10:]
        self._last = after_id(self._last, uuid7(now, chance))
        return self._last


class SqliteTx(Work):
    """The transactions on a SQLite connection, one after the other; see `store.contract.Tx`."""

    def __init__(self, connection: sqlite3.Connection, *, now: datetime, epoch: int, ids: Ids | None = None) -> None:
        super().__init__(connection)
        self.now = now
        self.epoch = epoch
        self.wakes: list[tuple[str, str]] = []
        self._ids = ids or Ids()

    def begin(self, now: datetime) -> None:
        """The next transaction begins."""
        self.now = now
        self.wakes = []

    def new_id(self) -> str:
        return self._ids.next(self.now)

    def wake(self, kind: str, key: str) -> None:
        self.wakes.append((kind, key))

    def take_wakes(self) -> list[tuple[str, str]]:
        taken, self.wakes = self.wakes, []
        return taken

    def attempt(self, work: Callable[[], T]) -> T:
        heard = len(self.wakes)
        self.begin_part()
        try:
            result = work()
        except Lost:
            raise
        except BaseException as error:
            if not self.connection.in_transaction or code(error) in FATAL:
                raise Lost(error) from error
            self.undo_part()
            del self.wakes[heard:]
            raise
        self.keep_part()
        return result
