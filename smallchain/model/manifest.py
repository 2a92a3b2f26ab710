"""A manifest: what a person writes, from bytes to resources, with every problem at its line and column.

The one rule: a file is taken whole or not at all. `spec` is the normalised form (defaults left out, short forms written
out), so that a resource's digest changes only when its meaning does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from smallchain.model import canonical, yamlfile
from smallchain.model.canonical import JSON
from smallchain.model.errors import Place, Problem
from smallchain.model.fields import Section
from smallchain.model.ids import did_you_mean
from smallchain.model.llmspec import LLMSpec
from smallchain.model.sections import (
    AgentSpec,
    BudgetSpec,
    ChannelSpec,
    DefaultsSpec,
    McpServerSpec,
    RunSpec,
    ScheduleSpec,
    TaskSpec,
)
from smallchain.model.toolspec import ToolSpec
from smallchain.model.yamlfile import Node

__all__ = [
    "SECTIONS",
    "SPECS",
    "AgentSpec",
    "BudgetSpec",
    "ChannelSpec",
    "DefaultsSpec",
    "LLMSpec",
    "McpServerSpec",
    "Resource",
    "RunSpec",
    "ScheduleSpec",
    "TaskSpec",
    "ToolSpec",
    "json_schema",
    "parse_manifest",
]

SPECS: Mapping[str, type[Section]] = {
    "llm": LLMSpec,
    "agent": AgentSpec,
    "tool": ToolSpec,
    "task": TaskSpec,
    "run": RunSpec,
    "mcp_server": McpServerSpec,
    "channel": ChannelSpec,
    "budget": BudgetSpec,
    "schedule": ScheduleSpec,
    "defaults": DefaultsSpec,
}
SECTIONS: Mapping[str, str] = {("defaults" if kind == "defaults" else f"{kind}s"): kind for kind in SPECS}


@dataclass(frozen=True, slots=True)
class Resource:
    """One thing that a manifest declares. `folder` is where its relative paths start and its executors run; empty: unknown."""

    kind: str
    name: str
    spec: dict[str, JSON]
    place: Place
    folder: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 of the meaning: the same for two writings of one thing."""
        return canonical.digest(dict(self.spec))


def parse_manifest(data: bytes, *, file: str, folder: str = "") -> list[Resource]:
    """The resources of one file, in the order they stand there.

    Relative paths are made absolute against `folder` when it is given. Raises BadInput with all problems of the file.
    """
    root = yamlfile.read(data, file=file)
    reading = _Reading(file, folder)
    reading.take(root)
    if reading.problems:
        raise yamlfile.bad_input(reading.problems)
    return reading.resources


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 7) of a manifest file, for editors."""
    validation: Literal["validation"] = "validation"
    items = [(kind, validation, TypeAdapter(spec)) for kind, spec in SPECS.items()]
    refs, definitions = TypeAdapter.json_schemas(items, ref_template="#/definitions/{model}")
    properties: dict[str, Any] = {}
    for section, kind in SECTIONS.items():
        ref = refs[(kind, validation)]
        properties[section] = ref if kind == "defaults" else {"type": ["array", "null"], "items": ref}
        properties[section] = {**properties[section], "description": SPECS[kind].__doc__}
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Smallchain manifest",
        "type": ["object", "null"],
        "additionalProperties": False,
        "properties": properties,
        "definitions": definitions.get("$defs", {}),
    }
    found = _as_draft_7(schema)
    assert isinstance(found, dict)
    return found


def _as_draft_7(value: Any) -> Any:
    """Draft 7 ignores what stands beside a `$ref`: it is kept with `allOf`."""
    if isinstance(value, list):
        return [_as_draft_7(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    found = {key: _as_draft_7(inner) for key, inner in value.items()}
    if isinstance(found.get("$ref"), str) and len(found) > 1:
        found["allOf"] = [{"$ref": found.pop("$ref")}]
    return found


class _Reading:
    """One pass over a file's tree, gathering resources and problems."""

    def __init__(self, file: str, folder: str) -> None:
        self._file = file
        self._folder = folder
        self._first: dict[tuple[str, str], Place] = {}
        self.resources: list[Resource] = []
        self.problems: list[Problem] = []

    def take(self, root: Node) -> None:
        if root.value is None:
            return
        if not isinstance(root.value, dict):
            self._problem(root, "a manifest is a mapping of sections", "begin with `llms:`, `agents:`, `tools:`, `tasks:` or `runs:`")
            return
        for section, node in root.value.items():
            kind = SECTIONS.get(section)
            if kind is None:
                line, column = root.keys[section]
                hint = did_you_mean(section, SECTIONS) or "the sections are " + ", ".join(SECTIONS)
                self.problems.append(Problem(Place(self._file, line, column), f"unknown section {section!r}", hint))
            elif node.value is None:
                continue
            elif kind == "defaults":
                self._item(kind, node)
            elif isinstance(node.value, list):
                for item in node.value:
                    self._item(kind, item)
            else:
                self._problem(node, f"`{section}` should be a list", "begin each entry with `- name: `")

    def _item(self, kind: str, node: Node) -> None:
        if not isinstance(node.value, dict):
            hint = "write it as `llm: NAME`" if kind == "defaults" else "begin with `- name: `"
            self._problem(node, f"{_words(kind)} should be a mapping", hint)
            return
        plain = node.plain()
        context: dict[str, Any] = {"folder": self._folder}
        try:
            model = SPECS[kind].model_validate(plain, context=context)
        except ValidationError as error:
            subject = _subject(kind, plain)
            self.problems += [self._translate(subject, node, plain, dict(found), context) for found in error.errors()]
            return
        spec = model.model_dump(mode="json", exclude_defaults=True) | {"name": getattr(model, "name")}  # noqa: B009
        named = node if kind == "defaults" else node.value["name"]
        place = Place(self._file, named.line, named.column)
        first = self._first.setdefault((kind, spec["name"]), place)
        if first is not place:
            message = f"{_subject(kind, spec)} stands at line {first.line} already"
            self.problems.append(Problem(place, message, "rename or remove one of them"))
            return
        self.resources.append(Resource(kind, spec["name"], spec, place, self._folder))

    def _problem(self, node: Node, message: str, hint: str = "") -> None:
        self.problems.append(Problem(Place(self._file, node.line, node.column), message, hint))

    def _translate(self, subject: str, node: Node, plain: JSON, error: dict[str, Any], context: dict[str, Any]) -> Problem:
        """A problem, at its place, in words, from an error of pydantic."""
        found = _Found(node, plain)
        for step in error["loc"]:
            if not found.step(step):
                break
        path = found.path
        kind, ctx = error["type"], error.get("ctx", {})
        if kind == "extra_forbidden":
            key = str(error["loc"][-1])
            hint = did_you_mean(key, context.get("known", {}).get(id(found.parent), ()))
            return self._at(found.key_place, f"{subject}: unknown key {key[:63]!r}{_within(path)}", hint)
        if kind == "missing":
            return self._at(found.place, f"{subject}: `{_join(path, error['loc'][-1])}` is missing")
        if kind == "manifest":
            return self._at(found.place, f"{subject}: {_sentence(path, ctx['text'])}", ctx["hint"])
        message, hint = _wrong_type(kind, ctx, error, found.node)
        return self._at(found.place, f"{subject}: {_sentence(path, message)}", hint)

    def _at(self, place: tuple[int, int], message: str, hint: str = "") -> Problem:
        return Problem(Place(self._file, *place), message, hint)


class _Found:
    """Walks an error's location through the tree, as far as it goes."""

    def __init__(self, node: Node, plain: JSON) -> None:
        self.node = node
        self.plain = plain
        self.parent: JSON = plain
        self.place = (node.line, node.column)
        self.key_place = self.place
        self.path: list[str | int] = []

    def step(self, step: str | int) -> bool:
        if isinstance(step, str) and (step.startswith("<") or step == "[key]"):
            if step == "[key]":
                self.place = self.key_place
            return True
        value = self.node.value
        if isinstance(value, dict) and isinstance(step, str) and step in value:
            self.key_place = self.node.keys[step]
            node: Node = value[step]
            assert isinstance(self.plain, dict)
            self.parent, self.plain = self.plain, self.plain[step]
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            node = value[step]
            assert isinstance(self.plain, list)
            self.parent, self.plain = self.plain, self.plain[step]
            self.key_place = (node.line, node.column)
        else:
            return False
        self.node = node
        self.place = self.key_place if node.value is None else (node.line, node.column)
        self.path.append(step)
        return True


def _wrong_type(kind: str, ctx: dict[str, Any], error: dict[str, Any], node: Node) -> tuple[str, str]:
    """What should stand there, in words, and how to write it."""
    quote = f'quote it: "{node.raw}"' if node.raw and node.value is not None and not isinstance(node.value, str) else ""
    match kind:
        case "string_type":
            return "should be text", quote
        case "int_type" | "int_from_float" | "int_parsing":
            return "should be a whole number", ""
        case "bool_type":
            return "should be true or false", ""
        case "tuple_type" | "list_type":
            return "should be a list", ""
        case "dict_type" | "model_type" | "model_attributes_type":
            return "should be a mapping", ""
        case "literal_error":
            words = str(ctx.get("expected", "")).replace(" or ", ", ").replace("'", "")
            near = did_you_mean(str(node.value), words.split(", ")) if isinstance(node.value, str) else ""
            return f"should be one of {words}", near
        case "greater_than_equal":
            return f"should be at least {ctx['ge']}", ""
        case "less_than_equal":
            return f"should be at most {ctx['le']}", ""
        case "too_short" | "string_too_short":
            return "is empty", ""
        case _:
            message = str(error["msg"])
            return message[:1].lower() + message[1:], ""


def _words(kind: str) -> str:
    return {"llm": "an LLM", "agent": "an agent", "mcp_server": "an MCP server", "defaults": "`defaults`"}.get(kind, f"a {kind}")


def _subject(kind: str, plain: JSON) -> str:
    word = {"llm": "LLM", "mcp_server": "MCP server"}.get(kind, kind)
    name = plain.get("name") if isinstance(plain, dict) else None
    return f"{word} {name[:63]!r}" if isinstance(name, str) and kind != "defaults" else word


def _join(path: list[str | int], *more: str | int) -> str:
    text = ""
    for step in [*path, *more]:
        word = f"[{step}]" if isinstance(step, int) else step if step.isprintable() else repr(step)
        text += word if isinstance(step, int) or not text else f".{word}"
    return text


def _sentence(path: list[str | int], text: str) -> str:
    return f"`{_join(path)}`{':' if text.startswith('`') else ''} {text}" if path else text


def _within(path: list[str | int]) -> str:
    return f" in `{_join(path[:-1])}`" if len(path) > 1 else ""
