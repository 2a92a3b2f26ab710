"""The layers as plans: what is put before a command so that it runs in a view of its own. Pure: arguments in, arguments out.

A command behind `bubblewrap` or `unshare` has its own file system, processes, network, names and IPC, and no rights. As root it changes
to a user of its own inside; as an ordinary user it lives in a user namespace. `limits` bound what one process may use, and fence nothing.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from smallchain.services.sandbox.view import View

SPARED = 2
"""The processes of both layers above the tool's own: the one outside, and the first of the new process namespace."""
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")


@dataclass(frozen=True, slots=True)
class User:
    """The user a process is inside; `is_another`: it is not the daemon's own, which takes root."""

    uid: int
    gid: int
    is_another: bool


def bubblewrap(view: View, *, user: User, network: bool, status_fd: int, filter_fd: int | None, no_userns: bool) -> list[str]:
    """Before a command: bwrap. It reports on `status_fd` in JSON, an exit code only of what it did start."""
    argv = ["bwrap", "--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try", "--hostname", "tool"]
    if not network:
        argv.append("--unshare-net")
    if not user.is_another:
        argv.append("--unshare-user")
        if no_userns:
            argv.append("--disable-userns")
    argv += ["--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--size", str(view.tmp_bytes), "--tmpfs", "/tmp"]
    for path in view.folders:
        argv += ["--perms", "0755", "--dir", path]
    for bind in view.binds:
        argv += ["--ro-bind" if bind.read_only else "--bind", bind.source, bind.target]
    for target, path in view.links:
        argv += ["--symlink", target, path]
    argv += ["--remount-ro", "/", "--die-with-parent", "--new-session", "--chdir", view.start_in, "--cap-drop", "ALL"]
    if user.is_another:
        argv += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_SETPCAP"]
    if filter_fd is not None:
        argv += ["--seccomp", str(filter_fd)]
    argv += ["--json-status-fd", str(status_fd), "--"]
    return argv + (_become(user) if user.is_another else [])


def unshared(view: View, *, user: User, network: bool, status: str, root: str) -> list[str]:
    """Before a command: util-linux alone. A script as the first process builds the view in `root`, an empty folder, and moves into it.

    It writes "started" into the file `status` once nothing is left to do but to start the command.
    """
    argv = ["unshare", "--mount", "--ipc", "--pid", "--uts", "--cgroup", "--fork", "--kill-child=KILL"]
    if not network:
        argv.append("--net")
    if not user.is_another:
        argv += ["--user", "--map-root-user"]
    script = _script(view, status=status, root=root)
    return [*argv, "/bin/sh", "-euc", script, "sh", *_become(user)]


def limits(*, memory_bytes: int | None, file_bytes: int, processes: int | None) -> list[str]:
    """Before a command: prlimit, inside every other layer, so that processes are counted there and not for all of a user's."""
    argv = ["prlimit", "--core=0", "--nofile=1024", f"--fsize={file_bytes}"]
    if processes is not None:
        argv.append(f"--nproc={processes}")
    if memory_bytes is not None:
        argv.append(f"--as={memory_bytes}")
    return [*argv, "--"]


def grouped(groups: Sequence[str]) -> list[str]:
    """Before everything: join control groups (the paths of their `cgroup.procs`), before anything could be started outside of them."""
    if not groups:
        return []
    join = 'while [ "$1" != -- ]; do echo $$ >"$1" || exit 125; shift; done; shift; exec "$@"'
    return ["/bin/sh", "-c", join, "sh", *groups, "--"]


def _become(user: User) -> list[str]:
    argv = ["setpriv", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"]
    if user.is_another:
        argv += [f"--reuid={user.uid}", f"--regid={user.gid}", "--clear-groups"]
    return [*argv, "--"]


def _script(view: View, *, status: str, root: str) -> str:
    quoted = shlex.quote
    lines = [
        f"exec 9>{quoted(status)}",
        "theirs=$PATH; PATH=/usr/sbin:/usr/bin:/sbin:/bin; mask=$(umask); umask 022",
        "ip link set lo up 2>/dev/null || :",
        f"mount -t tmpfs -o mode=0755,size=1m,nosuid,nodev tmpfs {quoted(root)}",
        f"cd {quoted(root)}",
        "mkdir proc dev tmp old",
        "mount -t proc -o nosuid,nodev,noexec proc proc",
        "mount -t tmpfs -o mode=0755,size=1m,nosuid tmpfs dev",
        f"for d in {' '.join(_DEVICES)}; do : >dev/$d; mount --bind /dev/$d dev/$d; done",
        "mkdir -m 1777 dev/shm; ln -s /proc/self/fd dev/fd; for n in 0 1 2; do ln -s /proc/self/fd/$n dev/fd$n; done",
        "mv dev/fd0 dev/stdin; mv dev/fd1 dev/stdout; mv dev/fd2 dev/stderr",
        f"mount -t tmpfs -o mode=1777,size={view.tmp_bytes},nosuid,nodev tmpfs tmp",
    ]
    lines += [f"mkdir -p -m 0755 {quoted('.' + path)}" for path in view.folders]
    for bind in view.binds:
        source, target = quoted(bind.source), quoted("." + bind.target)
        lines.append(f"if [ -d {source} ]; then mkdir -p {target}; else : >{target}; fi")
        lines.append(f"mount --bind {source} {target}")
        writable = "rw" if not bind.read_only else "ro"
        lines.append(f"mount -o remount,bind,{writable},nosuid,nodev {target}")
    lines += [f"ln -s {quoted(target)} {quoted('.' + path)}" for target, path in view.links]
    lines += [
        "pivot_root . old",
        "cd /",
        "umount -l /old",
        "rmdir /old",
        "mount -o remount,bind,ro,nosuid,nodev /",
        f"cd {quoted(view.start_in)}; unset OLDPWD",
        "PATH=$theirs; umask $mask",
        "echo started >&9",
        "set +e",
        '"$@" 9>&-',
        "exit $?",
    ]
    return "\n".join(lines)
