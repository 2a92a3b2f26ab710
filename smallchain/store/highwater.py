"""How far the database of a state folder has come, in a small file beside it.

A database that stands behind its mark was put back from an older backup, or lost its write-ahead log: what happened since is not in it,
and calls that act once could act again. The one rule: the file never says more than what is durable, and never goes back.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

FILE = "high-water"


@dataclass(frozen=True, slots=True)
class Mark:
    """Lives of the daemon, and events."""

    epoch: int = 0
    seq: int = 0

    def is_behind(self, other: Mark) -> bool:
        """Whether a database that stands here has lost something of one that stood there."""
        return self.epoch < other.epoch or self.seq < other.seq


def read(state_dir: Path) -> Mark:
    """The mark of a folder; the very beginning where there is none, or none that can be read."""
    try:
        words = (state_dir / FILE).read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return Mark()
    numbers = [int(word) for word in words if word.isdecimal() and len(word) < 19]
    return Mark(*numbers) if len(numbers) == len(words) == 2 else Mark()


def write(state_dir: Path, mark: Mark) -> None:
    """Raise the mark, durably; one that is not higher changes nothing. Raises OSError."""
    known = read(state_dir)
    if not known.is_behind(mark):
        return
    draft = state_dir / f".{FILE}.tmp"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, f"{max(known.epoch, mark.epoch)} {max(known.seq, mark.seq)}\n".encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(draft, state_dir / FILE)
    folder = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
