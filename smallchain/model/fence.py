"""What a tool's process may reach and use beyond what every process gets: folders of this machine, and amounts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder or file of this machine that is there inside, under an absolute `target`."""

    source: str
    target: str
    read_only: bool = True


@dataclass(frozen=True, slots=True)
class Limits:
    """What one attempt may use; None: what every attempt gets (`services.tools` says how much)."""

    memory_bytes: int | None = None
    output_bytes: int | None = None
    """Of standard output; the rest is cut."""
    file_bytes: int | None = None
    """Of the largest file it may write."""
    processes: int | None = None
    """Processes and threads at once."""
    cpus: float | None = None


def strictest(*isolations: str | None) -> str:
    """What holds of several: a fence that was asked for is kept, whoever asked (`auto` where nobody says anything)."""
    return max((each or "auto" for each in isolations), key=_STRICTNESS.index)


_STRICTNESS = ("none", "auto", "required", "container")
