"""Why something does not go on: one sentence, what lies behind it, and what would move it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

Command = tuple[str, ...]
"""The words of a command line, without the program."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One link of the chain. `kind` and `name` are of what it is about."""

    kind: str
    name: str
    words: str
    since: datetime | None = None
    until: datetime | None = None
    """When it goes on, or is looked at again, by itself at the latest, where that is known."""
    commands: tuple[Command, ...] = ()
    """Commands of which each moves it, as words."""
    because: tuple[Reason, ...] = ()
    """What it waits for in turn."""
