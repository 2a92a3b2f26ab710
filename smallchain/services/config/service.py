"""Keeps the database saying what the folder says: watches for hints, waits until the folder rests, applies it as a whole."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import watchfiles

from smallchain.engine.llm import kind as llm_loop
from smallchain.engine.loop import Driver
from smallchain.model import references
from smallchain.model.errors import BadInput, Problem, Unknown
from smallchain.model.manifest import Resource, parse_manifest
from smallchain.services.config import folder
from smallchain.services.config.apply import Applied, Wanted, apply, folder_gone, reject
from smallchain.services.config.folder import ConfigFile
from smallchain.store.contract import Tx

log = logging.getLogger(__name__)
_REST_S = 0.3
_LOOK_S = 2.0


@dataclass(frozen=True, slots=True)
class Source:
    """A manifest that a person applies. `source` is its absolute path (or a name for standard input), `shown` as they typed it."""

    source: str
    folder: str
    text: str
    shown: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What an application did, and what is worth telling the person."""

    applied: Applied
    warnings: tuple[Problem, ...]


class _DryRun(Exception):
    def __init__(self, applied: Applied) -> None:
        self.applied = applied


class ConfigService:
    """Watches one folder. All changes go through one lock, one at a time."""

    def __init__(self, root: Path, driver: Driver) -> None:
        self._root = root
        self._driver = driver
        self._lock = asyncio.Lock()
        self._bell = asyncio.Event()
        self._seen: folder.Signature = ()
        self._seen_env: tuple[int, int] | None = None
        self._gone = ""
        self._parsed: dict[tuple[str, str, str], list[Resource] | tuple[Problem, ...]] = {}

    def ring(self) -> None:
        """Look at the folder now (SIGHUP, a request)."""
        self._seen = ()
        self._bell.set()

    async def run(self) -> None:
        """Watch until cancelled."""
        self._seen_env = await asyncio.to_thread(self._env_mark)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._hints())
            group.create_task(self._watch())

    async def _hints(self) -> None:
        while True:
            watched = await asyncio.to_thread(folder.folders, self._root)
            if not watched:
                await asyncio.sleep(0.5)
                continue
            try:
                paths = [path for path, _ in watched]
                async for _ in watchfiles.awatch(*paths, debounce=100, step=100, rust_timeout=2000, yield_on_timeout=True, recursive=False):
                    self._bell.set()
                    if await asyncio.to_thread(folder.folders, self._root) != watched:
                        break  # there is a new folder, or the watch of one is deaf: begin another
            except* (OSError, RuntimeError) as group:  # a folder that went, too many watches, a name that is no UTF-8
                log.warning("watching %s: %s; looking every %s s meanwhile", self._root, group.exceptions, _LOOK_S)
                await asyncio.sleep(_LOOK_S)

    async def _watch(self) -> None:
        while True:
            try:
                async with asyncio.timeout(_LOOK_S):
                    await self._bell.wait()
            except TimeoutError:
                pass
            self._bell.clear()
            await self._look_at_env()
            mark = await asyncio.to_thread(folder.signature, self._root)
            if mark == self._seen:
                continue
            while True:  # until it rests
                await asyncio.sleep(_REST_S)
                again = await asyncio.to_thread(folder.signature, self._root)
                if again == mark:
                    break
                mark = again
            await self.reconcile()

    async def _look_at_env(self) -> None:
        mark = await asyncio.to_thread(self._env_mark)
        if mark != self._seen_env:
            self._seen_env = mark
            await self._driver.transact(llm_loop.look_again)

    def _env_mark(self) -> tuple[int, int] | None:
        try:
            found = (self._root / "env").stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size

    async def reconcile(self, *, accept: bool = False) -> Answer:
        """Look at the folder and apply it; a folder with a fault in it stays at its last good version."""
        async with self._lock:
            mark = await asyncio.to_thread(folder.signature, self._root)
            found = await asyncio.to_thread(folder.scan, self._root)
            if found.gone:
                if found.gone != self._gone:
                    await self._driver.transact(lambda tx: folder_gone(tx, str(self._root), found.gone))
                self._gone, self._seen = found.gone, mark
                return Answer(Applied(), ())
            self._gone = ""
            resources, problems = await asyncio.to_thread(self._read, found.files)
            if problems or found.unread:
                await self._driver.transact(lambda tx: reject(tx, found.files, problems, found.unread))
                self._seen = mark
                return Answer(Applied(), (*problems, *found.unread.values()))
            wanted = Wanted(found.files, resources, found.inode, accept=accept)
            applied = await self._driver.transact(lambda tx: apply(tx, wanted), alone=True)
            self._seen = mark
            return Answer(applied, ())

    async def apply(
        self, sources: Sequence[Source], *, by: str, prune: bool = False, accept: bool = False, dry_run: bool = False
    ) -> Answer:
        """Apply manifests that a person hands over; each source's copy in `applied/` is replaced whole.

        Raises BadInput with every problem (also of other files that hold the folder), Unconfirmed when a live run would end.
        """
        paths = {folder.applied_path(self._root, each.source): folder.with_source(each.text, each.source, each.folder) for each in sources}
        fresh = [folder.file_of(path, data, self._root) for path, data in paths.items()]
        names = {each.source: each.shown for each in sources}
        try:
            answer = await self._change(fresh, paths, by=by, prune=prune, accept=accept, dry_run=dry_run)
        except BadInput as error:
            raise replace(error, problems=_as_typed(error.problems, names)) from error
        return Answer(answer.applied, _as_typed(answer.warnings, names))

    async def delete(self, sources: Sequence[str], *, by: str, prune: bool = False) -> Answer:
        """Take back what was applied from these sources; raises Unknown when nothing was."""
        paths: dict[Path, bytes | None] = {}
        for source in sources:
            path = folder.applied_path(self._root, source)
            if not await asyncio.to_thread(path.exists):
                raise Unknown(f"nothing was applied from {source}", hint="`smallchain get files` lists what was")
            paths[path] = None
        return await self._change([], paths, by=by, prune=prune, accept=False, dry_run=False)

    async def _change(
        self,
        fresh: list[ConfigFile],
        paths: dict[Path, bytes | None] | dict[Path, bytes],
        *,
        by: str,
        prune: bool,
        accept: bool,
        dry_run: bool,
    ) -> Answer:
        async with self._lock:
            found = await asyncio.to_thread(folder.scan, self._root)
            if found.gone:
                raise BadInput(f"the config folder {self._root} {found.gone}")
            replaced = {str(path) for path in paths}
            kept = [each for each in found.files if each.path not in replaced]
            files = [*kept, *fresh]
            resources, problems = await asyncio.to_thread(self._read, files)
            problems = [*problems, *(problem for path, problem in found.unread.items() if path not in replaced)]
            if problems:
                raise BadInput("nothing was applied", problems=tuple(problems))
            changed = frozenset(each.source for each in found.files if each.path in replaced) | {each.shown for each in fresh}
            wanted = Wanted(files, resources, found.inode, accept=accept, prune=prune, changed_sources=changed, by=by)
            warnings = _warnings(resources, {each.shown for each in fresh})
            if dry_run:
                return Answer(await self._try(wanted), warnings)
            before = {path: path.read_bytes() if path.exists() else None for path in paths}
            await self._try(wanted)  # a refusal leaves the files as they were
            await asyncio.to_thread(_write_all, paths)
            try:
                applied = await self._driver.transact(lambda tx: apply(tx, wanted), alone=True)
            except BaseException:
                _write_all(before)
                raise
            self._seen = await asyncio.to_thread(folder.signature, self._root)
            return Answer(applied, warnings)

    async def _try(self, wanted: Wanted) -> Applied:
        def attempt(tx: Tx) -> None:
            raise _DryRun(apply(tx, wanted))

        try:
            await self._driver.transact(attempt, alone=True)
        except _DryRun as done:
            return done.applied
        raise AssertionError("a dry run always ends by its own exception")

    def _read(self, files: Sequence[ConfigFile]) -> tuple[list[Resource], list[Problem]]:
        """Parse every file (each version once) and hold them against each other."""
        resources: list[Resource] = []
        problems: list[Problem] = []
        parsed: dict[tuple[str, str, str], list[Resource] | tuple[Problem, ...]] = {}
        for each in files:
            key = (each.shown, each.folder, each.digest)
            outcome = self._parsed.get(key)
            if outcome is None:
                try:
                    outcome = parse_manifest(each.data, file=each.shown, folder=each.folder)
                except BadInput as error:
                    outcome = error.problems
            parsed[key] = outcome
            if isinstance(outcome, tuple):
                problems += outcome
            else:
                resources += outcome
        self._parsed = parsed
        if not problems:
            problems += references.clashes(resources)
        return resources, problems


def _as_typed(problems: Sequence[Problem], names: dict[str, str]) -> tuple[Problem, ...]:
    """Problems under the names of files as the person typed them."""
    return tuple(replace(each, place=replace(each.place, file=names.get(each.place.file, each.place.file))) for each in problems)


def _warnings(resources: Sequence[Resource], shown: set[str]) -> tuple[Problem, ...]:
    found = (*references.missing(resources), *references.warnings(resources))
    return tuple(problem for problem in found if problem.place.file in shown)


def _write_all(paths: dict[Path, bytes | None] | dict[Path, bytes]) -> None:
    for path, data in paths.items():
        if data is None:
            folder.remove(path)
        else:
            folder.write(path, data)
