"""Tools in containers, by a real Docker and a real Podman: hardened, bounded, told apart, and gone when nobody wants them any more."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from smallchain.model.fence import Limits, Mount
from smallchain.model.toolcall import Outcome, OutcomeKind, Start
from smallchain.services.sandbox.sandbox import Sandbox
from smallchain.services.tools.backend import Backends
from smallchain.services.tools.container import Containers
from smallchain.services.tools.docker import DockerExecutor
from smallchain.services.tools.process import Patience
from support import containerlife
from support.containerlife import killing_client
from support.engines import IMAGE, Docker, Engine
from support.starts import a_start

HOSTILE = "'\"\n\\ $(touch /tmp/never) `id` {{secret.X}} ${HOME} \x1b[2J \u202e €"
SECRET = "sk-canary-0123456789"


def tools(engine: Engine, folder: Path, home: str = "house") -> DockerExecutor:
    patience = Patience(grace=timedelta(milliseconds=200))
    return DockerExecutor(
        Containers(Backends(engine.environ, folder), sandbox=Sandbox(), folder=folder / "containers", home=home, patience=patience)
    )


def a_call(command: Any, arguments: dict[str, Any] | None = None, /, **changes: Any) -> Start:
    return a_start({"docker": {"image": IMAGE, "command": command}}, arguments, **changes)


async def ran(engine: Engine, folder: Path, command: Any, arguments: dict[str, Any] | None = None, /, **changes: Any) -> Outcome:
    """An attempt from its start to where it is let go, which leaves nothing."""
    executor, start = tools(engine, folder), a_call(command, arguments, **changes)
    outcome = await executor.execute(start)
    await executor.let_go(start)
    assert engine.containers() == []
    assert list((folder / "containers").glob("*")) == []
    return outcome


async def test_the_arguments_are_a_json_object_on_standard_input(engine: Engine, tmp_path: Path) -> None:
    given = {"b": [1, {"c": None}], "a": HOSTILE}

    assert json.loads((await ran(engine, tmp_path, ["cat"], given)).text) == given


async def test_a_text_is_for_the_images_shell_and_stops_at_its_first_failure(engine: Engine, tmp_path: Path) -> None:
    outcome = await ran(engine, tmp_path, "echo before\nfalse\necho after")

    assert (outcome.kind, outcome.exit_code) == (OutcomeKind.FAILED, 1)
    assert "before" in outcome.text
    assert "after" not in outcome.text


async def test_it_is_nobody_without_a_network_on_a_file_system_that_it_cannot_write(engine: Engine, tmp_path: Path) -> None:
    look = """
import os, socket
print(os.getuid(), [name for name in os.listdir("/sys/class/net")])
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
print(status["CapEff"], status["NoNewPrivs"], status["Seccomp"])
for path in ("/made", "/usr/made", "/tmp/made"):
    try:
        open(path, "w").write("x")
        print(path, "written")
    except OSError as error:
        print(path, error.strerror)
try:
    socket.create_connection(("1.1.1.1", 53), 2)
    print("connected")
except OSError as error:
    print(error.strerror)
print([name for name in os.listdir("/proc") if name.isdigit()])
"""
    told = (await ran(engine, tmp_path, ["python3", "-c", look])).text.splitlines()

    assert told[0] == "65534 ['lo']"
    assert told[1] == "0000000000000000 1 2"
    assert told[2:6] == ["/made Read-only file system", "/usr/made Read-only file system", "/tmp/made written", "Network is unreachable"]
    assert len(json.loads(told[6].replace("'", '"'))) <= 2, "itself and its init"


async def test_of_the_environment_it_has_only_what_it_is_given(engine: Engine, tmp_path: Path) -> None:
    engine_environ = dict(engine.environ)
    engine.environ["CONTAINER_CANARY"] = "of the daemon"
    try:
        outcome = await ran(engine, tmp_path, ["env"], env={"TOKEN": SECRET, "LINES": "two\nlines", "PATH": "/bin:/own", "http_proxy": "x"})
    finally:
        engine.environ = engine_environ

    names = {line.partition("=")[0] for line in outcome.text.splitlines()} - {"lines", "container", "HOSTNAME", "TERM"}
    facts = {"SMALLCHAIN_CALL_ID", "SMALLCHAIN_ATTEMPT", "SMALLCHAIN_RUN_ID", "SMALLCHAIN_IDEMPOTENCY_KEY", "SMALLCHAIN_DEADLINE"}
    assert names == {"TOKEN", "LINES", "PATH", "HOME", "http_proxy"} | facts
    assert f"TOKEN={SECRET}" in outcome.text
    assert "LINES=two\nlines" in outcome.text
    assert "PATH=/bin:/own" in outcome.text


async def test_a_secret_is_on_no_command_line(engine: Engine, tmp_path: Path) -> None:
    executor, start = tools(engine, tmp_path), a_call("sleep 1", env={"TOKEN": SECRET})
    seen: list[bytes] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            for line in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.append(line.read_bytes())
                except OSError:
                    continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        await executor.execute(start)
    finally:
        done.set()
        watcher.join()

    assert any(b"--name" in line and start.call_id.encode() in line for line in seen), "the client was seen at work"
    assert not any(SECRET.encode() in line for line in seen)


async def test_a_variable_that_the_client_itself_obeys_starts_nothing(engine: Engine, tmp_path: Path) -> None:
    outcome = await tools(engine, tmp_path).execute(a_call("true", env={"DOCKER_HOST": "tcp://elsewhere"}))

    assert outcome.kind is OutcomeKind.NOT_STARTED
    assert "DOCKER_HOST" in outcome.text
    assert engine.containers() == []


@pytest.mark.parametrize(
    ("command", "kind", "code", "told"),
    [
        ("exit 3", OutcomeKind.FAILED, 3, "exit code 3"),
        ("kill -9 $$", OutcomeKind.KILLED, 137, "killed by SIGKILL"),
        ('python3 -c "import ctypes; ctypes.string_at(0)"', OutcomeKind.KILLED, 139, "killed by SIGSEGV"),
        ('python3 -c "import os; os.abort()"', OutcomeKind.KILLED, 134, "killed by SIGABRT"),
        ("printf '\\377ok'", OutcomeKind.SUCCEEDED, 0, "\ufffdok"),
        ("exec 1>&- 2>&-; sleep 0.2; exit 4", OutcomeKind.FAILED, 4, "exit code 4"),
        ("sleep 30 & echo gone on", OutcomeKind.SUCCEEDED, 0, "gone on"),
    ],
)
async def test_ends_are_told_apart(engine: Engine, tmp_path: Path, command: str, kind: OutcomeKind, code: int, told: str) -> None:
    outcome = await ran(engine, tmp_path, command)

    assert (outcome.kind, outcome.exit_code) == (kind, code)
    assert told in outcome.text


async def test_out_of_memory_is_not_merely_killed(docker: Docker, tmp_path: Path) -> None:
    start = ["python3", "-c", "print(len(bytearray(10**9)))"]
    outcome = await ran(docker, tmp_path, start, limits=Limits(memory_bytes=32 * 1024 * 1024))

    assert (outcome.kind, outcome.exit_code) == (OutcomeKind.OUT_OF_MEMORY, 137)
    assert "more than its limit of 32 MiB" in outcome.text


async def test_podman_which_may_miss_it_says_that_it_may_have_been_memory(podman: Engine, tmp_path: Path) -> None:
    start = ["python3", "-c", "print(len(bytearray(10**9)))"]
    outcome = await ran(podman, tmp_path, start, limits=Limits(memory_bytes=32 * 1024 * 1024))

    assert outcome.kind in (OutcomeKind.OUT_OF_MEMORY, OutcomeKind.KILLED)
    assert "memory" in outcome.text
    assert "32 MiB" in outcome.text


async def test_processes_and_files_are_limited(engine: Engine, tmp_path: Path) -> None:
    bomb = "import os\ntry:\n    while True: os.fork() or os._exit(__import__('time').sleep(1) or 0)\nexcept OSError as error: print(error.strerror)"
    write = "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\ntry: open('/tmp/big', 'wb').write(bytes(10**6))\nexcept OSError as error: print(error.strerror)"

    bombed = await ran(engine, tmp_path, ["python3", "-c", bomb], limits=Limits(processes=16))
    written = await ran(engine, tmp_path, ["python3", "-c", write], limits=Limits(file_bytes=1000))

    assert "Resource temporarily unavailable" in bombed.text
    assert written.text == "File too large"


async def test_a_mount_is_there_for_reading_unless_it_may_be_written(engine: Engine, tmp_path: Path) -> None:
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(0o777)
    (tmp_path / "in" / "given").write_text("hello")
    mounts = (Mount(str(tmp_path / "in"), "/in"), Mount(str(tmp_path / "out"), "/out", read_only=False))

    outcome = await ran(engine, tmp_path, "cat /in/given; touch /out/made; touch /in/made", mounts=mounts)

    assert outcome.kind is OutcomeKind.FAILED
    assert "hello" in outcome.text
    assert "Read-only file system" in outcome.text
    assert (tmp_path / "out" / "made").exists()


@pytest.mark.parametrize("source", ["/nowhere/at/all", "/tmp/a,b"])
async def test_a_mount_that_cannot_be_had_starts_nothing(engine: Engine, tmp_path: Path, source: str) -> None:
    outcome = await ran(engine, tmp_path, "true", mounts=(Mount(source, "/in"),))

    assert outcome.kind is OutcomeKind.NOT_STARTED
    assert source in outcome.text


async def test_the_network_is_there_when_it_is_let_through(docker: Docker, tmp_path: Path) -> None:
    assert "eth0" in (await ran(docker, tmp_path, "ls /sys/class/net", network=True)).text


async def test_what_takes_too_long_is_ended_and_told_with_what_it_printed(engine: Engine, tmp_path: Path) -> None:
    outcome = await ran(engine, tmp_path, "trap '' TERM; echo begun; sleep 60", timeout=timedelta(seconds=10))

    assert outcome.kind is OutcomeKind.TIMED_OUT
    assert "begun" in outcome.text


async def test_output_is_cut_and_does_not_fill_a_disk(engine: Engine, tmp_path: Path) -> None:
    line = "x" * 1000
    outcome = await ran(engine, tmp_path, f"yes {line} | head -c 30000000", timeout=timedelta(seconds=60))

    assert (outcome.kind, outcome.cut) == (OutcomeKind.SUCCEEDED, True)
    assert len(outcome.text) <= 256 * 1024


async def test_a_flood_is_ended(docker: Docker, tmp_path: Path) -> None:
    outcome = await ran(docker, tmp_path, ["python3", "-c", "while True: print('x' * 100_000)"], timeout=timedelta(seconds=120))

    assert outcome.kind is OutcomeKind.FLOODED


async def test_cancelling_ends_the_container(engine: Engine, tmp_path: Path) -> None:
    executor, start = tools(engine, tmp_path), a_call("sleep 60 & sleep 60")
    task = asyncio.create_task(executor.execute(start))
    name = f"sc-{start.call_id}.1"
    await asyncio.to_thread(engine.until, lambda: engine.status(name) == "running")

    task.cancel()
    await asyncio.wait({task})

    assert task.cancelled()
    assert engine.status(name) in ("exited", "stopped")
    assert await executor.look_up(start) is None, "what was ended without a reason of its own is for the rules of interruptions"


async def test_an_image_that_is_nowhere_starts_nothing(engine: Engine, tmp_path: Path) -> None:
    outcome = await tools(engine, tmp_path).execute(a_start({"docker": {"image": "localhost/nowhere:1", "command": ["true"]}}))

    assert outcome.kind is OutcomeKind.NOT_STARTED
    assert "there is no image 'localhost/nowhere:1' here, and it cannot be pulled" in outcome.text


async def test_an_image_that_went_and_came_back_is_found_again(engine: Engine, tmp_path: Path) -> None:
    executor = tools(engine, tmp_path)
    start = a_start({"docker": {"image": "localhost/going:1", "command": ["true"]}})
    engine.ask("tag", IMAGE, "localhost/going:1")
    assert (await executor.execute(start)).kind is OutcomeKind.SUCCEEDED
    await executor.let_go(start)
    engine.ask("rmi", "localhost/going:1")

    gone = replace(start, call_id="call-gone")
    assert "there is no image" in (await executor.execute(gone)).text
    engine.ask("tag", IMAGE, "localhost/going:1")
    assert (await executor.execute(replace(start, call_id="call-back"))).kind is OutcomeKind.SUCCEEDED


async def test_a_program_that_the_image_lacks_is_told(engine: Engine, tmp_path: Path) -> None:
    outcome = await ran(engine, tmp_path, ["nosuchprogram"])

    assert outcome.kind in (OutcomeKind.FAILED, OutcomeKind.NOT_STARTED)
    assert "No such file" in outcome.text


async def test_with_neither_docker_nor_podman_nothing_runs_and_both_are_named(tmp_path: Path) -> None:
    nothing = Containers(Backends({"PATH": str(tmp_path)}, tmp_path), sandbox=Sandbox(), folder=tmp_path / "containers", home="house")

    outcome = await DockerExecutor(nothing).execute(a_call("true"))

    assert outcome.kind is OutcomeKind.NOT_STARTED
    assert "neither Docker nor Podman answers" in outcome.text


@pytest.mark.parametrize("spec", [{}, {"image": IMAGE}, {"image": IMAGE, "command": []}, {"image": IMAGE, "command": " "}, None])
async def test_a_spec_without_a_command_starts_nothing(tmp_path: Path, spec: Any) -> None:
    nothing = Containers(Backends({}, tmp_path), sandbox=Sandbox(), folder=tmp_path / "containers", home="house")

    assert (await DockerExecutor(nothing).execute(a_start({"docker": spec}))).kind is OutcomeKind.NOT_STARTED


# ---- after a crash


class Life:
    """An attempt that leaves a line in a file of this machine, in a process that can be killed; and the life after it."""

    def __init__(self, engine: Engine, folder: Path, *, sleeps_s: float = 0.0) -> None:
        (folder / "effects").mkdir(parents=True)
        (folder / "effects").chmod(0o777)
        self.engine, self.folder = engine, folder
        command = f"cat >> /effects/lines; echo done; echo warned >&2; sleep {sleeps_s}"
        mounts = (Mount(str(folder / "effects"), "/effects", read_only=False),)
        self.start = a_call(command, {"line": 1}, mounts=mounts, timeout=timedelta(seconds=60))
        self.name = f"sc-{self.start.call_id}.1"
        self.after = tools(engine, folder)
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self, point: str = "") -> None:
        """Begin the attempt; the life is killed at a point by its own client, or goes on."""
        environ = self.engine.environ | killing_client(self.folder / "client", self.engine.name, point)
        words = [sys.executable, containerlife.__file__, json.dumps(environ), str(self.folder), containerlife.written(self.start)]
        self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)

    def killed(self) -> None:
        """Wait until it has been."""
        assert self._process is not None
        out, _ = self._process.communicate(timeout=60)
        assert self._process.returncode == -signal.SIGKILL, f"it came to its end: {out.decode()}"

    def kill(self) -> None:
        """`kill -9`."""
        assert self._process is not None
        self._process.kill()
        self.killed()

    def lines(self) -> list[str]:
        """What the attempts did."""
        made = self.folder / "effects" / "lines"
        return made.read_text().splitlines() if made.exists() else []


@pytest.mark.parametrize("point", ["before create", "after create", "before start"])
async def test_killed_before_its_start_it_is_certain_that_nothing_ran(engine: Engine, tmp_path: Path, point: str) -> None:
    life = Life(engine, tmp_path)
    life.begin(point)
    life.killed()

    outcome = await life.after.look_up(life.start)

    assert outcome is not None
    assert outcome.kind is OutcomeKind.NOT_STARTED, outcome.text
    assert life.lines() == []
    await life.after.let_go(life.start)
    assert engine.containers() == []


async def test_killed_while_it_runs_it_is_waited_for_and_its_outcome_taken(engine: Engine, tmp_path: Path) -> None:
    life = Life(engine, tmp_path, sleeps_s=3)
    life.begin()
    engine.until(lambda: life.lines())
    life.kill()
    assert engine.status(life.name) == "running", "it goes on without the daemon"

    outcome = await life.after.look_up(life.start)

    assert outcome == Outcome(OutcomeKind.SUCCEEDED, "done", exit_code=0)
    assert life.lines() == ['{"line":1}']


@pytest.mark.parametrize("point", ["after start", "before inspect"])
async def test_killed_after_its_end_its_outcome_is_taken_from_the_container(engine: Engine, tmp_path: Path, point: str) -> None:
    life = Life(engine, tmp_path)
    life.begin(point)
    life.killed()

    outcome = await life.after.look_up(life.start)

    assert outcome == Outcome(OutcomeKind.SUCCEEDED, "done", exit_code=0)
    assert life.lines() == ['{"line":1}']
    await life.after.let_go(life.start)
    assert engine.containers() == []


async def test_looked_up_it_has_only_what_is_left_of_its_time(engine: Engine, tmp_path: Path) -> None:
    life = Life(engine, tmp_path, sleeps_s=60)
    life.begin()
    engine.until(lambda: life.lines())
    life.kill()

    outcome = await life.after.look_up(replace(life.start, timeout=timedelta(seconds=1)))

    assert outcome is not None
    assert outcome.kind is OutcomeKind.TIMED_OUT
    assert "done" in outcome.text
    assert engine.status(life.name) in ("exited", "stopped")


async def test_a_container_that_somebody_removed_leaves_its_outcome_unknown(engine: Engine, tmp_path: Path) -> None:
    life = Life(engine, tmp_path)
    life.begin("before inspect")
    life.killed()
    engine.clear()

    outcome = await life.after.look_up(life.start)

    assert outcome is not None
    assert outcome.kind is OutcomeKind.UNKNOWN
    assert "somebody has removed it" in outcome.text


async def test_a_name_is_a_lock_so_that_nothing_is_begun_twice(engine: Engine, tmp_path: Path) -> None:
    life = Life(engine, tmp_path, sleeps_s=2)
    life.begin()
    engine.until(lambda: life.lines())
    life.kill()
    shutil.rmtree(tmp_path / "containers")  # all that this side knew

    outcome = await life.after.execute(life.start)

    assert outcome == Outcome(OutcomeKind.SUCCEEDED, "done", exit_code=0)
    assert life.lines() == ['{"line":1}']


async def test_a_dockerd_that_dies_and_comes_back_tells_what_became_of_its_containers(docker: Docker, tmp_path: Path) -> None:
    life = Life(docker, tmp_path, sleeps_s=120)
    task = asyncio.create_task(life.after.execute(life.start))
    await asyncio.to_thread(docker.until, lambda: life.lines())

    await asyncio.to_thread(docker.end, signal.SIGKILL)
    await asyncio.to_thread(docker.start)
    outcome = await task

    # Coming back, it ends what it left running: with SIGKILL, or with SIGTERM where the program is quick enough to end by that. Killed
    # before it had written down that it runs, it does not know; but never is it told that nothing ran.
    ended = outcome.kind in (OutcomeKind.KILLED, OutcomeKind.UNKNOWN) or outcome.exit_code == 128 + signal.SIGTERM
    assert ended, outcome.text
    assert life.lines() == ['{"line":1}']


async def test_what_no_call_needs_any_more_is_swept_and_nothing_else(engine: Engine, tmp_path: Path) -> None:
    left, kept = Life(engine, tmp_path / "a", sleeps_s=60), Life(engine, tmp_path / "b", sleeps_s=60)
    for life in (left, kept):
        life.begin()
    engine.until(lambda: left.lines() and kept.lines())
    for life in (left, kept):
        life.kill()
    engine.ask("create", "--name", "sc-a-persons-own.1", "--network", "none", IMAGE, "true")

    async def live() -> list[tuple[str, int]]:
        return [(kept.start.call_id, 1)]

    await Containers(Backends(engine.environ, tmp_path), sandbox=Sandbox(), folder=tmp_path / "a" / "containers", home="house").sweep(live)

    assert sorted(engine.containers()) == sorted([kept.name, "sc-a-persons-own.1"])
    assert list((tmp_path / "a" / "containers").iterdir()) == []
    assert (tmp_path / "b" / "containers" / kept.name).exists()
