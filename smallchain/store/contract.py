"""What a backend of the store must be: the contract that `tests/conformance` runs against, and SQLite is the first to keep.

A backend brings its dialect (a folder of named SQL with the same names) and a `Store`. The modules of rows (`runs`, `toolcalls`,
...) speak to it only through `Tx`, so they are the same on every backend.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

T = TypeVar("T")
V = TypeVar("V")
Value = str | int | bytes | None
Row = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Shape(Generic[V]):
    """A kind of row that is moved step by step: read once and written once a transaction, against the mark that was read."""

    table: str
    word: str
    """What a person calls such a row."""
    get: str
    """The query that finds a row by its key."""
    insert: str
    """The statement for a new row; it is given all of `values`."""
    save: str
    """The statement for a changed row; it is given `values`, and as `read` the mark that the row must still have."""
    key_names: tuple[str, ...]
    key: Callable[[V], tuple[Value, ...]]
    mark: Callable[[V], Value]
    """What changes with each change of a row: its version."""
    name: Callable[[V], str]
    from_row: Callable[[Row], V]
    values: Callable[[V], dict[str, Value]]
    is_over: Callable[[V], bool]
    """Whether nobody will move the row any more."""
    told_at_once: bool = False
    """A new row may break a rule of the table (a name that is taken), and whoever adds it hears of it at once."""
    group: Callable[[V], tuple[tuple[Value, ...], bool]] | None = None
    """The group a new row joins, and whether it is certainly the first of it."""


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

    def later(self, query: str, /, **values: Value) -> None:
        """Carry out a named insert before anything reads its table, at the latest with the commit."""
        ...

    def late(self, query: str, /) -> list[dict[str, Value]]:
        """What this transaction has given to a named insert and was not carried out yet."""
        ...

    def find(self, shape: Shape[V], /, *key: Value) -> V | None:
        """A row by its key as this transaction sees it, or None."""
        ...

    def group(self, shape: Shape[V], query: str, /, **values: Value) -> list[V]:
        """All rows of a group (`Shape.group`) as this transaction sees them, found by a named query with the group's own values."""
        ...

    def add(self, shape: Shape[V], value: V, /) -> None:
        """Add a new row."""
        ...

    def change(self, shape: Shape[V], before: V, after: V, /) -> None:
        """Change a row that was read as `before`; raises Conflict when it has another mark."""
        ...

    def recall(self, table: str, key: Any, make: Callable[[], V], /) -> V:
        """What `make` reads from a table, which may be at hand from an earlier time while nobody has written to the table since."""
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
