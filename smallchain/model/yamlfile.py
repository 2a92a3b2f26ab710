"""Strict YAML with positions: a file's bytes become a tree of nodes that know where they stand, or problems with places.

The one rule: nothing is built before it is counted. Events come from PyYAML's own parser in Python, one at a time (the C
parser ends the process on deep nesting), and depth, aliases and nodes are capped on them. What YAML 1.1 and 1.2 read
differently is an error, so that a file means the same to every reader.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from smallchain.model.canonical import JSON
from smallchain.model.errors import BadInput, Place, Problem

LARGEST_FILE = 1024 * 1024
DEEPEST = 50
MOST_ALIASES = 100
MOST_NODES = 50_000
_MOST_PROBLEMS = 50

_BREAK = re.compile(r"\r\n|[\n\r\u2028\u2029]")
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+][0-9]+)?")
_SURPRISES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?i:yes|no|on|off|y|n)"), "some YAML readers take it as true or false"),
    (re.compile(r"[-+]?0[0-9_]+"), "some YAML readers take it as an octal number"),
    (re.compile(r"[-+]?0[xXoObB][0-9a-fA-F_]+"), "some YAML readers take it as a number"),
    (re.compile(r"[-+]?[0-9][0-9_]*_[0-9_]*(?:\.[0-9_]*)?"), "some YAML readers take it as a number"),
    (re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"), "some YAML readers take it as a number in base 60"),
    (re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt \t].*)?"), "some YAML readers take it as a date"),
    (re.compile(r"(?:[-+]?\.(?i:inf)|\.(?i:nan))"), "it is not a number that can be counted with"),
    (re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)[eE][-+]?[0-9]+"), "some YAML readers take it as a number, others as text"),
)


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it stands, line and column from 1. `raw` is how a plain scalar is written, None for all else."""

    value: dict[str, Node] | list[Node] | str | int | float | bool | None
    line: int
    column: int
    raw: str | None = None
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Of a mapping: where each key stands."""

    def plain(self) -> JSON:
        """The value without positions."""
        if isinstance(self.value, dict):
            return {key: inner.plain() for key, inner in self.value.items()}
        if isinstance(self.value, list):
            return [inner.plain() for inner in self.value]
        return self.value


def read(data: bytes, *, file: str) -> Node:
    """The one document of a file; an empty file is a node whose value is None.

    Raises BadInput with a problem for each thing that is wrong; a fault of syntax stands alone.
    """
    text = _decode(data, file)
    _refuse_characters(text, file)
    return _Builder(text, file).build()


def bad_input(problems: list[Problem]) -> BadInput:
    """The error for all problems of a file, in the order a reader meets them."""
    ordered = tuple(sorted(problems, key=lambda problem: (problem.place.line, problem.place.column)))
    more = f" (and {len(ordered) - 1} more)" if len(ordered) > 1 else ""
    return BadInput(str(ordered[0]) + more, problems=ordered)


def _decode(data: bytes, file: str) -> str:
    if len(data) > LARGEST_FILE:
        raise bad_input([Problem(Place(file), f"the file has {len(data)} bytes; {LARGEST_FILE} (1 MiB) are the most")])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace").removeprefix("\ufeff")
        message = f"the byte 0x{data[error.start]:02X} is not UTF-8"
        raise bad_input([Problem(_place(before, len(before), file), message, "save the file as UTF-8")]) from error


def _refuse_characters(text: str, file: str) -> None:
    found = _FORBIDDEN.search(text)
    if found is not None:
        message = f"the control character U+{ord(found[0]):04X} cannot stand in YAML"
        hint = 'take it out, or write it as an escape in double quotes ("\\x1b")'
        raise bad_input([Problem(_place(text, found.start(), file), message, hint)])


def _place(text: str, index: int, file: str) -> Place:
    breaks = list(_BREAK.finditer(text, 0, index))
    return Place(file, len(breaks) + 1, index - (breaks[-1].end() if breaks else 0) + 1)


@dataclass(frozen=True, slots=True)
class _Quoted:
    """A quoted scalar the scanner met; `end_line` is None while it is open. Lines and columns from 0."""

    line: int
    column: int
    end_line: int | None


class _Parser(yaml.reader.Reader, yaml.scanner.Scanner, yaml.parser.Parser):
    """PyYAML's parser in Python, which remembers where quotes opened and closed."""

    def __init__(self, text: str) -> None:
        self.quoted: list[_Quoted] = []
        yaml.reader.Reader.__init__(self, text)
        yaml.scanner.Scanner.__init__(self)
        yaml.parser.Parser.__init__(self)

    def scan_flow_scalar(self, style: str) -> Any:
        """Scan a quoted scalar, and note its place first: the scan of one that is never closed does not return."""
        line, column = self.line, self.column
        self.quoted.append(_Quoted(line, column, None))
        token = super().scan_flow_scalar(style)
        self.quoted[-1] = _Quoted(line, column, token.end_mark.line)
        return token

    def events(self) -> Iterator[Event]:
        """Each event as it is parsed."""
        while self.check_event():
            event = self.get_event()  # type: ignore[no-untyped-call]
            if event is not None:
                yield event


@dataclass(frozen=True, slots=True)
class _Weight:
    """What a node amounts to when its aliases are expanded."""

    nodes: int
    height: int


@dataclass(slots=True)
class _Open:
    """A collection whose end has not come yet; `key` is the key whose value is awaited."""

    node: Node
    anchor: str | None
    key: str | None = None
    key_known: bool = False
    skip: bool = False
    nodes: int = 1
    height: int = 1


class _Builder:
    """Builds the tree of one document from events, counting as it goes."""

    def __init__(self, text: str, file: str) -> None:
        self._file = file
        self._parser = _Parser(text)
        self._problems: list[Problem] = []
        self._anchors: dict[str, tuple[Node, _Weight]] = {}
        self._stack: list[_Open] = []
        self._root: Node | None = None
        self._aliases = 0
        self._nodes = 0
        self._documents = 0

    def build(self) -> Node:
        try:
            for event in self._parser.events():
                self._take(event)
        except yaml.MarkedYAMLError as error:
            raise bad_input([self._syntax(error)]) from error
        except (ValueError, OverflowError) as error:  # an escape such as "\U00110000" reaches chr(), `%YAML 9…9.1` reaches int()
            opened = [(quoted.line, quoted.column) for quoted in self._parser.quoted if quoted.end_line is None]
            line, column = opened[-1] if opened else (self._parser.line, 0)
            message = "an escape or a number here is for something that does not exist"
            raise bad_input([Problem(Place(self._file, line + 1, column + 1), message)]) from error
        if self._problems:
            raise bad_input(self._problems)
        return self._root or Node(None, 1, 1)

    def _take(self, event: Event) -> None:
        match event:
            case DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    self._stop(event, "a second document starts here", "one document a file: take out the `---`")
            case AliasEvent():
                self._alias(event)
            case ScalarEvent():
                self._count(event)
                self._scalar(event)
            case MappingStartEvent() | SequenceStartEvent():
                self._count(event)
                self._open(event)
            case MappingEndEvent() | SequenceEndEvent():
                self._close()

    def _count(self, event: Event) -> None:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            self._stop(event, f"the file has more than {MOST_NODES} values")

    def _alias(self, event: AliasEvent) -> None:
        self._aliases += 1
        if self._aliases > MOST_ALIASES:
            self._stop(event, f"the file has more than {MOST_ALIASES} aliases")
        anchor = event.anchor or ""
        if anchor not in self._anchors:
            inside = any(level.anchor == anchor for level in self._stack)
            self._stop(event, f"the alias *{anchor[:60]} " + ("stands within itself" if inside else "names no anchor above it"))
        if self._awaits_key():
            self._stop(event, "an alias stands where a key is expected", "a key is plain text")
        node, weight = self._anchors[anchor]
        self._nodes += weight.nodes
        if self._nodes > MOST_NODES:
            self._stop(event, f"with its aliases expanded, the file has more than {MOST_NODES} values")
        if len(self._stack) + weight.height > DEEPEST:
            self._stop(event, f"with its aliases expanded, the file is nested deeper than {DEEPEST} levels")
        line, column = _position(event)
        self._add(Node(node.value, line, column, node.raw, node.keys), weight)

    def _scalar(self, event: ScalarEvent) -> None:
        line, column = _position(event)
        self._refuse_tag(event)
        if "\0" in event.value or any("\ud800" <= char <= "\udfff" for char in event.value):
            self._problem(event, "the text holds a NUL or half of a surrogate pair", "take the escape out")
        if self._awaits_key():
            self._key(event)
            return
        plain = event.style is None
        node = Node(self._resolve(event) if plain else event.value, line, column, event.value if plain else None)
        weight = _Weight(1, 0)
        if event.anchor is not None:
            self._anchors[event.anchor] = (node, weight)
        self._add(node, weight)

    def _key(self, event: ScalarEvent) -> None:
        level = self._stack[-1]
        key = event.value
        level.key, level.key_known, level.skip = key, True, False
        if event.style is None and key == "<<":
            self._problem(event, "merge keys (`<<`) are not allowed", "write the keys out")
            level.skip = True
        elif key in level.node.keys:
            first = level.node.keys[key][0]
            self._problem(event, f"the key {key!r} stands twice in one mapping", f"it stands at line {first} already")
            level.skip = True
        else:
            level.node.keys[key] = _position(event)

    def _open(self, event: CollectionStartEvent) -> None:
        self._refuse_tag(event)
        if self._awaits_key():
            self._stop(event, "a list or mapping stands where a key is expected", "a key is plain text; quote what begins with { or [")
        if len(self._stack) >= DEEPEST:
            self._stop(event, f"nested deeper than {DEEPEST} levels")
        line, column = _position(event)
        empty: dict[str, Node] | list[Node] = {} if isinstance(event, MappingStartEvent) else []
        self._stack.append(_Open(Node(empty, line, column), event.anchor))

    def _close(self) -> None:
        level = self._stack.pop()
        weight = _Weight(level.nodes, level.height)
        if level.anchor is not None:
            self._anchors[level.anchor] = (level.node, weight)
        self._add(level.node, weight)

    def _add(self, node: Node, weight: _Weight) -> None:
        if not self._stack:
            self._root = node
            return
        level = self._stack[-1]
        level.nodes += weight.nodes
        level.height = max(level.height, weight.height + 1)
        if isinstance(level.node.value, list):
            level.node.value.append(node)
        elif isinstance(level.node.value, dict):
            if not level.skip and level.key is not None:
                level.node.value[level.key] = node
            level.key, level.key_known = None, False

    def _awaits_key(self) -> bool:
        return bool(self._stack) and isinstance(self._stack[-1].node.value, dict) and not self._stack[-1].key_known

    def _resolve(self, event: ScalarEvent) -> str | int | float | bool | None:
        text = event.value
        if text in _NULL:
            return None
        if text in _BOOL:
            return _BOOL[text]
        for pattern, reason in _SURPRISES:
            if pattern.fullmatch(text):
                if _FLOAT.fullmatch(text) and "." in text and text.lower().strip("+-") not in (".inf", ".nan"):
                    break
                shown = text if len(text) <= 40 else text[:40] + "…"
                self._problem(event, f"`{shown}` is ambiguous: {reason}", f'quote it ("{shown}") for text, or write it plainly')
                return text
        if _INT.fullmatch(text):
            return self._whole(event)
        if _FLOAT.fullmatch(text):
            return self._finite(event)
        return text

    def _whole(self, event: ScalarEvent) -> int:
        if len(event.value) > 20 or abs(int(event.value)) > 2**63 - 1:
            self._problem(event, "the number is beyond 64 bits", "quote it if it is text")
            return 0
        return int(event.value)

    def _finite(self, event: ScalarEvent) -> float:
        number = float(event.value)
        if number in (float("inf"), float("-inf")):
            self._problem(event, "the number is beyond what can be counted with", "quote it if it is text")
            return 0.0
        return number

    def _refuse_tag(self, event: ScalarEvent | CollectionStartEvent) -> None:
        if event.tag is not None:
            self._problem(event, "tags are not allowed", "take the `!` word out, or quote the text")

    def _problem(self, event: Event, message: str, hint: str = "") -> None:
        line, column = _position(event)
        self._problems.append(Problem(Place(self._file, line, column), message, hint))
        if len(self._problems) >= _MOST_PROBLEMS:
            raise bad_input(self._problems)

    def _stop(self, event: Event, message: str, hint: str = "") -> None:
        line, column = _position(event)
        raise bad_input([*self._problems, Problem(Place(self._file, line, column), message, hint)])

    def _syntax(self, error: yaml.MarkedYAMLError) -> Problem:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line, mark.column) if mark is not None else (0, 0)
        opened = None if "escape" in (error.problem or "") else self._unclosed(line)
        if opened is not None:
            place = Place(self._file, opened.line + 1, opened.column + 1)
            return Problem(place, "a quote opens here and is not closed", "close it on the same line")
        message, hint = _words(error)
        return Problem(Place(self._file, line + 1, column + 1), message, hint)

    def _unclosed(self, line: int) -> _Quoted | None:
        """The quote that opened and was not meant to run on: the parser stumbles where the next quote closes it.

        One missing quote turns all later ones inside out, so the trace goes back from quote to quote while each begins
        on the line on which another, over several lines, ended.
        """
        found: _Quoted | None = None
        for quoted in reversed(self._parser.quoted):
            if quoted.end_line is None or (quoted.end_line == line and quoted.line < line):
                found, line = quoted, quoted.line
        return found


def _position(event: Event) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)


def _words(error: yaml.MarkedYAMLError) -> tuple[str, str]:
    """What PyYAML found, in words for a person, and what to do."""
    problem = error.problem or error.context or "this is not YAML"
    if r"'\t'" in problem:
        return "a tab stands where YAML takes only spaces", "indent with spaces"
    if "tag" in problem:
        return "tags are not allowed", "take the `!` word out, or quote the text"
    if "mapping values are not allowed" in problem:
        return "a `:` stands where no key can be", "quote text that holds `: `, and check the indentation"
    if "escape character" in problem:
        return f"{problem} in double quotes", "use single quotes, in which a backslash is a backslash"
    if "could not find expected ':'" in problem:
        return "a key without its `:`", "check the line above, too"
    if "end of stream" in problem or "<stream end>" in problem:
        return "the file ends in the middle of something", "close what is open: a bracket or a quote"
    context = f" {error.context}" if error.context and error.context != problem else ""
    return f"not YAML: {problem}{context}", "check the indentation and quotes here and on the line above"
