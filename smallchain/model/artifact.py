"""What a tool call leaves behind beside what the model is told: images, files, and the whole of a result that was cut.

The one rule: an artifact is a stranger's bytes. It is bounded, kept as it came, and never shown on a terminal as it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

LARGEST = 8 << 20
"""Bytes of one artifact; a larger one is not kept, and the model is told so."""
MOST_OF_CALL = 32
"""Artifacts of one call."""
MOST_OF_RUN = 64 << 20
"""Bytes of all artifacts of one run."""
TOLD = 32 << 10
"""Characters of a result that the model is told; what is longer is cut, and the whole is kept as an artifact."""
MOST_READ = 30_000
"""Bytes that `read_artifact` gives at a time: what it says is never cut itself."""

OCTETS = "application/octet-stream"
TEXT = "text/plain; charset=utf-8"
_LONGEST_NAME = 120
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,62}/[a-z0-9][a-z0-9!#$&^_.+-]{0,62}(?:; ?charset=[a-z0-9_-]{1,40})?")


@dataclass(frozen=True, slots=True)
class Artifact:
    """One thing that a tool made. `name` and `media_type` are what the tool calls it; they are for people, and mean nothing to us."""

    name: str
    media_type: str
    data: bytes

    def __repr__(self) -> str:
        return f"Artifact({self.name!r}, {self.media_type!r}, {len(self.data)} bytes)"


@dataclass(frozen=True, slots=True)
class Kept:
    """A stored artifact without its bytes."""

    id: str
    run_id: str
    call_id: str
    name: str
    media_type: str
    size_bytes: int
    digest: str
    """SHA-256 of the bytes, in hexadecimal."""


def plain_name(name: str, /) -> str:
    """A name that can stand in a line and be a file's: no control characters and no folders, bounded, never empty."""
    plain = "".join(char for char in name.replace("\\", "/").rpartition("/")[2] if char.isprintable())
    return plain.strip(" .")[:_LONGEST_NAME] or "artifact"


def plain_media_type(media_type: str, /) -> str:
    """A media type in the form of RFC 9110, section 8.3.1; what is none is bytes."""
    plain = media_type.strip().lower()
    return plain if _MEDIA_TYPE.fullmatch(plain) else OCTETS


def without_halves(data: bytes, /, *, at_start: bool, at_end: bool) -> bytes:
    """A piece of UTF-8 without the halves of characters that cutting made at its ends."""
    if at_start:
        nothing_whole = len(data) if len(data) < 4 else 0
        data = data[next((place for place, byte in enumerate(data[:4]) if byte & 0xC0 != 0x80), nothing_whole) :]
    if at_end:
        for back in range(1, min(4, len(data)) + 1):
            byte = data[-back]
            if byte & 0xC0 == 0x80:
                continue
            needed = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
            return data[:-back] if needed > back else data
    return data
