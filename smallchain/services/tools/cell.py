"""What executors share that run a program in a cell of the sandbox: whether it can be had, and what is around it."""

from __future__ import annotations

from smallchain.model.toolspec import ToolSpec, mounts_of, tool_limits_of
from smallchain.services.sandbox.sandbox import Needs, Sandbox


class InCell:
    """Implements `Checked`."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def check(self, tool: ToolSpec, /, *, folder: str) -> str:
        """Why its cell can't be had; empty when it can."""
        return await self._sandbox.fault(needs_of(tool))

    def fence(self, tool: ToolSpec, /) -> str:
        """The layers around it."""
        return self._sandbox.words(needs_of(tool))


def needs_of(tool: ToolSpec, /) -> Needs:
    """What a tool's entry asks of its fence."""
    return Needs(tool.isolation or "auto", bool(tool.network), mounts_of(tool), tool_limits_of(tool))
