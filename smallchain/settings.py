"""Where things lie: config folder, state folder, socket; read once from flags, environment, defaults, alike in all programs.

The one rule: the same flags and environment give the same paths in the command, the daemon and the dashboard. On the
command's paint path: standard library only.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from smallchain.model.errors import BadInput, Refused

if TYPE_CHECKING:
    import argparse

LONGEST_SOCKET_PATH = 107
"""Bytes that `sun_path` holds on Linux beside its closing NUL (unix(7))."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The paths, absolute. `socket_given` tells that a person named the socket: then nobody looks anywhere else."""

    config_dir: Path
    state_dir: Path
    socket_path: Path
    socket_given: bool = False

    @classmethod
    def read(
        cls,
        environ: Mapping[str, str],
        *,
        config_dir: str | Path | None = None,
        state_dir: str | Path | None = None,
        socket: str | Path | None = None,
    ) -> Settings:
        """Flags come before variables, variables before defaults; an empty text is as none. Makes no file and no folder.

        Raises Refused when no path for the socket is short enough.
        """
        config = config_dir or environ.get("SMALLCHAIN_CONFIG_DIR")
        state = state_dir or environ.get("SMALLCHAIN_STATE_DIR")
        given = socket or environ.get("SMALLCHAIN_SOCKET")
        runtime = environ.get("XDG_RUNTIME_DIR", "")
        config_path = _absolute(config) if config else _xdg(environ, "XDG_CONFIG_HOME", ".config")
        state_path = _absolute(state) if state else _xdg(environ, "XDG_STATE_HOME", ".local/state")
        if given:
            path = _absolute(given)
        elif state or not runtime.startswith("/"):
            # A state folder of one's own has a socket of its own: two daemons never fight over the one in XDG_RUNTIME_DIR.
            path = state_path / "run" / "daemon.sock"
        else:
            path = Path(runtime, "smallchain", "daemon.sock")
        return cls(config_path, state_path, _short(path, environ), bool(given))

    @classmethod
    def of(cls, arguments: argparse.Namespace, environ: Mapping[str, str]) -> Settings:
        """The settings of parsed arguments, whose parser went through `add_arguments`."""
        return cls.read(
            environ,
            config_dir=getattr(arguments, "config_dir", None),
            state_dir=getattr(arguments, "state_dir", None),
            socket=getattr(arguments, "socket", None),
        )

    @property
    def socket_file(self) -> Path:
        """Where the daemon writes the path of its socket, for clients to read first."""
        return self.state_dir / "socket"

    @property
    def daemon_log(self) -> Path:
        """Where a daemon started by the command writes its log."""
        return self.state_dir / "daemon.log"


@dataclass(frozen=True, slots=True)
class Callbacks:
    """Where callbacks are heard: a port of 127.0.0.1, and the address under which the outside reaches it. The daemon's alone."""

    port: int
    url: str

    @classmethod
    def read(cls, environ: Mapping[str, str], *, port: str | None = None, url: str | None = None) -> Callbacks | None:
        """Flags come before variables; None while no port is named. Raises BadInput for what is no port or no address."""
        given = port or environ.get("SMALLCHAIN_CALLBACKS", "")
        address = (url or environ.get("SMALLCHAIN_CALLBACKS_URL", "")).rstrip("/")
        if not given:
            if address:
                raise BadInput("an address for callbacks is named, and no port", hint="name the port too: --callbacks PORT")
            return None
        if not (given.isascii() and given.isdigit() and 0 < int(given[:6]) < 65536):
            raise BadInput(f"{given[:40]!r} is not a port for callbacks", hint="write a number from 1 to 65535")
        number = int(given)
        return cls(number, _address(address) if address else f"http://127.0.0.1:{number}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The three flags for paths, the same for all three programs."""
    import argparse

    paths = parser.add_argument_group("paths")
    for flag, what in (
        ("--socket", "the daemon's Unix socket (SMALLCHAIN_SOCKET)"),
        ("--config-dir", "the watched folder of YAML (SMALLCHAIN_CONFIG_DIR)"),
        ("--state-dir", "the folder of the database and the log (SMALLCHAIN_STATE_DIR)"),
    ):
        paths.add_argument(flag, metavar="PATH", default=argparse.SUPPRESS, help=what)


def is_said(variable: str, environ: Mapping[str, str]) -> bool:
    """Whether a variable says yes; raises BadInput for a word that is neither yes nor no."""
    word = environ.get(variable, "").casefold()
    if word not in ("", "yes", "no", "1", "0", "true", "false"):
        raise BadInput(f"{variable} is {word[:40]!r}", hint="write yes or no")
    return word in ("yes", "1", "true")


def client_socket(settings: Settings) -> Path:
    """The socket a client connects to: the given one, else the one the daemon has written down, else the default.

    Raises Refused when the socket lies in a folder where another user could have put it.
    """
    if settings.socket_given:
        return settings.socket_path
    path = _written(settings.socket_file) or settings.socket_path
    _check_folder_of(path)
    return path


def private_folder(path: Path) -> Path:
    """Make a folder that is ours alone, mode 0700, with its parents, or see that it is so already; returns it.

    Raises Refused when it is a symbolic link, is no folder, belongs to somebody else, or is open to others.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        os.mkdir(path, 0o700)
        os.chmod(path, 0o700)  # whatever the umask was
    except FileExistsError:
        pass
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode):
        raise Refused(f"{path} is not a folder", hint="remove it, or choose another place")
    if found.st_uid != os.geteuid():
        raise Refused(f"the folder {path} belongs to uid {found.st_uid}, not to us", hint="choose another place with --socket")
    if found.st_mode & 0o077:
        raise Refused(f"the folder {path} is open to others (mode {found.st_mode & 0o777:o})", hint=f"chmod 700 {path}")
    return path


def _address(url: str) -> str:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment or "@" in parts.netloc or not url.isprintable() or " " in url:
        raise BadInput(f"{url[:80]!r} is not an address for callbacks", hint="write it as https://host or https://host/path")
    return url


def _absolute(path: str | Path) -> Path:
    return Path(os.path.abspath(os.path.expanduser(path)))


def _xdg(environ: Mapping[str, str], variable: str, default: str) -> Path:
    """A base folder of the XDG specification: a relative one is invalid and ignored."""
    base = environ.get(variable, "")
    if not base.startswith("/"):
        home = environ.get("HOME", "")
        base = os.path.join(home if home.startswith("/") else os.path.expanduser("~"), default)
    return Path(os.path.abspath(os.path.join(base, "smallchain")))


def _short(path: Path, environ: Mapping[str, str]) -> Path:
    """The path itself where a socket can have it, else one of the same meaning in a short folder of our own."""
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
        return path
    import hashlib

    name = hashlib.sha256(os.fsencode(path)).hexdigest()[:16] + ".sock"
    for temporary in (environ.get("TMPDIR", ""), "/tmp"):
        short = Path(temporary, f"smallchain-{os.geteuid()}", name)
        if short.is_absolute() and len(os.fsencode(short)) <= LONGEST_SOCKET_PATH:
            return short
    raise Refused(f"the socket's path {path} is longer than {LONGEST_SOCKET_PATH} bytes", hint="name a shorter one with --socket")


def _written(file: Path) -> Path | None:
    """The path in the daemon's `socket` file, None when there is none that could be one."""
    try:
        with file.open("rb") as stream:
            text = os.fsdecode(stream.read(4096)).strip()
    except OSError:
        return None
    return Path(text) if text.startswith("/") and "\0" not in text and "\n" not in text else None


def _check_folder_of(path: Path) -> None:
    """The short folder lies where anybody may make one of its name; elsewhere, the client asks the socket who listens."""
    if path.parent.name != f"smallchain-{os.geteuid()}":
        return
    try:
        found = os.lstat(path.parent)
    except OSError:
        return  # not there: for `connect` to tell
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise Refused(
            f"the socket's folder {path.parent} is not ours alone (uid {found.st_uid}, mode {found.st_mode & 0o777:o})",
            hint="remove that folder, or name the socket with --socket",
        )
