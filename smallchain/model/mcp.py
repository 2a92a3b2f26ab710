"""An MCP server's tools as they are kept: what the server says of each, whether it can be used, and what the model is shown of it.

The one rule: a server's words are a stranger's. They are bounded, what is invisible in them is written out, and a person accepts them
before a model reads others than those it began with.
"""

from __future__ import annotations

import difflib
import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from smallchain.model.canonical import canonical, digest
from smallchain.model.errors import BadInput
from smallchain.model.fence import Limits, Mount
from smallchain.model.schemas import fault_in_parameters

LISTING = "mcp_tools"
"""The kind under which a server's accepted tools are kept and pinned, all in one piece; no section of a manifest has this name."""
MOST_TOOLS = 512
"""Tools of one server; what it lists beyond is not looked at."""
LONGEST_TOOL_NAME = 128
LONGEST_DESCRIPTION = 16_384
LARGEST_SCHEMA = 65_536
SHOWN_DESCRIPTION = 1_024
"""Characters of a description that the model is shown; one of an argument gets a quarter of it."""
_DEEPEST = 12
_MOST_PARTS = 2_000
_INVISIBLE = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
_NOT_SHOWN = frozenset(
    (
        *("$schema", "$id", "$anchor", "$comment", "$defs", "definitions", "title", "examples", "readOnly", "writeOnly", "deprecated"),
        *("if", "then", "else", "not", "dependentSchemas", "dependentRequired", "dependencies", "patternProperties", "propertyNames"),
        *("unevaluatedProperties", "unevaluatedItems", "contains", "minContains", "maxContains", "prefixItems"),
    )
)


@dataclass(frozen=True, slots=True)
class McpTool:
    """A tool as its server describes it; `schema` is the author's, whole: arguments are validated against it."""

    name: str
    description: str
    schema: dict[str, Any]

    @property
    def words(self) -> dict[str, Any]:
        """What is kept and compared of it."""
        return {"name": self.name, "description": self.description, "schema": self.schema}

    @property
    def digest(self) -> str:
        """What tells these words from all others."""
        return digest(self.words)


@dataclass(frozen=True, slots=True)
class McpEndpoint:
    """A server as it is started or reached: `command` over its standard input and output, or `url`; secrets are resolved for this use."""

    name: str
    command: tuple[str, ...] = ()
    url: str = ""
    folder: str = ""
    """Where a command starts; empty: a folder of its own."""
    env: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    isolation: str = "auto"
    network: bool = False
    mounts: tuple[Mount, ...] = ()
    limits: Limits = field(default_factory=Limits)

    def __repr__(self) -> str:
        return f"McpEndpoint({self.name})"


@dataclass(frozen=True, slots=True)
class McpEnded:
    """How the keeping of a server ended. `wanted`: it was stopped, or another took its place; `stderr`: its last lines."""

    why: str
    stderr: str = ""
    lived: timedelta = timedelta()
    wanted: bool = False

    @property
    def sentence(self) -> str:
        """Why, with what it said last."""
        return f"{self.why}; it said last: {self.stderr}" if self.stderr else self.why


@dataclass(frozen=True, slots=True)
class McpStanding:
    """How a server that is kept stands in this life of the daemon. No `pid`: it does not run, or is none of our processes."""

    pid: int | None = None
    restarts: int = 0
    protocol: str = ""
    stderr: tuple[str, ...] = ()
    """Its last lines on standard error, oldest first."""


def tool_of(words: Mapping[str, Any], /) -> McpTool:
    """A tool from what was kept of it."""
    return McpTool(str(words["name"]), str(words["description"]), dict(words["schema"]))


def listing_of(spec: Mapping[str, Any], /) -> tuple[McpTool, ...]:
    """The tools of a listing that was kept."""
    return tuple(tool_of(words) for words in spec["tools"])


def taken(name: str, description: str, schema: Any, /) -> tuple[McpTool, str]:
    """A tool from what a server said, bounded and with what is invisible written out; and why it cannot be used, empty if it can.

    What cannot be kept at all comes back without its schema.
    """
    plain = McpTool(legible(name)[:LONGEST_TOOL_NAME], legible(description), schema if isinstance(schema, dict) else {})
    if not name or plain.name != name:
        return McpTool(plain.name or "?", "", {}), f"its name is empty, longer than {LONGEST_TOOL_NAME} characters or has invisible ones"
    if len(plain.description) > LONGEST_DESCRIPTION:
        return McpTool(name, "", {}), f"its description has more than {LONGEST_DESCRIPTION} characters"
    if not isinstance(schema, dict):
        return McpTool(name, plain.description, {}), "its schema is no JSON Schema"
    whole = {"type": "object", **schema} if "type" not in schema else schema
    try:
        size = len(canonical(whole))
    except BadInput as error:
        return McpTool(name, plain.description, {}), f"its schema cannot be kept: {error}"
    if size > LARGEST_SCHEMA:
        return McpTool(name, plain.description, {}), f"its schema has more than {LARGEST_SCHEMA} bytes"
    fault = fault_in_parameters(whole)
    tool = McpTool(name, plain.description, whole)
    return tool, f"its schema {fault[0]}" if fault is not None else ""


def legible(text: str, /) -> str:
    """A text in which every control, format and unassigned character is written out; lines and tabs stay."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char if char in "\n\t" or unicodedata.category(char) not in _INVISIBLE else f"\\u{{{ord(char):X}}}"
        for char in text.replace("\r\n", "\n")
    )


def reduced(schema: Mapping[str, Any], /) -> dict[str, Any]:
    """A schema as models read it best: references within it written out, one type each, no null beside it, descriptions cut.

    What it leaves out still holds: arguments are validated against the whole.
    """
    found = _Reduction(schema).of(schema, 0, ())
    properties = found.get("properties")
    return {**found, "type": "object", "properties": properties if isinstance(properties, dict) else {}}


def difference(before: Mapping[str, Any] | None, now: Mapping[str, Any], /) -> tuple[str, ...]:
    """What changed of a tool, as the lines of a unified diff over its description and its schema; all of it where there was none."""
    old = _lines(before) if before is not None else []
    lines = list(difflib.unified_diff(old, _lines(now), lineterm="", n=2))[2:]
    return tuple(line for line in lines if not line.startswith("@@"))


def _lines(words: Mapping[str, Any]) -> list[str]:
    schema = json.dumps(words["schema"], indent=2, sort_keys=True, ensure_ascii=False)
    return [*str(words["description"]).split("\n"), *legible(schema).split("\n")]


class _Reduction:
    """One walk through a schema, bounded: references that are written out may multiply without end."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._left = _MOST_PARTS

    def of(self, schema: Any, depth: int, seen: tuple[str, ...]) -> dict[str, Any]:
        """A part of the schema; nothing where it describes itself, or the walk has gone far enough. `seen`: the references followed."""
        self._left -= 1
        if not isinstance(schema, Mapping) or depth > _DEEPEST or self._left < 0:
            return {}
        while isinstance(reference := schema.get("$ref"), str):
            meant = _referred(self._root, reference)
            if reference in seen or meant is None:
                return {}
            seen = (*seen, reference)
            schema = {**meant, **{name: value for name, value in schema.items() if name != "$ref"}}
        found: dict[str, Any] = {}
        for name, value in _merged(schema).items():
            if name not in _NOT_SHOWN:
                found |= self._part(name, value, depth, seen)
        return found

    def _part(self, name: str, value: Any, depth: int, seen: tuple[str, ...]) -> dict[str, Any]:
        match name, value:
            case "description", _:
                return {name: shortened(legible(str(value)), SHOWN_DESCRIPTION if depth == 0 else SHOWN_DESCRIPTION // 4)}
            case "type", list():
                kinds = [each for each in value if each != "null"]
                return {"type": kinds[0]} if len(kinds) == 1 else {"anyOf": [{"type": each} for each in kinds]} if kinds else {}
            case "properties", Mapping():
                return {name: {key: self.of(inner, depth + 1, seen) for key, inner in value.items()}}
            case "items", _:
                return {name: self.of(value, depth + 1, seen)}
            case "additionalProperties", Mapping():
                return {name: self.of(value, depth + 1, seen)}
            case "additionalProperties", True:
                return {}
            case (("anyOf" | "oneOf" | "allOf"), list()):
                return {name: [self.of(each, depth + 1, seen) for each in value]}
        return {name: value}


def _merged(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """A choice between one thing and null is that thing; so is all of one thing."""
    for name in ("anyOf", "oneOf", "allOf"):
        choices = schema.get(name)
        if isinstance(choices, list):
            real = [each for each in choices if isinstance(each, Mapping) and each.get("type") != "null"]
            if len(real) == 1:
                return {**real[0], **{key: value for key, value in schema.items() if key != name}}
            if len(real) < len(choices):
                return {**schema, name: real}
    return schema


def _referred(root: Mapping[str, Any], reference: str) -> Mapping[str, Any] | None:
    """What a reference within the schema means (RFC 6901)."""
    if not reference.startswith("#"):
        return None
    found: Any = root
    for step in reference[1:].split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, Mapping) and key in found:
            found = found[key]
        elif isinstance(found, list) and key.isdecimal() and int(key) < len(found):
            found = found[int(key)]
        else:
            return None
    return found if isinstance(found, Mapping) else None


def shortened(text: str, most: int, /) -> str:
    """A text, cut with a mark where it is longer."""
    return text if len(text) <= most else text[: most - 1] + "…"
