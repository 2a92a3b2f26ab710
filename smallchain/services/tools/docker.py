"""Tools in a container: `executor: {docker: {image, command}}`, with Docker or Podman, whichever answers.

The arguments are a JSON object on standard input. The command is a program of the image with its arguments, or a text for the image's
shell; the image's own entrypoint is left out.
"""

from __future__ import annotations

from typing import Any

from smallchain.model.toolcall import Outcome, OutcomeKind, Start
from smallchain.model.toolspec import ToolSpec, mounts_of
from smallchain.services.tools.container import Containers, Work
from smallchain.services.tools.job import text_of


class DockerExecutor:
    """Implements `Recoverable`."""

    def __init__(self, containers: Containers) -> None:
        self._containers = containers

    async def execute(self, start: Start, /) -> Outcome:
        """Run one attempt."""
        spec = start.executor.get("docker")
        image, argv = text_of(spec, "image"), _argv(spec)
        if image is None or not argv:
            return Outcome(OutcomeKind.NOT_STARTED, f"the tool {start.tool!r} needs an image and a command; nothing ran")
        return await self._containers.execute(start, Work(image, argv, env={}))

    async def check(self, tool: ToolSpec, /, *, folder: str) -> str:
        """Whether Docker or Podman answers, and has the image or can pull it."""
        spec = tool.executor.docker if tool.executor is not None else None
        return await self._containers.fault(spec.image, mounts_of(tool)) if spec is not None else ""

    def fence(self, tool: ToolSpec, /) -> str:
        """The container."""
        return "a container"

    async def look_up(self, start: Start, /) -> Outcome | None:
        """What came of an attempt; one that had not come as far as a container had not begun."""
        if not await self._containers.knows(start):
            return Outcome(OutcomeKind.NOT_STARTED, "it had not begun; nothing ran")
        return await self._containers.look_up(start)

    async def let_go(self, start: Start, /) -> None:
        """Remove the container."""
        await self._containers.let_go(start)


def _argv(spec: Any) -> list[str]:
    command = spec.get("command") if isinstance(spec, dict) else None
    if isinstance(command, str) and command.strip():
        return ["/bin/sh", "-e", "-c", command]
    if isinstance(command, list | tuple) and command and all(isinstance(word, str) for word in command):
        return list(command)
    return []
