from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from smallchain.protocol.text import width
from smallchain_tui.viewmodel.document import Document, Form, read
from smallchain_tui.viewmodel.line import text_of
from support.hostile import HOSTILE, HOSTILE_LINES, came_through

ARGUMENTS: dict[str, Any] = {
    "channel": "#launch",
    "title": "AI news this week",
    "body": "Three things happened\nand one did not\n",
    "tags": ["ai", {"kind": "news", "of": [1, 2]}],
    "dry_run": False,
    "nothing": None,
    "yes": "yes",
    "ratio": 0.5,
}
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("ab: #-\n\tyes123'\"{}é", max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc: -y1", max_size=4), inner, max_size=3),
    max_leaves=12,
)


def shown(document: Document, cells: int = 80) -> str:
    return "\n".join(text_of(line.spans) for line in document.lines(cells))


def test_arguments_read_as_the_yaml_a_person_would_write() -> None:
    assert shown(Document(ARGUMENTS)).split("\n") == [
        'channel: "#launch"',
        "title: AI news this week",
        "body: |",
        "  Three things happened",
        "  and one did not",
        "tags: ",
        "  - ai",
        "  - kind: news",
        "    of: ",
        "      - 1",
        "      - 2",
        "dry_run: false",
        "nothing: null",
        '"yes": "yes"',
        "ratio: 0.5",
    ]


@given(st.dictionaries(st.text("abcy1", min_size=1, max_size=4), _JSON, min_size=1, max_size=3))
def test_what_is_shown_means_the_value_and_nothing_else(value: dict[str, Any]) -> None:
    """Where nothing is wrapped, both forms read back; tabs in blocks are shown as spaces."""
    plain = json.loads(json.dumps(value).replace("\\t", " "))

    assert json.loads(shown(Document(plain, form=Form.JSON), 10_000)) == plain
    assert _bare(yaml.safe_load(shown(Document(plain), 10_000))) == _bare(plain)


def test_long_lines_are_wrapped_and_not_cut() -> None:
    lines = shown(Document({"body": "word " * 100, "block": "a\n" + "long " * 50}), 60).split("\n")

    assert all(width(line) <= 60 for line in lines)
    assert " ".join(lines).count("word") == 100
    assert " ".join(lines).count("long") == 50


def test_a_folded_part_says_how_much_is_in_it() -> None:
    text = shown(Document(ARGUMENTS, folded=frozenset({("tags",), ("body",)})))

    assert "tags: (2 items)" in text
    assert "body: | (3 lines)" in text
    assert "Three things" not in text


def test_what_is_copied_is_the_value_itself() -> None:
    document = Document({"body": HOSTILE_LINES, "n": [1]})

    assert document.text(("body",)) == HOSTILE_LINES
    assert json.loads(document.text()) == {"body": HOSTILE_LINES, "n": [1]}
    assert document.text(("n", 5)) == "null"


@pytest.mark.parametrize("form", Form)
@pytest.mark.parametrize("exact", [False, True])
def test_hostile_text_is_written_out_in_keys_and_values(form: Form, exact: bool) -> None:
    document = Document({HOSTILE: HOSTILE_LINES, "list": [HOSTILE, {"x\ny": HOSTILE}]}, form=form, exact=exact)

    assert came_through(shown(document).encode()) == set()
    assert document.hidden() > 20


def test_the_exact_form_shows_each_hidden_character_as_a_program_writes_it() -> None:
    assert shown(Document({"to": "pa\u200bypal\u202e"}, exact=True)) == 'to: "pa\\u200bypal\\u202e"'


@pytest.mark.parametrize("form", Form)
def test_a_value_nested_beyond_reason_is_laid_out(form: Form) -> None:
    value: Any = "deep"
    for _ in range(500):
        value = [value]

    assert len(Document(value, form=form).lines(80)) < 200


def test_a_text_is_read_as_the_object_it_holds_and_else_left_alone() -> None:
    assert read('{"a": 1}') == {"a": 1}
    assert read("15") == "15"
    assert read("{broken") == "{broken"
    assert read("[" * 100_000) == "[" * 100_000


def _bare(value: Any) -> Any:
    """Without what a block of YAML cannot keep: trailing newlines beyond one, and spaces at the ends of its lines."""
    if isinstance(value, str):
        return "\n".join(line.rstrip() for line in value.rstrip().split("\n"))
    if isinstance(value, list):
        return [_bare(one) for one in value]
    return {str(key): _bare(one) for key, one in value.items()} if isinstance(value, dict) else value
