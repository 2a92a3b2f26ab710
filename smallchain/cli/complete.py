"""`smallchain __complete SHELL ...`: what could stand where a shell's cursor is; asked by the scripts of `completion`.

The one rule: whatever is wrong (no daemon, half a word, a name that hides something), it says less, and never an error.
"""

from __future__ import annotations

import os
import re
from argparse import Action, ArgumentParser
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from smallchain.cli.commands.kinds import KINDS, kind_of
from smallchain.cli.console import out
from smallchain.cli.main import COMMANDS, VALUED, parser_of, split
from smallchain.cli.render import short_id, text_of
from smallchain.model.errors import SmallchainError
from smallchain.protocol.client import Client
from smallchain.protocol.text import one_line, visible
from smallchain.settings import Settings

_WITHIN_S = 1.0
_MOST = 1000
_WORD_BREAKS = " \t\n\"'@><=;|&(:"
_NAMES_OF = {"RUN": "runs", "TASK": "tasks"}
_FILES = ("FILE", "FILE|DIR|-", "PATH")
_GOES_BY_ID = ("toolcalls", "requests", "grants", "artifacts")
_DECIDES = {"approve": "approval", "deny": "approval", "answer": "question"}
"""What kind of request a command answers."""

Candidate = tuple[str, str]
"""A word, and what it is."""


def complete(argv: Sequence[str]) -> int:
    """Print `words`, `files` or `folders` (what the shell is to complete), then a candidate a line.

    After `zsh` or `fish` come the words so far, the current one last: they quote and choose by themselves. After `bash` comes
    its line up to the cursor and its COMP_WORDBREAKS: it gets what to insert, quoted as the line asks.
    """
    shell, *rest = argv or [""]
    if shell == "bash":
        line = Line(rest[0] if rest else "", breaks=rest[1] if len(rest) > 1 else _WORD_BREAKS)
        what, found = candidates(line.words[1:] or [""])
        out(what)
        for word, _ in found:
            if word.startswith(line.words[-1]):
                out(line.insertion(word))
    elif shell in ("zsh", "fish"):
        what, found = candidates(rest or [""])
        out(what)
        for word, about in found:
            out(f"{word}\t{one_line(about, cells=60)}")
    return 0


def candidates(words: Sequence[str]) -> tuple[str, list[Candidate]]:
    """What could stand for the last of the words behind `smallchain`, and whether the shell is to complete files instead."""
    *before, current = words
    early, name, given = split(before)
    if early and early[-1] in VALUED and name is None:
        return ("files" if early[-1] == "--socket" else "folders"), []
    if name in (None, "help"):
        flags = [(flag, "") for flag in ("--help", "--version", *VALUED)] if current.startswith("-") else []
        return "words", flags or [(command, what) for command, (_, what) in COMMANDS.items()]
    if name not in COMMANDS:
        return "words", []
    parser = parser_of(name)[1]
    place = _place_of(parser, given, current)
    daemon = _Daemon(_settings(early, given))
    if place.flag is None and current.startswith("-") and not place.only_positions:
        if "=" not in current:
            return "words", [(flag, (action.help or "") % vars(action)) for action in parser._actions for flag in action.option_strings]
        flag = current.partition("=")[0]
        action = _flags(parser).get(flag)
        what, found = _values(action, place, daemon)
        return what, [(f"{flag}={word}", about) for word, about in found]
    return _values(place.flag or place.position, place, daemon)


@dataclass(frozen=True, slots=True)
class Line:
    """A shell's line up to the cursor, read as bash reads it: its words unquoted, and how its last word is quoted."""

    text: str
    breaks: str = _WORD_BREAKS

    @property
    def words(self) -> list[str]:
        """The words; the last is the one at the cursor, and may be empty."""
        return [word for word, _, _ in self._read()]

    def insertion(self, word: str) -> str:
        """What readline is to put for the whole word: it replaces only what follows the last break, or the open quote."""
        _, kept, quote = self._read()[-1]
        rest = word[kept:]
        if quote == "'":
            return rest.replace("'", "'\\''")
        if quote == '"':
            return re.sub(r'([$`"\\])', r"\\\1", rest)
        return re.sub(r"([^\w./+%,-])", r"\\\1", rest)

    def _read(self) -> list[tuple[str, int, str]]:
        """Each word, how many of its characters stand before the last break in it, and the quote that is still open."""
        read: list[tuple[str, int, str]] = []
        word, kept, quote, begun, place = "", 0, "", False, 0
        while place < len(self.text):
            char = self.text[place]
            place += 1
            after = self.text[place : place + 1]
            if quote:
                if char == quote:
                    quote, kept = "", len(word)
                elif char == "\\" and quote == '"' and after and after in '$`"\\':
                    word, place = word + after, place + 1
                else:
                    word += char
            elif char in " \t\n":
                if begun:
                    read.append((word, kept, ""))
                word, kept, begun = "", 0, False
                continue
            elif char in "'\"":
                quote, kept = char, len(word)
            elif char == "\\":
                word, place = word + after, place + 1
            else:
                word += char
                kept = len(word) if char in self.breaks else kept
            begun = True
        return [*read, (word, kept, quote)]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the cursor is: behind a flag that wants a value, or at a position."""

    command: str
    flag: Action | None
    position: Action | None
    kind: str | None
    """The kind that stands before, as in `get runs`."""
    used: frozenset[str]
    only_positions: bool


def _place_of(parser: ArgumentParser, given: Sequence[str], current: str) -> _Place:
    flags, positions = _flags(parser), [action for action in parser._actions if not action.option_strings]
    flag: Action | None = None
    words: list[str] = []
    only_positions = False
    for word in given:
        if flag is not None and not (flag.nargs == "?" and word.startswith("-")):
            flag = None
        elif word == "--" and not only_positions:
            only_positions = True
        elif word.startswith("-") and word != "-" and not only_positions:
            action = flags.get(word)
            flag = action if action is not None and action.nargs != 0 else None
        else:
            words.append(word)
    if flag is not None and flag.nargs == "?" and current.startswith("-"):
        flag = None
    position = positions[len(words)] if len(words) < len(positions) else None
    if position is None and positions and positions[-1].nargs in ("*", "+"):
        position = positions[-1]
    named = [kind_of(word) for action, word in zip(positions, words, strict=False) if action.metavar == "KIND"]
    return _Place(parser.prog.rpartition(" ")[2], flag, position, named[0] if named else None, frozenset(words), only_positions)


def _values(action: Action | None, place: _Place, daemon: _Daemon) -> tuple[str, list[Candidate]]:
    if action is None:
        return "words", []
    if action.choices is not None:
        return "words", [(str(choice), "") for choice in action.choices]
    meaning = str(action.metavar)
    if meaning == "DIR" or {"--state-dir", "--config-dir"} & set(action.option_strings):
        return "folders", []
    if meaning in _FILES:
        return "files", []
    if meaning == "KIND":
        return "words", [(kind, "") for kind in KINDS]
    found: list[Candidate] = []
    if meaning in _NAMES_OF:
        found = daemon.names(_NAMES_OF[meaning])
    elif meaning == "NAME" and place.kind is not None and not action.option_strings:
        found = daemon.names(place.kind)
    elif meaning == "ID":
        found = _ids(place.command, daemon)
    return "words", [one for one in found if one[0] not in place.used]


def _ids(command: str, daemon: _Daemon) -> list[Candidate]:
    if command in _DECIDES:
        return daemon.names("requests", kind=_DECIDES[command])
    if command == "callback":
        return daemon.names("toolcalls", phase="awaiting_callback")
    return daemon.names("grants", status="Active") if command == "revoke" else daemon.names("toolcalls", phase="in_doubt")


@dataclass(frozen=True, slots=True)
class _Daemon:
    """What the daemon knows, if it listens and answers soon."""

    settings: Settings | None

    def names(self, plural: str, *, kind: str = "", **query: str) -> list[Candidate]:
        """The names of a kind that can be typed, with what tells them apart; of requests, those that ask for one thing."""
        if self.settings is None or plural == "events":
            return []
        try:
            newest = {"newest": True} if plural == "runs" else {}
            items, _ = Client(self.settings, timeout_s=_WITHIN_S).page(plural, {**newest, **query})
        except SmallchainError:
            return []
        key = "id" if plural in _GOES_BY_ID else "name"
        named = [(text_of(item.get(key)), item) for item in items if kind in ("", item.get("kind"))]
        listed = [
            (short_id(name) if key == "id" else name, text_of(item.get("tool") or item.get("status") or item.get("phase")))
            for name, item in named
            if name and visible(name) == name
        ]
        return listed[-_MOST:]


def _flags(parser: ArgumentParser) -> dict[str, Action]:
    return {flag: action for action in parser._actions for flag in action.option_strings}


def _settings(early: Iterable[str], given: Iterable[str]) -> Settings | None:
    """The paths as the line has them; None for what no program would take."""
    words = [*early, *given]
    paths: dict[str, str] = {}
    for place, word in enumerate(words):
        flag, equals, value = word.partition("=")
        if flag in VALUED:
            paths[flag[2:].replace("-", "_")] = value if equals else "".join(words[place + 1 : place + 2])
    try:
        return Settings.read(os.environ, **paths)
    except SmallchainError:
        return None
