"""Cells, real ones, by every layer that works here: what a tool can't reach from inside each executor, and what becomes of one that misbehaves.

Run as root they have users of their own, run as an ordinary user a user namespace; `test_ordinary.py` runs this file as one.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from smallchain.model.fence import Limits, Mount
from smallchain.model.toolcall import Outcome, OutcomeKind
from smallchain.services.sandbox.probe import Found, Layer, probe
from smallchain.services.sandbox.sandbox import Sandbox
from smallchain.services.sandbox.slots import GROUP
from smallchain.services.tools.bash import BashExecutor
from smallchain.services.tools.node import NodeExecutor
from smallchain.services.tools.process import Patience
from smallchain.services.tools.python import PythonExecutor
from support.programs import needed
from support.starts import a_start

SHORT = Patience(grace=timedelta(milliseconds=300), drain=timedelta(milliseconds=300))
IS_ROOT = os.geteuid() == 0


def by(layer: Layer) -> Found:
    """What this machine has, with a layer in place of the best one."""
    if layer is Layer.BUBBLEWRAP:
        needed("bwrap", package="bubblewrap")
    found = probe()
    return found if layer is Layer.BUBBLEWRAP else dataclasses.replace(found, layer=layer, filter=None, no_userns=False)


@pytest.fixture(params=list(Layer), scope="module")
def found(request: pytest.FixtureRequest) -> Found:
    seen = by(request.param)
    assert seen.layer is request.param
    return seen


class Tools:
    """The executors of programs, in cells of one sandbox."""

    def __init__(self, found: Found, jobs: Path) -> None:
        self.sandbox = Sandbox(look=lambda: found)
        self.jobs = jobs
        self._kinds = {"local_bash": BashExecutor, "python": PythonExecutor, "local_nodejs": NodeExecutor}

    async def __call__(self, executor: dict[str, Any], arguments: dict[str, Any] | None = None, /, **changes: Any) -> Outcome:
        (name,) = executor
        made = self._kinds[name](sandbox=self.sandbox, jobs=self.jobs, patience=SHORT)
        return await made.execute(a_start(executor, arguments, **{"isolation": "required", **changes}))

    async def bash(self, command: str, **changes: Any) -> Outcome:
        return await self({"local_bash": {"command": command}}, **changes)


@pytest.fixture
async def tools(found: Found, tmp_path: Path) -> AsyncIterator[Tools]:
    jobs = tmp_path / "jobs"
    jobs.mkdir(mode=0o700)
    yield Tools(found, jobs)
    assert list(jobs.iterdir()) == []  # whatever happened, nothing is left of a job
    if found.groups is not None:
        for folder in found.groups.folders.values():
            assert list(folder.glob(f"smallchain-{os.getpid()}-*")) == []


# ---- what is out of reach, from inside each executor

PYTHON = """
import os, socket
def reach(what):
    if what == "socket": socket.socket(socket.AF_UNIX).connect(path)
    if what == "state": open(path).read()
    if what == "network": socket.create_connection(("127.0.0.1", port), 2)
    if what == "process": assert marker in open(f"/proc/{pid}/cmdline").read(); os.kill(pid, 0)
    if what == "others": open("/etc/shadow").read()
    if what == "environment": assert any(marker in value for value in os.environ.values())
    if what == "parent": assert marker in open("/proc/1/environ").read() + open(f"/proc/{os.getppid()}/environ").read()
try:
    reach(what)
    print("reached")
except (OSError, AssertionError) as error:
    print("out of reach")
"""
NODE = """
const fs = require("node:fs"), net = require("node:net");
const dial = (to) => new Promise((yes, no) => net.connect(to, yes).on("error", no));
async function reach() {
  if (what === "socket") await dial({ path });
  if (what === "state") fs.readFileSync(path);
  if (what === "network") await dial({ port, host: "127.0.0.1" });
  if (what === "process") { if (!fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(marker)) throw 1; process.kill(pid, 0); }
  if (what === "others") fs.readFileSync("/etc/shadow");
  if (what === "environment" && !JSON.stringify(process.env).includes(marker)) throw 1;
  if (what === "parent" && !fs.readFileSync("/proc/1/environ", "utf8").includes(marker)) throw 1;
}
reach().then(() => (console.log("reached"), process.exit()), () => (console.log("out of reach"), process.exit()));
"""
BASH = """
reach() {
  case $what in
    socket) [ -S "$path" ] ;;
    state) cat "$path" ;;
    network) exec 7<>"/dev/tcp/127.0.0.1/$port" ;;
    process) grep -q "$marker" "/proc/$pid/cmdline" && kill -0 "$pid" ;;
    others) cat /etc/shadow ;;
    environment) env | grep "$marker" ;;
    parent) cat /proc/1/environ "/proc/$PPID/environ" | grep "$marker" ;;
  esac
}
if (reach) >/dev/null 2>&1; then echo reached; else echo out of reach; fi
"""
EXECUTORS = {"local_bash": {"command": BASH}, "python": {"code": PYTHON}, "local_nodejs": {"code": NODE}}
MARKER = "canary-of-the-daemon"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What a tool would like to reach: a daemon's socket and file, a server, a process, an environment."""
    monkeypatch.setenv("MARKER", MARKER)
    state = tmp_path / "state.db"
    state.write_text("a secret")
    with ExitStack() as open_until_the_end:
        unix = open_until_the_end.enter_context(socket.socket(socket.AF_UNIX))
        unix.bind(str(tmp_path / "d.sock"))
        unix.listen()
        server = open_until_the_end.enter_context(socket.create_server(("127.0.0.1", 0)))
        argv = ["python3", "-c", "import sys; sys.stdin.read()", MARKER]
        process = open_until_the_end.enter_context(subprocess.Popen(argv, stdin=subprocess.PIPE))
        yield {"state": state, "socket": tmp_path / "d.sock", "port": server.getsockname()[1], "pid": process.pid}


def given(world: dict[str, Any], what: str) -> dict[str, Any]:
    path = str(world["socket"] if what == "socket" else world["state"])
    return {"what": what, "path": path, "port": world["port"], "pid": world["pid"], "marker": MARKER}


@pytest.mark.parametrize("what", ["socket", "state", "network", "process", "others", "environment", "parent"])
@pytest.mark.parametrize("executor", EXECUTORS)
async def test_the_daemon_and_the_machine_are_out_of_reach(tools: Tools, world: dict[str, Any], executor: str, what: str) -> None:
    if executor == "local_nodejs":
        needed("node", package="nodejs")
    outcome = await tools({executor: EXECUTORS[executor]}, given(world, what))

    assert (outcome.kind, outcome.text) == (OutcomeKind.SUCCEEDED, "out of reach")


@pytest.mark.skipif(not IS_ROOT, reason="without a fence, an ordinary user is not root and can't read /etc/shadow")
@pytest.mark.parametrize("what", ["socket", "state", "network", "process", "others", "environment"])
@pytest.mark.parametrize("executor", EXECUTORS)
async def test_the_same_attempts_succeed_without_a_fence(tmp_path: Path, world: dict[str, Any], executor: str, what: str) -> None:
    plain = Tools(probe(), tmp_path)
    plain.sandbox = Sandbox(unfenced_as_root=True)
    outcome = await plain({executor: EXECUTORS[executor]}, given(world, what), isolation="none", env={"MARKER": MARKER})

    assert outcome.text == "reached"


async def test_a_tool_sees_a_short_list_of_folders_and_a_fixed_environment(tools: Tools) -> None:
    listed = (await tools.bash("cd /; echo *")).text.split()
    names = (await tools.bash("env | cut -d= -f1 | sort | tr '\\n' ' '")).text.split()

    assert set(listed) <= {"bin", "dev", "etc", "job", "lib", "lib32", "lib64", "libx32", "proc", "sbin", "tmp", "usr"}
    ids = [
        "SMALLCHAIN_ATTEMPT",
        "SMALLCHAIN_CALL_ID",
        "SMALLCHAIN_DEADLINE",
        "SMALLCHAIN_IDEMPOTENCY_KEY",
        "SMALLCHAIN_ON_THIS_MACHINE",
        "SMALLCHAIN_RUN_ID",
    ]
    assert names == sorted(["HOME", "LANG", "PATH", "PWD", "SHLVL", "_", *ids])


async def test_a_tool_has_no_rights_and_can_get_none(tools: Tools) -> None:
    outcome = await tools.bash(
        "grep -E '^(Cap(Prm|Eff|Bnd|Amb)|NoNewPrivs)' /proc/self/status; mount -t tmpfs x /tmp 2>&1 || echo no mount"
    )

    assert outcome.text.splitlines()[:5] == [
        *(f"{name}:\t{'0' * 16}" for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")),
        "NoNewPrivs:\t1",
    ]
    assert outcome.text.endswith("no mount")


async def test_behind_bubblewrap_no_further_namespace_and_no_tracing_can_be_had(tools: Tools, found: Found) -> None:
    if found.layer is not Layer.BUBBLEWRAP:
        assert found.filter is None  # and `smallchain doctor` says so
        return
    outcome = await tools.bash("grep ^Seccomp: /proc/self/status; unshare -Ur true 2>&1 || echo refused")

    assert outcome.text.splitlines()[0] == "Seccomp:\t2"
    assert outcome.text.endswith("refused")


async def test_only_tmp_can_be_written_and_what_is_in_it_is_gone_afterwards(tools: Tools) -> None:
    written = await tools.bash(
        "echo x > /tmp/kept; for f in /x /usr/x /etc/x /job/x; do echo x 2>/dev/null > $f && echo wrote $f; done; pwd"
    )
    after = await tools.bash("ls -A /tmp")

    assert written.text == "/tmp"
    assert after.text == "(no output)"


@pytest.mark.skipif(not IS_ROOT, reason="users of their own need root")
async def test_as_root_each_of_two_concurrent_calls_has_a_user_of_its_own(tools: Tools) -> None:
    outcomes = await asyncio.gather(*(tools.bash("id -u; sleep 0.3") for _ in range(3)))

    uids = {int(outcome.text) for outcome in outcomes}
    assert len(uids) == 3
    assert min(uids) >= GROUP


# ---- what is let through


async def test_network_true_lets_the_network_through(tools: Tools, world: dict[str, Any]) -> None:
    outcome = await tools({"python": {"code": PYTHON}}, given(world, "network"), network=True)

    assert outcome.text == "reached"


async def test_a_mount_is_there_to_read_or_to_write_and_the_yamls_folder_in_it_is_where_the_tool_starts(
    tools: Tools, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    (data / "yaml").mkdir(parents=True)
    data.chmod(0o777)
    (data / "yaml").chmod(0o777)
    (data / "note.txt").write_text("hello")
    (data / "note.txt").chmod(0o644)
    readable = (Mount(str(data), "/data"),)
    writable = (Mount(str(data), "/work/data", read_only=False),)

    assert (await tools.bash("cat /data/note.txt; echo x 2>/dev/null >/data/new || echo ' only to read'", mounts=readable)).text == (
        "hello only to read"
    )
    assert (await tools.bash("pwd; echo kept > kept.txt", mounts=writable, folder=str(data / "yaml"))).text == "/work/data/yaml"
    assert (data / "yaml" / "kept.txt").read_text() == "kept\n"


async def test_what_it_asked_for_and_cannot_have_is_refused_before_anything_starts(tools: Tools, tmp_path: Path) -> None:
    tools.sandbox._private = (str(tmp_path / "state"),)
    (tmp_path / "state").mkdir()
    for source, words in ((tmp_path / "gone", "No such file"), (tmp_path, "the daemon's own"), (tmp_path / "state", "the daemon's own")):
        outcome = await tools.bash("echo ran", mounts=(Mount(str(source), "/data"),))
        assert outcome.kind is OutcomeKind.NOT_STARTED
        assert words in outcome.text
    outcome = await tools.bash("echo ran", mounts=(Mount("/usr/share", "/proc/x"),))
    assert outcome.kind is OutcomeKind.NOT_STARTED


@pytest.mark.skipif(not IS_ROOT, reason="an ordinary user's tools have that user's rights on a mount")
async def test_as_root_a_mount_that_the_tools_user_may_not_write_is_refused_with_how_to_let_it(tools: Tools, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o755)
    mounts = (Mount(str(tmp_path / "data"), "/data", read_only=False),)
    refused = await tools.bash("touch /data/x", mounts=mounts)
    os.chown(tmp_path / "data", 0, GROUP)
    (tmp_path / "data").chmod(0o775)

    assert f"chgrp -R {GROUP}" in refused.text
    assert (await tools.bash("touch /data/x", mounts=mounts)).kind is OutcomeKind.SUCCEEDED


async def test_a_program_that_is_not_behind_the_fence_is_told_and_nothing_runs(tools: Tools, tmp_path: Path) -> None:
    (tmp_path / "bash").write_text("#!/bin/sh\n")
    (tmp_path / "bash").chmod(0o755)
    outcome = await tools.bash("echo ran", env={"PATH": str(tmp_path)})

    assert outcome.kind is OutcomeKind.NOT_STARTED
    assert "is not behind the fence" in outcome.text


# ---- the arguments, behind the fence


async def test_the_seeds_subtract_runs_as_written(tools: Tools) -> None:
    outcome = await tools({"python": {"command": 'python -c "print(a - b)"'}}, {"a": 5, "b": 3})

    assert outcome == Outcome(OutcomeKind.SUCCEEDED, "2", exit_code=0)


async def test_node_sees_arguments_as_globals_and_its_own_globals_stay(tools: Tools) -> None:
    needed("node", package="nodejs")
    arguments = {"a": 5, "b": None, "process": "x", "path": "p", "__proto__": {"polluted": 1}, "hostile": "'`${x}\\\n"}
    code = "console.log(JSON.stringify([a, typeof b, typeof process, path, typeof {}.polluted, hostile, typeof c]))"
    as_code = await tools({"local_nodejs": {"code": code}}, arguments, parameters=("a", "b", "c"))
    as_command = await tools({"local_nodejs": {"command": "node -p 'a + path'"}}, arguments)
    as_module = await tools({"local_nodejs": {"code": "import fs from 'node:fs';\nconsole.log(typeof fs.readFileSync, a)"}}, arguments)

    assert as_code.text == '[5,"undefined","object","p","undefined","\'`${x}\\\\\\n","undefined"]'
    assert as_command.text == "5p"
    assert as_module.text == "function 5"


async def test_a_script_of_node_runs_though_its_folder_is_not_there(tools: Tools, tmp_path: Path) -> None:
    needed("node", package="nodejs")
    (tmp_path / "double.mjs").write_text("console.log(n * 2)")
    outcome = await tools({"local_nodejs": {"script": str(tmp_path / "double.mjs")}}, {"n": 21})

    assert outcome.text == "42"


# ---- what misbehaves


@pytest.mark.parametrize(
    ("command", "kind", "words"),
    [
        ("kill -SEGV $$", OutcomeKind.KILLED, "killed by SIGSEGV (exit code 139): it crashed"),
        ("exit 7", OutcomeKind.FAILED, "exit code 7"),
        ("exec 1>&- 2>&-; exit 4", OutcomeKind.FAILED, "exit code 4"),
        ("printf 'a\\xff\\0b'", OutcomeKind.SUCCEEDED, "a\ufffd\ufffdb"),
        ("setsid sleep 600 & echo left", OutcomeKind.SUCCEEDED, "left"),
        ("(setsid sh -c 'trap \"\" TERM HUP; sleep 600' &) ; echo left", OutcomeKind.SUCCEEDED, "left"),
        ("head -c 1000M /dev/zero", OutcomeKind.FLOODED, "printed more than 256 MiB"),
        ("sleep 60", OutcomeKind.TIMED_OUT, "timed out after 4s"),
        ("trap '' TERM; echo deaf; while :; do sleep 1; done", OutcomeKind.TIMED_OUT, "timed out after 4s"),
        (":(){ :|:& };: 2>/dev/null; sleep 60", OutcomeKind.TIMED_OUT, "timed out after 4s"),
    ],
)  # fmt: skip
async def test_whatever_a_tool_does_it_ends_and_nothing_of_it_is_left(tools: Tools, command: str, kind: OutcomeKind, words: str) -> None:
    patience = timedelta(seconds=4 if kind is OutcomeKind.TIMED_OUT else 60)
    outcome = await tools.bash(command, timeout=patience)

    assert outcome.kind is kind
    assert outcome.text.startswith(words)


async def test_a_tool_that_is_asked_to_end_may_say_goodbye(tools: Tools) -> None:
    outcome = await tools.bash("trap 'echo bye; exit' TERM; while :; do sleep 0.05; done", timeout=timedelta(seconds=1))

    assert outcome.kind is OutcomeKind.TIMED_OUT
    assert "bye" in outcome.text


@pytest.mark.parametrize(
    ("executor", "program"),
    [
        ("local_bash", {"command": "head -c 400000000 /dev/zero | tail >/dev/null"}),
        ("python", {"code": "x = bytearray(400 << 20)"}),
        ("local_nodejs", {"code": "const kept = []; for (;;) kept.push(new Array(1000).fill(kept.length + 0.5));"}),
    ],
)
async def test_a_tool_that_needs_too_much_memory_is_told_apart_from_one_that_was_killed(
    tools: Tools, executor: str, program: dict[str, str]
) -> None:
    if executor == "local_nodejs":
        needed("node", package="nodejs")
    outcome = await tools({executor: program}, limits=Limits(memory_bytes=128 << 20))

    assert outcome.kind is OutcomeKind.OUT_OF_MEMORY
    assert outcome.text.startswith("ran out of memory: it needed more than its limit of 128 MiB")


async def test_limits_of_processes_files_output_and_descriptors_hold(tools: Tools) -> None:
    forks = await tools.bash("for i in $(seq 40); do sleep 5 & done 2>&1; jobs | wc -l", limits=Limits(processes=10))
    large = await tools.bash("head -c 3M /dev/zero > /tmp/x", limits=Limits(file_bytes=1 << 20))
    long = await tools.bash("head -c 5000 /dev/zero | tr '\\0' x", limits=Limits(output_bytes=1000))

    assert "Resource temporarily unavailable" in forks.text or "retry" in forks.text
    assert large.kind is OutcomeKind.FAILED or large.kind is OutcomeKind.KILLED
    assert (len(long.text), long.cut) == (1000, True)


async def test_cancelling_ends_the_whole_tree(tools: Tools) -> None:
    marks = f"cancelled-{os.getpid()}"
    attempt = asyncio.create_task(tools.bash(f"setsid sleep 600.{os.getpid()} & sleep 600.{os.getpid()}", run_id=marks))
    while not _running(f"600.{os.getpid()}"):
        await asyncio.sleep(0)
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt

    assert not _running(f"600.{os.getpid()}")


def _running(word: str) -> bool:
    """Whether a process is there that has this among its arguments and is not dead."""
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and word in (folder / "cmdline").read_text().split("\0"):
                return True
        except OSError:
            continue
    return False
