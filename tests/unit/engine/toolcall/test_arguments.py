"""Arguments as models write them: read strictly, and told in words that a model can act on."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallchain.engine.toolcall import arguments
from smallchain.model.errors import BadInput

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"title": {"type": "string"}, "stars": {"type": "integer", "minimum": 1}},
    "required": ["title"],
}
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
objects = st.dictionaries(
    texts, st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts, max_size=5
)


@pytest.mark.parametrize("text", ["", "  ", "\n\t", "{}", " {} "])
def test_no_arguments_are_an_empty_object(text: str) -> None:
    assert arguments.read(text) == {}


@given(given_arguments=objects)
def test_an_object_is_read_as_it_is(given_arguments: dict[str, Any]) -> None:
    assert arguments.read(json.dumps(given_arguments)) == given_arguments


@given(given_arguments=objects)
def test_an_object_that_was_encoded_twice_is_read_all_the_same(given_arguments: dict[str, Any]) -> None:
    assert arguments.read(json.dumps(json.dumps(given_arguments))) == given_arguments


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1, 2]", "not a list"),
        ('"hello"', "not JSON"),
        ('"\\"hello\\""', "not a text"),
        ("null", "not null"),
        ("true", "not true or false"),
        ("3", "not a number"),
        ("3.5", "not a number"),
        ('{"title": ', "not JSON"),
        ("{'title': 'x'}", "not JSON"),
        ("title=x", "not JSON"),
        ('{"a": 1} {"a": 2}', "not JSON"),
        ('{"a": 1, "a": 2}', "stands twice"),
        ('{"a": NaN}', "NaN is not JSON"),
        ('{"a": "\\u0000"}', "NUL"),
        ('{"a": "\\ud800"}', "surrogate"),
        ('{"a": 99999999999999999999}', "beyond 64 bits"),
        ('{"a": ' + "[" * 200 + "]" * 200 + "}", "nested deeper"),
        ('{"a": ' * 5000 + "1" + "}" * 5000, "nested deeper"),
        ('{"a": "' + "x" * (1 << 20) + '"}', "are the most"),
    ],
    ids=lambda text: text[:24],
)
def test_what_is_no_object_is_told_in_words(text: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        arguments.read(text)


@given(text=st.text(max_size=40))
def test_whatever_a_model_writes_is_an_object_or_a_readable_fault(text: str) -> None:
    try:
        found = arguments.read(text)
    except BadInput as error:
        said = error.message
    else:
        said = "an object" if isinstance(found, dict) else ""

    assert said


def test_what_fits_has_no_fault() -> None:
    assert arguments.fault({"title": "AI news", "stars": 5}, SCHEMA) == ""


@pytest.mark.parametrize(
    ("given_arguments", "word"),
    [({}, "title"), ({"title": 5}, "title"), ({"title": "x", "stars": 0}, "stars"), ({"title": "x", "stars": "five"}, "stars")],
)
def test_what_does_not_fit_names_the_argument(given_arguments: dict[str, Any], word: str) -> None:
    assert word in arguments.fault(given_arguments, SCHEMA)


def test_every_fault_is_told_at_once() -> None:
    found = arguments.fault({"stars": 0}, SCHEMA)

    assert "title" in found
    assert "stars" in found
