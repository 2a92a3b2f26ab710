"""Sizes as people write them: 512MB counts in thousands, 2GiB (and a bare 2G) in 1024s."""

from __future__ import annotations

import re

_FORM = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?)(?P<power>[KMGT]?)(?P<binary>i?)(?P<bytes>B?)")
_POWERS = "KMGT"


def parse_size(text: str) -> int:
    """The bytes of a size that the manifest took; raises ValueError for another text."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:40]!r} is not a size")
    base = 1000 if found["bytes"] and not found["binary"] else 1024
    power = _POWERS.index(found["power"]) + 1 if found["power"] else 0
    return int(float(found["number"]) * base**power)


def rough_size(size_bytes: int) -> str:
    """About how much it is: 69.4 GiB, 1.9 MiB, 512 bytes."""
    for power in range(4, 0, -1):
        if size_bytes >= 1024**power:
            return f"{size_bytes / 1024**power:.1f} {_POWERS[power - 1]}iB"
    return f"{size_bytes} bytes"


def show_size(size_bytes: int) -> str:
    """A size in the largest unit in which it is a whole number: 2 GiB, 512 MB, 1500 bytes."""
    for power in range(4, 0, -1):
        for base, infix in ((1024, "i"), (1000, "")):
            if size_bytes and size_bytes % base**power == 0:
                return f"{size_bytes // base**power} {_POWERS[power - 1]}{infix}B"
    return f"{size_bytes} bytes"
