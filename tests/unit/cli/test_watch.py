"""`get --watch`: the table, then what changes, through restarts of the daemon, until interrupted."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.command import environment, smallchain
from support.fakedaemon import FakeDaemon


def a_run(name: str, status: str) -> dict[str, Any]:
    return {"kind": "run", "id": f"id-of-{name}", "name": name, "agent": "a", "task": "t", "depth": 0, "status": status}


class Watcher:
    """A `get --watch` in a process of its own, read line by line."""

    def __init__(self, env: dict[str, str], *words: str) -> None:
        command = [sys.executable, "-m", "smallchain.cli.main", "get", *words, "--watch"]
        self.process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.rest = {1: b"", 2: b""}

    def line(self, number: int = 1) -> str:
        """The next line of standard output or standard error."""
        stream = self.process.stdout if number == 1 else self.process.stderr
        assert stream is not None
        until = time.monotonic() + 30
        while b"\n" not in self.rest[number]:
            assert select.select([stream], [], [], max(0.0, until - time.monotonic()))[0], f"no line, only {self.rest[number]!r}"
            part = os.read(stream.fileno(), 4096)
            assert part, f"it ended after {self.rest[number]!r}"
            self.rest[number] += part
        line, _, self.rest[number] = self.rest[number].partition(b"\n")
        return line.decode()

    def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        out, _ = self.process.communicate(timeout=30)
        assert self.rest[1] + out == b""
        return self.process.returncode

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


Watch = Callable[..., Watcher]


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeDaemon]:
    with FakeDaemon(tmp_path / "d.sock") as daemon:
        daemon.answers[("GET", "/v1/runs")] = {"items": [a_run("monday", "Running")]}
        yield daemon


@pytest.fixture
def env(tmp_path: Path, fake: FakeDaemon) -> dict[str, str]:
    return environment(tmp_path, SMALLCHAIN_SOCKET=str(fake.path))


@pytest.fixture
def watch(env: dict[str, str]) -> Iterator[Watch]:
    watchers: list[Watcher] = []

    def begin(*words: str) -> Watcher:
        watchers.append(Watcher(env, *words))
        return watchers[-1]

    yield begin
    for watcher in watchers:
        watcher.close()


def test_rows_that_are_new_or_change_are_printed_after_the_table(fake: FakeDaemon, watch: Watch) -> None:
    watcher = watch("runs")
    heading = watcher.line()
    assert heading.split() == ["RUN", "NAME", "STATUS", "TASK", "ID", "DEPTH"]
    assert watcher.line().split() == ["monday", "a", "Running", "t", "0"]

    fake.answers[("GET", "/v1/runs")] = {"items": [a_run("monday", "Running"), a_run("tuesday", "Pending")]}
    fake.tell()
    assert watcher.line().split() == ["tuesday", "a", "Pending", "t", "0"]

    fake.answers[("GET", "/v1/runs")] = {"items": [a_run("tuesday", "Succeeded")]}
    fake.tell()
    assert watcher.line().split() == ["tuesday", "a", "Succeeded", "t", "0"]
    assert watcher.line(2) == "run/monday is listed no longer"
    assert watcher.interrupt() == 130


def test_an_event_that_changes_no_row_prints_nothing(fake: FakeDaemon, watch: Watch) -> None:
    watcher = watch("runs", "-o", "name")
    assert watcher.line() == "run/monday"
    fake.tell()
    fake.tell()

    fake.answers[("GET", "/v1/runs")] = {"items": [a_run("monday", "Running"), a_run("tuesday", "Pending")]}
    fake.tell()
    assert watcher.line() == "run/tuesday"
    assert watcher.interrupt() == 130


def test_a_restart_of_the_daemon_is_survived(fake: FakeDaemon, watch: Watch) -> None:
    watcher = watch("runs", "-o", "jsonl")
    assert '"Running"' in watcher.line()
    fake.stop()
    assert "waiting for it to come back" in watcher.line(2)
    fake.answers[("GET", "/v1/runs")] = {"items": [a_run("monday", "Failed")]}
    fake.start()
    fake.tell()

    assert '"Failed"' in watcher.line()
    assert watcher.interrupt() == 130


def test_an_empty_list_is_waited_on(fake: FakeDaemon, watch: Watch) -> None:
    fake.answers[("GET", "/v1/runs")] = {"items": []}
    watcher = watch("runs")
    assert watcher.line(2) == "No runs found; waiting for the first."

    fake.answers[("GET", "/v1/runs")] = {"items": [a_run("monday", "Pending")]}
    fake.tell()
    assert watcher.line().startswith("RUN ")
    assert watcher.line().startswith("monday ")
    assert watcher.interrupt() == 130


def test_events_are_followed_when_watched(fake: FakeDaemon, watch: Watch) -> None:
    fake.tell()
    watcher = watch("events", "-o", "name")
    assert watcher.line() == "event/1"
    fake.tell()
    assert watcher.line() == "event/2"
    assert watcher.interrupt() == 130


def test_what_cannot_be_watched_is_told_at_once(fake: FakeDaemon, env: dict[str, str]) -> None:
    assert smallchain("get", "runs", "-w", "-o", "yaml", env=env).returncode == 2
    assert smallchain("get", "runs", "nobody", "-w", env=env).returncode == 1
