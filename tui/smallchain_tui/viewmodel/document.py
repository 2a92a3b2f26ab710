"""A value (arguments, a result, a request to a model) as lines to read: YAML or JSON, with parts that fold.

The one rule: what is shown is visible text, and what is copied or written to a file is the value itself, byte for byte.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from smallchain.protocol.text import one_line, sanitised, visible
from smallchain_tui.viewmodel.line import Line, Span, wrapped

_STEP = "  "
_DEEPEST = 60
"""Levels that are laid out; what lies deeper is shown on one line."""
_MOST_LINES = 20_000
_PLAIN = re.compile(r"[A-Za-z_](?:[\w .,/@:()'!?;+=%&*-]*[\w.,/@()'!?;+=%&*-])?", re.ASCII)
_BLOCK = re.compile(r"\n*[^\s].*\n", re.DOTALL)
"""Several lines that YAML can show as they are: its first one with words in it tells how far they stand in."""
_NOT_PLAIN = frozenset(("true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf"))

Path = tuple[str | int, ...]
"""Where in the value: keys and places from the outside in."""


class Form(StrEnum):
    """How the value is written."""

    YAML = "yaml"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class DocumentLine:
    """One line: where it belongs, what it says; `folds` tells that it can be folded, `folded` that it is."""

    path: Path
    spans: Line
    folds: bool = False
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """A value and how it is looked at. `exact`: each text with all that is hidden in it as escapes, as a program writes it."""

    value: Any
    form: Form = Form.YAML
    exact: bool = False
    folded: frozenset[Path] = field(default_factory=frozenset)

    def lines(self, cells: int) -> list[DocumentLine]:
        """The value laid out in so many cells; long lines are wrapped, never cut, as far as a person would ever read."""
        found: list[DocumentLine] = []
        make = _Yaml(self, cells) if self.form is Form.YAML else _Json(self, cells)
        for line in make.lines():
            if len(found) >= _MOST_LINES:
                found.append(DocumentLine((), (("... more than is shown here; export it with x to see it whole", "waiting"),)))
                break
            found.append(line)
        return found

    def at(self, path: Path) -> Any:
        """The value at a place; None where there is none."""
        value = self.value
        for step in path:
            try:
                value = value[step]
            except (LookupError, TypeError):
                return None
        return value

    def hidden(self) -> int:
        """How many characters are written out, not shown."""
        return sum(sanitised(text) for text in _texts(self.value))

    def text(self, path: Path = ()) -> str:
        """The value at a place as it is copied: a text as it is, anything else as JSON."""
        value = self.at(path)
        return value if isinstance(value, str) else in_json(value)


def in_json(value: Any) -> str:
    """The value as JSON that reads back unchanged."""
    return json.dumps(value, ensure_ascii=False, indent=2)


def read(text: str) -> Any:
    """A text as the JSON object or list it holds, else the text itself."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            pass
    return text


class _Writer:
    """What both forms share: keys, scalars, wrapping, folding."""

    def __init__(self, document: Document, cells: int) -> None:
        self.document = document
        self.cells = cells

    def quoted(self, text: str) -> str:
        """As a JSON string; what is hidden stands as an escape of JSON where that is asked for, else of ours."""
        return json.dumps(text, ensure_ascii=True) if self.document.exact else visible(json.dumps(text, ensure_ascii=False))

    def scalar(self, value: Any) -> Span:
        if isinstance(value, str):
            return self.quoted(value), ""
        if value is None or isinstance(value, bool):
            return json.dumps(value), "accent"
        return one_line(json.dumps(value) if isinstance(value, int | float) else str(value)), "number"

    def spread(self, path: Path, lead: Line, span: Span, hanging: int, *, after: str = "") -> Iterator[DocumentLine]:
        """One value behind what leads it, wrapped under itself."""
        room = self.cells - sum(len(text) for text, _ in lead)
        text, style = span
        for number, part in enumerate(wrapped(text + after, max(room, 16))):
            yield DocumentLine(path, (*lead, (part, style)) if number == 0 else ((" " * hanging, ""), (part, style)))

    def is_folded(self, path: Path) -> bool:
        return path in self.document.folded or len(path) >= _DEEPEST


class _Yaml(_Writer):
    def lines(self) -> Iterator[DocumentLine]:
        yield from self.value((), (), self.document.value, 0)

    def value(self, path: Path, lead: Line, value: Any, depth: int) -> Iterator[DocumentLine]:
        """A value whose first line begins with `lead`; the lines of a container stand below it, `depth` steps in."""
        if isinstance(value, Mapping) and value:
            yield from self.container(path, lead, value, [(key, _key_span(self, str(key))) for key in value], depth)
        elif isinstance(value, list) and value:
            yield from self.container(path, lead, value, [(place, ("-", "muted")) for place in range(len(value))], depth)
        elif isinstance(value, str) and _BLOCK.match(value) and not self.document.exact:
            yield from self.block(path, lead, value, depth)
        else:
            yield from self.spread(path, lead, self.plain(value), len(_STEP) * depth)

    def container(self, path: Path, lead: Line, value: Any, members: list[tuple[Any, Span]], depth: int) -> Iterator[DocumentLine]:
        folded = self.is_folded(path)
        if lead:
            yield DocumentLine(path, (*lead, (_size(value), "muted")) if folded else lead, folds=True, folded=folded)
        if folded and lead:
            return
        for key, name in members:
            inner, at = value[key], (*path, key)
            begin: Line = ((_STEP * depth, ""), name, (" ", "")) if depth else (name, (" ", ""))
            if name[0] == "-" and isinstance(inner, Mapping | list) and inner and not self.is_folded(at):
                yield from self.item(at, begin, inner, depth + 1)
            else:
                yield from self.value(at, begin, inner, depth + 1)

    def item(self, path: Path, begin: Line, value: Any, depth: int) -> Iterator[DocumentLine]:
        """A container in a list: its first member stands behind the dash, and folds the whole."""
        for number, line in enumerate(self.value(path, (), value, depth)):
            if number:
                yield line
            else:
                first, *rest = line.spans
                yield DocumentLine(path, (*begin, (first[0][len(_STEP) * depth :], first[1]), *rest), folds=True)

    def block(self, path: Path, lead: Line, value: str, depth: int) -> Iterator[DocumentLine]:
        folded, texts = self.is_folded(path), value.split("\n")
        if lead:
            mark = f"| ({len(texts)} lines)" if folded else "|" if value.endswith("\n") else "|-"
            yield DocumentLine(path, (*lead, (mark, "muted")), folds=True, folded=folded)
        if folded and lead:
            return
        indent = _STEP * depth
        for text in texts[:-1] if value.endswith("\n") else texts:
            for part in wrapped(visible(text.replace("\t", "    ")), self.cells - len(indent)):
                yield DocumentLine(path, ((indent + part, ""),))

    def plain(self, value: Any) -> Span:
        """A text without quotes where YAML needs none."""
        if isinstance(value, str) and not self.document.exact:
            if _is_plain(value):
                return value, ""
            if self.document.value != value:
                return self.quoted(value), ""
            return visible(value), ""  # the whole document is one line of text
        if isinstance(value, Mapping | list):
            return "{}" if isinstance(value, Mapping) else "[]", "muted"
        return self.scalar(value)


class _Json(_Writer):
    def lines(self) -> Iterator[DocumentLine]:
        yield from self.value((), (), self.document.value, 0, "")

    def value(self, path: Path, lead: Line, value: Any, depth: int, after: str) -> Iterator[DocumentLine]:
        if isinstance(value, Mapping | list) and value:
            opening, closing = ("{", "}") if isinstance(value, Mapping) else ("[", "]")
            if self.is_folded(path):
                yield DocumentLine(
                    path, (*lead, (f"{opening}…{closing}{after} ", "muted"), (_size(value), "muted")), folds=True, folded=True
                )
                return
            yield DocumentLine(path, (*lead, (opening, "muted")), folds=True)
            members = list(value.items()) if isinstance(value, Mapping) else list(enumerate(value))
            for number, (key, inner) in enumerate(members):
                name: Line = ((self.quoted(str(key)), "key"), (": ", "muted")) if isinstance(value, Mapping) else ()
                comma = "," if number < len(members) - 1 else ""
                yield from self.value((*path, key), ((_STEP * (depth + 1), ""), *name), inner, depth + 1, comma)
            yield DocumentLine(path, ((_STEP * depth, ""), (closing + after, "muted")))
        elif isinstance(value, Mapping | list):
            yield DocumentLine(path, (*lead, ("{}" if isinstance(value, Mapping) else "[]", "muted"), (after, "muted")))
        else:
            yield from self.spread(path, lead, self.scalar(value), len(_STEP) * (depth + 1), after=after)


def _key_span(writer: _Writer, key: str) -> Span:
    shown = key if _is_plain(key) else writer.quoted(key)
    return f"{shown}:", "key"


def _is_plain(text: str) -> bool:
    """Whether YAML reads a text without quotes as this text."""
    return _PLAIN.fullmatch(text) is not None and text.casefold() not in _NOT_PLAIN and ": " not in text and not text.endswith(":")


def _size(value: Any) -> str:
    return f"({len(value)} {'fields' if isinstance(value, Mapping) else 'items'})"


def _texts(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, Mapping):
            waiting += [*one, *one.values()]
        elif isinstance(one, list):
            waiting += one
