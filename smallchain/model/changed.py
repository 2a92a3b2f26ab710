"""A frozen value with some of its fields changed: `dataclasses.replace` costs more than the rest of a step for thirty fields."""

from __future__ import annotations

from typing import Any, TypeVar

V = TypeVar("V")


def changed(value: V, /, **changes: Any) -> V:
    """A copy of a dataclass without slots and without `__post_init__`, with other values in some fields.

    Raises TypeError for a field that it has not.
    """
    before = value.__dict__
    after = before | changes
    if len(after) != len(before):
        raise TypeError(f"{type(value).__name__} has no {', '.join(sorted(changes.keys() - before.keys()))}")
    made: V = object.__new__(type(value))
    object.__setattr__(made, "__dict__", after)
    return made
