"""Whether the `when` of a rule holds for a call's arguments: yes, no, or it cannot be told. A small matcher, not a language.

The one rule: what cannot be told is never a no. A missing argument, one of another type than the rule speaks of, or a text too long
to be looked through leaves the question open, and whoever asks must then be careful.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from typing import Any

from smallchain.model.schemas import finds
from smallchain.model.toolspec import Condition

LONGEST_TEXT = 1 << 16
"""Characters of an argument that a pattern is held against; patterns run in linear time, and a longer text is not looked at."""


class Holds(Enum):
    """What a matcher can say."""

    YES = "yes"
    NO = "no"
    CANNOT_TELL = "cannot tell"


def holds(when: Mapping[str, Condition], arguments: Mapping[str, Any], /) -> Holds:
    """Whether every condition holds. One that does not decides; else one that cannot be told leaves it open."""
    found = {_condition(condition, arguments.get(name)) for name, condition in when.items()}
    if Holds.NO in found:
        return Holds.NO
    return Holds.CANNOT_TELL if Holds.CANNOT_TELL in found else Holds.YES


def _condition(condition: Condition, value: Any) -> Holds:
    wanted = {name: each for name in type(condition).model_fields if (each := getattr(condition, name)) is not None}
    if value is None or not wanted:
        return Holds.CANNOT_TELL
    found = {_comparison(name, each, value) for name, each in wanted.items()}
    if Holds.NO in found:
        return Holds.NO
    return Holds.CANNOT_TELL if Holds.CANNOT_TELL in found else Holds.YES


def _comparison(name: str, wanted: Any, value: Any) -> Holds:
    match name:
        case "matches":
            return _matches(wanted, value)
        case "equals":
            return _equals(wanted, value)
        case "one_of":
            return _one_of(wanted, value)
        case _:
            return _compares(name, wanted, value)


def _matches(pattern: str, value: Any) -> Holds:
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        return Holds.CANNOT_TELL
    return _said(_finder(pattern)(value))


@lru_cache(maxsize=1024)
def _finder(pattern: str) -> Any:
    return finds(pattern)


def _equals(wanted: Any, value: Any) -> Holds:
    return _said(bool(wanted == value)) if _type(wanted) == _type(value) else Holds.CANNOT_TELL


def _one_of(wanted: tuple[Any, ...], value: Any) -> Holds:
    found = {_equals(each, value) for each in wanted}
    if Holds.YES in found:
        return Holds.YES
    return Holds.NO if Holds.NO in found else Holds.CANNOT_TELL


def _compares(name: str, wanted: float, value: Any) -> Holds:
    if _type(value) != "number":
        return Holds.CANNOT_TELL
    return _said({"gt": value > wanted, "ge": value >= wanted, "lt": value < wanted, "le": value <= wanted}[name])


def _type(value: Any) -> str:
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else "other"


def _said(yes: bool) -> Holds:
    return Holds.YES if yes else Holds.NO
