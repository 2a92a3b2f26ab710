"""What stands behind `-f`: files, folders of files, standard input, each read whole and once, or refused.

The one rule: a source keeps its identity (its absolute path, or its `--name`), so that applying it again replaces it.
"""

from __future__ import annotations

import os
import stat
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import dataclass

from smallchain.model.errors import BadInput, Place, Problem, Terminal

LARGEST_FILE = 2**20
MOST_FILES = 10_000
SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Source:
    """One source. `source` is its identity, `folder` where its relative paths start, `shown` how the person named it."""

    source: str
    folder: str
    shown: str
    data: bytes

    def to_wire(self) -> dict[str, str]:
        """As `apply` sends it; raises BadInput with the place when it is not UTF-8."""
        try:
            text = self.data.decode("utf-8")
        except UnicodeDecodeError as error:
            line = self.data.count(b"\n", 0, error.start) + 1
            before = self.data[self.data.rfind(b"\n", 0, error.start) + 1 : error.start]
            place = Place(self.shown, line, len(before.decode("utf-8", "replace")) + 1)
            problem = Problem(place, f"the byte 0x{self.data[error.start]:02X} is not UTF-8", "save the file as UTF-8")
            raise BadInput(str(problem), problems=(problem,)) from error
        return {"source": self.source, "folder": self.folder, "text": text, "shown": self.shown}


def add_files(parser: ArgumentParser, *, required: bool) -> None:
    """`-f`, and the `--name` that standard input needs."""
    parser.add_argument(
        "-f",
        "--file",
        metavar="FILE|DIR|-",
        dest="files",
        action="append",
        default=[],
        required=required,
        help="a YAML file, a folder of them, or - for standard input with --name; may stand several times",
    )
    parser.add_argument("--name", metavar="NAME", help="what standard input is called, so that applying it again replaces it")
    parser.set_defaults(refuse=parser.error)


def usage_fault(files: Sequence[str], name: str | None) -> str | None:
    """What is wrong with the flags themselves, None when nothing is."""
    if "-" in files and not name:
        return "-f - needs --name NAME, under which the source is kept"
    if name and "-" not in files:
        return "--name is for -f -"
    for file in files:
        if "://" in file:
            return f"-f takes files, not addresses: {file!r}; fetch it, then pipe it into -f - --name NAME"
        if not file:
            return "-f '' names no file"
    return None


def read_sources(files: Sequence[str], name: str | None) -> list[Source]:
    """All sources, each once. Raises Terminal for what cannot be read, and for a folder that holds no YAML."""
    found: dict[str, Source] = {}
    for file in files:
        if file == "-":
            assert name is not None
            found.setdefault(name, Source(name, os.path.realpath("."), name, _standard_input()))
            continue
        for path in paths_under(file):
            source = identity(path)
            if source not in found:
                found[source] = Source(source, os.path.dirname(source), path, _regular_file(path))
    return list(found.values())


def paths_under(file: str) -> list[str]:
    """The file itself, or the YAML files in a folder (not in those below it), sorted by name."""
    try:
        if not stat.S_ISDIR(os.stat(file).st_mode):
            return [file]
        names = sorted(name for name in os.listdir(file) if name.endswith(SUFFIXES) and not name.startswith("."))
    except OSError as error:
        raise _unreadable(file, error) from error
    if not names:
        raise Terminal(f"the folder {file!r} holds no *.yaml or *.yml", hint="name the file itself, or another folder")
    if len(names) > MOST_FILES:
        raise Terminal(f"the folder {file!r} holds {len(names)} YAML files; {MOST_FILES} are the most")
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise Terminal(f"a file's name in {file!r} is not UTF-8: {name!r}", hint="rename it") from error
    return [os.path.join(file, name) for name in names]


def identity(path: str) -> str:
    """A file's absolute path, its folder's links followed, its own not: a link that is swapped stays the same source."""
    folder, name = os.path.split(os.path.abspath(path))
    return os.path.join(os.path.realpath(folder), name)


def _regular_file(path: str) -> bytes:
    """A file's bytes. A pipe or device is refused before anything is read; it could hang, or never end."""
    try:
        # Not waiting for a writer, should it be a pipe; not becoming our terminal, should it be one.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        raise _unreadable(path, error) from error
    with open(descriptor, "rb") as stream:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or os.path.abspath(path).startswith(("/dev/", "/proc/")):
            raise Terminal(f"{path!r} is not a regular file", hint="pipe it into -f - --name NAME")
        if found.st_size > LARGEST_FILE:
            raise _too_large(path, f"has {found.st_size} bytes")
        try:
            data = stream.read(LARGEST_FILE + 1)
        except OSError as error:
            raise _unreadable(path, error) from error
    if len(data) > LARGEST_FILE:
        raise _too_large(path, "grows")
    return data


def _standard_input() -> bytes:
    if sys.stdin is None:
        raise Terminal("standard input is closed", hint="pipe the YAML into the command")
    data = sys.stdin.buffer.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise _too_large("standard input", "holds more")
    return data


def _too_large(path: str, how: str) -> Terminal:
    return Terminal(f"{path!r} {how}; {LARGEST_FILE} (1 MiB) are the most", hint="split it into several files")


def _unreadable(path: str, error: OSError) -> Terminal:
    return Terminal(f"{path!r} cannot be read: {error.strerror or error}", hint="look at its path and its permissions")
