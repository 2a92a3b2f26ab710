"""How long to wait after failures: doubling, spread by a jitter that is the same for the same row and count, and capped."""

from __future__ import annotations

import hashlib
from datetime import timedelta

FIRST = timedelta(seconds=0.5)
LONGEST = timedelta(minutes=5)


def delay(failures: int, /, *, key: str, at_least: timedelta | None = None) -> timedelta:
    """The wait after `failures` failures in a row (from 1): 0.5 s doubling up to 5 minutes, shortened by up to a third so that rows
    which failed together don't come back together; never less than `at_least` (a Retry-After), itself capped at an hour."""
    doubled: int = 2 ** min(failures - 1, 20)
    whole = min(LONGEST, FIRST * doubled)
    spread = int.from_bytes(hashlib.sha256(f"{key}/{failures}".encode()).digest()[:4], "big") / 2**32
    wait = whole * (1 - spread / 3)
    return wait if at_least is None else max(wait, min(at_least, timedelta(hours=1)))
