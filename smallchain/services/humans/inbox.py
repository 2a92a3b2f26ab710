"""The inbox folder: a file for each open request, and what people save in them brought back. Works over ssh with any editor.

The one rule: the database is what counts, the folder is a projection of it. What is there is believed only if it was saved by us
or root, as a file of its own, and has come to rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pwd
import stat
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import watchfiles

from smallchain.model.delivery import Heard, Said, Told
from smallchain.model.errors import BadInput, SmallchainError, Transient
from smallchain.protocol.text import one_line
from smallchain.services.humans import inboxfile

log = logging.getLogger(__name__)

MOST = 500
LATE = "late"
_MOST_LATE = 100
_REST_S = 0.3
_LOOK_S = 2.0
_LOOK_ANYWAY_S = 10.0
_GATHER_S = 0.1
"""So long after a ring it looks: a crowd of requests is one look."""
_LOOKS_UNTIL_RESYNC = 6
_PROBLEM = ".problem.txt"

Mark = tuple[int, int, int]
"""Inode, size and time of change of a file."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A file that has come to rest since it was last looked at. `why_not`: it is not believed."""

    name: str
    request_id: str
    mark: Mark
    data: bytes
    by: str
    why_not: str = ""


class Folder:
    """The folder itself; blocking, for a thread. Remembers which state of each file has been dealt with."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._there: dict[str, Mark] = {}
        """What the last look found."""
        self._moving: dict[str, Mark] = {}
        self._done: dict[str, Mark] = {}

    def saved(self) -> tuple[list[Saved], bool]:
        """Files that changed and have not changed again since the last look; and whether others still move."""
        self._root.mkdir(mode=0o700, exist_ok=True)
        self._there = {}
        for entry in os.scandir(self._root):
            with contextlib.suppress(FileNotFoundError):
                self._there[entry.name] = _mark(entry.stat(follow_symlinks=False))
        changed = {
            name: mark for name, mark in self._there.items() if self._done.get(name) != mark and inboxfile.request_in(name) is not None
        }
        rests = {name: mark for name, mark in changed.items() if self._moving.get(name) == mark}
        self._done = {name: mark for name, mark in self._done.items() if name in self._there}
        self._moving = {name: mark for name, mark in changed.items() if name not in rests}
        return [found for name, mark in sorted(rests.items()) if (found := self._read(name, mark))], bool(self._moving)

    def done(self, saved: Saved) -> None:
        """This state of the file has been dealt with."""
        self._done[saved.name] = saved.mark

    def project(self, requests: Sequence[Told]) -> None:
        """Write the file of each request that has none (or one that a crash left empty); remove those of requests that are over."""
        self._root.mkdir(mode=0o700, exist_ok=True)
        wanted = {inboxfile.name_of(told): told for told in sorted(requests, key=lambda told: told.request_id)[-MOST:]}
        for name in self._there.keys() - wanted.keys():
            if name.endswith(_PROBLEM) and name.removesuffix(_PROBLEM) + ".yaml" not in wanted:
                _unlink(self._root / name)
            elif inboxfile.request_in(name) is not None:
                self._remove(name)
        for name, told in wanted.items():
            if self._is_blank(name):
                self._write(name, inboxfile.render(told))

    def remove(self, saved: Saved) -> None:
        """Take away the file of a decision that counted, unless it was saved again meanwhile."""
        self.tell_problem(saved.name, "")
        with contextlib.suppress(FileNotFoundError):
            if _mark((self._root / saved.name).lstat()) == saved.mark:
                _unlink(self._root / saved.name)

    def move_late(self, saved: Saved, sentence: str) -> None:
        """Put what came too late aside, with who was faster; the newest hundred are kept."""
        late = self._root / LATE
        late.mkdir(mode=0o700, exist_ok=True)
        _replace(late / saved.name, inboxfile.too_late(saved.data, sentence))
        self.remove(saved)
        kept = sorted((path.lstat().st_mtime_ns, path) for path in late.glob("*.yaml"))
        for _, path in kept[:-_MOST_LATE]:
            _unlink(path)

    def tell_problem(self, name: str, words: str) -> None:
        """Say beside the file why it could not be taken; no words: there is nothing to say any more."""
        path = self._root / (name.removesuffix(".yaml") + _PROBLEM)
        if words:
            _replace(path, words.encode())
        else:
            _unlink(path)

    def _read(self, name: str, mark: Mark) -> Saved | None:
        request_id = inboxfile.request_in(name)
        assert request_id is not None
        try:
            descriptor = os.open(self._root / name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        except OSError as error:  # a link (ELOOP), or one that we may not read
            return Saved(name, request_id, mark, b"", "", f"it can't be read: {error.strerror}")
        with os.fdopen(descriptor, "rb") as file:
            about = os.fstat(descriptor)
            if _mark(about) != mark:
                return None
            why_not = _why_not(about)
            data = b"" if why_not else file.read(inboxfile.LARGEST + 1)
            if _mark(os.fstat(descriptor)) != mark:
                return None
        return Saved(name, request_id, mark, data, _owner(about.st_uid), why_not)

    def _is_blank(self, name: str) -> bool:
        """Whether there is no file, or one that no editor wrote: a power cut leaves empty ones, or zeros."""
        if name in self._there and self._done.get(name) == self._there[name]:
            return False
        path = self._root / name
        try:
            about = path.lstat()
        except FileNotFoundError:
            return True
        if self._done.get(name) == _mark(about):
            return False
        if not stat.S_ISREG(about.st_mode) or about.st_uid not in (os.geteuid(), 0):
            return False
        if about.st_size == 0:
            return self._moving.get(name) is None  # an editor that has just emptied it writes on in a moment
        with path.open("rb") as file:
            return not file.read(4096).strip(b"\0")

    def _write(self, name: str, data: bytes) -> None:
        _replace(self._root / name, data)
        self._done[name] = _mark((self._root / name).lstat())

    def _remove(self, name: str) -> None:
        """Remove the file of a request that is over; one that was saved since is read first, and heard."""
        with contextlib.suppress(FileNotFoundError):
            if self._done.get(name) == _mark((self._root / name).lstat()):
                _unlink(self._root / name)


class Inbox:
    """Keeps the folder in step with the open requests. `waiting` gives the newest of them, `hear` takes what was decided."""

    def __init__(self, root: Path, *, waiting: Callable[[], Awaitable[Sequence[Told]]], hear: Callable[[Said], Awaitable[Heard]]) -> None:
        self._root = root
        self._folder = Folder(root)
        self._waiting = waiting
        self._hear = hear
        self._bell = asyncio.Event()
        self._stale = True
        self._told: Mapping[str, Told] = {}

    def ring(self) -> None:
        """A request was opened or closed."""
        self._stale = True
        self._bell.set()

    async def run(self) -> None:
        """Watch until cancelled. What was saved while nobody watched is heard first."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._hints())
            group.create_task(self._watch())

    async def look(self) -> bool:
        """One look: hear what rests, then write and remove. True while something still moves, which the next look may find at rest."""
        saved, moves = await asyncio.to_thread(self._folder.saved)
        if saved or self._stale:
            await self._read_requests()
        for each in saved:
            if each.why_not or each.data.strip(b"\0"):  # else no editor wrote it, and it is written anew
                await self._take(each)
        if self._stale:
            await self._read_requests()
        await asyncio.to_thread(self._folder.project, list(self._told.values()))
        return moves

    async def _read_requests(self) -> None:
        self._stale = False
        self._told = {told.request_id: told for told in await self._waiting()}

    async def _take(self, saved: Saved) -> None:
        """Hear one saved file. What can't be taken is told beside it, and stays as it is."""
        told = self._told.get(saved.request_id)
        try:
            if saved.why_not:
                raise BadInput(saved.why_not)
            if told is not None and await asyncio.to_thread(_is_untouched, saved, told):
                self._folder.done(saved)
                return
            draft = await asyncio.to_thread(inboxfile.read, saved.data, name=saved.name)
            if draft.verb is None:
                self._folder.done(saved)  # a draft, which stays as long as the request
                await asyncio.to_thread(self._folder.tell_problem, saved.name, "")
                return
            said = inboxfile.said(draft, told, request_id=saved.request_id, by=saved.by)
        except BadInput as error:
            await self._refuse(saved, told, error)
            return
        heard = await self._hear(said)
        self._stale = True
        if heard.counted:
            await asyncio.to_thread(self._folder.remove, saved)
            return
        await self._read_requests()
        if saved.request_id in self._told:  # it is open still: something about the answer was not right
            await self._refuse(saved, self._told[saved.request_id], BadInput(heard.sentence))
        else:
            await asyncio.to_thread(self._folder.move_late, saved, heard.sentence)

    async def _refuse(self, saved: Saved, told: Told | None, error: SmallchainError) -> None:
        self._folder.done(saved)
        log.warning("the inbox file %s can't be taken: %s", saved.name, one_line(error.message))
        problems = getattr(error, "problems", ()) or (error,)
        words = "".join(f"{one_line(str(problem))}\n" for problem in problems)
        if told is None:
            await asyncio.to_thread(self._folder.move_late, saved, "the request is not open any more")
        else:
            await asyncio.to_thread(self._folder.tell_problem, saved.name, words)

    async def _hints(self) -> None:
        """Ring when something changes in the folder, and every ten seconds in case nobody told us (500 files take 11 ms to look at)."""
        while True:
            try:
                watched = self._root.stat().st_ino
                looks = watchfiles.awatch(
                    self._root, debounce=100, step=100, rust_timeout=int(_LOOK_ANYWAY_S * 1000), yield_on_timeout=True, recursive=False
                )
                async for _ in looks:
                    self._bell.set()
                    if self._root.stat().st_ino != watched:
                        break  # another folder of the same name, to which this watch is deaf
            except* (OSError, RuntimeError):  # no folder yet, or too many watches
                self._bell.set()
            await asyncio.sleep(_LOOK_S)

    async def _watch(self) -> None:
        looks = 0
        while True:
            try:
                moves = await self.look()
            except Transient as error:
                log.warning("the inbox folder has to wait: %s", error)
                moves = await asyncio.sleep(_LOOK_S, True)
            looks += 1
            if looks % _LOOKS_UNTIL_RESYNC == 0:
                self._stale = True  # whoever should have rung may have been lost
            if moves:
                await asyncio.sleep(_REST_S)
                continue
            await self._bell.wait()
            await asyncio.sleep(_GATHER_S)
            self._bell.clear()


def _is_untouched(saved: Saved, told: Told) -> bool:
    """Whether nobody wrote into the file: after a start, all have to be looked at, and reading YAML takes time."""
    return saved.data == inboxfile.render(told)


def _mark(about: os.stat_result) -> Mark:
    return about.st_ino, about.st_size, about.st_mtime_ns


def _why_not(about: os.stat_result) -> str:
    if not stat.S_ISREG(about.st_mode):
        return "it is not a regular file"
    if about.st_uid not in (os.geteuid(), 0):
        return f"it belongs to another user (uid {about.st_uid})"
    if about.st_nlink != 1:
        return "it has a second name (a hard link)"
    if about.st_size > inboxfile.LARGEST:
        return f"it has more than {inboxfile.LARGEST >> 20} MiB"
    return ""


def _owner(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _replace(path: Path, data: bytes) -> None:
    """Write a file whole. No fsync: a projection that is lost is written again."""
    draft = path.with_name(f".{path.name}.tmp")
    with contextlib.suppress(FileNotFoundError):
        draft.unlink()
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    os.replace(draft, path)


def _unlink(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
