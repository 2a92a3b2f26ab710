"""Moments as the database keeps them: RFC 3339 in UTC with six places, so that their order is the text's order."""

from __future__ import annotations

import functools
from datetime import UTC, datetime


@functools.lru_cache(maxsize=256)
def to_text(moment: datetime) -> str:
    """The stored form of an aware moment: `2026-11-23T09:00:00.000000Z`."""
    return f"{moment.astimezone(UTC).isoformat(timespec='microseconds')[:26]}Z"


def from_text(text: str) -> datetime:
    """The aware UTC moment of a stored text."""
    return datetime.fromisoformat(text)


def maybe(text: str | None) -> datetime | None:
    """The moment of a column that may hold none."""
    return None if text is None else from_text(text)


def show_moment(moment: datetime) -> str:
    """A moment as sentences have it: `2026-01-02 03:04:05 UTC`."""
    return f"{to_text(moment)[:19].replace('T', ' ')} UTC"
