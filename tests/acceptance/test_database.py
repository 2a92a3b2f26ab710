"""What may happen to the database's files: refused or stopped with what to do, never made anew, never silently wrong."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from smallchain.model.errors import SmallchainError
from support.daemon import PATIENCE_S, Daemon, program

pytestmark = pytest.mark.slow

HELLO = """
llms: [{name: script, provider: scripted, replies: [{content: hello}]}]
agents: [{name: greeter, llm: script}]
tasks: [{name: greet, agent: greeter, user_message: say hello}]
"""


def act(daemon: Daemon, count: int = 1) -> list[str]:
    """Start runs, one after the other; the names of those that were acknowledged."""
    started = []
    with suppress(SmallchainError, OSError):
        for _ in range(count):
            started.append(daemon.client().post("/v1/runs", {"task": "greet"})["run"]["name"])
    return started


def begin(daemon: Daemon, count: int = 3) -> list[str]:
    daemon.drop("team.yaml", HELLO)
    daemon.start()
    started = act(daemon, count)
    assert len(started) == count
    return started


def refuses(daemon: Daemon, *words: str, code: int = 65) -> str:
    """Start it, and see that it ends with words that say what to do."""
    daemon.spawn()
    assert daemon.ended() == code
    said = daemon.log.read_text().splitlines()[-1]
    for word in words:
        assert word in said, said
    return said


def names(daemon: Daemon) -> set[str]:
    return {run["name"] for run in daemon.items("runs")}


def tool(name: str) -> str:
    """A program that these tests need; what a user's machine may lack, CI may not."""
    found = shutil.which(name)
    if found is None:
        assert not os.environ.get("CI"), f"CI has to have {name}"
        pytest.skip(f"{name} is not installed")
    return found


@contextmanager
def mounted(path: Path, *options: str) -> Iterator[None]:
    """Something mounted on a folder; a user who may not mount skips the test."""
    if os.geteuid() != 0:
        assert not os.environ.get("CI"), "CI has to be root"
        pytest.skip("only root may mount")
    subprocess.run([tool("mount"), *options, str(path)], check=True)
    try:
        yield
    finally:
        subprocess.run([tool("umount"), "--lazy", str(path)], check=True)


def test_a_flush_that_fails_ends_it_and_nothing_acknowledged_is_lost(daemon: Daemon) -> None:
    fails_once = "inject=fdatasync:error=EIO:when=12"
    daemon.drop("team.yaml", HELLO)
    daemon.start(under=[tool("strace"), "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", fails_once])

    started = act(daemon, 200)

    assert daemon.ended() == 74
    assert 0 < len(started) < 200
    assert "the disk failed" in daemon.last_words()
    assert "start again" in daemon.last_words()
    daemon.start()
    assert set(started) <= names(daemon)


@pytest.mark.parametrize("file", ["smallchain.db", "smallchain.db-wal"])
def test_a_file_that_is_removed_while_it_is_open_ends_it(daemon: Daemon, file: str) -> None:
    begin(daemon)
    moment = time.monotonic()

    (daemon.state / file).unlink()

    assert daemon.ended() == 65
    assert time.monotonic() - moment < 6
    assert f"{file} was replaced or removed while in use" in daemon.last_words()
    assert "start again" in daemon.last_words()


def test_a_backup_that_is_older_is_refused_until_somebody_accepts_it(daemon: Daemon) -> None:
    first = begin(daemon)
    daemon.terminate()
    shutil.copy(daemon.state / "smallchain.db", daemon.folder / "backup.db")
    daemon.start()
    later = act(daemon, 3)
    seen = daemon.client().last_seq()
    daemon.terminate()
    shutil.copy(daemon.folder / "backup.db", daemon.state / "smallchain.db")

    refuses(daemon, "stands behind", "--accept-rollback")
    refuses(daemon, "stands behind")

    daemon.start("--accept-rollback")
    assert set(first) <= names(daemon)
    assert not names(daemon) & set(later)
    told = daemon.events()
    assert [event["reason"] for event in told].count("DatabaseRolledBack") == 1
    assert next(event["seq"] for event in told if event["reason"] == "DatabaseRolledBack") > seen, "a reader would miss it"
    daemon.terminate()
    assert daemon.start()


def test_a_log_that_is_gone_is_noticed_at_the_start(daemon: Daemon) -> None:
    begin(daemon)
    daemon.restart()
    daemon.kill()
    (daemon.state / "smallchain.db-wal").unlink()

    refuses(daemon, "stands behind", "smallchain.db-wal", "--accept-rollback")


def test_a_log_of_another_database_is_not_taken_for_its_own(daemon: Daemon, folder: Path) -> None:
    begin(daemon)
    daemon.restart()  # folds nothing: what is newest stands in the log
    daemon.kill()
    with closing(Daemon(folder / "other")) as other:
        other.drop("team.yaml", HELLO.replace("greet", "wave"))
        other.start()
        other.kill()
        shutil.copy(other.state / "smallchain.db-wal", daemon.state / "smallchain.db-wal")
    (daemon.state / "smallchain.db-shm").unlink(missing_ok=True)

    refuses(daemon, "smallchain.db")


def test_half_a_file_is_refused_and_left_as_it_is(daemon: Daemon) -> None:
    begin(daemon)
    daemon.terminate()
    database = daemon.state / "smallchain.db"
    whole = database.read_bytes()
    for content in (whole[: len(whole) // 2], whole[:8192] + b"\0" * 4096 + whole[12288:]):
        database.write_bytes(content)

        refuses(daemon, "smallchain.db", "backup")

        assert database.read_bytes() == content


def test_a_database_of_a_newer_program_is_refused(daemon: Daemon) -> None:
    begin(daemon)
    daemon.terminate()
    with closing(sqlite3.connect(daemon.state / "smallchain.db")) as connection:
        connection.execute("PRAGMA user_version = 9999")

    refuses(daemon, "newer", "upgrade")


def test_a_folder_that_cannot_be_written_is_refused(daemon: Daemon) -> None:
    begin(daemon)
    daemon.terminate()
    with mounted(daemon.state, "--bind", str(daemon.state)):
        subprocess.run([tool("mount"), "-o", "remount,ro,bind", str(daemon.state)], check=True)
        daemon.spawn()
        assert daemon.ended() in (1, 65)
        assert "ead-only" in daemon.last_words()

    daemon.start()


def test_a_full_disk_stops_what_changes_and_nothing_else_and_all_goes_on_with_room(daemon: Daemon) -> None:
    daemon.state.mkdir(mode=0o700)
    with mounted(daemon.state, "-t", "tmpfs", "-o", "size=3m,mode=0700", "tmpfs"):
        started = begin(daemon)
        for name in started:
            daemon.over(name)
        filler = daemon.state / "filler"
        _fill(filler)

        refused = daemon.cli("run", "greet")
        assert refused.returncode == 75, refused.stderr
        assert "disk is full" in refused.stderr
        assert "make room" in refused.stderr
        assert daemon.cli("status").returncode == 0
        assert {run["name"] for run in daemon.ask("get", "runs")["items"]} >= set(started)

        filler.unlink()
        assert act(daemon, 2)
        _fill(filler)
        assert daemon.cli("stop").returncode == 0
        daemon.ended()
        filler.unlink()
        daemon.start()
        assert names(daemon) >= set(started)
        daemon.terminate()


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as stream, suppress(OSError):
        size = 1 << 16
        while size:
            try:
                stream.write(b"\0" * size)
            except OSError:
                size //= 2


def test_a_log_whose_reader_is_gone_is_no_reason_to_stop(daemon: Daemon) -> None:
    daemon.drop("team.yaml", HELLO + "runs: [{name: one, task: greet}]")
    near, far = socket.socketpair()
    process: subprocess.Popen[Any] = subprocess.Popen(
        [*program("smallchaind"), "--log-level", "debug"], env=daemon.environ, cwd="/", stderr=far, stdout=far
    )
    far.close()
    near.close()
    try:
        until = time.monotonic() + PATIENCE_S
        while not daemon.client().listening():
            assert process.poll() is None
            assert time.monotonic() < until
        assert daemon.over("one")["output"] == "hello"
        process.terminate()
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait()
