from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from smallchain.protocol.text import visible, width
from smallchain_tui.viewmodel.line import cell, columns, flow, marked, text_of, to_right, wrapped


@given(st.text(), st.integers(8, 60))
def test_wrapping_leaves_nothing_out_but_spaces_at_a_break_and_never_gets_wider(text: str, cells: int) -> None:
    shown = visible(text)

    parts = list(wrapped(shown, cells))

    assert "".join(parts).replace(" ", "") == shown.replace(" ", "")
    assert all(width(part) <= cells for part in parts)


def test_words_are_broken_between_them_where_there_is_a_space() -> None:
    assert list(wrapped("the draft is reviewed by marketing", 14)) == ["the draft is", "reviewed by", "marketing"]


def test_a_cell_is_exactly_as_wide_as_it_is_told_with_wide_characters_too() -> None:
    assert [width(cell(text, 7)[0]) for text in ("a", "日本語日本語", "exactly")] == [7, 7, 7]
    assert to_right("$1.12", 8) == ("   $1.12", "")


def test_groups_flow_onto_as_many_lines_as_it_takes_and_are_never_broken() -> None:
    lines = flow([(("task ", "muted"), ("blog", "")), (), (("agent ", "muted"), ("manager", "")), (("cost $1", ""),)], 24)

    assert [text_of(line) for line in lines] == ["task blog  agent manager", "cost $1"]


def test_cells_of_no_width_leave_no_gap() -> None:
    assert text_of(columns(("a", ""), cell("gone", 0), ("b", ""))) == "a  b"


@given(st.lists(st.tuples(st.text(max_size=5), st.sampled_from(["", "muted"])), max_size=6), st.text(max_size=3))
def test_marking_hits_changes_no_text(spans: list[tuple[str, str]], words: str) -> None:
    assert text_of(marked(tuple(spans), words)) == text_of(tuple(spans))


def test_a_hit_is_marked_across_spans_and_whatever_its_case() -> None:
    found = marked((("Publish", "key"), ("_Post now", "")), "sh_post")

    assert found == (("Publi", "key"), ("sh", "hit"), ("_Post", "hit"), (" now", ""))
