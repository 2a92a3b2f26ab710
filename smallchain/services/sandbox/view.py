"""What a fenced process sees of the file system: the system's programs to read, an empty /tmp, and what was asked for besides; pure.

The one rule: what is not listed here is not there. Home, state, sockets and the folder of the YAML are never listed.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass

from smallchain.model.fence import Mount

JOB = "/job"
"""Where a job's folder is, inside."""
TMP = "/tmp"
_ALWAYS = ("/usr", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/localtime", "/etc/nsswitch.conf")
_NETWORK = (
    "/etc/hosts",
    "/etc/resolv.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/ssl",
    "/etc/ca-certificates",
    "/etc/pki",
)


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is outside: `roots` are the folders beside /usr that hold programs, each with the target of its link, empty for
    a folder; `present` those of the listed paths that exist, each with where it really lies."""

    roots: tuple[tuple[str, str], ...]
    present: tuple[tuple[str, str], ...]


def looked_for() -> tuple[str, ...]:
    """The paths that a view can hold of the machine."""
    return (*_ALWAYS, *_NETWORK)


@dataclass(frozen=True, slots=True)
class View:
    """What is inside, in the order in which it is put there. `folders` have to be made for it, parents first."""

    links: tuple[tuple[str, str], ...]
    binds: tuple[Mount, ...]
    folders: tuple[str, ...]
    tmp_bytes: int
    start_in: str


def view_of(
    machine: Machine, *, job: str, shows: Sequence[str], mounts: Sequence[Mount], network: bool, folder: str, tmp_bytes: int
) -> View:
    """The view of one process. `shows` are read-only under their own names; `folder`, where it would start without a fence."""
    wanted = (*_ALWAYS, *_NETWORK) if network else _ALWAYS
    binds = [Mount(real, path) for path, real in machine.present if path in wanted]
    binds += [Mount(f"/{name}", f"/{name}") for name, target in machine.roots if not target]
    binds += [Mount(path, path) for path in shows if not _within(path, "/usr")]
    binds.append(Mount(job, JOB))
    binds += mounts
    links = tuple((target, f"/{name}") for name, target in machine.roots if target)
    return View(links, tuple(binds), _parents(binds), tmp_bytes, _start_in(folder, mounts))


def _parents(binds: Sequence[Mount]) -> tuple[str, ...]:
    """The folders above what is bound, each after its own parent, but for those that something else puts there."""
    found: dict[str, None] = {}
    given = ("/usr", "/proc", "/dev", *(bind.target for bind in binds))
    for bind in binds:
        above = []
        parent = posixpath.dirname(posixpath.normpath(bind.target))
        while parent not in ("/", TMP) and not any(_within(parent, each) for each in given):
            above.append(parent)
            parent = posixpath.dirname(parent)
        found.update(dict.fromkeys(reversed(above)))
    return tuple(found)


def _start_in(folder: str, mounts: Sequence[Mount]) -> str:
    """The folder of the YAML, where a mount shows it; else /tmp."""
    for mount in mounts:
        if folder and _within(folder, mount.source):
            return posixpath.normpath(posixpath.join(mount.target, posixpath.relpath(folder, mount.source)))
    return TMP


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
