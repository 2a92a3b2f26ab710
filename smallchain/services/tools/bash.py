"""Bash tools: the command is a script of its own, and each argument is an unexported shell variable.

The one rule: what a model wrote reaches bash only as a quoted value in an assignment, to a name that means nothing to bash.
Authors still write `"$title"` with quotes, and keep texts out of `$(( ))` and `[[ -eq ]]`, which bash evaluates.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from smallchain.model.toolcall import Outcome, OutcomeKind, Start
from smallchain.services.sandbox.sandbox import Sandbox
from smallchain.services.tools.cell import InCell
from smallchain.services.tools.job import PATH, Job, run_job, text_of
from smallchain.services.tools.process import Patience

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED_PREFIXES = ("BASH", "COMP_", "DYLD_", "HIST", "LC_", "LD_", "PROMPT_", "READLINE_", "SMALLCHAIN_")
_RESERVED = frozenset(
    re.findall(
        r"\w+",
        "_ auto_resume histchars CDPATH CHILD_MAX COLUMNS COMPREPLY COPROC DIRSTACK EMACS ENV EPOCHREALTIME EPOCHSECONDS EUID"
        " EXECIGNORE FCEDIT FIGNORE FUNCNAME FUNCNEST GLOBIGNORE GLOBSORT GROUPS HOME HOSTFILE HOSTNAME HOSTTYPE IFS IGNOREEOF"
        " INPUTRC INSIDE_EMACS LANG LANGUAGE LINENO LINES LOGNAME MACHTYPE MAIL MAILCHECK MAILPATH MAPFILE OLDPWD OPTARG OPTERR"
        " OPTIND OSTYPE PATH PIPESTATUS POSIXLY_CORRECT PPID PS0 PS1 PS2 PS3 PS4 PWD RANDOM REPLY SECONDS SHELL SHELLOPTS SHLVL"
        " SRANDOM TERM TIMEFORMAT TMOUT TMPDIR TZ UID USER",
    )
)
"""What bash sets or obeys (bash(1), "Shell Variables"), and what every program does."""


class BashExecutor(InCell):
    """Runs `{"local_bash": {"command": SCRIPT}}` under `-eu -o pipefail`: the first failure ends it, a misspelt name is one."""

    def __init__(self, *, sandbox: Sandbox, jobs: Path | None = None, patience: Patience | None = None) -> None:
        super().__init__(sandbox)
        self._jobs = jobs
        self._patience = patience

    async def execute(self, start: Start, /) -> Outcome:
        """Run one attempt."""
        command = text_of(start.executor.get("local_bash"), "command")
        if command is None:
            return Outcome(OutcomeKind.NOT_STARTED, f"the tool {start.tool!r} has no command; nothing ran")

        def prepare(folder: Path, inside: Path) -> Job:
            return _prepare(folder, inside, start, command)

        return await run_job(start, prepare, sandbox=self._sandbox, jobs=self._jobs, patience=self._patience)


def assignments(arguments: Mapping[str, Any], parameters: tuple[str, ...], *, taken: Mapping[str, str]) -> str:
    """The arguments as assignments, a line each: texts as they are, the rest as JSON, null and absent ones empty.

    Names that bash cannot or must not hold, and `taken` ones (assigning to a variable of the environment would export it), are
    left to standard input; so are texts with a NUL.
    """
    lines = []
    for name in dict.fromkeys((*parameters, *arguments)):
        text = _text(arguments.get(name))
        if _may_bind(name) and name not in taken and "\0" not in text:
            lines.append(f"{name}={_quoted(text)}\n")
    return "".join(lines)


def _may_bind(name: str) -> bool:
    return _NAME.fullmatch(name) is not None and name not in _RESERVED and not name.startswith(_RESERVED_PREFIXES)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _prepare(folder: Path, inside: Path, start: Start, command: str) -> Job:
    """The command is a file of its own, sourced after the assignments: bash's complaints then count its lines from 1.

    `-p` keeps bash from what its environment could make it do (BASH_ENV, ENV, SHELLOPTS, functions).
    """
    (folder / "command").write_text(command, encoding="utf-8")
    preamble = assignments(start.arguments, start.parameters, taken=start.env)
    (folder / "script").write_text(f"{preamble}. {_quoted(str(inside / 'command'))}\n", encoding="utf-8")
    argv = ["bash", "--noprofile", "--norc", "-p", "-eu", "-o", "pipefail", str(inside / "script")]
    return Job(argv=argv, env={"PATH": start.env.get("PATH", PATH)})
