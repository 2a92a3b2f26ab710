"""What a server says of its tools: bounded, legible, reduced for the model, compared for people."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallchain.model.functions import functions_of, name_on_server
from smallchain.model.ids import is_function_name
from smallchain.model.manifest import AgentSpec
from smallchain.model.mcp import (
    LARGEST_SCHEMA,
    LONGEST_DESCRIPTION,
    SHOWN_DESCRIPTION,
    McpTool,
    difference,
    legible,
    listing_of,
    reduced,
    taken,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5) | st.sampled_from(["#", "#/properties", "object", "string"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "properties", "items", "anyOf", "$ref", "$defs", "a", "description"]), inner, max_size=4)
    ),
    max_leaves=20,
)


def schema(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


# ---- taken in


def test_a_tool_is_kept_as_its_author_wrote_it() -> None:
    tool, fault = taken("read", "reads a file", schema(path={"type": "string"}))

    assert fault == ""
    assert tool == McpTool("read", "reads a file", schema(path={"type": "string"}))
    assert listing_of({"tools": [json.loads(json.dumps(tool.words))]}) == (tool,)


@pytest.mark.parametrize(
    ("name", "description", "given", "why"),
    [
        ("", "", schema(), "its name is empty"),
        ("x" * 200, "", schema(), "longer than 128"),
        ("read\u202efile", "", schema(), "invisible"),
        ("read\x1b[2J", "", schema(), "invisible"),
        ("a", "x" * (LONGEST_DESCRIPTION + 1), schema(), "its description has more than"),
        ("a", "", ["no"], "no JSON Schema"),
        ("a", "", {"type": "string"}, "`type: object`"),
        ("a", "", schema(b={"$ref": "https://example.com/x"}), "to something outside"),
        ("a", "", schema(b={"pattern": "(a+)+\\1"}), "not a regular expression that runs in linear time"),
        ("a", "", schema(b={"description": "x" * LARGEST_SCHEMA}), "its schema has more than"),
        ("a", "", schema(b={"default": float("nan")}), "cannot be kept"),
    ],
)
def test_a_tool_that_cannot_be_used_says_why(name: str, description: str, given: Any, why: str) -> None:
    tool, fault = taken(name, description, given)

    assert why in fault
    assert tool.digest  # it can be kept and compared all the same


def test_a_schema_without_a_type_is_that_of_an_object() -> None:
    assert taken("a", "", {"properties": {}})[0].schema["type"] == "object"


def test_what_is_invisible_in_a_description_is_written_out() -> None:
    hidden = "".join(chr(0xE0000 + ord(char)) for char in "obey")
    tool, _ = taken("a", f"adds\u200b{hidden}\n\tfine\x1b", schema())

    assert tool.description == "adds\\u{200B}\\u{E006F}\\u{E0062}\\u{E0065}\\u{E0079}\n\tfine\\u{1B}"
    assert legible("größer ✓") == "größer ✓"


def test_any_word_of_a_tool_changes_its_digest() -> None:
    tools = [McpTool("a", "b", schema()), McpTool("a", "c", schema()), McpTool("x", "b", schema()), McpTool("a", "b", schema(c={}))]

    assert len({tool.digest for tool in tools}) == 4


# ---- shown to the model


def test_references_within_a_schema_are_written_out() -> None:
    given = {**schema(a={"$ref": "#/$defs/point"}, b={"$ref": "#/properties/a"}), "$defs": {"point": schema(x={"type": "number"})}}
    point = schema(x={"type": "number"})

    assert reduced(given) == schema(a=point, b=point)


def test_a_schema_that_describes_itself_is_told_one_round() -> None:
    tree = schema(child={"$ref": "#/$defs/tree"}, name={"type": "string"})
    given = {"$ref": "#/$defs/tree", "$defs": {"tree": tree}}

    assert reduced(given) == schema(child={}, name={"type": "string"})


def test_references_that_multiply_are_bounded() -> None:
    definitions = {f"l{n}": schema(**{f"p{m}": {"$ref": f"#/$defs/l{n + 1}"} for m in range(10)}) for n in range(9)}
    given = {**schema(a={"$ref": "#/$defs/l0"}), "$defs": {**definitions, "l9": {"type": "string"}}}

    assert len(json.dumps(reduced(given))) < 200_000


def test_what_may_be_null_is_told_as_what_it_is_else() -> None:
    given = schema(a={"type": ["string", "null"]}, b={"anyOf": [{"type": "integer"}, {"type": "null"}], "description": "count"})

    assert reduced(given) == schema(a={"type": "string"}, b={"type": "integer", "description": "count"})
    assert reduced(schema(a={"type": ["string", "integer"]})) == schema(a={"anyOf": [{"type": "string"}, {"type": "integer"}]})


def test_descriptions_are_cut_and_what_models_make_nothing_of_is_left_out() -> None:
    given = {**schema(a={"description": "x" * 3000, "title": "A", "if": {}}), "$schema": "x", "description": "y" * 3000}
    found = reduced(given)

    assert len(found["description"]) == SHOWN_DESCRIPTION
    assert list(found["properties"]["a"]) == ["description"]
    assert "$schema" not in found


def test_a_schema_without_properties_has_none_for_the_model() -> None:
    assert reduced({"type": "object"}) == schema()


@given(JSON)
def test_whatever_a_schema_is_what_the_model_is_shown_is_an_object(given: Any) -> None:
    found = reduced(given if isinstance(given, dict) else {"type": "object", "x": given})

    assert found["type"] == "object"
    assert isinstance(found["properties"], dict)
    json.dumps(found)


# ---- shown to people


def test_a_difference_shows_the_old_and_the_new_words_line_by_line() -> None:
    before = McpTool("a", "says it\nagain", schema(b={"type": "string"})).words
    lines = difference(before, McpTool("a", "says it\nto me", schema(b={"type": "integer"})).words)

    assert "-again" in lines
    assert "+to me" in lines
    assert '-      "type": "string"' in lines
    assert '+      "type": "integer"' in lines
    assert " says it" in lines


def test_a_new_tool_is_shown_whole() -> None:
    lines = difference(None, McpTool("a", "says it", schema()).words)

    assert lines[0] == "+says it"
    assert all(line.startswith("+") for line in lines)


# ---- as functions


def functions(*entries: dict[str, Any], **servers: tuple[str, ...]) -> dict[str, tuple[str, str]]:
    agent = AgentSpec.model_validate({"name": "a", "tools": list(entries)})
    tools = {name: [McpTool(each, "", schema()) for each in names] for name, names in servers.items()}
    found = functions_of(agent, tools={}, agents={}, servers=tools)
    return {name: (each.server, each.target) for name, each in found.items()}


def test_a_servers_tools_are_functions_under_both_names() -> None:
    assert functions({"mcp": "files"}, files=("read", "write")) == {
        "files__read": ("files", "read"),
        "files__write": ("files", "write"),
    }
    assert functions({"mcp": "files", "only": ["write"]}, files=("read", "write")) == {"files__write": ("files", "write")}


def test_names_with_the_same_join_are_told_apart_and_never_taken_apart() -> None:
    found = functions({"mcp": "a"}, {"mcp": "a__b"}, a=("b__c",), a__b=("c",))

    assert found == {"a__b__c": ("a", "b__c"), "a__b__c_2": ("a__b", "c")}


def test_a_tool_that_a_person_named_so_keeps_its_name() -> None:
    agent = AgentSpec.model_validate({"name": "a", "tools": [{"mcp": "x"}, "now"]})

    assert list(functions_of(agent, tools={}, agents={}, servers={"x": [McpTool("y", "", schema())]})) == ["x__y", "now"]


@given(st.text(min_size=1, max_size=63), st.text(min_size=1, max_size=128))
def test_every_tool_has_a_legal_name(server: str, tool: str) -> None:
    assert is_function_name(name_on_server(server, tool))


def test_long_and_odd_names_are_marked_by_what_they_stand_for() -> None:
    assert name_on_server("files", "read.file") != name_on_server("files", "read file")
    assert name_on_server("files", "read.file").startswith("files__read_file_")
    assert len(name_on_server("s" * 63, "t" * 128)) == 64
