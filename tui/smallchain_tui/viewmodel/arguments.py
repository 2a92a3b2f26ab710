"""The arguments of a call as a person reads, edits and compares them: YAML of the JSON, and back.

The one rule: what is read back from what was written is the same value, and the text shows all it holds, with escapes for what would
hide, so that it can stand in an editor.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Any, NamedTuple

import yaml

from smallchain.model import yamlfile
from smallchain.model.canonical import canonical
from smallchain.model.errors import BadInput
from smallchain.protocol.text import is_plain, visible

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_READ_OTHERWISE = frozenset(["y", "yes", "n", "no", "on", "off", "true", "false", "null"])


class Line(NamedTuple):
    """A line of a comparison; `sign` is ` `, `-`, `+`, or `~` for lines that are left out."""

    sign: str
    text: str


def written(arguments: dict[str, Any]) -> str:
    """The arguments as YAML: texts in quotes or as blocks, escapes for what is not seen, in the order they came."""
    text = yaml.dump(arguments, Dumper=_Dumper, allow_unicode=True, sort_keys=False, default_flow_style=False, width=1 << 30)
    return text if is_plain(text) else "".join(char if is_plain(char) else _escape(char) for char in text)


def read(text: str) -> dict[str, Any]:
    """The arguments of an edited text; raises BadInput, with the line, for what is no mapping or not JSON."""
    try:
        value = yamlfile.read(text.encode(), file="").plain()
    except UnicodeEncodeError as error:
        raise BadInput("half of a surrogate pair in the text") from error
    except BadInput as error:
        first = error.problems[0] if error.problems else None
        where = f"line {first.place.line}: " if first is not None and first.place.line else ""
        raise BadInput(f"{where}{first.message if first is not None else error.message}", first.hint if first else "") from error
    if not isinstance(value, dict):
        raise BadInput("arguments are a mapping: NAME: VALUE", hint="Esc drops the edit")
    canonical(value)
    return value


def compared(before: str, after: str, *, context: int = 2) -> tuple[Line, ...]:
    """The lines of two texts, what is only in the first with `-`, only in the second with `+`; far from any change, left out."""
    old, new = before.splitlines(), after.splitlines()
    lines: list[Line] = []
    for group in SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(context):
        if group[0][1] > (0 if not lines else -1):
            lines.append(Line("~", f"line {group[0][1] + 1}"))
        for tag, old_from, old_to, new_from, new_to in group:
            if tag == "equal":
                lines += [Line(" ", line) for line in old[old_from:old_to]]
            else:
                lines += [Line("-", line) for line in old[old_from:old_to]]
                lines += [Line("+", line) for line in new[new_from:new_to]]
    return tuple(lines)


def texts_in(value: Any) -> list[str]:
    """Every text within a value, names of arguments included: for counting what hides."""
    if isinstance(value, dict):
        return [text for name, inner in value.items() for text in (str(name), *texts_in(inner))]
    if isinstance(value, list):
        return [text for inner in value for text in texts_in(inner)]
    return [value] if isinstance(value, str) else []


def on_one_line(arguments: Any, *, most: int = 400) -> str:
    """The arguments for a row of a list: `title="AI news" amount=3`, all of it visible; what is cut is the caller's to say."""
    if not isinstance(arguments, dict):
        return visible(str(arguments))[:most]
    return visible(" ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in arguments.items()))[:most]


class _Dumper(yaml.SafeDumper):
    """Texts always in quotes, or as blocks where they have lines; nothing ever as an alias."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> yaml.MappingNode:
        node = super().represent_mapping(tag, mapping, flow_style)
        pairs: Sequence[tuple[yaml.Node, yaml.Node]] = node.value
        for key, _ in pairs:
            if isinstance(key, yaml.ScalarNode):
                plain = _PLAIN_KEY.fullmatch(key.value) and key.value.casefold() not in _READ_OTHERWISE
                key.style = None if plain else '"'
        return node

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    block = "\n" in text and is_plain(text) and text.strip() != ""
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if block else '"')


_Dumper.add_representer(str, _text)


def _escape(char: str) -> str:
    return f"\\u{ord(char):04X}" if ord(char) < 0x10000 else f"\\U{ord(char):08X}"
