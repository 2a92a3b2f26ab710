"""The daemon as a process: started once, told about, waited for; a stand-in for `smallchaind` shows what it is given."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from smallchain.cli import daemon
from support.command import environment, smallchain
from support.fakedaemon import FakeDaemon

STAND_IN = """
import json, os, signal, sys, threading, time
from pathlib import Path
from support.fakedaemon import FakeDaemon
from smallchain.settings import Settings, private_folder

flags = dict(zip(sys.argv[1::2], sys.argv[2::2]))
state = Path(flags["--state-dir"])
given = {"argv": sys.argv[1:], "cwd": os.getcwd(), "session": os.getsid(0) == os.getpid(), "pid": os.getpid(),
         "stdin": os.readlink("/proc/self/fd/0"), "umask": os.umask(0o077), "env": dict(os.environ)}
(state / "given.json").write_text(json.dumps(given))
mode = os.environ.get("STAND_IN", "ready")
if mode == "die":
    print("reading the database\\n\\x1b[31mit is damaged", file=sys.stderr)
    sys.exit(65)
if mode == "busy":
    sys.exit(75)
path = Settings.read(os.environ, state_dir=state).socket_path
private_folder(path.parent)
gone = threading.Event()
run = {"kind": "run", "id": "r", "name": "first post", "agent": "manager", "task": "t", "depth": 0}
run |= {"status": "Succeeded", "output": "Published"}
fake = FakeDaemon(path)
fake.answers[("GET", "/v1/status")] = {"pid": os.getpid(), "version": "1", "waiting_for": ["tool 'slow'"]}
fake.answers[("GET", "/v1/runs")] = {"items": [run]}

def stop(request):
    threading.Timer(0.3, gone.set).start()
    return 200, {"waiting_for": ["tool 'slow'"]}

def apply(request):
    fake.tell(message="Starting Smallchain")
    fake.tell(message="done", reason="RunSucceeded", run_id="r", object={"kind": "run", "id": "r"})
    return 200, {"created": [], "runs": [{"name": "first post", "id": "r"}]}

fake.answers[("POST", "/v1/stop")] = stop
fake.answers[("POST", "/v1/apply")] = apply
with fake:
    (state / "socket").write_text(str(path))
    print(f"ready {path}", flush=True)
    print("on standard error", file=sys.stderr, flush=True)
    gone.wait(60)
"""


@pytest.fixture
def env(tmp_path: Path) -> Iterator[dict[str, str]]:
    package = tmp_path / "stand-in" / "smallchaind"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(STAND_IN)
    variables = environment(tmp_path)
    tests = str(Path(__file__).parents[2])
    yield variables | {"PYTHONPATH": os.pathsep.join([str(package.parent), tests, variables["PYTHONPATH"]])}
    with suppress(FileNotFoundError, ProcessLookupError):
        os.kill(_given(tmp_path)["pid"], signal.SIGKILL)


def _given(folder: Path) -> dict[str, Any]:
    given: dict[str, Any] = json.loads((folder / "state" / "given.json").read_text())
    return given


def test_start_waits_until_the_daemon_is_ready_and_says_so(tmp_path: Path, env: dict[str, str]) -> None:
    done = smallchain("start", env=env | {"COLOUR": "blue"})

    given = _given(tmp_path)
    assert (done.returncode, done.stdout, done.stderr.decode()) == (0, b"", f"started smallchaind (pid {given['pid']})\n")
    assert given["argv"] == ["--config-dir", f"{tmp_path}/config", "--state-dir", f"{tmp_path}/state", "--print-ready"]
    assert given["session"] is True
    assert given["stdin"] == "/dev/null"
    assert given["umask"] == 0o077
    assert given["cwd"] == "/"
    assert given["env"]["COLOUR"] == "blue"
    assert smallchain("start", env=env).stderr.decode() == f"smallchaind is running already (pid {given['pid']})\n"


def test_its_log_is_ours_alone(tmp_path: Path, env: dict[str, str]) -> None:
    smallchain("start", env=env)

    log = tmp_path / "state" / "daemon.log"
    assert log.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    smallchain("stop", env=env)
    assert log.read_text() == "on standard error\n"


def test_apply_starts_the_daemon_when_none_listens(tmp_path: Path, env: dict[str, str]) -> None:
    (tmp_path / "a.yaml").write_text("agents: []\n")

    done = smallchain("apply", "-f", str(tmp_path / "a.yaml"), env=env)

    assert done.returncode == 0
    assert done.stderr.startswith(b"started smallchaind (pid ")


def test_a_bad_file_starts_no_daemon(tmp_path: Path, env: dict[str, str]) -> None:
    assert smallchain("apply", "-f", str(tmp_path / "missing.yaml"), env=env).returncode == 1
    assert not (tmp_path / "state").exists()


def test_stop_tells_what_it_waits_for_until_the_daemon_is_gone(tmp_path: Path, env: dict[str, str]) -> None:
    smallchain("start", env=env)
    pid = _given(tmp_path)["pid"]

    done = smallchain("stop", env=env)

    assert done.stderr.decode() == f"waiting for tool 'slow'\nstopped smallchaind (pid {pid})\n"
    assert daemon.gone(pid)
    again = smallchain("stop", env=env)
    assert again.returncode == 0
    assert again.stderr.startswith(b"smallchaind is not running: ")


def test_restart_is_another_process(tmp_path: Path, env: dict[str, str]) -> None:
    smallchain("start", env=env)
    first = _given(tmp_path)["pid"]

    done = smallchain("restart", "--now", env=env)

    assert done.returncode == 0
    assert _given(tmp_path)["pid"] != first


def test_a_daemon_that_ends_at_once_is_told_with_the_last_lines_of_its_log(tmp_path: Path, env: dict[str, str]) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "daemon.log").write_text("an older line\n")

    done = smallchain("start", env=env | {"STAND_IN": "die"})

    assert done.returncode == 1
    assert done.stderr.decode() == (
        "  reading the database\n  \\x1b[31mit is damaged\n"
        "smallchain: could not start the daemon: smallchaind ended with exit code 65 before it was ready; "
        f"its log is {tmp_path}/state/daemon.log\n"
    )


def test_of_two_starts_at_once_the_slower_joins_the_faster(tmp_path: Path, env: dict[str, str]) -> None:
    folder = tmp_path / "state" / "run"
    folder.mkdir(parents=True, mode=0o700)
    other = FakeDaemon(folder / "daemon.sock")
    command = [sys.executable, "-m", "smallchain.cli.main", "start"]
    started = threading.Event()
    try:
        with subprocess.Popen(command, env=env | {"STAND_IN": "busy"}, stderr=subprocess.PIPE) as process:
            while not (tmp_path / "state" / "given.json").exists():
                assert process.poll() is None
            other.start()
            started.set()
            _, err = process.communicate(timeout=30)
    finally:
        if started.is_set():
            other.stop()

    assert (process.returncode, err) == (0, b"smallchaind is running already: another start was faster\n")


def test_the_demo_shows_the_work_and_leaves_nothing_behind(tmp_path: Path, env: dict[str, str]) -> None:
    with TemporaryDirectory() as temporary:
        done = smallchain("demo", env=env | {"TMPDIR": temporary})
        left = os.listdir(temporary)

    out = done.stdout.decode()
    assert done.returncode == 0, done.stderr.decode()
    assert "`scripted`" in out
    assert "[INFO] Starting Smallchain\n" in out
    assert "The answer:\nPublished\n" in out
    assert "OPENAI_API_KEY" in out
    assert "OPENAI_BASE_URL" in out
    assert left == []
    assert not (tmp_path / "state").exists()


def test_a_process_that_was_waited_for_is_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()

        assert daemon.gone(process.pid)


def test_a_dead_process_counts_as_gone_before_anybody_has_waited_for_it() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert not daemon.gone(process.pid)
        assert process.stdin is not None
        process.stdin.close()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

        assert daemon.gone(process.pid)


def test_the_dashboard_says_what_prints_where_there_is_no_terminal(tmp_path: Path) -> None:
    def tui(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "smallchain_tui", *arguments]
        env = environment(tmp_path, **{"TERM": "xterm", **variables})
        return subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)

    screens, lines = tui(), tui(TERM="dumb")

    assert (screens.returncode, screens.stdout) == (2, "")
    assert "`smallchain inbox`" in screens.stderr
    assert lines.returncode == 69
    assert tui("--version").stdout.startswith("smallchain-tui ")
    assert "--state-dir" in tui("--help").stdout
