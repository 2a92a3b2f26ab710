"""The command that does the same as an act of the dashboard, quoted for a shell: people learn it, and put it into scripts."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

Flag = tuple[str, str | None]
"""A flag and its value; None: it has none."""


def command(verb: str, words: Sequence[str] = (), flags: Sequence[Flag] = ()) -> str:
    """A command line: `command("pause", ["my run"])` is `smallchain pause 'my run'`. A word that begins with a dash stays a word."""
    said: list[str] = []
    for flag, value in flags:
        said += [flag] if value is None else [f"{flag}={value}"] if value.startswith("-") else [flag, value]
    if any(word.startswith("-") for word in words):
        return shlex.join(("smallchain", verb, *said, "--", *words))
    return shlex.join(("smallchain", verb, *words, *said))


def approve(id: str, *, note: str = "", for_run: bool = False, arguments: Mapping[str, Any] | None = None) -> str:
    """`smallchain approve`; `arguments`: those that were changed or put in."""
    flags: list[Flag] = [("--set", f"{name}={_value(value)}") for name, value in (arguments or {}).items()]
    return command("approve", [short(id)], [*flags, *([("--for-run", None)] if for_run else []), *_note(note)])


def deny(id: str, *, note: str = "") -> str:
    """`smallchain deny`."""
    return command("deny", [short(id)], _note(note))


def answer(id: str, text: str, *, note: str = "") -> str:
    """`smallchain answer`."""
    return command("answer", [short(id), text], _note(note))


def settle(id: str, verb: str, *, result: str = "", note: str = "") -> str:
    """`smallchain settle`; `verb`: `happened`, `did_not_happen` or `run_again`."""
    said: Flag = ("--happened", result) if verb == "happened" else (f"--{verb.replace('_', '-')}", None)
    return command("settle", [short(id)], [said, *_note(note)])


def on_run(verb: str, run: str, *, note: str = "", only: bool = False, adopt: bool = False) -> str:
    """`smallchain pause`, `resume` or `cancel` of a run."""
    return command(verb, [run], [*([("--only", None)] if only else []), *([("--adopt", None)] if adopt else []), *_note(note)])


def retry(run: str, *, from_start: bool = False, confirmed: bool = False) -> str:
    """`smallchain retry`."""
    return command("retry", [run], [*([("--from-start", None)] if from_start else []), *([("--yes", None)] if confirmed else [])])


def fork(run: str, at: int) -> str:
    """`smallchain fork`."""
    return command("fork", [run], [("--at", str(at))])


def start(task: str, *, message: str = "", name: str = "", priority: int = 0) -> str:
    """`smallchain run` of a task."""
    flags: list[Flag] = [("--message", message)] if message else []
    flags += [("--name", name)] if name else []
    flags += [("--priority", str(priority))] if priority else []
    return command("run", [task], flags)


def short(id: str) -> str:
    """An id as people type it: the end of a UUIDv7, which is its part of chance."""
    return id[-8:]


def _note(note: str) -> list[Flag]:
    return [("--note", note)] if note else []


def _value(value: Any) -> str:
    """As `--set` takes it: JSON, or the text itself where it does not read as JSON."""
    if not isinstance(value, str):
        return json.dumps(value)
    try:
        json.loads(value)
    except ValueError:
        return value
    return json.dumps(value)
