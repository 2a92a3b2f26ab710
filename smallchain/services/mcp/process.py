"""The process of a server that speaks over its standard input and output, and the ladder that ends it.

Its group is killed before it is reaped, so that the number cannot have passed to somebody else; what left the group is found by its
marks. What it says on standard error is read for ever and kept by its end; one that floods it is made to wait.
"""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from smallchain.model.mcp import legible

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LONGEST_MESSAGE = 8 << 20
"""Bytes of one message of a server; a longer one ends it."""
_GRACE_S = 2.0
_KEPT_LINES = 50
_KEPT_OF_LINE = 500
_CHUNK = 64 << 10
_MUCH = _CHUNK // 4
_PAUSE_S = 0.02
"""After much on standard error at a time: at most 3 MB a second are read of it."""
_SETPRIV = "/usr/bin/setpriv"


@dataclass(frozen=True, slots=True)
class ServerCommand:
    """What to start: `argv` is explicit, never a shell's line; `env` is all of its environment."""

    argv: Sequence[str]
    env: Mapping[str, str]
    folder: Path
    fds: tuple[int, ...] = ()
    """Open files that it inherits."""


def spawn(command: ServerCommand, /) -> subprocess.Popen[bytes]:
    """Start a server with three pipes, leading a session of its own; `kill -9` of the daemon ends it where `setpriv` is there.

    The signal comes when the starting thread ends: call it on the loop's. Raises OSError.
    """
    return subprocess.Popen(
        [*_dies_with_us(), *command.argv],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        cwd=command.folder,
        env=dict(command.env),
        start_new_session=True,
        umask=0o077,
        pass_fds=command.fds,
    )


def absolute(program: str, folder: str, /) -> str:
    """A program's path from the folder of its file; a name without a path stays one."""
    return os.path.normpath(os.path.join(folder, program)) if "/" in program and folder else program


class ServerProcess:
    """A running server: its messages as lines, and its end."""

    def __init__(self, process: subprocess.Popen[bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.gone = asyncio.Event()
        """It has exited."""
        self.lines: deque[str] = deque(maxlen=_KEPT_LINES)
        """Its last lines on standard error, and what it printed on standard output that is no message."""
        self.reader = reader
        self.writer = writer
        self._process = process
        self._pidfd = os.pidfd_open(process.pid)
        self._rest = b""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._pidfd, self._on_exit)
        assert process.stderr is not None, "asked for"
        self._stderr = process.stderr.fileno()
        os.set_blocking(self._stderr, False)
        self._is_reading = True
        self._loop.add_reader(self._stderr, self._on_stderr)

    @classmethod
    async def start(cls, command: ServerCommand, /) -> ServerProcess:
        """Start a server. Raises OSError."""
        process = spawn(command)
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=LONGEST_MESSAGE)
        try:
            await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), process.stdout)
            transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, process.stdin)
            return cls(process, reader, asyncio.StreamWriter(transport, protocol, None, loop))
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise

    @property
    def pid(self) -> int:
        """Its number, and that of its group."""
        return self._process.pid

    @property
    def how_it_ended(self) -> str:
        """In words; only once it is gone and reaped."""
        code = self._process.returncode
        if code is None:
            return "it could not be ended: it is stuck in the kernel"
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    def said(self, line: str, /) -> None:
        """Keep a line of what it said."""
        self.lines.append(legible(line.replace("\0", "\ufffd"))[:_KEPT_OF_LINE])

    async def end(self) -> None:
        """Close its standard input, then SIGTERM, then SIGKILL to its group, each after a while; and reap it."""
        self.writer.close()
        if not await self.exits_within(_GRACE_S):
            self._signal(signal.SIGTERM)
            await self.exits_within(_GRACE_S)
        self._signal(signal.SIGKILL)
        await self.exits_within(5.0)
        self._let_go()

    def _let_go(self) -> None:
        if self.gone.is_set():
            self._on_stderr()  # its last words
        self._loop.remove_reader(self._stderr)
        self._is_reading = False
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        transport = getattr(self.reader, "_transport", None)
        if transport is not None:
            transport.close()
        assert self._process.stderr is not None, "asked for"
        self._process.stderr.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=1)
        if self._rest.strip():
            self.said(self._rest.decode("utf-8", "replace"))

    def _on_exit(self) -> None:
        self._loop.remove_reader(self._pidfd)
        self.gone.set()

    def _on_stderr(self) -> None:
        try:
            data = os.read(self._stderr, _CHUNK)
        except BlockingIOError:
            return
        if not data:
            self._loop.remove_reader(self._stderr)
            return
        *whole, self._rest = (self._rest + data).split(b"\n")
        for line in whole[-_KEPT_LINES:]:
            if line.strip():
                self.said(line.decode("utf-8", "replace").rstrip())
        self._rest = self._rest[:_KEPT_OF_LINE]
        if len(data) >= _MUCH and not self.gone.is_set():
            self._loop.remove_reader(self._stderr)
            self._loop.call_later(_PAUSE_S, self._read_on)

    def _read_on(self) -> None:
        if self._is_reading:
            self._loop.add_reader(self._stderr, self._on_stderr)

    def _signal(self, number: signal.Signals) -> None:
        """To all of the group. Its number is ours as long as the leader is not reaped."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    async def exits_within(self, seconds: float) -> bool:
        """Whether it exits within so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self.gone.wait()
        except TimeoutError:
            return False
        return True


@functools.cache
def _dies_with_us() -> tuple[str, ...]:
    """What to put before a command so that the end of the starting thread (the loop's) ends it too; nothing where that does not work."""
    prefix = (_SETPRIV, "--pdeathsig", "KILL", "--")
    try:
        tried = subprocess.run([*prefix, "/bin/true"], stdin=subprocess.DEVNULL, capture_output=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return prefix if tried.returncode == 0 else ()
