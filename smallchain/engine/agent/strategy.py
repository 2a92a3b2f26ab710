"""What is known of an agent's own context strategy: whether it could be loaded when it was last looked at.

It is kept in the agent's `checked`: the mark of what was looked at, and on the next line what is wrong, if anything.
"""

from __future__ import annotations

from smallchain.model.code import Function
from smallchain.model.fields import CONTEXTS
from smallchain.model.sections import AgentSpec
from smallchain.store.resources import Written


def is_own(spec: AgentSpec, /) -> bool:
    """Whether the strategy is a person's function rather than one of ours."""
    return isinstance(spec.context, str) and spec.context not in CONTEXTS


def function_of(spec: AgentSpec, folder: str, /) -> Function:
    """The function behind a strategy of a person's own."""
    return Function("contexts", str(spec.context), folder)


def mark_of(epoch: int, digest: str, /) -> str:
    """What a check looks at: the words, in this life of the daemon."""
    return f"{epoch}/{digest[:16]}"


def mark(row: Written, /) -> str:
    """What the last check looked at, empty before the first."""
    return row.checked.partition("\n")[0]


def verdict(row: Written, /) -> str | None:
    """What is wrong with the strategy, empty when nothing is; None when nobody has looked yet (a check by an earlier life counts)."""
    return row.checked.partition("\n")[2] if row.checked else None


def checked(epoch: int, digest: str, fault: str, /) -> str:
    """What to keep of a check."""
    return f"{mark_of(epoch, digest)}\n{fault}"
