"""Control groups: one for a cell, with its limits of memory, processes and CPUs, where this process may make groups.

Two kinds are known: the old hierarchies (v1), one a controller, and the one of v2 where a part of it is ours (`Delegate=yes`). A group is
removed when its cell is closed; those that a killed daemon left are removed when they are found empty.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PREFIX = "smallchain-"
_CONTROLLERS = ("memory", "pids", "cpu")
_PERIOD_US = 100_000


@dataclass(frozen=True, slots=True)
class Hierarchies:
    """Where groups can be made: for each controller, the folder of our own group. In v2 all are the same folder."""

    version: int
    folders: Mapping[str, Path]


@dataclass(frozen=True, slots=True)
class Group:
    """A cell's group: its folders, and by controller where what happened in it stands."""

    hierarchies: Hierarchies
    name: str

    @property
    def joins(self) -> tuple[str, ...]:
        """The files into which a process writes its number to be in it."""
        return tuple(str(folder / "cgroup.procs") for folder in self._folders())

    def ran_out_of_memory(self) -> bool:
        """Whether the kernel killed a process of it for want of memory."""
        folder = self.hierarchies.folders.get("memory")
        if folder is None:
            return False
        file = "memory.oom_control" if self.hierarchies.version == 1 else "memory.events"
        with suppress(OSError, ValueError):
            lines = (folder / self.name / file).read_text().splitlines()
            return any(line.startswith("oom_kill ") and int(line.split()[1]) > 0 for line in lines)
        return False

    def remove(self) -> bool:
        """Take the group away; False when something is still ending in it, and it has to be tried again or left to the next sweep."""
        for folder in self._folders():
            with suppress(OSError):
                folder.rmdir()
        return not any(folder.exists() for folder in self._folders())

    def _folders(self) -> list[Path]:
        return [folder / self.name for folder in dict.fromkeys(self.hierarchies.folders.values())]


def make(hierarchies: Hierarchies, name: str, *, memory_bytes: int | None, processes: int | None, cpus: float | None) -> Group:
    """Make a group of ours with its limits; raises OSError when it can't be made or takes a limit not."""
    group = Group(hierarchies, f"{PREFIX}{os.getpid()}-{name}")
    try:
        for folder in group._folders():
            folder.mkdir(mode=0o755)
        for controller, file, value in limits_of(hierarchies.version, memory_bytes=memory_bytes, processes=processes, cpus=cpus):
            if controller in hierarchies.folders:
                (hierarchies.folders[controller] / group.name / file).write_text(value)
    except OSError:
        group.remove()
        raise
    return group


def limits_of(version: int, *, memory_bytes: int | None, processes: int | None, cpus: float | None) -> list[tuple[str, str, str]]:
    """The files that limits are written into: controller, file, value."""
    found = []
    if memory_bytes is not None:
        found.append(("memory", "memory.limit_in_bytes" if version == 1 else "memory.max", str(memory_bytes)))
        if version == 2:
            found.append(("memory", "memory.oom.group", "1"))
    if processes is not None:
        found.append(("pids", "pids.max", str(processes)))
    if cpus is not None:
        quota = str(max(1000, int(cpus * _PERIOD_US)))
        if version == 1:
            found += [("cpu", "cpu.cfs_period_us", str(_PERIOD_US)), ("cpu", "cpu.cfs_quota_us", quota)]
        else:
            found.append(("cpu", "cpu.max", f"{quota} {_PERIOD_US}"))
    return found


def find(mounts: str, own: str) -> Hierarchies | None:
    """The hierarchies in which our own group takes another below it; `mounts` and `own` are /proc/self/mounts and /proc/self/cgroup."""
    own_paths = {names: path for _, names, path in (line.split(":", 2) for line in own.splitlines() if line.count(":") >= 2)}
    old: dict[str, Path] = {}
    new: Path | None = None
    for line in mounts.splitlines():
        _, where, kind, options = line.split(" ")[:4]
        if kind == "cgroup2":
            new = Path(where)
        if kind == "cgroup":
            for controller in set(options.split(",")) & set(_CONTROLLERS):
                path = next((path for names, path in own_paths.items() if controller in names.split(",")), None)
                if path is not None:
                    old[controller] = Path(where, path.lstrip("/"))
    usable = {controller: folder for controller, folder in old.items() if os.access(folder, os.W_OK | os.X_OK)}
    if usable:
        return Hierarchies(1, usable)
    folder = new / own_paths[""].lstrip("/") if new is not None and "" in own_paths else None
    return _delegated(folder) if folder is not None else None


def _delegated(folder: Path) -> Hierarchies | None:
    """Our part of v2. A group with processes can't hand controllers down, so the daemon moves into a leaf of its own."""
    try:
        if folder.name != "daemon":
            leaf = folder / "daemon"
            leaf.mkdir(exist_ok=True)
            (leaf / "cgroup.procs").write_text(str(os.getpid()))
        else:
            folder = folder.parent
        there = set((folder / "cgroup.controllers").read_text().split()) & set(_CONTROLLERS)
        (folder / "cgroup.subtree_control").write_text(" ".join(f"+{controller}" for controller in sorted(there)))
    except OSError:
        return None
    return Hierarchies(2, dict.fromkeys(sorted(there), folder)) if there else None


def sweep(hierarchies: Hierarchies) -> None:
    """Remove the groups that a process which is gone has left empty; those of a living one it may be about to use."""
    for folder in dict.fromkeys(hierarchies.folders.values()):
        for each in folder.glob(f"{PREFIX}*"):
            maker = each.name.removeprefix(PREFIX).partition("-")[0]
            if not Path("/proc", maker).exists():
                with suppress(OSError):
                    each.rmdir()
