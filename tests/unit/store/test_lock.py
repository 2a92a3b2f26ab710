"""One daemon per state folder, whichever way it was reached; who is second learns at once who is first."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from smallchain.model.errors import Busy
from smallchain.store.lock import StateLock

HOLDER = """
import sys, time
from pathlib import Path
from smallchain.store.lock import StateLock
lock = StateLock.take(Path(sys.argv[1]))
print("taken", flush=True)
sys.stdin.read()
"""


def refused(folder: Path, pid: int) -> None:
    """Busy at once, naming the holder."""
    begun = time.monotonic()
    with pytest.raises(Busy, match=rf"pid {pid}\b"):
        StateLock.take(folder)

    assert time.monotonic() - begun < 0.2


def test_the_second_is_refused_at_once_and_told_who_is_first(tmp_path: Path) -> None:
    lock = StateLock.take(tmp_path)

    refused(tmp_path, os.getpid())
    lock.release()


def test_a_folder_reached_by_a_symlink_is_the_same_folder(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "state")
    lock = StateLock.take(tmp_path / "state")

    refused(tmp_path / "link", os.getpid())
    lock.release()


def test_a_folder_that_was_let_go_can_be_taken(tmp_path: Path) -> None:
    StateLock.take(tmp_path).release()

    StateLock.take(tmp_path).release()


def test_a_holder_that_was_killed_holds_nothing(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "taken\n"
        refused(tmp_path, holder.pid)
        holder.kill()

    lock = StateLock.take(tmp_path)
    assert lock.path.read_text() == f"{os.getpid()}\n"
    lock.release()


@pytest.mark.parametrize("what", ["removed", "replaced"])
def test_a_lock_whose_file_went_away_is_noticed(tmp_path: Path, what: str) -> None:
    lock = StateLock.take(tmp_path)
    assert lock.still_held()

    lock.path.unlink()
    if what == "replaced":
        lock.path.touch()
    assert not lock.still_held()
    lock.release()


def test_a_file_that_is_replaced_while_it_is_being_locked_is_not_what_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock_it, replaced = fcntl.flock, []

    def replace_first(descriptor: int, operation: int) -> None:
        if not replaced:
            replaced.append(descriptor)
            (tmp_path / "lock").unlink()
            (tmp_path / "lock").touch()
        lock_it(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", replace_first)
    lock = StateLock.take(tmp_path)

    assert lock.still_held()
    refused(tmp_path, os.getpid())
    lock.release()


def test_only_its_owner_may_read_the_lock(tmp_path: Path) -> None:
    lock = StateLock.take(tmp_path)

    assert lock.path.stat().st_mode & 0o777 == 0o600
    lock.release()


def test_a_lock_that_is_a_symlink_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("precious\n")
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        StateLock.take(tmp_path)

    assert (tmp_path / "elsewhere").read_text() == "precious\n"
