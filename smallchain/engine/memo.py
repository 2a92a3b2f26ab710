"""Values made from what never changes (words under their digest), kept under what tells them apart; the oldest go first."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

V = TypeVar("V")
_MOST_KEPT = 4096


class Memo(Generic[V]):
    """Values by key. It is asked from several threads: at worst, two make the same value."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, V] = {}

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        """The value of a key, made where it is not kept."""
        try:
            return self._kept[key]
        except KeyError:
            pass
        made = make()
        if len(self._kept) >= _MOST_KEPT:
            self._kept.pop(next(iter(self._kept)), None)
        self._kept[key] = made
        return made
