"""What a person sets: flags, the environment, and `tui.toml` in the config folder; read once, before anything is drawn.

The one rule: a fault in the file is told with its place, and never keeps the dashboard from opening: the key map in it is then left out.
"""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from smallchain_tui.keymap import Keys

FILE = "tui.toml"
_NOTIFY = ("bell", "title", "osc", "command")


@dataclass(frozen=True, slots=True)
class Notify:
    """How somebody is told that a person is needed: the bell, the window's title, a notification of the desktop by the terminal's
    escape (`osc`: `9` or `777`), and a `command` of words, never of a shell, which gets ids in its environment."""

    bell: bool = True
    title: bool = True
    osc: str = ""
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Options:
    """The choices. `faults`: sentences about what could not be taken from the file."""

    read_only: bool = False
    ascii: bool = False
    theme: str = ""
    mouse: bool = True
    local_time: bool = False
    reduced_motion: bool = False
    keys: Keys = field(default_factory=lambda: Keys({}))
    notify: Notify = field(default_factory=Notify)
    faults: tuple[str, ...] = ()

    @classmethod
    def read(cls, config_dir: Path, environ: Mapping[str, str], *, read_only: bool = False, ascii: bool = False) -> Options:
        """Flags and the environment stand before the file. Never raises for what the file holds."""
        found, faults = _of_file(config_dir / FILE)
        motion = environ.get("SMALLCHAIN_REDUCED_MOTION", "") not in ("", "0")
        options = cls(
            read_only=read_only or found.get("read_only") is True,
            ascii=ascii or found.get("ascii") is True,
            theme=_text(found, "theme"),
            mouse=found.get("mouse") is not False,
            local_time=found.get("local_time") is True,
            reduced_motion=motion or found.get("reduced_motion") is True,
            notify=_notify(found.get("notify"), faults),
        )
        known = {"read_only", "ascii", "theme", "mouse", "local_time", "reduced_motion", "notify", "keys"}
        faults += [f"{FILE}: there is no setting {name!r}" for name in found if name not in known]
        moved = found.get("keys", {})
        if not isinstance(moved, dict) or not all(isinstance(keys, str) for keys in moved.values()):
            faults.append(f"{FILE}: [keys] maps action ids to keys, as `smallchain-tui --keys` prints them")
            moved = {}
        keys = Keys({str(id): keys for id, keys in moved.items()})
        clashes = keys.faults()
        if clashes:
            faults += [f"{FILE}: {clash}; the default keys are used" for clash in clashes]
            keys = Keys({})
        return replace(options, keys=keys, faults=tuple(faults))


def _of_file(path: Path) -> tuple[dict[str, Any], list[str]]:
    try:
        with path.open("rb") as stream:
            return tomllib.load(stream), []
    except FileNotFoundError:
        return {}, []
    except (OSError, ValueError) as error:
        return {}, [f"{FILE} can't be read, and is left out: {error}"]


def _notify(found: Any, faults: list[str]) -> Notify:
    if found is None:
        return Notify()
    if not isinstance(found, dict):
        faults.append(f"{FILE}: [notify] is a table of {', '.join(_NOTIFY)}")
        return Notify()
    faults += [f"{FILE}: [notify] has no setting {name!r}" for name in found if name not in _NOTIFY]
    osc = "9" if found.get("osc") is True else str(found.get("osc") or "")
    if osc not in ("", "9", "777"):
        faults.append(f"{FILE}: [notify] osc is 9 or 777")
        osc = ""
    return Notify(bell=found.get("bell") is not False, title=found.get("title") is not False, osc=osc, command=_words(found, faults))


def _words(found: Mapping[str, Any], faults: list[str]) -> tuple[str, ...]:
    """The words of the command: a list, or a text that is split as a shell would, and given to none."""
    command = found.get("command", [])
    try:
        words = shlex.split(command) if isinstance(command, str) else command
    except ValueError as error:
        faults.append(f"{FILE}: [notify] command: {error}")
        return ()
    if not isinstance(words, list) or not all(isinstance(word, str) and word for word in words):
        faults.append(f"{FILE}: [notify] command is a list of words")
        return ()
    return tuple(words)


def _text(found: Mapping[str, Any], name: str) -> str:
    value = found.get(name)
    return value if isinstance(value, str) else ""
