"""One attempt of a tool in a container of its own, which outlives the daemon: what came of it is looked up, never guessed.

The container's name is made of the call's id and the attempt's number, and is the lock: nobody can make a second one. Intent is
written before each effect, into a folder of the attempt: which backend is asked (before the container is made), that it is started
(before it is), and why it is ended (before it is). Only when the outcome is recorded do both go.

Output is read as it comes, from the client that started the container. The backend keeps a short log beside (rotated, so that no
flood fills a disk), which is what is read when that client did not live to the end.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import resource
import shutil
import signal
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from smallchain.model.canonical import canonical
from smallchain.model.errors import BadInput
from smallchain.model.fence import Mount
from smallchain.model.sizes import show_size
from smallchain.model.toolcall import Outcome, OutcomeKind, Start
from smallchain.services.sandbox.sandbox import FILE, MEMORY, PROCESSES, TMP, Sandbox
from smallchain.services.sandbox.slots import GROUP
from smallchain.services.tools.backend import Backend, Backends
from smallchain.services.tools.job import facts, outcome_of
from smallchain.services.tools.process import STDOUT_KEPT, Ended, NotStarted, Patience, outlast

log = logging.getLogger(__name__)

INSIDE = "/smallchain"
"""Where an attempt's files are, inside."""
NOBODY = 65534
CREATE_WITHIN = timedelta(seconds=60)
BACK_WITHIN = timedelta(seconds=60)
"""How long a backend that does not answer is waited for, before what became of a container counts as unknown."""
_LOGS = {
    "docker": ("local", "max-size=4m", "max-file=2", "compress=false"),
    "podman": ("k8s-file", "max-size=8mb"),
}
_OVER = ("exited", "dead", "stopped", "removing")
_GOES_ON = ("running", "paused", "restarting", "stopping")
_LONGEST_POLL_S = 1.0
_STOPPED = "stopped"
"""Why a container was ended that somebody no longer wanted, or whose daemon stopped: no end of its own."""


@dataclass(frozen=True, slots=True)
class Work:
    """What runs in a container: a program of its image and the image's environment with `env` besides.

    `fill` writes files into a folder that is there inside as INSIDE, for reading only.
    """

    image: str
    argv: Sequence[str]
    env: Mapping[str, str]
    fill: Callable[[Path], None] | None = None


@dataclass(frozen=True, slots=True)
class _State:
    """What a backend tells of a container."""

    status: str
    code: int
    out_of_memory: bool
    error: str

    @property
    def is_over(self) -> bool:
        return self.status in _OVER

    @property
    def was_started(self) -> bool:
        """What is told of it otherwise (`created`, `initialized`, ...) is before its start."""
        return self.status in _OVER or self.status in _GOES_ON


class Containers:
    """Runs attempts in containers, each with a folder under `folder`; `home` marks all that belong to one state folder.

    Of the sandbox it only takes the rule of what may be mounted.
    """

    def __init__(self, backends: Backends, *, sandbox: Sandbox, folder: Path, home: str, patience: Patience | None = None) -> None:
        self._backends = backends
        self._sandbox = sandbox
        self._folder = folder
        self._home = home
        self._patience = patience

    async def fault(self, image: str, mounts: Sequence[Mount]) -> str:
        """Why no container of an image with these folders can be made, in words; empty when one can. It may pull the image."""
        return await self.usable(image) or await asyncio.to_thread(self._sandbox.fault_in_mounts, mounts)

    async def usable(self, image: str) -> str:
        """Why an image can't be used, in words; empty when it can. It may pull the image."""
        backend = await self._backends.answering()
        return backend if isinstance(backend, str) else await self._backends.fetch(backend, image)

    async def execute(self, start: Start, work: Work, /) -> Outcome:
        """Run one attempt. Cancelled, it ends the container, and leaves it to be looked up or let go."""
        try:
            given = canonical(start.arguments)
        except BadInput as error:
            return _not_started(f"the arguments cannot be handed over: {error}")
        backend = await self._backends.answering()
        if isinstance(backend, str):
            return _not_started(backend)
        fault = await asyncio.to_thread(self._sandbox.fault_in_mounts, start.mounts)
        if why := fault or await self._fetch(backend, work.image):
            return _not_started(why)
        place = _Place(self._folder / _name(start))
        try:
            await asyncio.to_thread(place.make, backend.name, given, work.fill)
            words, env = self._words(backend, start, work, place)
        except OSError as error:
            return _not_started(f"could not make a folder for the container: {error}")
        except BadInput as error:
            return _not_started(str(error))
        made = await backend.ask("create", *words, within=CREATE_WITHIN, env=env)
        if not made.ok:  # its image may have gone since it was seen
            self._backends.forget()
            there = await _look(backend, _name(start))
            if isinstance(there, _State) and there.was_started:
                return await self._watch(backend, start, place, begin=False) or _interrupted()
            if why := await self._fetch(backend, work.image):
                return _not_started(why)
            made = await backend.ask("create", *words, within=CREATE_WITHIN, env=env)
        if not made.ok:
            return _not_started(f"{backend.name} could not make the container: {made.why}")
        return await self._watch(backend, start, place, begin=True) or _interrupted()

    async def _fetch(self, backend: Backend, image: str) -> str:
        why = await self._backends.fetch(backend, image)
        if why:
            self._backends.forget()
        return why

    async def knows(self, start: Start, /) -> bool:
        """Whether an attempt came as far as a container; if not, none was made for it."""
        return bool(await asyncio.to_thread(_Place(self._folder / _name(start)).read, "backend"))

    async def look_up(self, start: Start, /) -> Outcome | None:
        """What came of an attempt that it knows; None when the container was ended by a daemon that stopped."""
        place = _Place(self._folder / _name(start))
        name = await asyncio.to_thread(place.read, "backend")
        backend = await self._backends.named(name, within=BACK_WITHIN)
        if isinstance(backend, str):
            return Outcome(OutcomeKind.UNKNOWN, f"{name} does not say what became of the container: {backend}")
        return await self._watch(backend, start, place, begin=False)

    async def let_go(self, start: Start, /) -> None:
        """Remove an attempt's container and folder; what cannot be removed now is swept at the next start."""
        place = _Place(self._folder / _name(start))
        name = await asyncio.to_thread(place.read, "backend")
        if not name:
            return
        backend = await self._backends.answering()
        if isinstance(backend, str) or backend.name != name:
            backend = await self._backends.named(name, within=timedelta(seconds=1))
        if isinstance(backend, str) or not await _remove(backend, _name(start)):
            log.warning("the container %s stays until the next start", _name(start))
            return
        await asyncio.to_thread(place.remove)

    async def sweep(self, live: Callable[[], Awaitable[Collection[tuple[str, int]]]], /) -> None:
        """Remove the containers and folders of this state folder that belong to no call that executes.

        `live` gives call ids and attempts; it is asked after the containers were listed: an attempt is recorded before its
        container is made, so none of a call that begins meanwhile is among those removed.
        """
        folders = await asyncio.to_thread(lambda: [each.name for each in self._folder.iterdir()] if self._folder.is_dir() else [])
        found = []
        for backend in await self._backends.all_answering():
            listed = await backend.ask("ps", "--all", "--filter", f"label=smallchain.state={self._home}", "--format", "{{.Names}}")
            found += [(backend, name) for name in listed.text.split()] if listed.ok else []
        wanted = {f"sc-{call_id}.{attempt}" for call_id, attempt in await live()}
        stay = set(wanted)
        for backend, name in found:
            if name not in wanted and not await _remove(backend, name):
                stay.add(name)
        for name in folders:
            if name not in stay:
                await asyncio.to_thread(_Place(self._folder / name).remove)

    # ---- one attempt

    def _words(self, backend: Backend, start: Start, work: Work, place: _Place) -> tuple[list[str], dict[str, str]]:
        """What `create` is told, and the client's variables for it. Raises BadInput for what cannot be handed over."""
        limits = start.limits
        memory = str(limits.memory_bytes or MEMORY)
        driver, *options = _LOGS[backend.name]
        words = ["--name", _name(start), "--interactive", "--init", "--pull", "never", "--entrypoint=", "--log-driver", driver]
        words += [word for option in options for word in ("--log-opt", option)]
        labels = {"state": self._home, "call": start.call_id, "attempt": str(start.attempt), "tool": start.tool}
        words += [word for name, value in labels.items() for word in ("--label", f"smallchain.{name}={value}")]
        words += ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", *_user(backend)]
        words += ["--tmpfs", f"/tmp:size={limits.file_bytes or TMP},mode=1777", "--memory", memory, "--memory-swap", memory]
        words += ["--pids-limit", str(limits.processes or PROCESSES), *_ulimits(backend, limits.file_bytes or FILE)]
        if limits.cpus is not None:
            words += ["--cpus", str(limits.cpus)]
        if not start.network:
            words += ["--network", "none"]
        for mount in start.mounts:
            words += _mount(os.path.realpath(os.path.expanduser(mount.source)), mount.target, read_only=mount.read_only)
        if work.fill is not None:
            words += _mount(str(place.files), INSIDE, read_only=True)
        env: dict[str, str] = {}
        for name, value in {"HOME": "/tmp", **work.env, **start.env, **facts(start)}.items():
            if name in ("HOME", "PATH"):  # places, no secrets; and the client goes by its own
                words += ["--env", f"{name}={value}"]
            elif backend.may_carry(name):
                words += ["--env", name]
                env[name] = value
            else:
                raise BadInput(f"the variable {name} of `env` cannot be handed to a container: {backend.name} itself obeys it")
        return [*words, "--", work.image, *work.argv], env

    async def _watch(self, backend: Backend, start: Start, place: _Place, *, begin: bool) -> Outcome | None:
        """See a container to its end, from its start (`begin`) or from wherever it is; None: it was ended for no reason of its own."""
        until = asyncio.get_running_loop().time() + start.timeout.total_seconds()
        try:
            seen = await self._start(backend, start, place) if begin else None
            if isinstance(seen, Outcome):
                return seen
            return await self._settle(backend, start, place, seen=seen, until=until)
        except asyncio.CancelledError:
            await outlast(self._end(backend, start, place, _STOPPED))
            raise

    async def _start(self, backend: Backend, start: Start, place: _Place) -> Ended | Outcome:
        """Start it and feed it; what its client saw of it, or the outcome where we ended it."""
        await asyncio.to_thread(place.note, "started")
        words = ("start", "--attach", "--interactive", _name(start))
        end = await backend.run(*words, within=start.timeout, stdin=place.stdin, patience=self._patience, stdout_kept=_kept(start))
        if isinstance(end, NotStarted):
            return _not_started(end.reason)
        for kind, ended in ((OutcomeKind.TIMED_OUT, end.timed_out), (OutcomeKind.FLOODED, end.flooded)):
            if ended:
                await self._end(backend, start, place, kind)
                return outcome_of(end, start, out_of_memory=False)
        return end

    async def _settle(self, backend: Backend, start: Start, place: _Place, *, seen: Ended | None, until: float) -> Outcome | None:
        """What became of a container, waited for while it goes on, and while its backend is away."""
        name, pause, loop = _name(start), 0.05, asyncio.get_running_loop()
        while True:
            state = await _look(backend, name)
            if isinstance(state, str):
                again = await self._backends.named(backend.name, within=BACK_WITHIN)
                state = await _look(backend, name) if isinstance(again, Backend) else again
            if isinstance(state, str):
                return Outcome(OutcomeKind.UNKNOWN, f"{backend.name} does not say what became of the container: {state}")
            if state is None:
                if await asyncio.to_thread(place.read, "started"):
                    return Outcome(OutcomeKind.UNKNOWN, f"its container {name} was started, and somebody has removed it since")
                return _not_started("the container was not made")
            if not state.was_started:
                if seen is not None:
                    why = state.error or (seen.stderr.strip().splitlines() or ["it stays as it was made"])[-1]
                    if state.error or _REFUSED in seen.stderr or backend.name == "podman":  # which has no server that could go away
                        return _not_started(why)
                    # An engine that dies as it starts one may come back without having written down that it runs.
                    return Outcome(OutcomeKind.UNKNOWN, f"{backend.name} did not say whether the container was started: {why}")
                if (await backend.ask("rm", name)).ok:  # without force: a start that is still on its way goes first
                    return _not_started("the container was not started")
            elif state.is_over:
                return await self._outcome(backend, start, place, state, seen)
            elif loop.time() >= until:
                await self._end(backend, start, place, OutcomeKind.TIMED_OUT)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_POLL_S)

    async def _outcome(self, backend: Backend, start: Start, place: _Place, state: _State, seen: Ended | None) -> Outcome | None:
        ended = await asyncio.to_thread(place.read, "ended")
        if ended == _STOPPED:
            return None
        end = seen
        silent = end is not None and not end.stdout and not end.stderr  # seen with Docker: what a short-lived one printed did not arrive
        if end is None or end.code != state.code or silent:
            read = await backend.run("logs", _name(start), within=CREATE_WITHIN, stdout_kept=_kept(start))
            end = read if isinstance(read, Ended) else Ended(0, stdout="", stderr=read.reason, cut=False, timed_out=False, flooded=False)
        late, flooded = ended == OutcomeKind.TIMED_OUT, ended == OutcomeKind.FLOODED
        end = replace(end, code=state.code, timed_out=late, flooded=flooded)
        if backend.name == "podman" and state.code == 128 + signal.SIGKILL and not ended and not state.out_of_memory:
            hint = f"(Podman does not say why; it may have needed more memory than its {show_size(start.limits.memory_bytes or MEMORY)})"
            end = replace(end, stderr=f"{end.stderr}\n{hint}")
        return outcome_of(end, start, out_of_memory=state.out_of_memory)

    async def _end(self, backend: Backend, start: Start, place: _Place, why: str) -> None:
        """Kill it, and say why beforehand, so that nobody takes that for its own end. It stays, to be looked up or let go."""
        await asyncio.to_thread(place.note, "ended", why)
        await backend.ask("kill", _name(start))


class _Place:
    """The folder of an attempt, which says how far it came. Each note is on the disk before what it is about is done."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.files = folder / "files"
        self.stdin = folder / "stdin.json"

    def make(self, backend: str, given: str, fill: Callable[[Path], None] | None) -> None:
        """A new folder; raises OSError. Of another user's eyes, what is there inside is hidden by the folders above."""
        self._folder.parent.mkdir(mode=0o700, exist_ok=True)
        self._folder.mkdir(mode=0o700)
        self.files.mkdir()
        self.stdin.write_text(given + "\n", encoding="utf-8")
        if fill is not None:
            fill(self.files)
        for parent, _, names in os.walk(self.files):
            os.chmod(parent, 0o755)
            for name in names:
                os.chmod(Path(parent, name), 0o644)
        self.note("backend", backend)

    def note(self, name: str, text: str = "yes") -> None:
        """Write a note, whole or not at all; raises OSError."""
        draft = self._folder / f"{name}.new"
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(self._folder / name)
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def read(self, name: str) -> str:
        """A note, or empty."""
        try:
            return (self._folder / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""

    def remove(self) -> None:
        """The notes last: what is killed in here leaves a folder that still says how far it came."""
        shutil.rmtree(self.files, ignore_errors=True)
        shutil.rmtree(self._folder, ignore_errors=True)


_REFUSED = "Error response from daemon"
"""What Docker's client says when its engine has answered that it starts nothing."""


def _name(start: Start) -> str:
    return f"sc-{start.call_id}.{start.attempt}"


def _not_started(why: str) -> Outcome:
    return Outcome(OutcomeKind.NOT_STARTED, f"could not start: {why}; nothing ran")


def _interrupted() -> Outcome:
    return Outcome(OutcomeKind.UNKNOWN, "its container was ended before it had done its work")


def _kept(start: Start) -> int:
    return start.limits.output_bytes or STDOUT_KEPT


async def _look(backend: Backend, name: str) -> _State | str | None:
    """How a container stands; None when there is none of that name; why the backend does not say."""
    answer = await backend.ask("container", "inspect", "--format", "{{json .State}}", name)
    if not answer.ok:
        listed = await backend.ask("ps", "--all", "--filter", f"name={name}", "--format", "{{.Names}}")
        if not listed.ok:
            return listed.why
        return answer.why if name in listed.text.split() else None
    try:
        told: dict[str, Any] = json.loads(answer.text)
        return _State(str(told["Status"]), int(told["ExitCode"]), bool(told["OOMKilled"]), str(told["Error"])[:500])
    except (ValueError, KeyError, TypeError) as error:
        return f"it answers {answer.text[:200]!r} ({error!r})"


async def _remove(backend: Backend, name: str) -> bool:
    """Remove a container in whatever state; whether it is gone."""
    at_once = ("--time", "0") if backend.name == "podman" else ()
    removed = await backend.ask("rm", "--force", "--volumes", *at_once, name, within=CREATE_WITHIN)
    return removed.ok or await _look(backend, name) is None


def _user(backend: Backend) -> list[str]:
    """Where we are root, nobody, in the group that mounts are opened to; else ourselves, so that files are read and made as by us."""
    if os.getuid() == 0:
        return ["--user", f"{NOBODY}:{GROUP}"]
    keep = ["--userns", "keep-id"] if backend.name == "podman" else []
    return [*keep, "--user", f"{os.getuid()}:{os.getgid()}"]


def _ulimits(backend: Backend, file_bytes: int) -> list[str]:
    """No core files. Podman's own numbers of files and processes can be above what this machine lets it set."""
    limits = ["core=0:0", f"fsize={file_bytes}:{file_bytes}"]
    if backend.name == "podman":
        for name, most, number in (("nofile", 4096, resource.RLIMIT_NOFILE), ("nproc", 4096, resource.RLIMIT_NPROC)):
            hard = resource.getrlimit(number)[1]
            most = most if hard == resource.RLIM_INFINITY else min(most, hard)
            limits.append(f"{name}={most}:{most}")
    return [word for limit in limits for word in ("--ulimit", limit)]


def _mount(source: str, target: str, *, read_only: bool) -> list[str]:
    """A folder of this machine inside; raises BadInput for a path that the option cannot hold."""
    if any(mark in path for path in (source, target) for mark in ',"\n'):
        raise BadInput(f"the path of a mount cannot hold a comma, a quote or a line break: {source[:200]!r} at {target[:200]!r}")
    return ["--mount", f"type=bind,source={source},target={target}" + (",readonly" if read_only else "")]
