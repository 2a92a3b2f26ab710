"""What a backend of the store must be: the contract that `tests/conformance` runs against, and SQLite is the first to keep.

A backend brings its dialect (a folder of named SQL with the same names) and a `Store`. The modules of rows (`runs`, `toolcalls`,
...) speak to it only through `Tx`, so they are the same on every backend.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
Value = str | int | bytes | None
Row = Mapping[str, Any]


class Tx(Protocol):
    """One transaction. What it reads is one state of the database; what it writes is seen by nobody until it is durable."""

    @property
    def now(self) -> datetime:
        """The moment of this transaction, aware and in UTC."""
        ...

    @property
    def epoch(self) -> int:
        """The life of the daemon that this transaction belongs to; rises by one at each start."""
        ...

    def one(self, query: str, /, **values: Value) -> Row | None:
        """The one row of a named query, or None."""
        ...

    def all(self, query: str, /, **values: Value) -> list[Row]:
        """All rows of a named query."""
        ...

    def run(self, query: str, /, **values: Value) -> int:
        """Carry out a named statement; how many rows it touched."""
        ...

    def new_id(self) -> str:
        """A UUIDv7 for a new row."""
        ...

    def wake(self, kind: str, key: str) -> None:
        """Say that a loop should look at a row again; heard after the commit, and only then."""
        ...

    def take_wakes(self) -> list[tuple[str, str]]:
        """What was woken so far, taken off, so that this very transaction may look at it."""
        ...

    def attempt(self, work: Callable[[], T]) -> T:
        """Do a part that may fail alone: an error inside takes back this part and is raised, the rest stands."""
        ...


class Store(Protocol):
    """A database with one writer."""

    async def write(self, work: Callable[[Tx], T], /, *, alone: bool = False, then: Callable[[T], None] | None = None) -> T:
        """Run `work` as one transaction and return its result once it is durable.

        `alone`: it shares its COMMIT with nobody (a large one). `then` is called with the result after the commit, whether or
        not the caller still waits. Raises whatever `work` raises, with nothing written.
        A cancelled caller changes nothing about the transaction.
        """
        ...

    async def read(self, work: Callable[[Tx], T], /) -> T:
        """Run `work` on one state of the database, beside the writer; writing inside is an error."""
        ...

    async def close(self) -> None:
        """End the writer after what was asked of it; nothing is accepted afterwards."""
        ...
