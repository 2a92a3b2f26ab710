"""Hostile text made visible: what models, tools and files say cannot move a cursor, hide a word or reorder a line.

The one rule: nothing that came from the daemon reaches a terminal but through here. Measured in cells, not characters.
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

LONGEST_LINE = 8192
"""Bytes of a line that are shown; the rest is counted, not shown."""

_INVISIBLE = (
    "\x7f-\x9f"  # DEL and C1
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"  # soft hyphen, joiners, marks, fillers, selectors
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f"  # zero-width, line separators, bidi controls
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb"  # fillers, variation selectors, byte order mark
    "\u2800\ufdd0-\ufdef\ufffe\uffff"  # a blank that counts as a pattern, and what is no character at all
    "\U00013430-\U0001345f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"  # formats of hieroglyphs, shorthand, music
    "\U000e0000-\U000e0fff"  # tags, more selectors
    "\ud800-\udfff"  # halves of surrogate pairs
)
_ON_ONE_LINE = re.compile(f"[\x00-\x1f{_INVISIBLE}]")
_ON_LINES = re.compile(f"[\x00-\x08\x0b-\x1f{_INVISIBLE}]")
_WORD = re.compile(r"[^\W_]+")
_EAST_ASIAN = {"LATIN", "CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "IDEOGRAPHIC", "BOPOMOFO", "HANGUL"}
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def visible(text: str, *, multiline: bool = False) -> str:
    """The text with each character that is not seen written out: `\\x1b`, `<U+202E>`; long lines are cut and say so.

    With `multiline`, tab and newline stay what they are.
    """
    if not multiline:
        return _capped(_ON_ONE_LINE.sub(_shown, text))
    return "\n".join(_capped(line) for line in _ON_LINES.sub(_shown, text).split("\n"))


def one_line(text: str, *, cells: int | None = None) -> str:
    """The text on one line, as tables and events have it, cut to a width where one is given."""
    line = visible(text)
    return line if cells is None else cut(line, cells)


def visible_json(value: Any, *, indent: int | None = None) -> str:
    """JSON that a program reads back unchanged and a terminal shows whole: what is not seen is written as `\\uXXXX`."""
    return _ON_LINES.sub(_json_escape, json.dumps(value, ensure_ascii=False, indent=indent))


def is_plain(text: str) -> bool:
    """Whether a text shows all it holds (tab and newline count as seen)."""
    return _ON_LINES.search(text) is None


def sanitised(text: str) -> int:
    """How many characters of a text are written out rather than shown, so that a reader can be told (tab and newline count as seen)."""
    return sum(1 for _ in _ON_LINES.finditer(text))


def mixed_script_words(text: str) -> list[str]:
    """The words of a text that mix alphabets, as `pаypal` with a Cyrillic `а` does: for who has to approve it.

    Latin beside Chinese, Japanese and Korean writing is usual and not told (UTS #39, section 5.2, "highly restrictive").
    """
    return [] if text.isascii() else [word for word in _WORD.findall(text) if not word.isascii() and _mixes(word)]


def width(text: str) -> int:
    """How many terminal cells a visible text takes: wide characters two, combining marks none."""
    return len(text) if text.isascii() else sum(map(_cells, text))


def pad(text: str, cells: int) -> str:
    """The text with spaces up to a width."""
    return text + " " * (cells - width(text))


def cut(text: str, cells: int) -> str:
    """The text's beginning within a width, with `…` where something is left out."""
    if width(text) <= cells:
        return text
    left, kept = cells - 1, []
    for char in text:
        left -= _cells(char)
        if left < 0:
            break
        kept.append(char)
    return "".join(kept) + "…"


def _mixes(word: str) -> bool:
    scripts = {_script(char) for char in word if char.isalpha()} - {""}
    return len(scripts) > 1 and not scripts <= _EAST_ASIAN


def _script(char: str) -> str:
    """The alphabet of a letter, by the first word of its name in the Unicode Character Database; nothing for those of none."""
    name = unicodedata.name(char, "").removeprefix("FULLWIDTH ").removeprefix("HALFWIDTH ").partition(" ")[0]
    return "" if name in ("MODIFIER", "FEMININE", "MASCULINE", "MICRO") else name


def _cells(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _shown(match: re.Match[str]) -> str:
    char = match[0]
    code = ord(char)
    return _NAMED.get(char) or (f"\\x{code:02x}" if code < 0xA0 else f"<U+{code:04X}>")


def _json_escape(match: re.Match[str]) -> str:
    return json.dumps(match[0]).strip('"') if match[0] != "\x7f" else "\\u007f"


def _capped(line: str) -> str:
    if len(line) * 4 <= LONGEST_LINE:
        return line
    data = line.encode()
    if len(data) <= LONGEST_LINE:
        return line
    return f"{data[:LONGEST_LINE].decode(errors='ignore')}… ({len(data) - LONGEST_LINE} more bytes)"
