"""Python tools: a shell line in which `python` is a real interpreter, or code; each argument is a variable in `__main__`.

Variables come through a `sitecustomize` of the job folder, which is a fixed text that reads a JSON file: data is never pasted
into code. The interpreter is the one below the daemon's own (no virtual environment, no pyenv shim), so tools see the standard
library and not the daemon's packages. With `-I`, `-S` or `-E` there are no variables, only standard input.
"""

from __future__ import annotations

import json
import keyword
import os
import sys
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from smallchain.model.toolcall import Outcome, OutcomeKind, Start
from smallchain.model.toolspec import ToolSpec
from smallchain.services.sandbox.sandbox import Sandbox
from smallchain.services.tools.cell import InCell
from smallchain.services.tools.job import PATH, Job, run_job, text_of
from smallchain.services.tools.process import Patience
from smallchain.services.tools.requirements import Requirements, interpreter

SITECUSTOMIZE = """\
import json, os, sys
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "variables.json"), encoding="utf-8") as file:
    vars(sys.modules["__main__"]).update(json.load(file))
"""
"""Binds the arguments: Python imports it before anything else of the tool."""


class PythonExecutor(InCell):
    """Runs `{"python": {"command": SHELL LINES}}` with sh, or `{"python": {"code": PYTHON}}` with the interpreter.

    The shell stops at the first command that fails (`-e`). `image` is not looked at here (`pythons`).
    """

    def __init__(
        self, *, sandbox: Sandbox, requirements: Requirements | None = None, jobs: Path | None = None, patience: Patience | None = None
    ) -> None:
        super().__init__(sandbox)
        self._requirements = requirements
        self._jobs = jobs
        self._patience = patience

    async def execute(self, start: Start, /) -> Outcome:
        """Run one attempt."""
        spec = start.executor.get("python")
        command, code = text_of(spec, "command"), text_of(spec, "code")
        if (command is None) == (code is None):
            return Outcome(OutcomeKind.NOT_STARTED, f"the tool {start.tool!r} needs either a command or code; nothing ran")
        environment = await self._environment(spec.get("requirements") if isinstance(spec, dict) else None)
        if isinstance(environment, str):
            return Outcome(OutcomeKind.NOT_STARTED, f"could not start: {environment}; nothing ran")

        def prepare(folder: Path, inside: Path) -> Job:
            return _prepare(folder, inside, start, command, code, environment)

        return await run_job(start, prepare, sandbox=self._sandbox, jobs=self._jobs, patience=self._patience)

    async def check(self, tool: ToolSpec, /, *, folder: str) -> str:
        """Whether its cell can be had, and the packages it asks for are there or can be installed."""
        fault = await super().check(tool, folder=folder)
        if fault:
            return fault
        spec = tool.executor.python if tool.executor is not None else None
        environment = await self._environment(spec.requirements if spec is not None else None)
        return environment if isinstance(environment, str) else ""

    async def _environment(self, wanted: Any) -> Path | str | None:
        """Where the packages are; None when none are asked for; why they can't be had."""
        if not wanted:
            return None
        if self._requirements is None:
            return "nothing here installs packages"
        return await self._requirements.environment(wanted)


def variables(arguments: Mapping[str, Any], parameters: tuple[str, ...]) -> dict[str, Any]:
    """The arguments that Python can hold as variables, under the form in which Python reads their names (NFKC).

    Absent optional ones are None. Keywords, what is no identifier, and `__names__` of the interpreter are left to stdin.
    """
    bound: dict[str, Any] = {}
    for name in (*parameters, *arguments):
        read_as = unicodedata.normalize("NFKC", name)
        reserved = read_as.startswith("__") and read_as.endswith("__")
        if read_as.isidentifier() and not keyword.iskeyword(read_as) and not reserved and bound.get(read_as) is None:
            bound[read_as] = arguments.get(name)
    return bound


def _prepare(folder: Path, inside: Path, start: Start, command: str | None, code: str | None, environment: Path | None) -> Job:
    for inner in ("bin", "python", "script"):
        (folder / inner).mkdir(mode=0o700)
    for name in ("python", "python3"):
        (folder / "bin" / name).symlink_to(interpreter())
    (folder / "python" / "sitecustomize.py").write_text(SITECUSTOMIZE, encoding="utf-8")
    (folder / "python" / "variables.json").write_text(json.dumps(variables(start.arguments, start.parameters)), encoding="utf-8")
    shows: tuple[str, ...] = (os.path.realpath(sys.base_prefix),)
    programs = inside / "bin"
    if environment is not None:
        shows, programs = (*shows, str(environment)), environment / "bin"
    env = {"PATH": f"{programs}:{start.env.get('PATH', PATH)}", "PYTHONPATH": str(inside / "python")}
    if code is not None:
        (folder / "script" / "main.py").write_text(code, encoding="utf-8")
        return Job(argv=[str(programs / "python"), str(inside / "script" / "main.py")], env=env, shows=shows)
    (folder / "script" / "command").write_text(command or "", encoding="utf-8")
    return Job(argv=["/bin/sh", "-e", str(inside / "script" / "command")], env=env, shows=shows)
