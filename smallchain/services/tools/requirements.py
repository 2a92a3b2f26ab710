"""Environments with the packages that Python tools ask for: one for each set of requirements, built once, and then only read.

The one rule: a build is whole or it is begun again. Its last act is a note in the folder; a folder without one is what a build left
that failed, took too long, or was killed. A build runs the installers and package code that the tool's author chose, with the network
and with the daemon's user's own settings of pip and uv; what runs in it later is fenced like every tool.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from smallchain.model.durations import show_duration
from smallchain.services.tools.process import Command, NotStarted, end_leftovers, run_process

BUILD_WITHIN = timedelta(minutes=10)
KEPT_UNUSED = timedelta(days=30)
_COMPLETE = "complete"
_HANDED_ON = ("PIP_", "UV_", "SSL_", "XDG_", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NETRC")
_HANDED_ON_TOO = frozenset(
    ("PATH", "HOME", "USER", "LANG", "TMPDIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
)
_LAST_LINES = 8


class Requirements:
    """The environments under one folder, for one interpreter; a build may take `within`."""

    def __init__(self, folder: Path, environ: Mapping[str, str], *, within: timedelta = BUILD_WITHIN) -> None:
        self._folder = folder
        self._within = within
        self._env = {name: value for name, value in environ.items() if name in _HANDED_ON_TOO or name.startswith(_HANDED_ON)}
        self._building: dict[str, asyncio.Lock] = {}

    async def environment(self, wanted: Sequence[str], /) -> Path | str:
        """The folder of the environment with these packages, built if it is not there; or why it could not be, with the installer's
        last words. It may take minutes; who asks for the same meanwhile waits for the same build."""
        key = _key(wanted)
        place = self._folder / key
        async with self._building.setdefault(key, asyncio.Lock()):
            if await asyncio.to_thread(_is_complete, place):
                return place
            fault = await self._build(place, sorted(wanted))
        return fault or place

    async def sweep(self) -> None:
        """Remove what nothing has used for a month, and what builds left behind."""
        for place in await asyncio.to_thread(_left, self._folder):
            async with self._building.setdefault(place.name, asyncio.Lock()):
                if place in await asyncio.to_thread(_left, self._folder):  # and not what was built meanwhile
                    await asyncio.to_thread(shutil.rmtree, place, ignore_errors=True)

    async def _build(self, place: Path, wanted: Sequence[str]) -> str:
        marks = {"SMALLCHAIN_BUILDS": str(place)}
        await asyncio.to_thread(end_leftovers, marks)
        listed = place / "requirements.txt"
        uv = await asyncio.to_thread(shutil.which, "uv", path=self._env.get("PATH"))
        python = str(place / "bin" / "python")
        if uv is not None:
            make = [uv, "venv", "--quiet", "--no-config", "--allow-existing", "--python", interpreter(), str(place)]
            fill = [uv, "pip", "install", "--quiet", "--python", python, "--requirement", str(listed)]
        else:  # the daemon's own pip, which installs for the other: a pip in each environment would take most of the time
            make = [interpreter(), "-m", "venv", "--without-pip", str(place)]
            pip = [sys.executable, "-m", "pip", "--python", python, "--no-input", "--disable-pip-version-check"]
            fill = [*pip, "install", "--quiet", "--requirement", str(listed)]
        try:
            await asyncio.to_thread(_begin, self._folder, place, listed, wanted)
        except OSError as error:
            return f"no folder could be made for the packages: {error}"
        until = time.monotonic() + self._within.total_seconds()
        for argv in (make, fill):
            left = timedelta(seconds=max(0.0, until - time.monotonic()))
            fault = await self._run(argv, left, marks)
            if fault:
                return f"the packages ({', '.join(wanted)[:200]}) could not be installed: {fault}"
        await asyncio.to_thread(_finish, place)
        return ""

    async def _run(self, argv: Sequence[str], left: timedelta, marks: Mapping[str, str]) -> str:
        end = await run_process(Command(argv=argv, folder=self._folder, env={**self._env, **marks}, timeout=left, marks=marks))
        if isinstance(end, NotStarted):
            return end.reason
        if end.timed_out:
            return f"it took longer than {show_duration(self._within)}"
        if end.code == 0:
            return ""
        lines = [line for line in (end.stderr.strip() or end.stdout.strip()).splitlines() if line.strip()]
        return "\n".join(lines[-_LAST_LINES:])[-1500:] or f"exit code {end.code}"


@functools.cache
def interpreter() -> str:
    """The real interpreter below a virtual environment or a shim, resolved once."""
    return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)


def _key(wanted: Sequence[str]) -> str:
    """What tells environments apart: the packages, and the interpreter that they were built for."""
    made_of = [sorted(wanted), sys.version, sys.implementation.cache_tag, interpreter()]
    return hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:24]


def _is_complete(place: Path) -> bool:
    """Whether a build came to its end; looking counts as using."""
    try:
        os.utime(place / _COMPLETE)
    except OSError:
        return False
    return (place / "bin" / "python").exists()


def _begin(folder: Path, place: Path, listed: Path, wanted: Sequence[str]) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(mode=0o755)
    listed.write_text("".join(f"{line}\n" for line in wanted), encoding="utf-8")


def _finish(place: Path) -> None:
    """Readable for the users that tools run as; then the note, after everything else is on the disk."""
    for parent, names, files in os.walk(place):
        for name in (*names, *files):
            inner = Path(parent, name)
            if not inner.is_symlink():
                inner.chmod(inner.stat().st_mode | (0o055 if inner.is_dir() else 0o044))
    os.sync()
    (place / _COMPLETE).touch()


def _left(folder: Path) -> list[Path]:
    """Environments that are not whole, or not used any more."""
    oldest = time.time() - KEPT_UNUSED.total_seconds()
    found = []
    for place in folder.iterdir() if folder.is_dir() else ():
        try:
            used_at = (place / _COMPLETE).stat().st_mtime
        except OSError:
            used_at = 0.0
        if used_at < oldest:
            found.append(place)
    return found
