"""Hostile text is shown, whole and harmless."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallchain.protocol.text import (
    LONGEST_LINE,
    cut,
    is_plain,
    mixed_script_words,
    one_line,
    pad,
    sanitised,
    visible,
    visible_json,
    width,
)


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("\x1b]52;c;aGk=\x07", "\\x1b]52;c;aGk=\\x07"),
        ("\x1b]8;;http://x\x1b\\link", "\\x1b]8;;http://x\\x1b\\link"),
        ("\x1bPq", "\\x1bPq"),
        ("good\rbad", "good\\rbad"),
        ("a\bb\x7f", "a\\x08b\\x7f"),
        ("\x9b2J", "\\x9b2J"),
        ("\0", "\\x00"),
        ("\u202egnp.exe", "<U+202E>gnp.exe"),
        ("\u2066\u2069", "<U+2066><U+2069>"),
        ("pass\u200bword", "pass<U+200B>word"),
        ("\ufeffstart", "<U+FEFF>start"),
        ("tag\U000e0041", "tag<U+E0041>"),
        ("x\ufe0f\U000e0101", "x<U+FE0F><U+E0101>"),
        ("half \ud800", "half <U+D800>"),
        ("line\u2028line\u2029", "line<U+2028>line<U+2029>"),
        ("\u200e\u200f\u061c", "<U+200E><U+200F><U+061C>"),
        ("\ufff9base\ufffaruby\ufffb", "<U+FFF9>base<U+FFFA>ruby<U+FFFB>"),
        ("no\u2800blank", "no<U+2800>blank"),
        ("\uffff", "<U+FFFF>"),
    ],
)
def test_what_is_not_seen_is_written_out(hostile: str, shown: str) -> None:
    assert visible(hostile) == shown
    assert not is_plain(hostile)


def test_what_people_write_stays_as_it_is() -> None:
    for plain in ("Tokyo 75°F (24°C)", "こんにちは", "Zoë — naïve", "emoji 🎉", "[INFO] a: b", "\\x1b written out"):
        assert visible(plain) == plain


def test_newlines_and_tabs_stay_only_where_lines_are_shown() -> None:
    assert visible("a\tb\nc") == "a\\tb\\nc"
    assert visible("a\tb\nc", multiline=True) == "a\tb\nc"
    assert visible("a\r\nb", multiline=True) == "a\\r\nb"


def test_a_long_line_is_cut_and_says_by_how_much() -> None:
    shown = visible("short\n" + "é" * LONGEST_LINE, multiline=True)

    first, second = shown.split("\n")
    assert first == "short"
    assert second.endswith(f"é… ({LONGEST_LINE} more bytes)")
    assert len(second.encode()) < LONGEST_LINE + 64


def test_a_reader_is_told_how_many_characters_were_written_out() -> None:
    assert sanitised("\x1b[2Jpass\u200bword\r\n\ttext") == 3
    assert sanitised("Zoë\n\t東京") == 0


@pytest.mark.parametrize("word", ["pаypal", "ρassword", "Ꭺpple", "аdmin"])
def test_a_word_of_two_alphabets_is_told(word: str) -> None:
    assert mixed_script_words(f"send it to {word}, now") == [word]


def test_words_of_one_alphabet_and_east_asian_writing_beside_latin_are_usual() -> None:
    for text in ("Zoë naïve", "привет мир and hello", "Tシャツを買う", "Ünïcode", "한국어ABC", "5µm", "snake_case", "мир_hello", "日本"):
        assert mixed_script_words(text) == []


@given(st.text(st.characters()))
def test_no_text_holds_a_control_character_afterwards(hostile: str) -> None:
    shown = visible(hostile)

    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cs", "Zl", "Zp"}
    assert is_plain(shown)
    shown.encode()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
)


@given(json_values)
def test_json_is_harmless_and_reads_back_unchanged(value: object) -> None:
    for indent in (None, 2):
        shown = visible_json(value, indent=indent)

        assert is_plain(shown)
        assert json.loads(shown) == value


def test_width_counts_cells() -> None:
    assert width("abc") == 3
    assert width("日本") == 4
    assert width("e\u0301") == 1
    assert pad("日", 4) == "日  "


def test_a_cut_text_fits_and_says_that_it_is_cut() -> None:
    assert cut("abcdef", 6) == "abcdef"
    assert cut("abcdefg", 6) == "abcde…"
    assert width(cut("日本語日本語", 6)) <= 6
    assert one_line("a\nb" * 10, cells=5) == "a\\nb…"
