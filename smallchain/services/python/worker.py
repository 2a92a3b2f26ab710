"""One worker process: started, asked one thing at a time, ended; a hang, a crash or a flood in it is a fault of that call.

It leads a session of its own and we kill its group before we reap it (as tools' processes are), so nothing it started outlives it.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

from smallchain.model.code import Fault, FaultKind
from smallchain.model.durations import show_duration
from smallchain.services.python.child import mark_of

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LARGEST_ANSWER = 32 * 1024 * 1024
_STDERR_KEPT = 16 * 1024
_STDERR_SHOWN = 300
_PARSED_HERE = 256 * 1024
_KILL_S = 5.0
_DRAIN_S = 0.5
_MODULE = "smallchain.services.python.child"


class Worker:
    """A process for the modules of one folder. Its `files` are those it went through, with the marks they had; `loaded` its functions."""

    def __init__(self, folder: str, process: subprocess.Popen[bytes], pidfd: int) -> None:
        self.folder = folder
        self.files: dict[str, str | None] = {}
        self.loaded: set[str] = set()
        self.used_at = asyncio.get_running_loop().time()
        """When it was last asked, on the loop's clock."""
        self._process = process
        self._pidfd = pidfd
        self._gone = asyncio.Event()
        self._stderr = bytearray()
        self._output = asyncio.StreamReader()
        self._input: asyncio.StreamWriter | None = None
        self._transports: list[asyncio.BaseTransport] = []
        self._reading: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[int | None] | None = None
        asyncio.get_running_loop().add_reader(pidfd, self._exited)

    @classmethod
    async def start(cls, folder: str, marks: Mapping[str, str]) -> Worker:
        """Start a process; raises OSError. From the loop's thread: the process ends when the thread that started it does."""
        worker = _spawn(folder, marks)
        try:
            await worker._connect()
        except BaseException:
            await worker.end()
            raise
        return worker

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked."""
        return not self._gone.is_set()

    @property
    def is_stale(self) -> bool:
        """Whether a file that it loaded has changed since."""
        return any(mark is None or mark_of(file) != mark for file, mark in self.files.items())

    async def ask(self, target: str, arguments: list[Any] | None, /, *, timeout: timedelta) -> Any:
        """What a function returned, or a Fault; without arguments it is only loaded. When no answer comes in time, and when the
        caller is cancelled, the process is ended."""
        self.used_at = asyncio.get_running_loop().time()
        data = json.dumps({"target": target, "arguments": arguments}).encode()
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                answer = await self._exchange(data)
        except TimeoutError:
            await self.end()
            words = f"{target} gave no answer within {show_duration(timeout)}, and was ended{self._last_words()}"
            return Fault(FaultKind.TOO_LATE, _storable(words))
        except (OSError, EOFError, ValueError, RecursionError) as error:
            code = await self.end()
            how = f"its process ended ({_how(code)})" if isinstance(error, OSError | EOFError) else f"its answer can't be read ({error})"
            return Fault(FaultKind.NO_ANSWER, _storable(f"{target} gave no answer: {how}{self._last_words()}"))
        except BaseException:
            await self.end()
            raise
        for file, mark in answer.get("files") or ():
            self.files.setdefault(file, mark)
        told = answer.get("error")
        return answer.get("value") if told is None else _fault(target, told)

    async def end(self) -> int | None:
        """Kill it and all it started in its group; its exit code, minus the signal, or None when it is stuck in the kernel."""
        if self._ending is None:
            self._ending = asyncio.create_task(self._end())
        return await asyncio.shield(self._ending)

    async def _end(self) -> int | None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with suppress(TimeoutError):
            async with asyncio.timeout(_KILL_S):
                await self._gone.wait()
        asyncio.get_running_loop().remove_reader(self._pidfd)
        self._gone.set()
        os.close(self._pidfd)
        for transport in self._transports:
            transport.close()
        if self._reading is not None:
            await asyncio.wait([self._reading], timeout=_KILL_S)
        return self._process.poll()

    def _exited(self) -> None:
        """It has ended. What it forked may hold its pipes open, so the end of its output is not waited for beyond a moment."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._pidfd)
        self._gone.set()
        for transport in self._transports:
            loop.call_later(_DRAIN_S, transport.close)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        errors = asyncio.StreamReader()
        for reader, pipe in ((self._output, self._process.stdout), (errors, self._process.stderr)):
            reading, _ = await loop.connect_read_pipe(functools.partial(asyncio.StreamReaderProtocol, reader), pipe)
            self._transports.append(reading)
        writing, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, self._process.stdin)
        self._transports.append(writing)
        self._input = asyncio.StreamWriter(writing, protocol, None, loop)
        self._reading = asyncio.create_task(self._keep_errors(errors))

    async def _keep_errors(self, errors: asyncio.StreamReader) -> None:
        while data := await errors.read(1 << 16):
            self._stderr += data
            del self._stderr[:-_STDERR_KEPT]

    async def _exchange(self, data: bytes) -> dict[str, Any]:
        if self._input is None or not self.is_alive:
            raise EOFError
        self._input.write(struct.pack(">I", len(data)) + data)
        await self._input.drain()
        length = struct.unpack(">I", await self._output.readexactly(4))[0]
        if length > LARGEST_ANSWER:
            raise ValueError(f"it is larger than {LARGEST_ANSWER // 1024 // 1024} MiB")
        whole = await self._output.readexactly(length)
        found = json.loads(whole) if length < _PARSED_HERE else await asyncio.to_thread(json.loads, whole)
        if not isinstance(found, dict):
            raise ValueError("it is not the worker's")
        return found

    def _last_words(self) -> str:
        words = " ".join(self._stderr.decode("utf-8", "replace").split())
        return f"; its last words: {words[-_STDERR_SHOWN:]}" if words else ""


def _spawn(folder: str, marks: Mapping[str, str]) -> Worker:
    environ = {"PATH": PATH, "HOME": os.path.expanduser("~"), "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1", **marks}
    if "PYTHONPATH" in os.environ:
        environ["PYTHONPATH"] = os.environ["PYTHONPATH"]  # part of what is installed
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", _MODULE, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        cwd=folder,
        env=environ,
        start_new_session=True,
        umask=0o077,
    )
    try:
        return Worker(folder, process, os.pidfd_open(process.pid))
    except OSError:
        with process:
            os.killpg(process.pid, signal.SIGKILL)
        raise


def _fault(target: str, told: Any) -> Fault:
    """What the child tells of an exception, its numbers held to what they may be."""
    if not isinstance(told, dict):
        return Fault(FaultKind.NO_ANSWER, f"{target} gave no answer that can be read")
    kind = FaultKind(told["kind"]) if told.get("kind") in list(FaultKind) else FaultKind.NO_ANSWER
    verb = {FaultKind.NOT_LOADED: "can't be loaded", FaultKind.RAISED: "failed", FaultKind.NO_ANSWER: "gave no answer"}.get(
        kind, "gave no answer"
    )
    status, after = told.get("status"), told.get("retry_after")
    return Fault(
        kind,
        _storable(f"{target} {verb}: {told.get('message')}"),
        status=status if isinstance(status, int) else None,
        retry_after=timedelta(seconds=after) if isinstance(after, int | float) else None,
    )


def _storable(words: str) -> str:
    """Without NUL and halves of surrogate pairs, which no row can hold."""
    return words.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _how(code: int | None) -> str:
    if code is None:
        return "it is stuck in the kernel"
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
