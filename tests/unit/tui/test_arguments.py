"""Arguments as YAML and back: the same value, and a text that hides nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallchain.model.errors import BadInput
from smallchain.protocol.text import is_plain
from smallchain_tui.viewmodel.arguments import Line, compared, on_one_line, read, written
from support.hostile import HOSTILE, HOSTILE_LINES

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
SCALARS = st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4), max_leaves=20)


@settings(deadline=None)
@given(st.dictionaries(TEXTS, VALUES, max_size=5))
def test_what_is_written_is_read_back_as_it_was_and_hides_nothing(arguments: dict[str, Any]) -> None:
    text = written(arguments)

    assert read(text) == arguments
    assert is_plain(text)


def test_texts_stand_in_quotes_or_as_blocks() -> None:
    text = written({"channel": "#launch", "body": "one\ntwo\n", "dry_run": False, "no": "yes", "size": 3})

    assert text.splitlines() == ['channel: "#launch"', "body: |", "  one", "  two", "dry_run: false", '"no": "yes"', "size: 3"]


def test_hostile_text_stands_in_an_editor_as_escapes() -> None:
    text = written({"title": HOSTILE, "body": HOSTILE_LINES})

    assert "\\e]52" in text
    assert "\\u202E" in text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("- a", "a mapping"),
        ("", "a mapping"),
        ("a: yes", "line 1"),
        ("a: 1\na: 2", "line 2"),
        ('a: "', "line 1"),
        ("a: !!python/object:os.system x", "line 1"),
    ],
)
def test_what_is_no_mapping_of_json_is_refused_with_its_line(text: str, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        read(text)


def test_a_comparison_shows_what_changed_and_leaves_out_what_is_far_from_it() -> None:
    before = "\n".join(f"l{number}: {number}" for number in range(12))

    assert compared(before, before) == ()
    assert compared(before, before.replace("l8: 8", "l8: 80"), context=1) == (
        Line("~", "line 8"),
        Line(" ", "l7: 7"),
        Line("-", "l8: 8"),
        Line("+", "l8: 80"),
        Line(" ", "l9: 9"),
    )


def test_arguments_on_a_line_are_visible() -> None:
    assert on_one_line({"title": "a\u202eb\n", "n": 1}) == 'title="a<U+202E>b\\n" n=1'
    assert on_one_line("not json \x1b") == "not json \\x1b"
