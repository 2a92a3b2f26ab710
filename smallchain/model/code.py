"""A person's own functions as values: where one is found, and why a call of it gave nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Literal

CALLABLE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)
"""`module:function`, as entry points write it."""
PLUGIN = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,62}", re.ASCII)
"""The name of an entry point, as YAML may use it."""

Group = Literal["contexts", "providers", "executors"]


@dataclass(frozen=True, slots=True)
class Function:
    """What YAML names: `module:function`, found from `folder` (that of the file) and among the installed packages, or the name of
    an entry point of the group `smallchain.GROUP`, which stands for one."""

    group: Group
    name: str
    folder: str = ""


class FaultKind(StrEnum):
    """What went wrong with a person's function."""

    NOT_LOADED = "not_loaded"
    """There is no such module or function, or its import failed."""
    RAISED = "raised"
    """It raised."""
    TOO_LATE = "too_late"
    """It took too long, and was ended."""
    NO_ANSWER = "no_answer"
    """Its process died, or it returned what cannot be handed over."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a function gave nothing, a sentence with file and line where they are known.

    `status` and `retry_after` are what the exception says about itself, by attributes of these names (seconds); None where it doesn't.
    """

    kind: FaultKind
    message: str
    status: int | None = None
    retry_after: timedelta | None = None
