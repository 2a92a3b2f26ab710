"""What the one driver needs to know of a kind of row: how to take a step in a transaction, and how to act."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from smallchain.model.decision import Effect
from smallchain.store.contract import Tx

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Step:
    """What came of looking at a row: effects to perform, when to look again, and whether nothing of it may be under way."""

    effects: tuple[Effect, ...] = ()
    at_once: Callable[[], None] | None = None
    """Does the one effect and records its outcome within this very transaction: it is pure, and touches nothing outside."""
    look_at: datetime | None = None
    at_rest: bool = False
    has_settled: bool = False
    """The row was looked at again after the last move: that this step woke it is no news."""


class Transact(Protocol):
    """Commit a change together with all steps it wakes, then perform their effects; the change's result once durable."""

    async def __call__(self, work: Callable[[Tx], T], /, *, alone: bool = False) -> T: ...


class Kind(Protocol):
    """A control loop: one kind of row, moved one step at a time."""

    name: str

    def step(self, tx: Tx, key: str, /) -> Step:
        """Observe, decide and record, inside a transaction. A row that is gone is no step."""
        ...

    async def perform(self, effect: Effect, transact: Transact, /) -> None:
        """Act: do an effect through a port and record its outcome. Cancelled when the row comes to rest."""
        ...

    def lost(self, tx: Tx, effect: Effect, error: str, /) -> None:
        """Record that an effect ended by a fault of this program."""
        ...

    def keys(self, tx: Tx, /) -> list[str]:
        """Every row that a step could move, for the periodic look that finds lost wake-ups."""
        ...
