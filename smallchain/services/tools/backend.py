"""Docker or Podman through its command line: which one answers, and one command at a time.

The one rule: a client gets its words as a list, only those of the daemon's variables that lead it to its server, and a time-out of
its own. What it is told beyond that is the business of `container`.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from smallchain.services.tools.process import STDOUT_KEPT, Command, Ended, NotStarted, Patience, run_process

NAMES = ("docker", "podman")
"""In the order in which they are asked."""
ANSWER_WITHIN = timedelta(seconds=10)
PULL_WITHIN = timedelta(seconds=60)
_OURS = ("DOCKER_", "CONTAINER", "REGISTRY_AUTH_", "XDG_")
_OURS_TOO = frozenset(("PATH", "HOME", "USER", "LANG", "TMPDIR", "SSH_AUTH_SOCK", "DBUS_SESSION_BUS_ADDRESS"))
_PROXIES = frozenset(("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"))
_OBEYED = (*_OURS, "LD_", "GODEBUG", "PODMAN_", "BUILDAH_")
_ASKS = {"docker": ("version", "--format", "{{.Server.Version}}"), "podman": ("info", "--format", "{{.Version.Version}}")}
_GLOBAL = {"docker": (), "podman": ("--log-level", "error")}
_AGAIN = timedelta(milliseconds=500)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command of a client came to. `text` is what it printed, `why` the last words of its complaint."""

    ok: bool
    text: str
    why: str


@dataclass(frozen=True, slots=True)
class Backend:
    """A client whose server answers. `env` is all of its environment."""

    name: str
    program: str
    env: Mapping[str, str]
    folder: Path

    async def ask(self, *words: str, within: timedelta = ANSWER_WITHIN, env: Mapping[str, str] | None = None) -> Answer:
        """Run one short command; a time-out is a complaint like any other."""
        end = await self.run(*words, within=within, env=env)
        if isinstance(end, NotStarted):
            return Answer(False, "", end.reason)
        if end.timed_out:
            return Answer(False, "", f"{self.name} gave no answer within {within.total_seconds():g} s")
        return Answer(end.code == 0, end.stdout.strip(), _complaint(end) or f"{self.name} {words[0]} ended with exit code {end.code}")

    async def run(
        self,
        *words: str,
        within: timedelta,
        env: Mapping[str, str] | None = None,
        stdin: Path | None = None,
        patience: Patience | None = None,
        stdout_kept: int = STDOUT_KEPT,
    ) -> Ended | NotStarted:
        """Run a command to its end; see `run_process`. The variables of `env` come besides the client's own."""
        argv = [self.program, *_GLOBAL[self.name], *words]
        command = Command(
            argv=argv, folder=self.folder, env={**self.env, **(env or {})}, timeout=within, stdin=stdin, stdout_kept=stdout_kept
        )
        return await run_process(command, patience=patience)

    def may_carry(self, name: str) -> bool:
        """Whether a variable of a tool can be in the client's environment: not one that it obeys itself."""
        return name not in _OURS_TOO and not name.startswith(_OBEYED)


class Backends:
    """Finds the one that answers, and goes on with it until somebody says that it no longer does.

    Its images are fetched one at a time each: ten calls that want the same one make one pull.
    """

    def __init__(self, environ: Mapping[str, str], folder: Path) -> None:
        self._env = {name: value for name, value in environ.items() if name in _OURS_TOO | _PROXIES or name.startswith(_OURS)}
        self._folder = folder
        self._found: Backend | None = None
        self._looking = asyncio.Lock()
        self._pulling: dict[tuple[str, str], asyncio.Lock] = {}
        self._seen: set[tuple[str, str]] = set()
        """Images that were there when they were last looked for."""

    async def answering(self) -> Backend | str:
        """The first of NAMES that answers, or why none does."""
        async with self._looking:
            if self._found is None:
                reasons = []
                for name in NAMES:
                    backend = await self._ask(name)
                    if isinstance(backend, Backend):
                        self._found = backend
                        break
                    reasons.append(backend)
                else:
                    return f"neither Docker nor Podman answers ({'; '.join(reasons)})"
            return self._found

    async def all_answering(self) -> list[Backend]:
        """Each that answers."""
        asked = [await self._ask(name) for name in NAMES]
        return [each for each in asked if isinstance(each, Backend)]

    async def named(self, name: str, *, within: timedelta) -> Backend | str:
        """This very one, waited for so long (one that starts with the machine takes some seconds); or why it does not answer."""
        found: Backend | str = f"{name} gave no answer within {within.total_seconds():g} s"
        with suppress(TimeoutError):
            async with asyncio.timeout(within.total_seconds()):
                while not isinstance(found := await self._ask(name), Backend):  # noqa: ASYNC110 - a server of somebody else has no event
                    await asyncio.sleep(_AGAIN.total_seconds())
        return found

    def forget(self) -> None:
        """It did not do what it was told: ask again who answers, and what is there, the next time."""
        self._found = None
        self._seen.clear()

    async def fetch(self, backend: Backend, image: str) -> str:
        """See to it that an image is there, pulled within a minute if need be; why it is not, empty when it is."""
        if (backend.name, image) in self._seen:
            return ""
        async with self._pulling.setdefault((backend.name, image), asyncio.Lock()):
            if await self._has(backend, image):
                return ""
            pulled = await backend.ask("pull", "--quiet", "--", image, within=PULL_WITHIN)
            return "" if pulled.ok else f"there is no image {image!r} here, and it cannot be pulled: {pulled.why}"

    async def _has(self, backend: Backend, image: str) -> bool:
        there = (await backend.ask("image", "inspect", "--format", "{{.Id}}", "--", image)).ok
        if there:
            self._seen.add((backend.name, image))
        return there

    async def _ask(self, name: str) -> Backend | str:
        program = await asyncio.to_thread(shutil.which, name, path=self._env.get("PATH"))
        if program is None:
            return f"there is no program {name!r}"
        backend = Backend(name, program, self._env, self._folder)
        answer = await backend.ask(*_ASKS[name])
        return backend if answer.ok and answer.text else answer.why


def _complaint(end: Ended) -> str:
    """The last line of what a client complained of, bounded."""
    lines = [line.strip() for line in end.stderr.splitlines() if line.strip()]
    return lines[-1][:500] if lines else ""
