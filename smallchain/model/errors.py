"""The tree of errors: each has a stable code, facts as attributes, and a hint that says what to do next.

    SmallchainError
    ├── Transient            waiting helps
    │   ├── Conflict         somebody changed the row first: look again
    │   └── Busy             a resource is taken for now
    └── Terminal             waiting does not help
        ├── BadInput         what the person wrote is wrong (carries problems with places)
        ├── Unknown          nothing has this name or id
        ├── Refused          the rules say no (too late, a live run, a needed confirmation)
        ├── Damaged          the database is not ours, is damaged, or is newer than this program
        └── Unreachable      no daemon listens

A tool that fails has produced a result and is not in this tree.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(eq=False)
class SmallchainError(Exception):
    """What was attempted, on what, what was found; `hint` is the next step, `code` is stable for programs."""

    message: str
    hint: str = ""
    code: str = field(default="error", init=False)

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


class Transient(SmallchainError):
    """Waiting helps."""


class Terminal(SmallchainError):
    """Waiting does not help."""


@dataclass(eq=False)
class Conflict(Transient):
    """The row has another version than the one read."""

    code: str = field(default="conflict", init=False)


@dataclass(eq=False)
class Busy(Transient):
    """Held by somebody else for now (a lock, a full disk, a daemon that is stopping)."""

    code: str = field(default="busy", init=False)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a person wrote it: file as the person names it, line and column from 1 (0: the file as a whole)."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in what a person wrote, and where; printed as `file:line:col: message; hint`."""

    place: Place
    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" + (f"; {self.hint}" if self.hint else "")


@dataclass(eq=False)
class BadInput(Terminal):
    """What the person wrote is wrong."""

    problems: tuple[Problem, ...] = ()
    code: str = field(default="bad_input", init=False)


@dataclass(eq=False)
class Unknown(Terminal):
    """Nothing has this name or id; the hint carries a did-you-mean where one is near."""

    code: str = field(default="unknown", init=False)


@dataclass(eq=False)
class Refused(Terminal):
    """The rules say no: the thing is over, or decided by somebody else."""

    code: str = field(default="refused", init=False)


@dataclass(eq=False)
class Unconfirmed(BadInput):
    """It would do more than was asked for (cancel live runs) and wants one word more; `problems` lists what would go."""

    code: str = field(default="unconfirmed", init=False)


@dataclass(eq=False)
class Damaged(Terminal):
    """The database is damaged, missing, not ours, or newer than this program."""

    code: str = field(default="damaged", init=False)


@dataclass(eq=False)
class Unreachable(Terminal):
    """No daemon listens."""

    code: str = field(default="unreachable", init=False)
