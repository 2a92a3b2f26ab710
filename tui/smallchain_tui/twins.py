"""The command that does the same as an act of the dashboard, quoted for a shell: people learn it, and put it into scripts."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any


def command(*words: str) -> str:
    """Words as a command line: `command("pause", "my run")` is `smallchain pause 'my run'`."""
    return shlex.join(("smallchain", *words))


def approve(id: str, *, note: str = "", for_run: bool = False, arguments: Mapping[str, Any] | None = None) -> str:
    """`smallchain approve`; `arguments`: those that were changed or put in."""
    words = ["approve", short(id)]
    for name, value in (arguments or {}).items():
        words += ["--set", f"{name}={value if isinstance(value, str) and not _reads_as_json(value) else json.dumps(value)}"]
    return command(*words, *(["--for-run"] if for_run else []), *_note(note))


def deny(id: str, *, note: str = "") -> str:
    """`smallchain deny`."""
    return command("deny", short(id), *_note(note))


def answer(id: str, text: str, *, note: str = "") -> str:
    """`smallchain answer`."""
    return command("answer", short(id), *(["--"] if text.startswith("-") else []), text, *_note(note))


def settle(id: str, verb: str, *, result: str = "", note: str = "") -> str:
    """`smallchain settle`; `verb`: `happened`, `did_not_happen` or `run_again`."""
    said = ["--happened", result] if verb == "happened" else [f"--{verb.replace('_', '-')}"]
    return command("settle", short(id), *said, *_note(note))


def on_run(verb: str, run: str, *, note: str = "", only: bool = False, adopt: bool = False) -> str:
    """`smallchain pause`, `resume` or `cancel` of a run."""
    return command(verb, run, *(["--only"] if only else []), *(["--adopt"] if adopt else []), *_note(note))


def retry(run: str, *, from_start: bool = False, confirmed: bool = False) -> str:
    """`smallchain retry`."""
    return command("retry", run, *(["--from-start"] if from_start else []), *(["--yes"] if confirmed else []))


def fork(run: str, at: int) -> str:
    """`smallchain fork`."""
    return command("fork", run, "--at", str(at))


def start(task: str, *, message: str = "", name: str = "", priority: int = 0) -> str:
    """`smallchain run` of a task."""
    words = ["run", task]
    words += ["--message", message] if message else []
    words += ["--name", name] if name else []
    words += ["--priority", str(priority)] if priority else []
    return command(*words)


def short(id: str) -> str:
    """An id as people type it: the end of a UUIDv7, which is its part of chance."""
    return id[-8:]


def _note(note: str) -> list[str]:
    return ["--note", note] if note else []


def _reads_as_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
