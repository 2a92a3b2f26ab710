"""`doctor`: what is on this machine, whether it is well, and what to do about each thing that is not.

The one rule: it changes nothing, and whatever is broken, it goes on to the next thing.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from smallchain import __version__
from smallchain.cli.console import out
from smallchain.cli.render import add_output, show_value, text_of
from smallchain.cli.session import Session
from smallchain.model.errors import SmallchainError, Unreachable
from smallchain.model.sizes import rough_size
from smallchain.protocol.client import Client
from smallchain.protocol.faults import EXIT_FAILED, problems_from_wire
from smallchain.protocol.text import one_line
from smallchain.settings import Settings, client_socket

DESCRIPTION = """\
Look at the daemon, its folders, its models and the programs that tools need. Each line is ok, warn or FAIL, and says what to
do. Works without a daemon, and changes nothing. Exits 1 if something FAILs."""
EXAMPLES = """
smallchain doctor
smallchain doctor -o json
"""
_OLDEST_PYTHON, _FIRST_UNTRIED_PYTHON = (3, 11), (3, 14)
_OLDEST_SQLITE = (3, 37, 0)
_LITTLE_ROOM, _NO_ROOM = 2**30, 100 * 2**20
_PROGRAM_S = 3.0
_FENCE_S = 30.0
_MOST_MODELS = 50
_ABSENT = "not there"

OK, WARN, FAIL = "ok", "warn", "FAIL"


class Finding(NamedTuple):
    """What was looked at, how it is, and what to do."""

    level: str
    name: str
    found: str
    next: str = ""


def add_arguments(parser: ArgumentParser) -> None:
    """Only how it is printed."""
    add_output(parser, formats=("text", "json", "yaml"))


def attempted(arguments: Namespace) -> str:
    """For errors."""
    return "look at this machine"


def execute(arguments: Namespace, session: Session) -> int:
    """Look at everything; print it as it is found."""
    findings: list[Finding] = []
    for finding in _findings(session):
        findings.append(finding)
        if arguments.output == "text":
            told = f"{finding.level:<5} {finding.name:<10} {finding.found}"
            out(one_line(told))
            if finding.next:
                out(one_line(f"{'':<17}-> {finding.next}"))
    if arguments.output != "text":
        items = [{"kind": "check", **finding._asdict()} for finding in findings]
        show_value({"items": items}, output=arguments.output)
    return EXIT_FAILED if any(finding.level == FAIL for finding in findings) else 0


def _findings(session: Session) -> Iterator[Finding]:
    settings = session.settings
    status, daemon = _daemon(session.client)
    yield daemon
    yield _socket(settings, listening=status is not None)
    yield _state(settings)
    yield _room(settings)
    yield from _config(settings, status)
    yield _env_file(settings)
    yield _python()
    yield _sqlite()
    if status is not None:
        yield from _models(session.client)
    yield from _programs()
    yield _fence(status)


def _daemon(client: Client) -> tuple[dict[str, Any] | None, Finding]:
    try:
        status = client.get("/v1/status")
    except Unreachable as error:
        level = FAIL if isinstance(error.__cause__, PermissionError) else WARN
        return None, Finding(level, "daemon", error.message, error.hint)
    except SmallchainError as error:
        return None, Finding(FAIL, "daemon", error.message, error.hint or "see `smallchain logs`")
    version = text_of(status.get("version"))
    pid = text_of(status.get("pid"))
    if version != __version__:
        found = f"pid {pid} is version {version}; this program is {__version__}"
        return status, Finding(WARN, "daemon", found, "`smallchain restart`")
    if status.get("stopping"):
        return status, Finding(WARN, "daemon", f"pid {pid} is stopping", "`smallchain status` says what it waits for")
    return status, Finding(OK, "daemon", f"pid {pid}, version {version}")


def _socket(settings: Settings, *, listening: bool) -> Finding:
    try:
        path = client_socket(settings)
        found = os.lstat(path)
        folder = os.stat(path.parent)
    except SmallchainError as error:
        return Finding(FAIL, "socket", error.message, error.hint)
    except FileNotFoundError:
        return Finding(OK, "socket", f"none, as no daemon listens ({path})")
    except OSError as error:
        return Finding(FAIL, "socket", f"{path}: {error.strerror}", "look at the folder's owner and permissions")
    if not stat.S_ISSOCK(found.st_mode):
        return Finding(FAIL, "socket", f"{path} is no socket", "remove it, or name another with --socket")
    for what, about in (("the socket", found), ("the socket's folder", folder)):
        if about.st_uid not in (os.geteuid(), 0):
            return Finding(FAIL, "socket", f"{what} {path} belongs to uid {about.st_uid}", "name another with --socket")
    if folder.st_mode & 0o022:
        mode = stat.S_IMODE(folder.st_mode)
        return Finding(FAIL, "socket", f"others can replace {path} (folder mode {mode:04o})", f"chmod 700 '{path.parent}'")
    if found.st_mode & 0o077 and folder.st_mode & 0o011:
        return Finding(WARN, "socket", f"{path} is open to others (mode {stat.S_IMODE(found.st_mode):04o})", f"chmod 600 '{path}'")
    if not listening:
        return Finding(OK, "socket", f"{path} was left behind; the next daemon replaces it")
    return Finding(OK, "socket", f"{path}, mode {stat.S_IMODE(found.st_mode):04o}")


def _state(settings: Settings) -> Finding:
    return _folder("state", settings.state_dir, open_to=0o077, level=WARN, mode="700", absent="not there yet; the daemon makes it")


def _folder(name: str, path: Path, *, open_to: int, level: str, mode: str, absent: str) -> Finding:
    """A folder of ours: there, a folder, its owner's, and closed to those it has to be closed to."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return Finding(OK, name, f"{path} is {absent}")
    except OSError as error:
        return Finding(FAIL, name, f"{path}: {error.strerror}", "look at its owner and permissions")
    if not stat.S_ISDIR(found.st_mode):
        return Finding(FAIL, name, f"{path} is not a folder", f"remove it, or name another with --{name}-dir")
    if found.st_uid not in (os.geteuid(), 0):
        return Finding(FAIL, name, f"{path} belongs to uid {found.st_uid}", f"name another with --{name}-dir")
    if found.st_mode & open_to:
        return Finding(level, name, f"{path} is open to others (mode {stat.S_IMODE(found.st_mode):04o})", f"chmod {mode} '{path}'")
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        return Finding(FAIL, name, f"{path} cannot be written", "look at its permissions, and whether its disk is read-only")
    return Finding(OK, name, f"{path}, mode {stat.S_IMODE(found.st_mode):04o}")


def _room(settings: Settings) -> Finding:
    place = settings.state_dir
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        about = os.statvfs(place)
    except OSError as error:
        return Finding(WARN, "disk", f"{place}: {error.strerror}")
    free = about.f_bavail * about.f_frsize
    found = f"{rough_size(free)} free where the state is"
    if free < _NO_ROOM or (about.f_files and not about.f_favail):
        return Finding(FAIL, "disk", found if free < _NO_ROOM else "no inodes are free where the state is", "make room")
    return Finding(WARN if free < _LITTLE_ROOM else OK, "disk", found, "make room soon" if free < _LITTLE_ROOM else "")


def _config(settings: Settings, status: dict[str, Any] | None) -> Iterator[Finding]:
    path = settings.config_dir
    folder = _folder("config", path, open_to=0o002, level=FAIL, mode="o-w", absent="not there yet; `smallchain apply` makes it")
    yield folder
    config = status.get("config") if status is not None else None
    if not isinstance(config, dict):
        return
    told = text_of(config.get("status"))
    if told == "Ready":
        yield Finding(OK, "files", "all are in force")
        return
    problems = problems_from_wire(config.get("problems"))
    first = f": {problems[0]}" if problems else ""
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    yield Finding(FAIL, "files", f"{told}{first}{more}", "mend the file; until then what was in force stays; `smallchain get files`")


def _env_file(settings: Settings) -> Finding:
    path = settings.config_dir / "env"
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return Finding(OK, "env file", f"none; secrets come from the daemon's environment ({path} would come first)")
    except OSError as error:
        return Finding(FAIL, "env file", f"{path}: {error.strerror}", "look at its owner and permissions")
    if not stat.S_ISREG(found.st_mode):
        return Finding(FAIL, "env file", f"{path} is not a regular file", "make it one, of lines NAME=value")
    if found.st_uid not in (os.geteuid(), 0):
        return Finding(FAIL, "env file", f"{path} belongs to uid {found.st_uid}", "make it your own")
    if found.st_mode & 0o077:
        mode = stat.S_IMODE(found.st_mode)
        return Finding(FAIL, "env file", f"{path} is open to others (mode {mode:04o}), so it is not read", f"chmod 600 '{path}'")
    return Finding(OK, "env file", f"{path}, mode {stat.S_IMODE(found.st_mode):04o}")


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if not _OLDEST_PYTHON <= sys.version_info[:2] < _FIRST_UNTRIED_PYTHON:
        return Finding(WARN, "python", f"{version} is not one that this version is tried on", "use 3.11, 3.12 or 3.13")
    return Finding(OK, "python", f"{version}, {sys.executable}")


def _sqlite() -> Finding:
    try:
        import sqlite3
    except ImportError as error:
        return Finding(FAIL, "sqlite", f"this Python has none: {error}", "use a Python that was built with SQLite")
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        oldest = ".".join(map(str, _OLDEST_SQLITE))
        return Finding(FAIL, "sqlite", f"{sqlite3.sqlite_version} is older than {oldest}", "use a newer Python or SQLite")
    return Finding(OK, "sqlite", sqlite3.sqlite_version)


def _models(client: Client) -> Iterator[Finding]:
    try:
        models = client.items("llms")
    except SmallchainError as error:
        yield Finding(FAIL, "llms", error.message, error.hint)
        return
    broken = [model for model in models if model.get("status") != "Ready"]
    for model in broken[:_MOST_MODELS]:
        name, status = text_of(model.get("name")), text_of(model.get("status"))
        why = text_of(model.get("detail")) or "no reason is given"
        level = WARN if status == "Pending" else FAIL
        yield Finding(level, "llm", f"'{name}' is {status}: {why}", "`smallchain get llms -o wide` names its file")
    ready = len(models) - len(broken)
    if ready or not models:
        yield Finding(OK, "llms", f"{ready} Ready" if models else "none is declared; `smallchain init` writes a first file")


def _fence(status: dict[str, Any] | None) -> Finding:
    """As the daemon found it, which may be another user than we; without one, as it would be for us."""
    found = status.get("fence") if status is not None else None
    if not isinstance(found, dict):
        answer, fault = _answer([sys.executable, "-m", "smallchaind", "--fence"], within_s=_FENCE_S)
        if answer is None:
            return Finding(WARN, "fence", f"could not be looked at: {fault}", "`smallchaind --fence` tells more")
        found = json.loads(answer)
    why = "; ".join(text_of(each) for each in found.get("why") or ())
    words = text_of(found.get("words"))
    if not words:
        return Finding(
            FAIL, "fence", f"no sandbox works here: {why}", "install bubblewrap; until then tools that are programs can't be used"
        )
    if why:
        return Finding(WARN, "fence", f"{words} ({why})", "install bubblewrap for the best layers there are")
    return Finding(OK, "fence", words)


def _programs() -> Iterator[Finding]:
    for name, argv, level, what in (
        ("bash", ["bash", "--version"], WARN, "local_bash tools need it: install bash"),
        ("py tools", [sys.executable, "--version"], FAIL, "python tools need it: install Python again"),
        ("node", ["node", "--version"], OK, "local_nodejs tools need it: install Node.js"),
        ("docker", ["docker", "version", "--format", "{{.Server.Version}}"], OK, ""),
        ("podman", ["podman", "--version"], OK, ""),
        ("bwrap", ["bwrap", "--version"], OK, "the fence uses what else there is"),
    ):
        answer, fault = _answer(argv)
        if answer is not None:
            yield Finding(OK, name, answer)
        elif level != OK:
            yield Finding(level, name, fault, what)
        elif fault == _ABSENT:
            yield Finding(OK, name, f"{fault}; {what or 'this version needs it for nothing of its own'}")
        else:
            yield Finding(WARN, name, fault, "only tools of yours that call it are concerned")


def _answer(argv: list[str], *, within_s: float = _PROGRAM_S) -> tuple[str | None, str]:
    """The first line a program answers with, or what is wrong with it."""
    import subprocess

    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=within_s, check=False)
    except FileNotFoundError:
        return None, _ABSENT
    except OSError as error:
        return None, f"does not start: {error.strerror}"
    except subprocess.TimeoutExpired:
        return None, f"does not answer within {within_s:g} s"
    lines = done.stdout.decode(errors="replace").strip().splitlines()
    if done.returncode == 0 and lines:
        return lines[0][:2000], ""
    said = done.stderr.decode(errors="replace").strip().splitlines()
    return None, f"ends with exit code {done.returncode}" + (f": {said[0][:120]}" if said else "")
