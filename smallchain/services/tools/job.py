"""One attempt of a tool that is a program: its job folder, its environment, and what the model is told of how it ended.

The one rule: a program gets its arguments as data (a JSON object on standard input, files in the job folder), never in a
command line, in code or in the environment; and of the daemon's own environment it gets nothing.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any

from smallchain.model.canonical import canonical
from smallchain.model.durations import show_duration
from smallchain.model.errors import BadInput
from smallchain.model.toolcall import Outcome, OutcomeKind, Start
from smallchain.services.tools.process import FLOOD, Command, Ended, NotStarted, Patience, outlast, run_process

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Job:
    """What an executor makes of a job folder: the program with its arguments, and what its environment has besides."""

    argv: Sequence[str]
    env: Mapping[str, str]


async def run_job(
    start: Start, /, prepare: Callable[[Path], Job], *, jobs: Path | None = None, patience: Patience | None = None
) -> Outcome:
    """Run one attempt in a fresh job folder under `jobs` (None: the system's temporary folder), which is removed afterwards.

    `prepare` writes what the executor needs into the folder; `home` in it is there and empty.
    """
    try:
        given = canonical(start.arguments)
    except BadInput as error:
        return Outcome(OutcomeKind.NOT_STARTED, f"the arguments cannot be handed over: {error}; nothing ran")
    try:
        folder = Path(tempfile.mkdtemp(prefix="smallchain-job-", dir=jobs))
    except OSError as error:
        return Outcome(OutcomeKind.NOT_STARTED, f"could not make a job folder: {error}; nothing ran")
    try:
        return await _run_in(folder, start, given, prepare, patience)
    finally:
        await outlast(asyncio.to_thread(_remove, folder))


async def _run_in(folder: Path, start: Start, given: str, prepare: Callable[[Path], Job], patience: Patience | None) -> Outcome:
    home = folder / "home"
    stdin = folder / "stdin.json"
    try:
        home.mkdir(mode=0o700)
        stdin.write_text(given + "\n", encoding="utf-8")
        job = prepare(folder)
    except OSError as error:
        return Outcome(OutcomeKind.NOT_STARTED, f"could not fill the job folder: {error}; nothing ran")
    command = Command(
        argv=job.argv,
        folder=Path(start.folder) if start.folder else home,
        env=_environment(start, home) | dict(job.env) | marks(start.call_id, attempt=start.attempt),
        timeout=start.timeout,
        stdin=stdin,
        marks=marks(start.call_id, attempt=start.attempt),
    )
    return _outcome(await run_process(command, patience=patience), start)


def marks(call_id: str, *, attempt: int) -> dict[str, str]:
    """What the environment of an attempt on this machine has and no other: `end_leftovers` finds its processes by them.

    The last one is what an attempt in a container does not have: that is to outlive the daemon.
    """
    return {"SMALLCHAIN_CALL_ID": call_id, "SMALLCHAIN_ATTEMPT": str(attempt), "SMALLCHAIN_ON_THIS_MACHINE": "1"}


def _environment(start: Start, home: Path) -> dict[str, str]:
    """Short and fixed, then the tool's own `env`, then what names this attempt, which no `env` can take over."""
    return {"PATH": PATH, "HOME": str(home), "LANG": "C.UTF-8", **start.env, **facts(start)}


def facts(start: Start) -> dict[str, str]:
    """What every program is told about the attempt that it is, as variables."""
    return {
        "SMALLCHAIN_CALL_ID": start.call_id,
        "SMALLCHAIN_ATTEMPT": str(start.attempt),
        "SMALLCHAIN_RUN_ID": start.run_id,
        "SMALLCHAIN_IDEMPOTENCY_KEY": start.idempotency_key,
        "SMALLCHAIN_DEADLINE": start.deadline.astimezone(UTC).isoformat(),
    }


def _outcome(end: Ended | NotStarted, start: Start) -> Outcome:
    if isinstance(end, NotStarted):
        return Outcome(OutcomeKind.NOT_STARTED, f"could not start: {end.reason}; nothing ran")
    if end.timed_out:
        text = f"timed out after {show_duration(start.timeout)}, and was ended"
        return Outcome(OutcomeKind.TIMED_OUT, with_output(text, end), cut=end.cut)
    if end.flooded:
        text = f"printed more than {FLOOD // 1024 // 1024} MiB, and was ended"
        return Outcome(OutcomeKind.FAILED, with_output(text, end), cut=True)
    if end.code == 0:
        return Outcome(OutcomeKind.SUCCEEDED, said(end), exit_code=0, cut=end.cut)
    if end.code is None or end.code < 0:
        text = "could not be ended: it is stuck in the kernel" if end.code is None else f"killed by {signal_name(-end.code)}"
        return Outcome(OutcomeKind.FAILED, with_output(text, end), cut=end.cut)
    return Outcome(OutcomeKind.FAILED, with_output(_exit_text(end.code), end), exit_code=end.code, cut=end.cut)


def said(end: Ended) -> str:
    """What a program that did its work printed, never empty."""
    said = end.stdout.rstrip("\n")
    warned = end.stderr.strip()
    if said:
        return said
    return f"(no output; on standard error:)\n{warned}" if warned else "(no output)"


def with_output(text: str, end: Ended) -> str:
    """How a program ended, and what it printed until then."""
    for title, output in (("standard error", end.stderr), ("standard output", end.stdout)):
        if output.strip():
            text += f"\n{title}:\n{output.strip()}"
    return text


def _exit_text(code: int) -> str:
    """Shells answer 128 + N for a command that signal N killed."""
    if code > 128 and code - 128 in list(signal.Signals):
        return f"exit code {code} (as after {signal_name(code - 128)})"
    return f"exit code {code}"


def signal_name(number: int) -> str:
    """A signal's name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _remove(folder: Path) -> None:
    """Remove a job folder, also where the tool made folders that may not be written (Go's module cache)."""
    shutil.rmtree(folder, ignore_errors=True)
    if not folder.exists():
        return
    for parent, names, _ in os.walk(folder):
        for name in names:
            inner = Path(parent, name)
            if not inner.is_symlink():
                inner.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


def text_of(spec: Any, field: str) -> str | None:
    """A text of an executor's spec, or None where there is none."""
    value = spec.get(field) if isinstance(spec, dict) else None
    return value if isinstance(value, str) and value.strip() else None
