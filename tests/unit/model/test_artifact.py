"""Artifacts: what a stranger calls a thing becomes a name that can stand anywhere, and a cut never leaves half a character."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from smallchain.model.artifact import MOST_READ, OCTETS, TOLD, plain_media_type, plain_name, without_halves


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ("chart.png", "chart.png"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\ann\\notes.txt", "notes.txt"),
        ("a\x1b[2Jb\n.txt", "a[2Jb.txt"),
        ("..", "artifact"),
        ("", "artifact"),
        ("x" * 500, "x" * 120),
        ("\u202egnp.exe", "gnp.exe"),
    ],
)
def test_a_name_has_no_folders_and_nothing_that_hides(given: str, plain: str) -> None:
    assert plain_name(given) == plain


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ("image/png", "image/png"),
        (" Text/HTML; charset=UTF-8", "text/html; charset=utf-8"),
        ("text/plain\r\nSet-Cookie: a=b", OCTETS),
        ("png", OCTETS),
        ("", OCTETS),
        ("text/html; x=<script>", OCTETS),
    ],
)
def test_a_media_type_is_one_or_it_is_bytes(given: str, plain: str) -> None:
    assert plain_media_type(given) == plain


@example("\x80", 1, 2)
@given(some.text(max_size=40), some.integers(0, 160), some.integers(0, 160))
def test_a_piece_of_a_text_is_a_text_wherever_it_is_cut(text: str, start: int, end: int) -> None:
    data = text.encode("utf-8", "ignore")
    piece = data[start:end]

    whole = without_halves(piece, at_start=start > 0, at_end=end < len(data))

    assert whole.decode() in data.decode()
    assert len(piece) - len(whole) <= 6


def test_what_is_read_of_an_artifact_is_never_cut_itself() -> None:
    assert MOST_READ + 300 < TOLD
