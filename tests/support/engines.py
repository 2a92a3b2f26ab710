"""Docker and Podman of a test's own: a dockerd in network and mount namespaces of its own, stores in a folder, and an image without a
registry. Whatever is started here is ended by its pid.

The image is made of the interpreter that runs the tests, its shared libraries, and busybox, and is tagged `python:3.12`, so that the
published sample runs as it is written.
"""

from __future__ import annotations

import atexit
import functools
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.programs import needed

IMAGE = "python:3.12"
PATIENCE_S = 60.0
_LEFT_OUT = {"test", "tests", "__pycache__", "site-packages", "dist-packages", "idlelib", "tkinter", "lib2to3", "turtledemo", "ensurepip"}
_APPLETS = (
    "sh",
    "cat",
    "dd",
    "echo",
    "env",
    "head",
    "id",
    "kill",
    "ls",
    "mkdir",
    "nc",
    "printenv",
    "ps",
    "sleep",
    "touch",
    "true",
    "yes",
    "wc",
)
_PODMAN = """\
[containers]
default_ulimits=["nofile=1024:1024","nproc=1024:1024"]
[engine]
runtime="runc"
cgroup_manager="cgroupfs"
events_logger="file"
tmp_dir="{folder}/tmp"
"""
_STORE = """\
[storage]
driver="overlay"
graphroot="{folder}/root"
runroot="{folder}/run"
"""


class Engine:
    """A client and what leads it to a server of the test's own, with the image in its store."""

    def __init__(self, name: str, environ: dict[str, str]) -> None:
        self.name = name
        self.environ = {"PATH": os.environ["PATH"], "HOME": environ.get("HOME", "/nowhere")} | environ

    def ask(self, *words: str, check: bool = True, given: bytes | None = None) -> str:
        """What the client prints."""
        argv = [self.name, *(["--log-level", "error"] if self.name == "podman" else []), *words]
        done = subprocess.run(argv, env=self.environ, input=given, capture_output=True, timeout=PATIENCE_S, check=False)
        assert done.returncode == 0 or not check, f"{argv}: {done.stderr.decode()}"
        return done.stdout.decode().strip()

    def containers(self) -> list[str]:
        """The names of all containers."""
        return self.ask("ps", "--all", "--format", "{{.Names}}").split()

    def status(self, name: str) -> str:
        """How a container stands; empty when there is none."""
        return self.ask("container", "inspect", "--format", "{{.State.Status}}", name, check=False).strip("[]\n ")

    def until(self, condition: Callable[[], object]) -> None:
        """Wait for what the server says."""
        until = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < until, f"it did not come; there are: {self.ask('ps', '--all')}"
            time.sleep(0.05)

    def clear(self) -> None:
        """Remove every container; a daemon may be at it as well."""
        at_once = ["--time", "0"] if self.name == "podman" else []
        self.until(lambda: not (names := self.containers()) or self.ask("rm", "--force", *at_once, *names, check=False) is None)


class Docker(Engine):
    """A dockerd of the test's own, which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        super().__init__("docker", {"DOCKER_HOST": f"unix://{folder}/docker.sock", "HOME": str(folder)})
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and return once it answers. In its namespaces nothing of this machine's network is touched."""
        words = f"--data-root {self._folder}/data --exec-root {self._folder}/exec -H unix://{self._folder}/docker.sock --pidfile {self._folder}/pid"
        for left in ("pid", "exec/containerd/containerd.pid"):  # the number of a zombie looks alive as long as nobody has reaped it
            (self._folder / left).unlink(missing_ok=True)
        with (self._folder / "dockerd.log").open("ab") as log:
            self._process = subprocess.Popen(
                ["unshare", "-n", "-m", "sh", "-c", f"ip link set lo up; exec dockerd {words}"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until = time.monotonic() + PATIENCE_S
        while not self.ask("version", "--format", "{{.Server.Version}}", check=False):
            said = (self._folder / "dockerd.log").read_text(errors="replace")[-3000:]
            assert self._process.poll() is None, said
            assert time.monotonic() < until, said
            time.sleep(0.1)

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it; with SIGKILL its containers' processes live on until it is started again."""
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(PATIENCE_S)
        self._process = None

    def close(self) -> None:
        """End it and its containers."""
        if self._process is None:
            self.start()
        self.clear()
        self.end()


@contextmanager
def a_docker() -> Iterator[Docker]:
    """A dockerd with the image."""
    for program in ("docker", "dockerd", "runc"):
        needed(program, package="docker.io" if program != "runc" else None)
    if os.getuid() != 0:
        pytest.skip("a dockerd of one's own needs root")
    folder = Path(tempfile.mkdtemp(prefix="sc-docker-"))
    docker = Docker(folder)
    try:
        docker.start()
        docker.ask("import", str(rootfs()), IMAGE)
        yield docker
        docker.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def a_podman() -> Iterator[Engine]:
    """Podman on a store of its own, with the image."""
    for program in ("podman", "conmon", "runc", "catatonit"):
        needed(program)
    if os.getuid() != 0:
        pytest.skip("Podman is tested as root")
    folder = Path(tempfile.mkdtemp(prefix="sc-podman-"))
    (folder / "containers.conf").write_text(_PODMAN.format(folder=folder))
    (folder / "storage.conf").write_text(_STORE.format(folder=folder))
    # nothing answers as Docker here: a client that is led to no server is asked first, as on a machine without one
    environ = {
        "HOME": str(folder),
        "CONTAINERS_CONF": str(folder / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        "DOCKER_HOST": f"unix://{folder}/nowhere.sock",
    }
    podman = Engine("podman", environ)
    try:
        podman.ask("import", "--quiet", str(rootfs()), IMAGE)
        yield podman
        podman.clear()
        podman.ask("unshare", "true", check=False)
    finally:
        subprocess.run(["umount", "-l", str(folder / "root" / "overlay")], capture_output=True, check=False)
        shutil.rmtree(folder, ignore_errors=True)


@functools.cache
def rootfs() -> Path:
    """A file system with Python and a shell, as a tar file; made once a session."""
    real = Path(os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable))
    library = Path(sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix}))
    busybox = needed("busybox", package="busybox-static")
    folder = tempfile.mkdtemp(prefix="sc-rootfs-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    tar = Path(folder) / "rootfs.tar"
    with tarfile.open(tar, "w") as made:
        for name in ("bin", "dev", "etc", "proc", "sys", "tmp", "usr", "usr/local", "usr/local/bin"):
            folder_of = tarfile.TarInfo(name)
            folder_of.type, folder_of.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            made.addfile(folder_of)
        made.add(real, arcname=str(real)[1:])
        for shared in _shared_libraries([real, *(library / "lib-dynload").glob("*.so")]):
            made.add(os.path.realpath(shared), arcname=shared[1:])
        made.add(library, arcname=str(library)[1:], filter=_wanted)
        made.add(os.path.realpath(busybox), arcname="bin/busybox")
        links = {f"bin/{name}": "busybox" for name in _APPLETS} | {f"usr/local/bin/{name}": str(real) for name in ("python", "python3")}
        for name, target in links.items():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            made.addfile(link)
    return tar


def _wanted(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
    parts = info.name.split("/")
    if any(part in _LEFT_OUT or part.startswith("config-") for part in parts):
        return None
    info.uid = info.gid = 0
    return info


def _shared_libraries(files: list[Path]) -> set[str]:
    told = subprocess.run(["ldd", *map(str, files)], capture_output=True, text=True, check=False).stdout
    return set(re.findall(r"(/\S+) \(0x", told))
