"""One cell a process: what it needs is held against what this machine has, and its command is put behind the layers.

The one rule: what was asked for and can't be kept is refused before anything starts; nothing runs with less than that.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from smallchain.model.fence import Limits, Mount
from smallchain.services.sandbox import groups, layers, view
from smallchain.services.sandbox.probe import Found, fenced, probe, user_of
from smallchain.services.sandbox.slots import COUNT, FIRST, GROUP, Slots

MEMORY = 2 << 30
FILE = 256 << 20
PROCESSES = 128
TMP = 256 << 20
"""What a fenced process may use where its limits say nothing else."""
_WRAPPERS = 8
"""Processes of ours in a cell's group: the layers, and what they start to build the view."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a process asks of its fence. `mounts` have absolute sources; `folder` is where it would start without one."""

    isolation: str = "auto"
    network: bool = False
    mounts: tuple[Mount, ...] = ()
    limits: Limits = Limits()  # noqa: RUF009 - frozen
    folder: str = ""


class CannotOpen(Exception):
    """A cell that can't be had, with the reason in words and the next step."""


@dataclass(frozen=True, slots=True)
class Behind:
    """A command behind its layers. `spared` are the processes at the top of its tree that are ours and are not asked to end."""

    argv: list[str]
    fds: tuple[int, ...]
    spared: int


class Cell:
    """Where one process runs. `job`, `home` and `start_in` are the folders as it sees them."""

    def __init__(self, found: Found, needs: Needs, folder: Path, slot: int | None, group: groups.Group | None) -> None:
        self._found = found
        self._needs = needs
        self._folder = folder
        self._slot = slot
        self._group = group
        self.is_fenced = needs.isolation != "none"
        self.job = Path(view.JOB) if self.is_fenced else folder / "job"
        self.home = Path(view.TMP) if self.is_fenced else folder / "home"

    @property
    def outside(self) -> Path:
        """The job's folder where we write it."""
        return self._folder / "job"

    def behind(self, argv: Sequence[str], env: Mapping[str, str], *, shows: Sequence[str] = (), address_space: int = 0) -> Behind:
        """Put a command behind the layers. `shows`: what it reads of this machine besides; `address_space`: what its kind of program
        reserves beyond what it uses. Raises CannotOpen when there is no such program."""
        argv = [self._program(argv[0], env, shows), *argv[1:]]
        joins = layers.grouped(self._group.joins if self._group is not None else ())
        bounds = self._bounds(address_space)
        if not self.is_fenced:
            return Behind([*joins, *bounds, *argv], (), 0)
        self._hand_over()
        needs = self._needs
        names = [Mount(str(self._folder / name), f"/etc/{name}") for name in ("passwd", "group")]
        inside = view.view_of(
            self._found.machine,
            job=str(self.outside),
            shows=shows,
            mounts=(*names, *needs.mounts),
            network=needs.network,
            folder=needs.folder,
            tmp_bytes=needs.limits.file_bytes or TMP,
        )
        user = user_of(self._found, self._slot or 0)
        before, fds = fenced(self._found, inside, user=user, network=needs.network, status=self._status, root=self._folder / "root")
        return Behind([*joins, *before, *bounds, *argv], fds, layers.SPARED)

    def has_started(self) -> bool:
        """Whether the command itself was started: what fails before that is the fence."""
        if not self.is_fenced:
            return True
        try:
            said = self._status.read_text(errors="replace")
        except OSError:
            return False
        return '"exit-code"' in said or said.startswith("started")

    def ran_out_of_memory(self) -> bool:
        """Whether the kernel killed something in it for want of memory; never where there is no group."""
        return self._group is not None and self._group.ran_out_of_memory()

    def start_in(self) -> str:
        """The folder in which the command's wrapper starts; the layers move on from there."""
        return "/" if self.is_fenced else self._needs.folder or str(self.home)

    @property
    def _status(self) -> Path:
        return self._folder / "status"

    def _program(self, name: str, env: Mapping[str, str], shows: Sequence[str]) -> str:
        """Programs of the job's own folder are ours; all others have to be among what is shown."""
        if name.startswith(f"{self.job}/"):
            return name
        found = shutil.which(name, path=env.get("PATH", os.defpath))
        if found is None:
            raise CannotOpen(f"there is no program {name!r}")
        seen = ("/usr/", "/bin/", "/sbin/", *(f"{path}/" for path in shows), *(f"{mount.source}/" for mount in self._needs.mounts))
        if self.is_fenced and not found.startswith(seen):
            raise CannotOpen(f"the program {found!r} is not behind the fence; a tool that needs it has to mount it (`mounts`)")
        return found

    def _bounds(self, address_space: int) -> list[str]:
        asked = self._needs.limits
        has_memory = self._group is not None and "memory" in self._group.hierarchies.folders
        if not self.is_fenced:
            if asked.file_bytes is None and (asked.memory_bytes is None or has_memory):
                return []
            memory = None if has_memory or asked.memory_bytes is None else asked.memory_bytes + address_space
            return layers.limits(memory_bytes=memory, file_bytes=asked.file_bytes or -1, processes=None)
        memory = None if has_memory else (asked.memory_bytes or MEMORY) + address_space
        counts = self._found.is_root or self._found.counts_alone
        processes = (asked.processes or PROCESSES) if counts else None
        return layers.limits(memory_bytes=memory, file_bytes=asked.file_bytes or FILE, processes=processes)

    def _hand_over(self) -> None:
        """The files inside, made readable by whom the process is."""
        root = self._folder / "root"
        root.mkdir(mode=0o755, exist_ok=True)
        user = user_of(self._found, self._slot or 0)
        uid = user.uid if self._found.is_root or self._found.layer == "bubblewrap" else 0
        (self._folder / "passwd").write_text(f"tool:x:{uid}:{user.gid}::/tmp:/bin/sh\n")
        (self._folder / "group").write_text(f"tool:x:{user.gid}:\n")
        for name in ("passwd", "group"):
            (self._folder / name).chmod(0o644)
        if user.is_another:
            for parent, _, files in os.walk(self.outside):
                for path in (parent, *(os.path.join(parent, name) for name in files)):
                    os.chown(path, user.uid, user.gid, follow_symlinks=False)


class Sandbox:
    """Opens cells. `private` are folders of the daemon that no mount may show; in `config`, the folder of the YAML and of secrets, folders
    may be shown to be read. `unfenced_as_root`: a person said that it may be so."""

    def __init__(
        self,
        *,
        private: Sequence[Path] = (),
        config: Path | None = None,
        unfenced_as_root: bool = False,
        look: Callable[[], Found] = probe,
    ) -> None:
        self._private = tuple(os.path.realpath(path) for path in private)
        self._config = os.path.realpath(config) if config is not None else None
        self._unfenced_as_root = unfenced_as_root
        self._look = look
        self._looking: asyncio.Task[Found] | None = None
        self._slots = Slots()
        self._count = 0
        self.found: Found | None = None
        """What this machine has, once somebody asked."""

    async def ready(self) -> Found:
        """What this machine has; it is tried out once."""
        if self.found is None:
            if self._looking is None:
                self._looking = asyncio.create_task(asyncio.to_thread(self._look))
            self.found = await asyncio.shield(self._looking)
        return self.found

    async def fault(self, needs: Needs, /) -> str:
        """Why a process can't have what it needs here, in words with the next step; empty when it can. Where no sandbox worked, it is tried
        out again: somebody may have installed one."""
        if self.found is not None and self.found.layer is None:
            self.found = self._looking = None
        found = await self.ready()
        return await asyncio.to_thread(self._fault, found, needs)

    def fault_in_mounts(self, mounts: Sequence[Mount], /) -> str:
        """Why folders can't be shown to a tool, whatever is around it; empty when they can. It blocks for some microseconds."""
        return next((fault for mount in mounts if (fault := self._fault_in(mount, os.getuid() == 0))), "")

    def words(self, needs: Needs, /) -> str:
        """What would be around a process, in words; empty for nothing, and as long as nobody has looked."""
        return self.found.words() if self.found is not None and needs.isolation != "none" else ""

    async def open(self, needs: Needs, folder: Path, /) -> Cell:
        """A cell whose files lie in `folder`, which is fresh and ours alone. Raises CannotOpen."""
        found = await self.ready()
        needs = replace(needs, mounts=tuple(replace(mount, source=_real(mount.source)) for mount in needs.mounts))
        if fault := self._fault(found, needs):
            raise CannotOpen(fault)
        for name in ("job", "home"):
            (folder / name).mkdir(mode=0o700)
        slot = self._slots.take() if found.is_root and needs.isolation != "none" else None
        if slot is None and found.is_root and needs.isolation != "none":
            raise CannotOpen(f"all {COUNT} users for tools are in use")
        try:
            return Cell(found, needs, folder, slot, self._group(found, needs))
        except OSError as error:
            if slot is not None:
                self._slots.give_back(slot)
            raise CannotOpen(f"could not make a control group: {error}") from error

    async def close(self, cell: Cell, /) -> None:
        """Its process and all that it started are gone: let go of its group and user."""
        group, slot = cell._group, cell._slot
        if group is not None:
            for _ in range(20):
                if group.remove():
                    break
                await asyncio.sleep(0.01)  # its last process is still on its way out
        if slot is not None:
            self._slots.give_back(slot)

    def _group(self, found: Found, needs: Needs) -> groups.Group | None:
        asked = needs.limits
        plain = needs.isolation == "none"
        if found.groups is None or (plain and asked.memory_bytes is None and asked.processes is None and asked.cpus is None):
            return None
        self._count += 1
        processes = asked.processes if plain else asked.processes or PROCESSES
        return groups.make(
            found.groups,
            str(self._count),
            memory_bytes=asked.memory_bytes if plain else asked.memory_bytes or MEMORY,
            processes=processes + _WRAPPERS if processes is not None else None,
            cpus=asked.cpus,
        )

    def _fault(self, found: Found, needs: Needs) -> str:
        controllers = found.groups.folders if found.groups is not None else {}
        if needs.isolation == "container":
            return "`isolation: container` needs `executor: docker`, or `image` with Docker or Podman"
        if needs.isolation == "none":
            if found.is_root and not self._unfenced_as_root:
                return (
                    "`isolation: none` as root would give it every right on this machine; start the daemon with --unfenced-as-root"
                    " (SMALLCHAIN_UNFENCED_AS_ROOT=yes) if that is meant"
                )
        elif found.layer is None:
            return f"no sandbox works on this machine ({'; '.join(found.why)}); install bubblewrap, or write `isolation: none`"
        counts = needs.isolation != "none" and (found.is_root or found.counts_alone)
        if needs.limits.cpus is not None and "cpu" not in controllers:
            return "`limits: cpu` needs control groups, which the daemon can't make here (`smallchain doctor`)"
        if needs.limits.processes is not None and "pids" not in controllers and not counts:
            return "`limits: processes` needs control groups, which the daemon can't make here (`smallchain doctor`)"
        if needs.isolation == "none":
            return ""
        return next((fault for mount in needs.mounts if (fault := self._fault_in(mount, found.is_root))), "")

    def _fault_in(self, mount: Mount, is_root: bool) -> str:
        source = _real(mount.source)
        for own in (*self._private, self._config):
            if own is None or os.path.commonpath((source, own)) not in (source, own):
                continue
            if own != self._config or source == own or own.startswith(f"{source.rstrip('/')}/"):
                return f"the mount {mount.source!r} would show what is the daemon's own ({own}); mount another folder"
            if not mount.read_only:
                return f"the mount {mount.source!r} lies in the config folder, where a tool may only read; mount another folder"
        if mount.target in ("/", "/proc", "/dev", view.JOB) or mount.target.startswith(("/proc/", "/dev/", f"{view.JOB}/")):
            return f"a mount can't be at {mount.target!r}; choose another target"
        try:
            about = os.stat(source)
        except OSError as error:
            return f"the mount {mount.source!r}: {error.strerror}"
        if is_root and not _lets(about, write=not mount.read_only):
            what = "read" if mount.read_only else "write"
            rights = "g+rX" if mount.read_only else "g+rwX"
            return (
                f"the tool may not {what} the mount {mount.source!r}: as root, tools are users {FIRST} to {FIRST + COUNT - 1} of group"
                f" {GROUP}; `chgrp -R {GROUP} {mount.source} && chmod -R {rights} {mount.source}` lets them"
            )
        return ""


def _real(path: str) -> str:
    return os.path.realpath(os.path.expanduser(path))


def _lets(about: os.stat_result, *, write: bool) -> bool:
    """Whether a tool's user may read or write something."""
    wanted = 0o6 if write else 0o4
    if stat.S_ISDIR(about.st_mode):
        wanted |= 0o1
    shift = 3 if about.st_gid == GROUP else 0
    return (about.st_mode >> shift) & wanted == wanted
