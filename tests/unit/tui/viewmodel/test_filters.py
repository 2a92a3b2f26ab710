"""The filter's language: words, fields, comparisons, not, fuzzy; anything that can be typed is a filter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallchain_tui.viewmodel.filters import parse

ROW = {"name": "Blog-7", "status": "Failed", "agent": "head of marketing", "cost": "1.120000000", "turns": "9"}


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("", True),
        ("   ", True),
        ("blog", True),
        ("BLOG fail", True),
        ("blog running", False),
        ("status=failed", True),
        ("status=blog", False),
        ("status!=failed", False),
        ("status!=done", True),
        ("!failed", False),
        ("!done", True),
        ("!status=failed", False),
        ("!status!=failed", True),
        ("colour=red", False),
        ("!colour=red", True),
        ("cost>1", True),
        ("cost>$1", True),
        ("cost>1.12", False),
        ("cost>=1.12", True),
        ("cost<2", True),
        ("turns<=8", False),
        ("name>1", False),
        ("cost>much", False),
        ("~blg7", True),
        ("~7glb", False),
        ("!~blg7", False),
        ('"of mark"', True),
        ('agent="head of"', True),
        ('"head of', True),
        ("!", True),
        ("~", True),
        ("=", False),
    ],
)
def test_a_row_passes_what_holds_of_it(text: str, passes: bool) -> None:
    assert parse(text).passes(ROW) is passes


def test_the_texts_to_mark_are_those_that_are_looked_for() -> None:
    assert parse("Blog status=fail !done ~xy cost>1").highlights() == ("blog", "fail")


@given(st.text(max_size=60), st.dictionaries(st.sampled_from(["name", "status"]), st.text(max_size=20)))
def test_whatever_is_typed_is_a_filter(text: str, row: dict[str, str]) -> None:
    found = parse(text)

    assert found.text == text
    assert found.passes(row) in (True, False)


@given(st.text(alphabet="abc ", max_size=20), st.text(alphabet="abc", max_size=20))
def test_more_words_never_show_more(text: str, name: str) -> None:
    if parse(text + " b").passes({"name": name}):
        assert parse(text).passes({"name": name})
