"""Control groups are found where they can be made, by both kinds of hierarchy; the files are a folder's, not the kernel's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from smallchain.services.sandbox import groups

OLD = "cgroup {0}/memory cgroup rw,memory 0 0\ncgroup {0}/pids cgroup rw,pids 0 0\ncgroup {0}/cpu cgroup rw,cpu,cpuacct 0 0\n"
OWN = "3:pids:/\n2:cpu,cpuacct:/\n1:memory:/box/1\n0::/\n"


def test_the_old_hierarchies_are_found_at_our_own_group(tmp_path: Path) -> None:
    for name in ("memory/box/1", "pids", "cpu"):
        (tmp_path / name).mkdir(parents=True)
    found = groups.find(OLD.format(tmp_path), OWN)

    assert found is not None
    assert (found.version, dict(found.folders)) == (
        1,
        {"memory": tmp_path / "memory/box/1", "pids": tmp_path / "pids", "cpu": tmp_path / "cpu"},
    )


def test_without_a_hierarchy_of_ours_there_are_none(tmp_path: Path) -> None:
    assert groups.find(OLD.format(tmp_path), OWN) is None
    assert groups.find("proc /proc proc rw 0 0\n", "0::/\n") is None
    assert groups.find(f"cgroup2 {tmp_path} cgroup2 rw 0 0\n", "0::/gone\n") is None


def test_a_part_of_v2_that_is_ours_is_found_and_the_daemon_moves_into_a_leaf_of_it(tmp_path: Path) -> None:
    ours = tmp_path / "user.slice" / "smallchain.service"
    ours.mkdir(parents=True)
    (ours / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    found = groups.find(f"cgroup2 {tmp_path} cgroup2 rw 0 0\n", "0::/user.slice/smallchain.service\n")

    assert found is not None
    assert (found.version, set(found.folders.values()), set(found.folders)) == (2, {ours}, {"cpu", "memory", "pids"})
    assert (ours / "daemon" / "cgroup.procs").read_text()
    assert (ours / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"


@pytest.mark.parametrize(
    ("version", "files"),
    [
        (1, {"memory.limit_in_bytes": "1024", "pids.max": "7", "cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "50000"}),
        (2, {"memory.max": "1024", "memory.oom.group": "1", "pids.max": "7", "cpu.max": "50000 100000"}),
    ],
)
def test_limits_are_written_as_each_version_reads_them(version: int, files: dict[str, str]) -> None:
    limits = groups.limits_of(version, memory_bytes=1024, processes=7, cpus=0.5)

    assert {file: value for _, file, value in limits} == files
    assert groups.limits_of(version, memory_bytes=None, processes=None, cpus=None) == []


@pytest.mark.parametrize(("version", "file"), [(1, "memory.oom_control"), (2, "memory.events")])
def test_a_group_says_whether_it_ran_out_of_memory(tmp_path: Path, version: int, file: str) -> None:
    group = groups.make(groups.Hierarchies(version, {"memory": tmp_path}), "1", memory_bytes=1024, processes=7, cpus=None)
    assert not group.ran_out_of_memory()
    (tmp_path / f"smallchain-{os.getpid()}-1" / file).write_text("under_oom 0\noom_kill 1\n")

    assert group.ran_out_of_memory()


def test_a_group_that_takes_no_limit_is_not_left_behind(tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()
    with pytest.raises(OSError):
        groups.make(groups.Hierarchies(1, {"cpu": tmp_path / "cpu", "pids": Path("/proc")}), "1", memory_bytes=None, processes=7, cpus=None)

    assert list((tmp_path / "cpu").iterdir()) == []


def test_what_a_process_that_is_gone_left_is_swept_and_what_a_living_one_is_about_to_use_is_not(tmp_path: Path) -> None:
    gone = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True
    ).stdout.strip()
    for name in (f"smallchain-{gone}-1", f"smallchain-{gone}-2", f"smallchain-{os.getpid()}-1", "another"):
        (tmp_path / name).mkdir()
    (tmp_path / f"smallchain-{gone}-2" / "still.in.use").touch()
    groups.sweep(groups.Hierarchies(1, {"pids": tmp_path}))

    assert {path.name for path in tmp_path.iterdir()} == {f"smallchain-{gone}-2", f"smallchain-{os.getpid()}-1", "another"}
