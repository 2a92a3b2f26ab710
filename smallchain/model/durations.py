"""Durations as people write them: `30s`, `2m`, `1h30m`, `2d`, `500ms`. One grammar for every field that is a time."""

from __future__ import annotations

import re
from datetime import timedelta

from smallchain.model.errors import BadInput

_UNITS = {"w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_GRAMMAR = re.compile(r"(?:(\d{1,9})w)?(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m(?!s))?(?:(\d{1,9})s)?(?:(\d{1,9})ms)?", re.ASCII)
_LONGEST = timedelta(days=3660)


def is_written_as_duration(text: str) -> bool:
    """Whether a text has the form of a duration, however long or short."""
    return bool(text.strip()) and _GRAMMAR.fullmatch(text.strip()) is not None


def parse_duration(text: str) -> timedelta:
    """The length of a written duration, above zero and at most ten years; raises BadInput with the grammar."""
    match = _GRAMMAR.fullmatch(text.strip()) if text.strip() else None
    if match is None:
        raise BadInput(f"{text[:40]!r} is not a duration", hint="write it as 30s, 2m, 1h30m or 2d")
    millis = sum(int(count) * unit for count, unit in zip(match.groups(), _UNITS.values(), strict=True) if count)
    if not 0 < millis <= _LONGEST.total_seconds() * 1000:
        raise BadInput(f"{text[:40]!r} is out of range", hint="a duration lies above zero and within ten years")
    return timedelta(milliseconds=millis)


def show_duration(length: timedelta) -> str:
    """The shortest writing of a duration, as `parse_duration` reads it; `0s` for none."""
    left = round(length.total_seconds() * 1000)
    words = []
    for unit, size in _UNITS.items():
        if unit == "w":
            continue
        count, left = divmod(left, size)
        if count:
            words.append(f"{count}{unit}")
    return "".join(words) or "0s"
