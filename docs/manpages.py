"""The man pages, from the parsers that `--help` shows and the schema that editors use; `generate.py` writes them.

The one rule: what argparse knows is taken from argparse, and only what it cannot know stands here. (argparse-manpage wants one parser with
all commands in it; ours are built one at a time, for the sake of the first paint, and a YAML page it has none.)
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Iterator
from typing import Any

from smallchain import __version__
from smallchain.cli.main import COMMANDS, parser_of
from smallchain.cli.starters import STARTERS
from smallchain.model.manifest import json_schema
from smallchain.protocol import faults
from smallchain_tui.__main__ import parser as tui_parser
from smallchain_tui.keymap import ACTIONS, TITLES, Keys
from smallchaind.__main__ import parser as daemon_parser

EXITS = (
    (0, "done; of wait: all succeeded"),
    (faults.EXIT_FAILED, "it failed; of wait: a run failed"),
    (faults.EXIT_USAGE, "the command line is wrong"),
    (faults.EXIT_CANCELLED, "of wait: a run was cancelled"),
    (faults.EXIT_BAD_INPUT, "the input is wrong, or would cancel a live run and nobody said --prune"),
    (faults.EXIT_NO_DAEMON, "no daemon listens"),
    (faults.EXIT_TRY_AGAIN, "try again: the daemon is busy or stopping, the disk is full, or somebody else changed the same thing"),
    (faults.EXIT_TIMED_OUT, "the time of --timeout was up"),
    (faults.EXIT_INTERRUPTED, "interrupted"),
    (faults.EXIT_BROKEN_PIPE, "nobody reads the output any more"),
)
VARIABLES = (
    ("SMALLCHAIN_CONFIG_DIR", "the watched folder; else $XDG_CONFIG_HOME/smallchain, else ~/.config/smallchain"),
    ("SMALLCHAIN_STATE_DIR", "the folder of the database; else $XDG_STATE_HOME/smallchain, else ~/.local/state/smallchain"),
    ("SMALLCHAIN_SOCKET", "the socket; else the one that the daemon has written down in its state folder"),
)
KEYS = (
    ("OPENAI_API_KEY", "the key of LLMs that name neither api_key nor base_url"),
    ("OPENAI_BASE_URL", "their endpoint"),
)
FILES = (
    ("~/.config/smallchain/", "the watched folder: *.yaml and *.yml, and env (mode 0600) with lines of NAME=value"),
    ("~/.local/state/smallchain/smallchain.db", "the database: everything that counts"),
    ("~/.local/state/smallchain/daemon.log", "the log of a daemon that the command has started"),
)
TUI_VARIABLES = (
    ("SMALLCHAIN_ACCESSIBLE", "1: the inbox in sentences, line by line; so does TERM=dumb"),
    ("SMALLCHAIN_REDUCED_MOTION", "1: nothing moves by itself"),
    ("NO_COLOR", "any value: no colours"),
    ("VISUAL, EDITOR", "the editor of `ctrl+o`"),
)
TUI_FILES = (
    ("~/.config/smallchain/tui.toml", "theme, keys, notifications"),
    ("~/.local/state/smallchain/tui.log", "what the dashboard itself did, with --log"),
)
SIGNALS = (
    (
        "SIGTERM, SIGINT",
        "begin nothing new, wait for tools up to --drain and for model calls up to 5 s, then end; a second one ends at once",
    ),
    ("SIGHUP", "look at the watched folder now"),
    ("SIGKILL", "loses nothing: the next start goes on from the last committed step"),
)
DAEMON_EXITS = (
    (0, "stopped"),
    (1, "it could not start, or a part of it ended"),
    (65, "the database is damaged, missing, or newer than this version"),
    (74, "the disk failed"),
    (75, "another daemon holds the state folder or answers on the socket, or the disk is full"),
)
TUI_EXITS = (
    (0, "the person has left; of --keys: tui.toml is right"),
    (1, "it broke; the daemon and its runs go on"),
    (faults.EXIT_USAGE, "the command line is wrong"),
    (faults.EXIT_BAD_INPUT, "of --keys: tui.toml has mistakes"),
)


def smallchain() -> str:
    """smallchain(1): all commands on one page."""
    parts = [
        _head("smallchain", 1, "supervise AI agents that work while nobody watches"),
        ".SH SYNOPSIS\n.B smallchain\n.I COMMAND\n[\\fIOPTION\\fR]... [\\fIARGUMENT\\fR]...\n",
        ".SH DESCRIPTION\n" + _paragraphs(_ABOUT),
        ".SH COMMANDS\n",
        *_tags((name, what) for name, (_, what) in COMMANDS.items()),
        *(_command(name) for name in COMMANDS),
        ".SH PATHS\nThese may stand before or after the command.\n",
        *_options(_of_group(parser_of("status")[1], "paths")),
        ".SH EXIT STATUS\n",
        *_tags((str(code), what) for code, what in EXITS),
        ".SH ENVIRONMENT\n",
        *_tags(VARIABLES),
        ".SH FILES\n",
        *_tags(FILES),
        _see_also(("smallchain.yaml", 5), ("smallchain-tui", 1), ("smallchaind", 8)),
    ]
    return "".join(parts)


def smallchaind() -> str:
    """smallchaind(8)."""
    parser = daemon_parser()
    return "".join(
        [
            _head("smallchaind", 8, "the supervisor of Smallchain"),
            _synopsis(parser),
            ".SH DESCRIPTION\n" + _paragraphs(_ABOUT_THE_DAEMON),
            ".SH OPTIONS\n",
            *_options(_flags(parser)),
            *_options(_of_group(parser, "paths")),
            ".SH SIGNALS\n",
            *_tags(SIGNALS),
            ".SH EXIT STATUS\n",
            *_tags((str(code), what) for code, what in DAEMON_EXITS),
            ".SH ENVIRONMENT\n",
            *_tags((*VARIABLES, *KEYS)),
            ".SH FILES\n",
            *_tags(FILES),
            _see_also(("smallchain", 1), ("smallchain.yaml", 5)),
        ]
    )


def smallchain_tui() -> str:
    """smallchain-tui(1)."""
    parser = tui_parser()
    return "".join(
        [
            _head("smallchain-tui", 1, "the dashboard of Smallchain"),
            _synopsis(parser),
            ".SH DESCRIPTION\n" + _paragraphs(_ABOUT_THE_DASHBOARD),
            ".SH OPTIONS\n",
            *_options(_flags(parser)),
            *_options(_of_group(parser, "paths")),
            ".SH KEYS\nThe same key may mean another thing on another screen; those of one screen are under one heading.\n",
            *_keys(),
            ".SH EXIT STATUS\n",
            *_tags((str(code), what) for code, what in TUI_EXITS),
            ".SH ENVIRONMENT\n",
            *_tags((*TUI_VARIABLES, *VARIABLES)),
            ".SH FILES\n",
            *_tags(TUI_FILES),
            _see_also(("smallchain", 1), ("smallchaind", 8)),
        ]
    )


def smallchain_yaml() -> str:
    """smallchain.yaml(5), from the schema."""
    schema = json_schema()
    definitions: dict[str, Any] = schema["definitions"]
    sections = {name: _reference(about) for name, about in schema["properties"].items()}
    parts = [_head("smallchain.yaml", 5, "agents, tools and tasks for Smallchain"), ".SH DESCRIPTION\n", _paragraphs(_ABOUT_YAML)]
    for name, definition in sections.items():
        parts += [f".SH {_text(name.upper())}\n", _paragraphs(definitions[definition].get("description", ""))]
        parts += _fields(definitions[definition])
    parts.append(".SH TYPES\nWhat stands where a field above names one of these.\n")
    for name, definition in definitions.items():
        if name not in sections.values() and definition.get("properties"):
            parts += [f".SS {_text(name)}\n", _paragraphs(definition.get("description", "")), *_fields(definition)]
    parts += [".SH EXAMPLES\nWhat \\fBsmallchain init\\fR writes:\n", _example(STARTERS["hello"].text)]
    parts.append(_see_also(("smallchain", 1), ("smallchaind", 8)))
    return "".join(parts)


PAGES = {
    "man/smallchain.1": smallchain,
    "man/smallchain-tui.1": smallchain_tui,
    "man/smallchain.yaml.5": smallchain_yaml,
    "man/smallchaind.8": smallchaind,
}

_ABOUT = """\
Smallchain supervises AI agents that work while nobody watches. You write agents, tools and tasks as YAML; the daemon smallchaind reconciles
it into a database and runs control loops that call models, run tools and delegate to other agents. Every step is a committed row: a run can
wait for days, and goes on after a crash.

This command talks to the daemon over its Unix socket. `apply`, `run`, `start` and `demo` start a daemon when none listens. Results go to
standard output, all else to standard error. Text of models, tools and files is printed with its control characters written out.

The kinds that `get` and `describe` know are singular or plural. Things are named by their name, their id, or six or more characters of
an id's end."""
_ABOUT_THE_DAEMON = """\
It watches a folder of YAML, keeps every step of every run in a SQLite database, and answers on a Unix socket for its own user and root. It
stays in the foreground and logs to standard error. `smallchain start` starts one in the background.

One daemon holds a state folder. Killed at any moment, it goes on at the next start from the last committed step: interrupted model calls
are sent again, interrupted tools run again where their YAML says that this is harmless, and the others wait for `smallchain settle`."""
_ABOUT_THE_DASHBOARD = """\
The terminal dashboard of Smallchain: what needs a person first, then what runs, sleeps, failed and costs. It talks to the daemon over its
Unix socket, as smallchain does. Requests are approved, denied, edited and answered here; runs are paused, resumed, cancelled and forked.
Each of these shows the command that does the same.

Enter and space never decide anything. A verdict key counts when no key came shortly before it or shortly after it.

Leaving the dashboard leaves the runs alone. When the daemon is away, the dashboard looks for it until it is back."""
_ABOUT_YAML = """\
Any number of files, any sections in each, in any order. A reference to what does not exist yet is Pending, and heals when it appears.
Unknown keys, duplicate keys and tags are errors; so are plain texts that YAML 1.1 reads as something else, such as no or 1:30. Relative
paths start at the file's folder. `smallchain validate` checks a file without a daemon, `smallchain schema` prints the same for editors.

Durations are written 30s, 5m, 2h, 1d; money $5 or $0.50; secrets are references: {env: NAME}, {file: PATH}, {command: [...]}."""


def _head(name: str, section: int, what: str) -> str:
    title = f'.TH {_text(name.upper())} {section} "" "smallchain {__version__}" "Smallchain"\n'
    return f'.\\" Generated by `make docs`.\n{title}.SH NAME\n{_text(name)} \\- {_text(what)}\n'


def _synopsis(parser: argparse.ArgumentParser) -> str:
    return f".SH SYNOPSIS\n.B {_text(parser.prog)}\n[\\fIOPTION\\fR]...\n"


def _command(name: str) -> str:
    command, parser = parser_of(name)
    flags = [*_flags(parser), *(action for group in parser._action_groups if group.title == "events" for action in group._group_actions)]
    positions = [action for action in parser._actions if not action.option_strings]
    words = " ".join(_position(action) for action in positions)
    examples = (parser.epilog or "").removeprefix("examples:\n")
    return "".join(
        [
            f".SS smallchain {_text(name)}" + (" [\\fIOPTION\\fR]..." if flags else "") + (f" {words}" if words else "") + "\n",
            _paragraphs(command.DESCRIPTION),
            *_options([*positions, *flags]),
            ".PP\nExamples:\n",
            _example(re.sub(r"^  ", "", examples, flags=re.MULTILINE)),
        ]
    )


def _flags(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return [action for action in _of_group(parser, "options") if action.dest != "help"]


def _of_group(parser: argparse.ArgumentParser, title: str) -> list[argparse.Action]:
    return [action for group in parser._action_groups if group.title == title for action in group._group_actions]


def _position(action: argparse.Action) -> str:
    name = f"\\fI{_text(_metavar(action))}\\fR"
    return {"*": f"[{name}]...", "+": f"{name}...", "?": f"[{name}]"}.get(str(action.nargs), name)


def _metavar(action: argparse.Action) -> str:
    return str(action.metavar or "|".join(map(str, action.choices or ())) or action.dest.upper())


def _options(actions: Iterable[argparse.Action]) -> Iterator[str]:
    for action in actions:
        value = "" if action.nargs == 0 else f" \\fI{_text(_metavar(action))}\\fR"
        value = f" [{value.strip()}]" if action.nargs == "?" else value
        names = ", ".join(f"\\fB{_text(flag)}\\fR{value}" for flag in action.option_strings) or _position(action)
        yield f".TP\n{names}\n{_line((action.help or '') % (vars(action) | {'prog': ''}))}\n"


def _fields(definition: dict[str, Any]) -> Iterator[str]:
    required = definition.get("required", ())
    for name, about in definition.get("properties", {}).items():
        kind = _kind(about) + (", required" if name in required else "")
        told = about.get("description", "")
        yield f".TP\n\\fB{_text(name)}\\fR ({_text(kind)})\n{_line(told) or '.br'}\n"


def _kind(about: dict[str, Any]) -> str:
    """What may stand there, in words."""
    if "$ref" in about:
        return _reference(about)
    if "enum" in about or "const" in about:
        return " or ".join(str(value) for value in about.get("enum", [about.get("const")]))
    choices = about.get("anyOf") or about.get("oneOf")
    if choices:
        return " or ".join(dict.fromkeys(_kind(choice) for choice in choices if choice.get("type") != "null"))
    kinds = about.get("type", "anything")
    words = [_WORDS.get(kind, kind) for kind in ([kinds] if isinstance(kinds, str) else kinds) if kind != "null"]
    if words == ["list"] and isinstance(about.get("items"), dict) and about["items"]:
        return f"list of {_kind(about['items'])}"
    return " or ".join(words)


_WORDS = {"string": "text", "array": "list", "object": "mapping", "boolean": "true or false", "integer": "whole number"}


def _reference(about: dict[str, Any]) -> str:
    """The definition that a schema refers to: itself, by its items, or by one of its choices; nothing where it refers to none."""
    if "$ref" in about:
        return str(about["$ref"]).rpartition("/")[2]
    inner = [about["items"]] if isinstance(about.get("items"), dict) else []
    return next((found for each in (*inner, *about.get("anyOf", ()), *about.get("allOf", ())) if (found := _reference(each))), "")


def _keys() -> Iterator[str]:
    """The key map, a heading a scope."""
    for scope in dict.fromkeys(action.scope for action in ACTIONS):
        yield f".SS {_text(TITLES[scope])}\n"
        yield from _tags((keys, what) for keys, what, _ in Keys({}).lines([scope]) if keys)


def _tags(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, what in pairs:
        yield f".TP\n\\fB{_text(name)}\\fR\n{_line(what)}\n"


def _paragraphs(text: str) -> str:
    """Paragraphs filled, and indented lines as they are."""
    parts = []
    for block in text.strip().split("\n\n"):
        filled = re.sub(r"\n(?! )", " ", block)
        first, *indented = filled.split("\n")
        parts.append(f".PP\n{_line(first)}\n" + (_example("\n".join(indented)) if indented else ""))
    return "".join(parts) if text.strip() else ""


def _example(text: str) -> str:
    lines = "\n".join(_lead(_text(line)) for line in text.rstrip("\n").split("\n"))
    return f".PP\n.RS 4\n.nf\n{lines}\n.fi\n.RE\n"


def _see_also(*pages: tuple[str, int]) -> str:
    return ".SH SEE ALSO\n" + ",\n".join(f"\\fB{_text(name)}\\fR({section})" for name, section in pages) + "\n"


def _line(text: str) -> str:
    """A line of a paragraph: what stands in backticks is bold."""
    return _lead(re.sub(r"`([^`]+)`", r"\\fB\1\\fR", _text(" ".join(text.split()))))


def _lead(line: str) -> str:
    """A dot or a quote at a line's beginning would make it a request of roff's."""
    return f"\\&{line}" if line.startswith((".", "'")) else line


def _text(text: str) -> str:
    """Text as roff wants it: its own characters escaped, others by their numbers (groff_char(7))."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("^", "\\(ha").replace("~", "\\(ti")
    return "".join(char if char.isascii() else f"\\[u{ord(char):04X}]" for char in escaped)
