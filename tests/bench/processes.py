"""What the benches measure, as processes: the model's server, the bare loop, a daemon on folders of its own, and what the kernel says
of them. Whatever is started here has ended when its `with` is left.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from bench.server import cpu_s
from support.daemon import Daemon, a_folder, end

HERE = Path(__file__).parent
PATIENCE_S = 60.0
"""How long a bench waits before it gives up; no figure depends on it."""


def end_with_everything() -> None:
    """Let SIGTERM unwind the `with`s, so that whatever was started ends too."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))


class Kernel:
    """What /proc and the process's clock tell of one process."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._proc = Path(f"/proc/{pid}")

    @property
    def cpu_s(self) -> float:
        """Processor time, user and system, of all its threads."""
        return cpu_s(self.pid)

    @property
    def written(self) -> tuple[int, int]:
        """Bytes that went towards the disk, and bytes that calls of write were given (to files and sockets)."""
        lines = dict(line.split(": ") for line in (self._proc / "io").read_text().splitlines())
        return int(lines["write_bytes"]), int(lines["wchar"])

    @property
    def rss_kib(self) -> int:
        """Memory that is resident now."""
        return self._status("VmRSS")

    @property
    def peak_kib(self) -> int:
        """The most memory that was resident since `forget_peak`."""
        return self._status("VmHWM")

    @property
    def threads(self) -> int:
        """How many threads it has."""
        return self._status("Threads")

    @property
    def descriptors(self) -> int:
        """How many files it has open."""
        return len(os.listdir(self._proc / "fd"))

    def forget_peak(self) -> None:
        """Let the peak begin at what is resident now (proc(5), clear_refs)."""
        (self._proc / "clear_refs").write_text("5")

    def _status(self, name: str) -> int:
        return int((self._proc / "status").read_text().split(f"{name}:")[1].split()[0])


class Model:
    """The model's server as a process."""

    def __init__(self, *flags: str) -> None:
        words = [sys.executable, str(HERE / "server.py"), *flags]
        self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        self._root = self.url.removesuffix("/v1")

    def reset(self, *, watch: int = 0) -> None:
        """Forget what was counted; note the processor time of process `watch` at each request."""
        self._get(f"/reset?watch={watch}")

    def figures(self) -> dict[str, Any]:
        """What was counted since the reset."""
        found: dict[str, Any] = self._get("/figures")
        return found

    def asked_at(self, agent: str, *, after: float) -> float:
        """When an agent's next request after a moment of the monotonic clock came; waits for it."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            at = float(self._get(f"/asked?agent={agent}"))
            if at > after:
                return at
            time.sleep(0.0005)
        raise TimeoutError(f"agent {agent} asked nothing more")

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(self._root + path, timeout=PATIENCE_S) as answer:
            return json.load(answer)

    def close(self) -> None:
        """End it."""
        end(self._process)


@contextmanager
def a_model(*, turns: int, latency_s: float = 0.0, tool: str = "add", arguments: dict[str, Any] | None = None) -> Iterator[Model]:
    """A model's server whose agents make so many turns, and call a tool in each; `arguments` None: with two numbers."""
    more = ["--arguments", json.dumps(arguments)] if arguments is not None else []
    model = Model("--turns", str(turns), "--latency", str(latency_s), "--tool", tool, *more)
    try:
        yield model
    finally:
        model.close()


class Bare:
    """The bare loop as a process, warm."""

    def __init__(self, url: str, *, agents: int, turns: int, rounds: int = 1) -> None:
        words = [sys.executable, str(HERE / "bare.py"), url, str(agents), str(turns), str(rounds)]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def run(self) -> dict[str, float]:
        """Let it run to its end; what it tells."""
        out, _ = self.process.communicate("go\n")
        found: dict[str, float] = json.loads(out)
        return found


SCENE = """\
llms: [{{name: warm, provider: openai, model: gpt-4o, base_url: "{url}"}}]
agents:
- {{name: warm, system_prompt: count, llm: warm, tools: [add], limits: {{turns: 100000}}}}
- {{name: counter, system_prompt: count, llm: model, tools: [add], limits: {{turns: 100000}}}}
tasks:
- {{name: warm, agent: warm, user_message: "agent:warm:"}}
- {{name: count, agent: counter, user_message: go}}
"""
MODEL = """\
llms: [{{name: model, provider: openai, model: gpt-4o, base_url: "{url}"}}]
"""


class Bench:
    """A daemon that is warm, whose agents are ready to count as soon as their model is there.

    Runs that wait for a model cost nothing until its file comes, and then begin together: so neither the starting of runs over the
    socket nor looking at them is part of what is measured. What the runs come to is read from the database, beside the daemon.
    """

    def __init__(self, daemon: Daemon, url: str, *, under: tuple[str, ...] = ()) -> None:
        self.url = url
        self.daemon = daemon
        (self.daemon.config / "scene.yaml").write_text(SCENE.format(url=url), encoding="utf-8")
        self.daemon.spawn("--log-level", "warning", under=under)
        self.kernel = Kernel(self.daemon.await_ready())
        self.client = self.daemon.client()
        self.client.post("/v1/runs", {"task": "warm"})  # connections and imports are not what is measured
        self.await_end()

    def prepare(self, agents: int, *, prefix: str = "0") -> None:
        """Runs that wait for the model, or, once it is there, begin at once."""
        for number in range(agents):
            self.client.post("/v1/runs", {"task": "count", "message": f"agent:{prefix}-{number}:"})

    def give_model(self) -> None:
        """Write the file of the model they wait for."""
        made = self.daemon.folder / "model.yaml"
        made.write_text(MODEL.format(url=self.url), encoding="utf-8")
        made.rename(self.daemon.config / "model.yaml")
        os.kill(self.kernel.pid, signal.SIGHUP)

    def await_end(self, *, every_s: float = 0.002) -> float:
        """When no run was live any more, by the monotonic clock; raises where one did not succeed."""
        until = time.monotonic() + PATIENCE_S
        with closing(read_only(self.daemon.state)) as connection:
            while _live(connection):
                assert time.monotonic() < until, f"runs do not end\n{self.daemon.last_words()}"
                time.sleep(every_s)
            ended = time.monotonic()
            wrong = connection.execute("SELECT name, phase, error FROM runs WHERE phase != 'succeeded'").fetchall()
        assert not wrong, wrong[:3]
        return ended


@contextmanager
def a_bench(url: str, *, under: tuple[str, ...] = ()) -> Iterator[Bench]:
    """A warm daemon whose agents talk to this model."""
    with a_folder() as folder:
        daemon = Daemon(folder)
        try:
            yield Bench(daemon, url, under=under)
        finally:
            if daemon.process is not None:
                daemon.kill()


def read_only(state: Path) -> sqlite3.Connection:
    """The database of a state folder, for looking only."""
    return sqlite3.connect(f"file:{state / 'smallchain.db'}?mode=ro", uri=True, isolation_level=None, timeout=30.0)


def _live(connection: sqlite3.Connection) -> int:
    (count,) = connection.execute("SELECT count(*) FROM runs WHERE phase NOT IN ('succeeded', 'failed', 'cancelled')").fetchone()
    return int(count)


def file_system(folder: str = tempfile.gettempdir()) -> str:
    """The kind of file system a folder lies on: what a commit costs depends on it."""
    best = ("", "?")
    for line in Path("/proc/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if (folder + "/").startswith(place.rstrip("/") + "/") and len(place) >= len(best[0]):
            best = (place, kind)
    return best[1]
