"""The conversations of the runs at work, kept as the bytes that the next request begins with; it grows by appending.

What is kept can always be made again from the recorded messages, so it is bounded: what was used longest ago goes first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

_MOST_BYTES = 32 * 1024 * 1024


@dataclass(slots=True)
class _Kept:
    first: int
    upto: int
    joined: bytearray


class Conversations:
    """What the last request of each run held of its messages, joined as it stood there. For one thread."""

    def __init__(self, *, most_bytes: int = _MOST_BYTES) -> None:
        self._most = most_bytes
        self._bytes = 0
        self._kept: dict[str, _Kept] = {}

    def __len__(self) -> int:
        """How many conversations are kept."""
        return len(self._kept)

    def upto(self, run_id: str, *, first: int = 0) -> int:
        """The number of the last message that is kept of a run, where what is kept leaves out the same (`model.context`); else 0."""
        kept = self._kept.get(run_id)
        return kept.upto if kept is not None and kept.first == first else 0

    def extend(self, run_id: str, wires: Iterable[str], *, upto: int, first: int = 0) -> None:
        """Append the messages that follow those that are kept; `upto` is the number of the last."""
        kept = self._kept.pop(run_id, None) or _Kept(first, 0, bytearray())
        before = len(kept.joined)
        for wire in wires:
            if kept.joined:
                kept.joined += b","
            kept.joined += wire.encode()
        kept.upto = upto
        self._kept[run_id] = kept  # the newest stands last
        self._bytes += len(kept.joined) - before

    def joined(self, run_id: str) -> bytes:
        """All messages that are kept of a run, as they stand in a request; makes room where there is too much."""
        found = bytes(self._kept[run_id].joined)
        while self._bytes > self._most:
            self.forget(next(iter(self._kept)))
        return found

    def forget(self, run_id: str) -> None:
        """Drop a conversation that is over, or of which more or something else is kept than is asked for."""
        kept = self._kept.pop(run_id, None)
        if kept is not None:
            self._bytes -= len(kept.joined)
