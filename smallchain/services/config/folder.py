"""The config folder as it stands: which files count, read safely, each with where it came from. Blocking; call it in a thread.

Hints of change are never trusted: what counts is what a look at the disk finds.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from smallchain.model.errors import Place, Problem

APPLIED = "applied"
_TRAILER = "# smallchain applied this from: "
_MOST_FILES = 10_000
_MOST_BYTES = 64 << 20
_MOST_IN_FILE = 1 << 20
_LITTER = ("*~", "#*#", ".*", "4913", "*.swp", "*.swx", "*.tmp", "*.bak")


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A file that was read. `shown` is what people are told (an applied file's source), `folder` where its relative paths start."""

    path: str
    shown: str
    source: str
    folder: str
    data: bytes
    digest: str


@dataclass(slots=True)
class Scan:
    """A look at the folder. `gone` says why there is no folder to look at; `unread` what could not be read, by path."""

    inode: str = ""
    files: list[ConfigFile] = field(default_factory=list)
    unread: dict[str, Problem] = field(default_factory=dict)
    gone: str = ""


Signature = tuple[tuple[str, int, int, int], ...] | None
"""Path, inode, size and time of change of every file that counts; None when the folder is not there."""


def signature(root: Path) -> Signature:
    """A cheap fingerprint of the folder, which changes when anything that counts does."""
    try:
        about = root.stat()
        found = [(_as_text(path), info.st_ino, info.st_size, info.st_mtime_ns) for path, info in _walk(root)]
    except OSError:
        return None
    return (("", about.st_ino, 0, 0), *found)


def folders(root: Path) -> list[tuple[str, int]]:
    """Path and inode of each folder to watch, one by one: a watch of the whole would follow links out of it. Empty: none can be."""
    try:
        return [(folder, os.stat(folder).st_ino) for folder, inside, _ in _walk_folders(root) if inside]
    except OSError:
        return []


def scan(root: Path) -> Scan:
    """Read the folder."""
    result = Scan()
    try:
        about = root.stat()
        if not stat.S_ISDIR(about.st_mode):
            return Scan(gone="is not a folder")
        result.inode = f"{about.st_dev}:{about.st_ino}"
        listed = list(_walk(root))
    except FileNotFoundError:
        return Scan(gone="is missing")
    except OSError as error:
        return Scan(gone=f"can't be read ({error.strerror}: {_as_text(error.filename)})")
    if about.st_uid not in (os.getuid(), 0):
        return Scan(gone=f"belongs to another user (uid {about.st_uid})")
    if about.st_mode & stat.S_IWOTH:
        return Scan(gone="can be written by everybody (chmod o-w it)")
    if len(listed) > _MOST_FILES:
        return Scan(gone=f"holds {len(listed)} files; {_MOST_FILES} are the most")
    total = 0
    real_root = os.path.realpath(root)
    for path, info in listed:
        total += info.st_size
        if total > _MOST_BYTES:
            return Scan(gone=f"holds more than {_MOST_BYTES >> 20} MiB")
        problem, hint = _why_not(path, info, real_root)
        data = b"" if problem else _read(path)
        if problem or data is None:
            shown = _as_text(path)
            result.unread[shown] = Problem(Place(shown), problem or "can't be read", hint)
            continue
        result.files.append(file_of(path, data, root))
    return result


def applied_path(root: Path, source: str) -> Path:
    """Where the copy of an applied source is kept: `applied/<stem>-<8 hex of the source's path>.yaml`."""
    stem = "".join(char if char.isascii() and (char.isalnum() or char in "-_") else "-" for char in Path(source).stem)[:40] or "manifest"
    mark = hashlib.sha256(source.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return root / APPLIED / f"{stem}-{mark}.yaml"


def with_source(text: str, source: str, folder: str) -> bytes:
    """The text of an applied copy: the source's own, so that lines keep their numbers, and a last line that says where it came from."""
    note = _TRAILER + json.dumps({"source": source, "folder": folder})
    return (text + ("" if text.endswith("\n") or not text else "\n") + note + "\n").encode("utf-8", "surrogateescape")


def write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, durably."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    draft = path.with_name(f".{path.name}.tmp")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)
    _sync_folder(path.parent)


def remove(path: Path) -> None:
    """Remove a file, durably."""
    path.unlink(missing_ok=True)
    if path.parent.exists():
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _walk(root: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Every YAML file below the root, in order of path; litter of editors and hidden folders left out."""
    for folder, _, files in _walk_folders(root):
        for name in sorted(files):
            if name.endswith((".yaml", ".yml")) and not _is_litter(name):
                path = Path(folder, name)
                try:
                    yield path, path.stat()
                except FileNotFoundError:
                    continue
                except OSError:
                    yield path, path.lstat()  # a link to itself


def _walk_folders(root: Path) -> Iterator[tuple[str, bool, list[str]]]:
    """Every folder below the root, whether it lies inside, and the names of its files.

    Each is walked once, however many links lead to it, and a linked folder outside only as far as its own files. Raises OSError
    when one can't be listed: what can't be seen is not what was deleted.
    """
    real_root = os.path.realpath(root)
    walked: set[str] = set()
    for folder, names, files in os.walk(root, followlinks=True, onerror=_not_listed):
        real = os.path.realpath(folder)
        if real in walked:
            names.clear()
            continue
        walked.add(real)
        inside = _is_inside(real, real_root)
        names[:] = sorted(name for name in names if not _is_litter(name)) if inside else []
        yield folder, inside, files


def _not_listed(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _is_inside(real: str, real_root: str) -> bool:
    return os.path.commonpath([real_root, real]) == real_root


def _as_text(path: Path | str | bytes) -> str:
    """A path as text that can be stored and told; bytes that are no UTF-8 are written as escapes."""
    return os.fsdecode(path).encode("utf-8", "backslashreplace").decode()


def _is_litter(name: str) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in _LITTER)


def _why_not(path: Path, info: os.stat_result, real_root: str) -> tuple[str, str]:
    """What speaks against reading a file, and what to do about it; empty when nothing does."""
    if _as_text(path) != str(path):
        return "has a name that is not UTF-8", "rename it"
    if not stat.S_ISREG(info.st_mode):
        return "is not a regular file", ""
    if info.st_size > _MOST_IN_FILE + 4096:
        return f"has {info.st_size} bytes; {_MOST_IN_FILE} (1 MiB) are the most", ""
    if info.st_uid not in (os.getuid(), 0):
        return f"belongs to another user (uid {info.st_uid})", ""
    if info.st_mode & stat.S_IWOTH:
        return "can be written by everybody (chmod o-w it)", ""
    if not _is_inside(os.path.realpath(path), real_root):
        return "is a link that leads out of the config folder", ""
    return "", ""


def _read(path: Path) -> bytes | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read(_MOST_IN_FILE + 8192)


def file_of(path: Path, data: bytes, root: Path) -> ConfigFile:
    """A file of the folder with these bytes; an applied copy goes by the name of its source."""
    digest = hashlib.sha256(data).hexdigest()
    if path.parent == root / APPLIED:
        head, mark, tail = data.rpartition(_TRAILER.encode())
        if mark:
            try:
                note = json.loads(tail)
                source, folder = str(note["source"]), str(note["folder"])
            except (ValueError, KeyError, TypeError):
                pass
            else:
                return ConfigFile(str(path), source, source, folder, head, digest)
    return ConfigFile(str(path), str(path), "", str(path.parent), data, digest)
