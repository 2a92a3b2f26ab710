"""Signs: one cell in any font, one for each status and phase there is, and never without a word."""

from __future__ import annotations

import unicodedata

import pytest

from smallchain.model.lifecycles import CallPhase
from smallchain.model.run import Status
from smallchain.protocol.text import visible, width
from smallchain_tui.viewmodel import glyphs
from smallchain_tui.viewmodel.glyphs import Glyphs


@pytest.mark.parametrize("word", [*Status, *CallPhase], ids=str)
def test_each_status_and_phase_has_a_sign_of_its_own_word(word: str) -> None:
    assert Glyphs().of(word) != "?"
    assert glyphs.colour_of(word) in glyphs.colours()


def test_signs_take_one_cell_and_are_no_pictures() -> None:
    for state in glyphs.states():
        assert width(state.glyph) == 1
        assert visible(state.glyph) == state.glyph
        assert unicodedata.east_asian_width(state.glyph) not in "WF"
        assert state.ascii.isascii()
        assert state.word


def test_the_ascii_set_is_ascii() -> None:
    signs = Glyphs(ascii=True)
    drawn = [signs.pointer, signs.mark, signs.between, signs.crumb, signs.dot, signs.bar, signs.levels, *signs.branches, *signs.gauge]

    assert all(text.isascii() for text in drawn)


def test_what_is_not_known_is_a_question_mark() -> None:
    assert Glyphs().of("Levitating") == "?"
