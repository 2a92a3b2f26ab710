"""The installed programs as processes, on folders of their own: a daemon to start, kill and start again, and the command beside it.

The one rule: whatever a test starts here has ended when it leaves, and is waited for; nothing else is ever signalled.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from smallchain.model.errors import SmallchainError
from smallchain.protocol.client import Client, path_of
from smallchain.settings import Settings

DATA = Path(__file__).parents[1] / "data"
ROOT = Path(__file__).parents[2]
PATIENCE_S = 30.0
"""How long anything may take before a test calls it a failure; nothing waits so long when all is well."""

Item = dict[str, Any]


def program(name: str) -> list[str]:
    """An installed program: the console script beside the interpreter."""
    script = Path(sys.executable).with_name(name)
    assert script.exists(), f"{name} is not installed beside {sys.executable}; `make setup` does it"
    return [str(script)]


@functools.cache
def _compiled() -> str:
    """Where the programs keep their byte code, for as long as the tests run: without it each start takes twice as long."""
    folder = tempfile.mkdtemp(prefix="smallchain-tests-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _inherited() -> dict[str, str]:
    """Our environment without what would lead a program out of its folders."""
    ours = ("SMALLCHAIN_", "XDG_", "OPENAI_", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | {"PYTHONPYCACHEPREFIX": _compiled()}


class Daemon:
    """One state folder and one config folder, and the daemon that lives on them, again and again."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder = folder
        self.config = folder / "config"
        self.state = folder / "state"
        self.log = folder / "daemon.log"
        self.config.mkdir(mode=0o700, parents=True, exist_ok=True)
        own = {"HOME": str(folder), "SMALLCHAIN_CONFIG_DIR": str(self.config), "SMALLCHAIN_STATE_DIR": str(self.state)}
        own |= {"SMALLCHAIN_UNFENCED_AS_ROOT": "yes"}  # many tests' tools write what they did beside the daemon's folders
        self.environ = _inherited() | own | variables
        self.process: subprocess.Popen[bytes] | None = None
        self._under = False
        self._others: list[subprocess.Popen[Any]] = []

    # ---- its life

    def start(self, *flags: str, under: Sequence[str] = ()) -> Daemon:
        """Start the daemon and return once it accepts connections; `under`: the words of a program that starts it."""
        self.spawn(*flags, under=under)
        self.await_ready()
        return self

    def spawn(self, *flags: str, under: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """Start the daemon and don't wait."""
        assert self.process is None, "it runs already"
        self._under = bool(under)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*under, *program("smallchaind"), "--print-ready", *flags],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self.environ,
                cwd="/",
            )
        return self.process

    def await_ready(self) -> int:
        """Wait for the line that says it accepts connections; the daemon's pid."""
        line = first_line(self._running.stdout)
        words = line.split()
        assert words[:1] == ["ready"], f"the daemon said {line!r} instead of being ready\n{self.last_words()}"
        return int(words[1])

    def kill(self) -> None:
        """`kill -9`, of the daemon that another program started too."""
        if self._under:
            for child in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split():
                end_pid(int(child))
        self._running.kill()
        self.ended()

    def terminate(self) -> int:
        """SIGTERM, and wait; its exit code."""
        self._running.terminate()
        return self.ended()

    def ended(self, *, within: float = PATIENCE_S) -> int:
        """Wait until it has ended by itself; its exit code."""
        process = self._running
        code = process.wait(within)
        assert process.stdout is not None
        process.stdout.close()
        self.process = None
        return code

    def restart(self, *flags: str) -> Daemon:
        """`kill -9`, and start again."""
        self.kill()
        return self.start(*flags)

    @property
    def pid(self) -> int:
        """Of the running daemon."""
        return self._running.pid

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        assert self.process is not None, "it does not run"
        return self.process

    # ---- the command

    def cli(self, *words: str, stdin: str = "", timeout: float = 60.0, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the command to its end."""
        return subprocess.run(
            [*program("smallchain"), *words],
            env=self.environ | variables,
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            timeout=timeout,
            check=False,
        )

    def ask(self, *words: str) -> Any:
        """What the command prints as JSON; it has to succeed."""
        done = self.cli(*words, "-o", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def open_cli(self, *words: str) -> subprocess.Popen[str]:
        """Start the command; it ends with the test."""
        process = subprocess.Popen(
            [*program("smallchain"), *words],
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        self._others.append(process)
        return process

    # ---- looking, from here

    def client(self) -> Client:
        """A client of the daemon in this process."""
        return Client(Settings.read(self.environ))

    def items(self, kind: str, **query: Any) -> list[Item]:
        """The items of a kind."""
        return self.client().items(kind, query)

    def run(self, name: str) -> Item:
        """A run; empty while there is none of this name."""
        return next((item for item in self.items("runs") if item["name"] == name), {})

    def messages(self, run: str) -> list[Item]:
        """The messages of a run."""
        messages: list[Item] = self.client().get(path_of("transcript", run))["messages"]
        return messages

    def events(self, *, after: int = 0) -> list[Item]:
        """The events kept."""
        return list(self.client().events(after=after))

    def event(self, reason: str, *, after: int = 0, **facts: Any) -> Item:
        """The first event of this reason and these facts, as soon as it is there."""
        for event in self.client().events(after=after, follow=True, deadline=time.monotonic() + PATIENCE_S):
            if event["reason"] == reason and all(event[name] == value for name, value in facts.items()):
                return event
        raise AssertionError(f"no {reason} {facts or ''} within {PATIENCE_S:g} s\n{self.last_words()}")

    def until(self, condition: Callable[[], Any], /) -> Any:
        """What the condition gives once it gives something; it is asked again at each event."""
        client = self.client()
        newest = client.last_seq()
        if found := condition():
            return found
        for _ in client.events(after=newest, follow=True, deadline=time.monotonic() + PATIENCE_S):
            if found := condition():
                return found
        raise AssertionError(f"it did not come within {PATIENCE_S:g} s\n{self.last_words()}")

    def over(self, run: str) -> Item:
        """A run once it has ended."""
        item: Item = self.until(lambda: (found := self.run(run)).get("status") in ("Succeeded", "Failed", "Cancelled") and found)
        return item

    def drop(self, name: str, text: str) -> Path:
        """A file in the watched folder, there as a whole or not at all."""
        draft, path = self.folder / "draft", self.config / name
        draft.write_text(text, encoding="utf-8")
        os.replace(draft, path)
        return path

    def last_words(self) -> str:
        """The end of the daemon's log."""
        logs = [path for path in (self.log, self.state / "daemon.log") if path.exists()]
        return "\n".join(f"---- {path}\n{path.read_text(errors='replace')[-8000:]}" for path in logs)

    def close(self) -> None:
        """End what still runs: the daemon, one that the command has started, commands."""
        for other in self._others:
            end(other)
        if self.process is not None:
            self.kill()
        with suppress(SmallchainError):
            end_pid(int(self.client().get("/v1/status")["pid"]))


def first_line(stream: IO[bytes] | IO[str] | None, *, within: float = PATIENCE_S) -> str:
    """The next line of a process's output, empty at its end; read byte by byte, so that nothing waits unseen in a buffer."""
    assert stream is not None
    line, until = b"", time.monotonic() + within
    while not line.endswith(b"\n"):
        left = until - time.monotonic()
        assert select.select([stream], [], [], max(0.0, left))[0], f"no whole line within {within:g} s, only {line!r}"
        byte = os.read(stream.fileno(), 1)
        if not byte:
            break
        line += byte
    return line.decode()


def end(process: subprocess.Popen[Any]) -> None:
    """End a process and wait for it."""
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def end_pid(pid: int) -> None:
    """End a smallchaind that is no child of ours, and wait until it is gone."""
    with suppress(ProcessLookupError, FileNotFoundError):
        descriptor = os.pidfd_open(pid)
        try:
            if b"smallchaind" in Path(f"/proc/{pid}/cmdline").read_bytes():
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                select.select([descriptor], [], [], PATIENCE_S)
        finally:
            os.close(descriptor)


@contextmanager
def a_folder() -> Iterator[Path]:
    """A short temporary folder: a socket's path holds 107 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="sc-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Models:
    """The loopback model server as a process of its own, which no kill of the daemon reaches."""

    def __init__(self, folder: Path, *, latency: float = 0.0, script: Mapping[str, Any] | None = None) -> None:
        self.log = folder / "models.jsonl"
        flags = ["--log", str(self.log), "--latency", str(latency)]
        if script is not None:
            (folder / "script.json").write_text(json.dumps(script), encoding="utf-8")
            flags += ["--script", str(folder / "script.json")]
        words = [sys.executable, str(Path(__file__).with_name("modelserver.py")), *flags]
        self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self.base_url = first_line(self._process.stdout).strip()

    @property
    def environ(self) -> dict[str, str]:
        """What a person would export."""
        return {"OPENAI_BASE_URL": self.base_url, "OPENAI_API_KEY": "sk-test-0123456789"}

    def asked(self) -> list[Item]:
        """The chat completions that were asked for, as logged."""
        lines = self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []
        return [line for line in map(json.loads, lines) if line["path"].endswith("/chat/completions")]

    def bodies(self) -> list[Item]:
        """Their bodies."""
        return [json.loads(line["body"]) for line in self.asked()]

    def close(self) -> None:
        """End it."""
        end(self._process)


class Pipe:
    """A named pipe between a tool and a test: who reads waits for who writes, and nobody sleeps."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)  # both ends: opening it never blocks, neither here nor there

    def heard(self, *, within: float = PATIENCE_S) -> str:
        """The next line that the tool writes."""
        with os.fdopen(os.dup(self._descriptor), "rb", buffering=0) as stream:
            return first_line(stream, within=within).rstrip("\n")

    def say(self, line: str = "go") -> None:
        """A line for the tool to read."""
        os.write(self._descriptor, f"{line}\n".encode())

    def close(self) -> None:
        """Close our ends."""
        os.close(self._descriptor)
