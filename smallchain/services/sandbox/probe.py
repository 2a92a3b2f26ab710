"""Which layers work on this machine, found out by trying them on a harmless command; blocking, about a tenth of a second.

The one rule: a layer counts only if a command behind it ran, and did not see what it must not see.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from smallchain.services.sandbox import filter, groups, layers, slots, view

_PATIENCE_S = 10.0
_TRIAL = '[ -w /tmp ] && ! [ -w /usr ] && ! [ -e /home ] && [ "$(id -u)" = "$1" ] && [ "$(cat /job/word)" = hello ] && echo fenced'


class Layer(StrEnum):
    """What a view is made with."""

    BUBBLEWRAP = "bubblewrap"
    UNSHARE = "unshare"


@dataclass(frozen=True, slots=True)
class Found:
    """What this machine has. `layer` None: no sandbox works, and `why` says of each why not."""

    machine: view.Machine
    is_root: bool
    layer: Layer | None
    why: tuple[str, ...] = ()
    filter: bytes | None = None
    no_userns: bool = False
    """Whether bubblewrap can forbid further user namespaces."""
    counts_alone: bool = False
    """Whether RLIMIT_NPROC counts a user namespace's own processes (Linux 5.14)."""
    groups: groups.Hierarchies | None = None

    def words(self) -> str:
        """The layers in words; empty when there is no sandbox."""
        if self.layer is None:
            return ""
        parts = [str(self.layer), "a user for each call" if self.is_root else "user namespace"]
        if self.filter is not None:
            parts.append("system call filter")
        if self.groups is not None:
            parts.append(f"cgroup v{self.groups.version} ({', '.join(sorted(self.groups.folders))})")
        else:
            parts.append("rlimits")
        return ", ".join(parts)

    def as_json(self) -> dict[str, Any]:
        """For the socket and for `doctor`: the layer or None, all in words, and why what is better does not work."""
        return {"layer": self.layer, "words": self.words(), "why": list(self.why), "is_root": self.is_root}


def probe() -> Found:
    """Try the layers, best first."""
    machine = _machine()
    is_root = os.geteuid() == 0
    bound = _groups()
    counts_alone = _release() >= (5, 14)
    why = []
    program = filter.program(platform.machine())
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        why.append("bubblewrap is not installed")
    else:
        fault = ""
        for given, no_userns in ((program, True), (program, False), (None, True), (None, False)):
            found = Found(machine, is_root, Layer.BUBBLEWRAP, (), given, no_userns, counts_alone, bound)
            if not (fault := _fault(found)):
                return found
        why.append(f"bubblewrap does not work: {fault}")
    found = Found(machine, is_root, Layer.UNSHARE, tuple(why), None, False, counts_alone, bound)
    if not (fault := _fault(found)):
        return found
    return Found(machine, is_root, None, (*why, f"unshare does not work: {fault}"), groups=bound)


def _machine() -> view.Machine:
    roots = []
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        path = Path("/", name)
        if path.is_symlink():
            roots.append((name, os.readlink(path)))
        elif path.is_dir():
            roots.append((name, ""))
    present = tuple((path, os.path.realpath(path)) for path in view.looked_for() if os.path.exists(path))
    return view.Machine(tuple(roots), present)


def _fault(found: Found) -> str:
    """Why a layer does not work; empty when it does."""
    try:
        with tempfile.TemporaryDirectory(prefix="smallchain-probe-") as folder:
            return _tried(found, Path(folder))
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)


def _tried(found: Found, folder: Path) -> str:
    job, root, status = folder / "job", folder / "root", folder / "status"
    for each in (job, root):
        each.mkdir()
        each.chmod(0o755)  # whatever the umask is
    (job / "word").write_text("hello\n")
    (job / "word").chmod(0o644)
    inside = view.view_of(found.machine, job=str(job), shows=(), mounts=(), network=False, folder="", tmp_bytes=1 << 20)
    argv, fds = fenced(found, inside, user=user_of(found, slots.FIRST), network=False, status=status, root=root)
    argv += layers.limits(memory_bytes=None, file_bytes=1 << 20, processes=16 if found.is_root or found.counts_alone else None)
    uid = user_of(found, slots.FIRST).uid if found.layer is Layer.BUBBLEWRAP or found.is_root else 0
    argv += ["/bin/sh", "-c", _TRIAL, "sh", str(uid)]
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE_S,
            check=False,
            pass_fds=fds,
            env={"PATH": os.defpath},
            cwd="/",
        )
    finally:
        for fd in fds:
            os.close(fd)
    if done.returncode == 0 and done.stdout.strip() == b"fenced":
        return ""
    said = done.stderr.decode(errors="replace").strip().splitlines()
    return said[-1][:200] if said else f"exit code {done.returncode}"


def fenced(
    found: Found, inside: view.View, /, *, user: layers.User, network: bool, status: Path, root: Path
) -> tuple[list[str], tuple[int, ...]]:
    """What stands before a command so that it runs in a view, and the descriptors it is given, which are the caller's to close."""
    if found.layer is not Layer.BUBBLEWRAP:
        argv = layers.unshared(inside, user=user, network=network, status=str(status), root=str(root))
        return [shutil.which(argv[0]) or argv[0], *argv[1:]], ()
    fds = [os.open(status, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)]
    if found.filter is not None:
        fds.append(os.memfd_create("filter"))
        os.write(fds[1], found.filter)
        os.lseek(fds[1], 0, os.SEEK_SET)
    argv = layers.bubblewrap(
        inside,
        user=user,
        network=network,
        status_fd=fds[0],
        filter_fd=fds[1] if found.filter is not None else None,
        no_userns=found.no_userns,
    )
    return [shutil.which(argv[0]) or argv[0], *argv[1:]], tuple(fds)


def user_of(found: Found, slot: int) -> layers.User:
    """Who a cell is: as root the user of its slot, else we ourselves."""
    return layers.User(slot, slots.GROUP, True) if found.is_root else layers.User(os.geteuid(), os.getegid(), False)


def _groups() -> groups.Hierarchies | None:
    """The control groups that can be made here, tried with one."""
    with suppress(OSError, ValueError):
        found = groups.find(Path("/proc/self/mounts").read_text(), Path("/proc/self/cgroup").read_text())
        if found is not None:
            groups.sweep(found)
            groups.make(found, f"probe-{threading.get_ident()}", memory_bytes=64 << 20, processes=8, cpus=0.5).remove()
            return found
    return None


def _release() -> tuple[int, int]:
    found = re.match(r"(\d+)\.(\d+)", platform.release())
    return (int(found[1]), int(found[2])) if found else (0, 0)
