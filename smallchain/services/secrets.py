"""Secrets at their use: `{env: NAME}`, `{file: PATH}`, `{command: [...]}`. What they resolve to is never stored or logged.

It is remembered in memory only, so that it can be masked in what tools print.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import stat
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

from smallchain.engine.ports import Clock
from smallchain.model.errors import BadInput, Place, Problem
from smallchain.services.tools.process import Command, NotStarted, run_process

ENV_FILE = "env"
_LARGEST = 64 * 1024
_KEPT = timedelta(minutes=5)
_COMMAND_TIMEOUT = timedelta(seconds=10)
_SHORTEST_MASKED = 6
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
_QUOTED = re.compile(r"""(?:'([^']*)'|"([^"]*)")\s*(?:#.*)?""")
_PERCENT = re.compile("%[0-9A-F]{2}")
_COMMENT = re.compile(r"(?:^|\s)#.*")


class SecretStore:
    """Implements `engine.ports.Secrets`. `environ` is what the daemon inherited; `pid` and `started_at` name it."""

    def __init__(self, *, config_dir: Path, environ: Mapping[str, str], pid: int, started_at: datetime, clock: Clock) -> None:
        self._config_dir = config_dir
        self._environ = environ
        self._pid = pid
        self._started_at = started_at
        self._clock = clock
        self._answers: dict[tuple[str, ...], tuple[str, datetime]] = {}
        self._asking: dict[tuple[str, ...], asyncio.Lock] = {}
        self._remembered: set[str] = set()
        self._known: dict[str, str] = {}
        """What to mask, in every form, and what stands there instead."""
        self._masks: tuple[re.Pattern[str], dict[str, str]] | None = None
        """The same as it is looked for, made anew for each new secret and never changed: the writer's thread masks too."""

    async def resolve(self, reference: dict[str, Any], /) -> str:
        """The secret behind a reference; raises BadInput, without any part of a secret in it, when there is none."""
        match reference:
            case {"env": str(name), **rest} if not rest:
                secret = await asyncio.to_thread(self._from_environment, name)
                label = name
            case {"file": str(path), **rest} if not rest:
                secret = await asyncio.to_thread(self._from_file, path)
                label = Path(path).name
            case {"command": [str(program), *_] as argv, **rest} if not rest and all(isinstance(word, str) for word in argv):
                secret = await self._from_command(tuple(argv))
                label = Path(program).name
            case _:
                kinds = ", ".join(sorted(map(str, reference)))[:80] or "nothing"
                raise BadInput(f"not a reference to a secret: it has {kinds}", hint="write {env: NAME}, {file: PATH} or {command: [...]}")
        self._remember(secret, label)
        return secret

    def forget(self) -> None:
        """Drop the answers of commands, so that the next use asks again; what is masked stays masked."""
        self._answers.clear()

    def mask(self, text: str) -> str:
        """The text with every secret resolved so far, in every form of `_forms`, replaced by `[secret:NAME]`."""
        if self._masks is None:
            return text
        pattern, known = self._masks
        if not any(form in text for form in known):
            return text  # to look for one text at a time is a hundred times as fast as for one of many
        return pattern.sub(lambda match: known[match[0]], text)

    def _from_environment(self, name: str) -> str:
        env_file = self._config_dir / ENV_FILE
        secret = _read_env_file(env_file).get(name) or self._environ.get(name)
        if secret:
            return secret
        started = self._started_at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        raise BadInput(
            f"{name} is set neither in {env_file} nor in the environment of the daemon (pid {self._pid}, started {started})",
            hint=f"add the line {name}=... to {env_file} (mode 0600), or restart the daemon from a shell that exports it",
        )

    def _from_file(self, path: str) -> str:
        home = self._environ.get("HOME", "")
        place = Path(home, path[2:]) if path.startswith("~/") and home else self._config_dir / path
        text = _read_private(place)
        if text is None:
            raise BadInput(f"there is no file {str(place)!r} for the secret", hint="relative paths start at the config folder")
        secret = text.rstrip("\r\n")
        if not secret:
            raise BadInput(f"the secret's file {str(place)!r} is empty")
        return secret

    async def _from_command(self, argv: tuple[str, ...]) -> str:
        """One asks at a time: ten calls that want the same secret make one prompt of a password manager."""
        async with self._asking.setdefault(argv, asyncio.Lock()):
            now = self._clock.now()
            kept = self._answers.get(argv)
            if kept is not None and timedelta(0) <= now - kept[1] < _KEPT:
                return kept[0]
            secret = await self._ask(argv)
            self._answers[argv] = (secret, now)
            return secret

    async def _ask(self, argv: tuple[str, ...]) -> str:
        """The first 64 KiB that the command prints. Its standard error may be told; its standard output never is."""
        what = f"the secret's command {argv[0]!r}"
        end = await run_process(Command(argv=argv, folder=self._config_dir, env=self._environ, timeout=_COMMAND_TIMEOUT))
        if isinstance(end, NotStarted):
            raise BadInput(f"{what} could not start: {end.reason}")
        if end.timed_out:
            raise BadInput(f"{what} gave no answer within {_COMMAND_TIMEOUT.seconds} seconds")
        if end.code != 0:
            said = end.stderr.strip().splitlines()
            how = f"exit code {end.code}" if end.code is None or end.code > 0 else f"signal {-end.code}"
            raise BadInput(f"{what} ended with {how}" + (f": {self.mask(said[-1])[:200]}" if said else ""))
        secret = end.stdout.rstrip("\r\n")
        if not secret or len(secret) > _LARGEST:
            raise BadInput(f"{what} printed {'nothing' if not secret else 'more than 64 KiB'}")
        return secret

    def _remember(self, secret: str, label: str) -> None:
        if len(secret) < _SHORTEST_MASKED or secret in self._remembered:
            return
        self._remembered.add(secret)
        self._known = {form: f"[secret:{label}]" for form in _forms(secret)} | self._known
        longest_first = sorted(self._known, key=len, reverse=True)
        self._masks = re.compile("|".join(map(re.escape, longest_first))), self._known


def _forms(secret: str) -> set[str]:
    """A secret as it may stand in a text: plain, escaped in JSON or a URL, and in base64, also with something before or after it."""
    data = secret.encode("utf-8", "surrogateescape")
    forms = {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    for escaped in (quote(data, safe=""), quote(data), quote_plus(data)):
        forms |= {escaped, _PERCENT.sub(lambda found: found[0].lower(), escaped)}
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        forms |= {encode(data).decode(), encode(data).decode().rstrip("=")}
        for before in range(3):
            certain = encode(b"\0" * before + data).decode()[(0, 2, 3)[before] : (before + len(data)) * 8 // 6]
            if len(certain) >= _SHORTEST_MASKED:
                forms.add(certain)
    return forms


def _read_env_file(path: Path) -> dict[str, str]:
    """The variables of the `env` file; read at every use, so an edit holds at once. A bad line is told by its number."""
    text = _read_private(path)
    found: dict[str, str] = {}
    for number, line in enumerate((text or "").removeprefix("\ufeff").splitlines(), start=1):
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        match = _LINE.fullmatch(bare)
        if match is None:
            problem = Problem(Place(str(path), number), "this line is not KEY=VALUE")
            raise BadInput(f"{path}:{number}: this line is not KEY=VALUE", problems=(problem,))
        found[match[1]] = _unquoted(match[2])
    return found


def _unquoted(value: str) -> str:
    quoted = _QUOTED.fullmatch(value)
    if quoted is not None:
        return quoted[1] if quoted[1] is not None else quoted[2]
    return _COMMENT.sub("", value).strip()


def _read_private(path: Path) -> str | None:
    """The text of a file that only its owner can read (the daemon's user or root), or None when there is none."""
    try:
        opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise BadInput(f"cannot read {str(path)!r}: {error}") from error
    try:
        facts = os.fstat(opened)
        if not stat.S_ISREG(facts.st_mode):
            raise BadInput(f"{str(path)!r} is not a file")
        if facts.st_uid not in (os.geteuid(), 0):
            raise BadInput(f"{str(path)!r} belongs to user {facts.st_uid}", hint="a file with secrets belongs to the daemon's user")
        if facts.st_mode & 0o077:
            raise BadInput(f"{str(path)!r} is open to others (mode {stat.S_IMODE(facts.st_mode):04o})", hint=f"chmod 600 {str(path)!r}")
        with os.fdopen(opened, "rb", closefd=False) as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise BadInput(f"cannot read {str(path)!r}: {error}") from error
    finally:
        os.close(opened)
    if len(data) > _LARGEST:
        raise BadInput(f"{str(path)!r} is larger than 64 KiB")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"{str(path)!r} is not UTF-8") from error
