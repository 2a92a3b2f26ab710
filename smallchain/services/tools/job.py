"""One attempt of a tool that is a program: its job folder, its cell, its environment, and what the model is told of how it ended.

The one rule: a program gets its arguments as data (a JSON object on standard input, files in the job folder), never in a
command line, in code or in the environment; and of the daemon's own environment it gets nothing.
"""

from __future__ import annotations

import asyncio
import os
import re
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
from smallchain.model.sizes import show_size
from smallchain.model.toolcall import Outcome, OutcomeKind, Start
from smallchain.services.sandbox.sandbox import MEMORY, CannotOpen, Cell, Needs, Sandbox
from smallchain.services.tools.process import FLOOD, STDOUT_KEPT, Command, Ended, NotStarted, Patience, outlast, run_process

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Job:
    """What an executor makes of a job folder: the program with its arguments, and what its environment has besides."""

    argv: Sequence[str]
    env: Mapping[str, str]
    shows: tuple[str, ...] = ()
    """What of this machine it reads besides /usr: an interpreter's own folder."""
    address_space: int = 0
    """Bytes that its kind of program reserves beyond what it uses."""


Prepare = Callable[[Path, Path], Job]
"""Fill a folder (outside, where it is written) and say what to run, in the words of inside, where the folder has another name."""


async def run_job(
    start: Start, /, prepare: Prepare, *, sandbox: Sandbox, jobs: Path | None = None, patience: Patience | None = None
) -> Outcome:
    """Run one attempt in a cell, in a fresh folder under `jobs` (None: the system's temporary folder), which is then removed."""
    try:
        given = canonical(start.arguments)
    except BadInput as error:
        return Outcome(OutcomeKind.NOT_STARTED, f"the arguments cannot be handed over: {error}; nothing ran")
    try:
        folder = Path(tempfile.mkdtemp(prefix="smallchain-job-", dir=jobs))
    except OSError as error:
        return Outcome(OutcomeKind.NOT_STARTED, f"could not make a job folder: {error}; nothing ran")
    try:
        return await _run_in(folder, start, given, prepare, sandbox, patience)
    finally:
        await outlast(asyncio.to_thread(_remove, folder))


async def _run_in(folder: Path, start: Start, given: str, prepare: Prepare, sandbox: Sandbox, patience: Patience | None) -> Outcome:
    try:
        cell = await sandbox.open(needs_of(start), folder)
    except CannotOpen as error:
        return Outcome(OutcomeKind.NOT_STARTED, f"could not start: {error}; nothing ran")
    try:
        return await _run_behind(cell, folder, start, given, prepare, patience)
    finally:
        await outlast(sandbox.close(cell))


async def _run_behind(cell: Cell, folder: Path, start: Start, given: str, prepare: Prepare, patience: Patience | None) -> Outcome:
    stdin = folder / "stdin.json"
    fds: tuple[int, ...] = ()
    try:
        stdin.write_text(given + "\n", encoding="utf-8")
        job = prepare(cell.outside, cell.job)
        env = _environment(start, cell.home) | dict(job.env) | marks(start.call_id, attempt=start.attempt)
        behind = cell.behind(job.argv, env, shows=job.shows, address_space=job.address_space)
        fds = behind.fds
        command = Command(
            argv=behind.argv,
            folder=Path(cell.start_in()),
            env=env,
            timeout=start.timeout,
            stdin=stdin,
            marks=None if cell.is_fenced else marks(start.call_id, attempt=start.attempt),
            stdout_kept=start.limits.output_bytes or STDOUT_KEPT,
            fds=fds,
            spared=behind.spared,
        )
        end = await run_process(command, patience=patience)
    except CannotOpen as error:
        return Outcome(OutcomeKind.NOT_STARTED, f"could not start: {error}; nothing ran")
    except OSError as error:
        return Outcome(OutcomeKind.NOT_STARTED, f"could not fill the job folder: {error}; nothing ran")
    finally:
        for fd in fds:
            os.close(fd)
    if isinstance(end, NotStarted):
        return Outcome(OutcomeKind.NOT_STARTED, f"could not start: {end.reason}; nothing ran")
    if not (end.timed_out or end.flooded or end.code is None or end.code < 0 or cell.has_started()):
        said = end.stderr.strip().splitlines()
        return Outcome(
            OutcomeKind.NOT_STARTED, f"could not start: the fence failed: {said[-1] if said else _exit_text(end.code)}; nothing ran"
        )
    return outcome_of(end, start, out_of_memory=cell.ran_out_of_memory())


def needs_of(start: Start, /) -> Needs:
    """What an attempt asks of its fence."""
    return Needs(start.isolation, start.network, start.mounts, start.limits, start.folder)


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


def outcome_of(end: Ended, start: Start, /, *, out_of_memory: bool) -> Outcome:
    """What is told of an attempt that ran; `out_of_memory`: who ended it says that this was why."""
    if end.timed_out:
        text = f"timed out after {show_duration(start.timeout)}, and was ended"
        return Outcome(OutcomeKind.TIMED_OUT, _with_output(text, end), cut=end.cut)
    if end.flooded:
        text = f"printed more than {FLOOD // 1024 // 1024} MiB, and was ended; it must print less"
        return Outcome(OutcomeKind.FLOODED, _with_output(text, end), cut=True)
    if end.code == 0:
        return Outcome(OutcomeKind.SUCCEEDED, _said(end), exit_code=0, cut=end.cut)
    if end.code is None:
        return Outcome(OutcomeKind.KILLED, _with_output("could not be ended: it is stuck in the kernel", end), cut=end.cut)
    code = end.code if end.code >= 0 else None
    if out_of_memory or _says_out_of_memory(end):
        size = f" of {show_size(start.limits.memory_bytes or MEMORY)}" if start.isolation != "none" or start.limits.memory_bytes else ""
        text = f"ran out of memory: it needed more than its limit{size}"
        return Outcome(OutcomeKind.OUT_OF_MEMORY, _with_output(text, end), exit_code=code, cut=end.cut)
    ending = -end.code if end.code < 0 else end.code - 128
    if ending in _FATAL:
        by = f"killed by {_signal_name(ending)}" + (f" (exit code {code})" if code is not None else "")
        return Outcome(OutcomeKind.KILLED, _with_output(f"{by}{_FATAL[ending]}", end), exit_code=code, cut=end.cut)
    if end.code < 0:
        return Outcome(OutcomeKind.KILLED, _with_output(f"killed by {_signal_name(-end.code)}", end), cut=end.cut)
    return Outcome(OutcomeKind.FAILED, _with_output(_exit_text(end.code), end), exit_code=end.code, cut=end.cut)


_FATAL: dict[int, str] = {
    signal.SIGABRT: ": it aborted",
    signal.SIGBUS: ": it crashed",
    signal.SIGFPE: ": it crashed",
    signal.SIGILL: ": it crashed",
    signal.SIGKILL: "",
    signal.SIGSEGV: ": it crashed",
    signal.SIGSYS: ": it made a system call that the fence forbids",
    signal.SIGTRAP: ": it crashed",
    signal.SIGXCPU: ": it used more processor time than its limit",
    signal.SIGXFSZ: ": it wrote a file larger than its limit",
}
"""Signals that end a program that did not want to end. Shells, and the fence, answer 128 + N for what signal N killed."""
_NO_MEMORY = re.compile(
    r"^MemoryError\b|JavaScript heap out of memory|^std::bad_alloc|Cannot allocate memory$|cannot allocate \d+ bytes|memory exhausted$",
    re.M,
)


def _says_out_of_memory(end: Ended) -> bool:
    """Whether a program says itself that this was why it failed: under RLIMIT_AS nobody kills it, its allocations fail."""
    return _NO_MEMORY.search(end.stderr) is not None


def _said(end: Ended) -> str:
    said = end.stdout.rstrip("\n")
    warned = end.stderr.strip()
    if said:
        return said
    return f"(no output; on standard error:)\n{warned}" if warned else "(no output)"


def _with_output(text: str, end: Ended) -> str:
    for title, output in (("standard error", end.stderr), ("standard output", end.stdout)):
        if output.strip():
            text += f"\n{title}:\n{output.strip()}"
    return text


def _exit_text(code: int) -> str:
    if code > 128 and code - 128 in list(signal.Signals):
        return f"exit code {code} (as after {_signal_name(code - 128)})"
    return f"exit code {code}"


def _signal_name(number: int) -> str:
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
