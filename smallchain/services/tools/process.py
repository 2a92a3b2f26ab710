"""The one way to run a child process: it is fed, watched and ended, and nothing of it outlives the call that started it.

The process leads a session of its own. We wait for the process, not for the end of its output (a grandchild may hold that
open), and kill its group before we reap it, so that its number cannot have passed to somebody else meanwhile. This is why
there is a pidfd here instead of asyncio's subprocess, which reaps first; starting is then also one step, which no
cancellation can split.
"""

from __future__ import annotations

import asyncio
import codecs
import functools
import os
import shutil
import signal
import subprocess
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

STDOUT_KEPT = 256 * 1024
STDERR_KEPT = 16 * 1024
FLOOD = 256 * 1024 * 1024
"""A process that prints more than this is ended: reading on would only keep a processor busy."""
_CHUNK = 64 * 1024
_SETPRIV = "/usr/bin/setpriv"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long ending takes: `grace` from SIGTERM to SIGKILL, `drain` for output that a grandchild still holds open."""

    grace: timedelta = timedelta(seconds=2)
    drain: timedelta = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Command:
    """What to run. `argv` is explicit, never a shell's line; `env` is all of its environment; `stdin` None: empty."""

    argv: Sequence[str]
    folder: Path
    env: Mapping[str, str]
    timeout: timedelta
    stdin: Path | None = None
    marks: Mapping[str, str] | None = None
    """Part of `env` that no other attempt has: by it, descendants that left the group are found and ended."""
    stdout_kept: int = STDOUT_KEPT
    fds: tuple[int, ...] = ()
    """Descriptors it is given besides, under their numbers."""
    spared: int = 0
    """How many generations at the top of its tree are a fence, which ends all within as soon as it ends: they are not asked to end."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended. `code` is its exit code, minus the signal that killed it, or None when it could not be killed.

    `stdout` is the beginning of what it printed, `stderr` the end, undecodable bytes and NULs replaced.
    """

    code: int | None
    stdout: str
    stderr: str
    cut: bool
    timed_out: bool
    flooded: bool


@dataclass(frozen=True, slots=True)
class NotStarted:
    """Nothing ran, and why."""

    reason: str


async def run_process(command: Command, *, patience: Patience | None = None) -> Ended | NotStarted:
    """Run a command to its end, or end it (SIGTERM to the group, then SIGKILL) on time-out, flood and cancellation."""
    child = _start(command, patience or Patience())
    if not isinstance(child, _Child):
        return child
    in_time = False
    try:
        in_time = await _within(child.news, command.timeout)
    finally:
        await outlast(child.end())
    return child.ended(timed_out=not in_time)


async def outlast(work: Coroutine[Any, Any, None]) -> None:
    """Carry work through to its end even if the caller is cancelled meanwhile; the cancellation is raised afterwards."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    task.result()
    if cancelled is not None:
        raise cancelled


def end_leftovers(marks: Mapping[str, str]) -> int:
    """Kill our processes whose environment holds all these marks, wherever they went; the number of those found.

    It finds what left its group (`setsid`), and what a daemon that was killed left behind. It blocks for some milliseconds.
    """
    wanted = {f"{name}={value}".encode() for name, value in marks.items()}
    found: set[int] = set()
    for _ in range(5):
        fresh = {pid for pid in _processes() if _kill_if_marked(pid, wanted)}
        if not fresh - found:
            break
        found |= fresh
    return len(found)


class _Output:
    """What came through one pipe: its first or last bytes, and how many there were."""

    def __init__(self, kept: int, *, last: bool) -> None:
        self._kept = kept
        self._last = last
        self._bytes = bytearray()
        self.total = 0

    def add(self, data: bytes) -> None:
        self.total += len(data)
        if self._last:
            self._bytes += data
            del self._bytes[: -self._kept]
        else:
            self._bytes += data[: self._kept - len(self._bytes)]

    @property
    def cut(self) -> bool:
        return self.total > self._kept

    def text(self) -> str:
        """The text, without the halves of characters that the cap made."""
        data = bytes(self._bytes)
        if self.cut and self._last:
            starts = (place for place, byte in enumerate(data[:4]) if byte & 0xC0 != 0x80)
            data = data[next(starts, 0) :]
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        return decoder.decode(data, final=self._last or not self.cut).replace("\0", "\ufffd")


class _Child:
    """A running process and its pipes, all as callbacks of the loop."""

    def __init__(self, process: subprocess.Popen[bytes], pidfd: int, patience: Patience, command: Command) -> None:
        assert process.stdout is not None, "asked for"
        assert process.stderr is not None, "asked for"
        self.news = asyncio.Event()
        """It has exited, or prints without end."""
        self._loop = asyncio.get_running_loop()
        self._process = process
        self._pidfd = pidfd
        self._patience = patience
        self._marks = command.marks
        self._spared = command.spared
        self._exited = asyncio.Event()
        self._silent = asyncio.Event()
        self._stdout = _Output(command.stdout_kept, last=False)
        self._stderr = _Output(STDERR_KEPT, last=True)
        self._pipes = {process.stdout.fileno(): self._stdout, process.stderr.fileno(): self._stderr}
        self._loop.add_reader(pidfd, self._on_exit)
        for pipe in self._pipes:
            os.set_blocking(pipe, False)
            self._loop.add_reader(pipe, self._on_output, pipe)

    async def end(self) -> None:
        """See to it that the process and its group are gone, and its output read; at once when it has exited and is silent."""
        try:
            if self._exited.is_set():
                await _within(self._silent, self._patience.drain)
            else:
                self._ask_to_end()
                await _within(self._exited, self._patience.grace)
            self._signal_group(signal.SIGKILL)
            if self._marks is not None:
                await asyncio.to_thread(end_leftovers, self._marks)
            await _within(self._exited, timedelta(seconds=5))
            await _within(self._silent, timedelta(milliseconds=500))
        finally:
            self._let_go()

    def ended(self, *, timed_out: bool) -> Ended:
        return Ended(
            code=self._process.returncode,
            stdout=self._stdout.text(),
            stderr=self._stderr.text(),
            cut=self._stdout.cut or self._stderr.cut,
            timed_out=timed_out,
            flooded=self._flooded,
        )

    @property
    def _flooded(self) -> bool:
        return self._stdout.total + self._stderr.total > FLOOD

    def _on_exit(self) -> None:
        self._loop.remove_reader(self._pidfd)
        self._exited.set()
        self.news.set()

    def _on_output(self, pipe: int) -> None:
        try:
            data = os.read(pipe, _CHUNK)
        except BlockingIOError:
            return
        if data:
            self._pipes[pipe].add(data)
            if self._flooded:
                self.news.set()
            return
        self._loop.remove_reader(pipe)
        del self._pipes[pipe]
        if not self._pipes:
            self._silent.set()

    def _ask_to_end(self) -> None:
        """SIGTERM to the group, or to all that runs behind the fence."""
        if not self._spared:
            self._signal_group(signal.SIGTERM)
            return
        for pid in _descendants(self._process.pid, skip=self._spared - 1):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGTERM)

    def _signal_group(self, number: signal.Signals) -> None:
        """To all of the group. Its number is ours as long as the leader is not reaped; gone or not ours is as good as done."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _let_go(self) -> None:
        """Kill what may be left, reap, close. A process that not even SIGKILL ends (stuck in the kernel) stays unreaped."""
        self._signal_group(signal.SIGKILL)
        for pipe in self._pipes:
            self._loop.remove_reader(pipe)
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        for stream in (self._process.stdout, self._process.stderr):
            assert stream is not None, "asked for"
            stream.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=1)


def _start(command: Command, patience: Patience) -> _Child | Ended | NotStarted:
    program = shutil.which(command.argv[0], path=command.env.get("PATH", os.defpath))
    if program is None:
        return NotStarted(f"there is no program {command.argv[0]!r}")
    if not command.folder.is_dir():
        return NotStarted(f"there is no folder {str(command.folder)!r}")
    try:
        stdin = os.open(command.stdin or os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        return NotStarted(str(error))
    try:
        process = subprocess.Popen(
            [*_dies_with_us(), program, *command.argv[1:]],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            cwd=command.folder,
            env=dict(command.env),
            start_new_session=True,
            pass_fds=command.fds,
            umask=0o077,
        )
    except (OSError, ValueError) as error:
        return NotStarted(str(error))
    finally:
        os.close(stdin)
    try:
        pidfd = os.pidfd_open(process.pid)
    except OSError as error:
        with process:
            os.killpg(process.pid, signal.SIGKILL)
        why = f"it could not be watched, so it was killed at once: {error}"
        return Ended(-signal.SIGKILL, stdout="", stderr=why, cut=False, timed_out=False, flooded=False)
    return _Child(process, pidfd, patience, command)


@functools.cache
def _dies_with_us() -> tuple[str, ...]:
    """What to put before a command so that `kill -9` of the daemon ends it too, or nothing where that does not work.

    The signal comes when the starting *thread* ends: start from the loop's thread. It reaches the process alone, not what it
    started. A `preexec_fn` would need no other program, but is not safe beside threads.
    """
    prefix = (_SETPRIV, "--pdeathsig", "KILL", "--")
    try:
        tried = subprocess.run([*prefix, "/bin/true"], stdin=subprocess.DEVNULL, capture_output=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return prefix if tried.returncode == 0 else ()


def _descendants(pid: int, *, skip: int) -> list[int]:
    """The processes below one, without the first `skip` generations, as far as /proc tells them."""
    generation, found = [pid], []
    for depth in range(64):
        below = []
        for each in generation:
            with suppress(OSError):
                for task in os.listdir(f"/proc/{each}/task"):
                    below += [int(child) for child in Path(f"/proc/{each}/task/{task}/children").read_text().split()]
        if depth >= skip:
            found += below
        if not below:
            break
        generation = below
    return found


def _processes() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []


def _kill_if_marked(pid: int, wanted: set[bytes]) -> bool:
    """The pidfd is opened before the environment is read: what is killed is what was looked at."""
    if pid == os.getpid():
        return False
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        if not wanted <= set(Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")):
            return False
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    except OSError:
        return False
    finally:
        os.close(pidfd)
    return True


async def _within(event: asyncio.Event, limit: timedelta) -> bool:
    try:
        async with asyncio.timeout(limit.total_seconds()):
            await event.wait()
    except TimeoutError:
        return False
    return True
