"""Colours: each text can be read on each ground it can stand on, by the figure that WCAG 2.2 (1.4.3) asks for."""

from __future__ import annotations

import pytest
from textual.color import Color

from smallchain_tui import themes
from smallchain_tui.viewmodel import glyphs

LEAST = 4.5


def _luminance(colour: Color) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [part / 255 for part in colour.rgb]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(Color.parse(one)), _luminance(Color.parse(other))), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_the_formula_is_that_of_the_standard() -> None:
    assert round(_contrast("#000000", "#ffffff"), 2) == 21.0
    assert round(_contrast("#777777", "#ffffff"), 2) == 4.48


@pytest.mark.parametrize("theme", [themes.DARK, themes.LIGHT])
@pytest.mark.parametrize("ground", themes.GROUNDS)
@pytest.mark.parametrize("text", themes.TEXTS)
def test_text_can_be_read(theme: str, text: str, ground: str) -> None:
    colours = themes.variables(theme)
    found = _contrast(colours[text], colours[ground])

    assert found >= LEAST, f"{text} on {ground}: {found:.2f}"


def test_each_theme_has_each_colour_and_each_state_one_of_them() -> None:
    names = {name: set(themes.variables(name)) for name in themes.NAMES}

    assert len(set(map(frozenset, names.values()))) == 1
    assert set(glyphs.colours()) <= set(themes.TEXTS) <= names[themes.DARK]
