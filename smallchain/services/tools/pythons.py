"""Python tools, where their entry would have them: in the image that it names, or on this machine.

The one rule: arguments arrive alike in both, as JSON on standard input and as variables; and what an entry insists on
(`isolation: container`) is had or nothing runs.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

from smallchain.model.toolcall import Outcome, OutcomeKind, Start
from smallchain.model.toolspec import PythonExecutor as PythonSpec
from smallchain.model.toolspec import ToolSpec, mounts_of
from smallchain.services.tools.container import INSIDE, Containers, Work
from smallchain.services.tools.job import text_of
from smallchain.services.tools.python import SITECUSTOMIZE, PythonExecutor, variables

log = logging.getLogger(__name__)

_NO_IMAGE = "`isolation: container` needs an `image` under `python`"
_BOTH = "`requirements` are installed on this machine, not in an image: put the packages into the image, or leave `image` out"


class PythonTools:
    """Implements `Recoverable`, `Checked` and `Yielding`."""

    def __init__(self, local: PythonExecutor, containers: Containers) -> None:
        self._local = local
        self._containers = containers
        self._unusable: dict[str, str] = {}
        """Why an image could not be used when it was last wanted; empty when it could."""

    async def execute(self, start: Start, /) -> Outcome:
        """Run one attempt: in its image if that can be had, else on this machine."""
        spec = start.executor.get("python")
        image, command, code = text_of(spec, "image"), text_of(spec, "command"), text_of(spec, "code")
        if (command is None) == (code is None):
            return await self._local.execute(start)  # it says what is wrong
        why = _NO_IMAGE if image is None else await self._why_not(image)
        if image is not None and not why:
            if isinstance(spec, dict) and spec.get("requirements"):
                return _not_started(_BOTH)
            return await self._containers.execute(start, _work(start, image, command, code))
        if start.isolation == "container":
            return _not_started(why)
        return await self._local.execute(start)

    async def look_up(self, start: Start, /) -> Outcome | None:
        """What came of an attempt that ran in a container."""
        return await self._containers.look_up(start) if await self._containers.knows(start) else None

    async def let_go(self, start: Start, /) -> None:
        """Remove the container, where there was one."""
        await self._containers.let_go(start)

    async def check(self, tool: ToolSpec, /, *, folder: str) -> str:
        """Whether the image is there or can be pulled, where the entry insists on it; else whether it can run on this machine."""
        spec = _python(tool)
        why = _NO_IMAGE if spec.image is None else await self._why_not(spec.image)
        if spec.image is not None and not why:
            return _BOTH if spec.requirements else await self._containers.fault(spec.image, mounts_of(tool))
        return why if tool.isolation == "container" else await self._local.check(tool, folder=folder)

    def fence(self, tool: ToolSpec, /) -> str:
        """The container, or what is around a tool on this machine."""
        image = _python(tool).image
        return "a container" if image is not None and self._unusable.get(image) == "" else self._local.fence(tool)

    def instead(self, tool: ToolSpec, /) -> str:
        """Why a tool with an image runs on this machine."""
        image = _python(tool).image
        why = self._unusable.get(image, "") if image is not None and tool.isolation != "container" else ""
        return f"on this machine's own interpreter, not in the image {image}: {why}" if why else ""

    async def _why_not(self, image: str) -> str:
        why = await self._containers.usable(image)
        if why and self._unusable.get(image) == "":
            log.warning("the image %s can't be used any more: %s", image, why)
        self._unusable[image] = why
        return why


def _python(tool: ToolSpec) -> PythonSpec:
    found = tool.executor.python if tool.executor is not None else None
    assert found is not None, "asked of Python tools only"
    return found


def _work(start: Start, image: str, command: str | None, code: str | None) -> Work:
    def fill(folder: Path) -> None:
        modules = folder / "python"
        modules.mkdir()
        (modules / "sitecustomize.py").write_text(SITECUSTOMIZE, encoding="utf-8")
        (modules / "variables.json").write_text(json.dumps(variables(start.arguments, start.parameters)), encoding="utf-8")
        (folder / "main.py").write_text(code or "", encoding="utf-8")
        (folder / "command").write_text(command or "", encoding="utf-8")

    argv = ["python3", f"{INSIDE}/main.py"] if code is not None else ["/bin/sh", "-e", f"{INSIDE}/command"]
    return Work(image, argv, {"PYTHONPATH": f"{INSIDE}/python", "PYTHONDONTWRITEBYTECODE": "1"}, fill)


def _not_started(why: str) -> Outcome:
    return Outcome(OutcomeKind.NOT_STARTED, f"could not start: {why}; nothing ran")
