"""Python tools: a shell line in which `python` is a real interpreter, or code; each argument is a variable in `__main__`.

Variables come through a `sitecustomize` of the job folder, which is a fixed text that reads a JSON file: data is never pasted
into code. The interpreter is the one below the daemon's own (no virtual environment, no pyenv shim), so tools see the standard
library and not the daemon's packages. With `-I`, `-S` or `-E` there are no variables, only standard input.
"""

from __future__ import annotations

import functools
import json
import keyword
import os
import sys
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from smallchain.model.toolcall import Outcome, OutcomeKind, Start
from smallchain.services.sandbox.sandbox import Sandbox
from smallchain.services.tools.cell import InCell
from smallchain.services.tools.job import PATH, Job, run_job, text_of
from smallchain.services.tools.process import Patience

_SITECUSTOMIZE = """\
import json, os, sys
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "variables.json"), encoding="utf-8") as file:
    vars(sys.modules["__main__"]).update(json.load(file))
"""


class PythonExecutor(InCell):
    """Runs `{"python": {"command": SHELL LINES}}` with sh, or `{"python": {"code": PYTHON}}` with the interpreter.

    The shell stops at the first command that fails (`-e`). `image` is not looked at here; `requirements` are refused.
    """

    def __init__(self, *, sandbox: Sandbox, jobs: Path | None = None, patience: Patience | None = None) -> None:
        super().__init__(sandbox)
        self._jobs = jobs
        self._patience = patience

    async def execute(self, start: Start, /) -> Outcome:
        """Run one attempt."""
        spec = start.executor.get("python")
        command, code = text_of(spec, "command"), text_of(spec, "code")
        if (command is None) == (code is None):
            return Outcome(OutcomeKind.NOT_STARTED, f"the tool {start.tool!r} needs either a command or code; nothing ran")
        if isinstance(spec, dict) and spec.get("requirements"):
            wanted = f"the tool {start.tool!r} wants packages installed ({spec['requirements']})"
            return Outcome(OutcomeKind.NOT_STARTED, f"{wanted}, which this version does not do; nothing ran")

        def prepare(folder: Path, inside: Path) -> Job:
            return _prepare(folder, inside, start, command, code)

        return await run_job(start, prepare, sandbox=self._sandbox, jobs=self._jobs, patience=self._patience)


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


def _prepare(folder: Path, inside: Path, start: Start, command: str | None, code: str | None) -> Job:
    for inner in ("bin", "python", "script"):
        (folder / inner).mkdir(mode=0o700)
    for name in ("python", "python3"):
        (folder / "bin" / name).symlink_to(_interpreter())
    (folder / "python" / "sitecustomize.py").write_text(_SITECUSTOMIZE, encoding="utf-8")
    (folder / "python" / "variables.json").write_text(json.dumps(variables(start.arguments, start.parameters)), encoding="utf-8")
    env = {"PATH": f"{inside / 'bin'}:{start.env.get('PATH', PATH)}", "PYTHONPATH": str(inside / "python")}
    shows = (os.path.realpath(sys.base_prefix),)
    if code is not None:
        (folder / "script" / "main.py").write_text(code, encoding="utf-8")
        return Job(argv=[str(inside / "bin" / "python"), str(inside / "script" / "main.py")], env=env, shows=shows)
    (folder / "script" / "command").write_text(command or "", encoding="utf-8")
    return Job(argv=["/bin/sh", "-e", str(inside / "script" / "command")], env=env, shows=shows)


@functools.cache
def _interpreter() -> str:
    """The real interpreter below a virtual environment or a shim, resolved once."""
    return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
