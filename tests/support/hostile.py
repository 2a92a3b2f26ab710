"""Hostile text: one of everything that moves a cursor, hides a word or reorders a line, and a look for what came through.

The one rule: what counts as hidden is said here anew, by Unicode's categories, and not taken from the code under test.
"""

from __future__ import annotations

import unicodedata

ESCAPES = "\x1b[2J\x1b[31m\x1b]52;c;aGk=\x07\x1b]8;;http://x\x1b\\link\x1bPq\x1b\\good\rbad\x08\x7f\x9b2J\x85"
BIDI = "\u202egnp.exe\u202c\u2066x\u2069\u200e\u200f\u061c"
UNSEEN = "pass\u200bword\ufeff\U000e0041\U000e0101x\ufe0f\ufff9a\ufffb\u2028b\u2029\u3164\u00ad\u034f"
LONG = "x" * 20_000
HOSTILE = f"{ESCAPES} {BIDI} {UNSEEN} [bold]m[/bold]"
"""Without newline, NUL and half surrogates, which many places refuse."""
HOSTILE_LINES = f"first {HOSTILE}\nApproved by root {HOSTILE}\n\tthird"
IN_A_PATH = "o\x1b[2Jk\u202e\x9b"

_HIDDEN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
_HIDDEN_MARKS = frozenset((0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0))


def came_through(output: bytes) -> set[str]:
    """The characters of an output that a terminal would act on or not show, each by its code; tab and newline are shown."""
    text = output.decode()  # all of it has to be UTF-8
    return {f"U+{ord(char):04X}" for char in set(text) - {"\n", "\t"} if _is_hidden(char)}


def longest_line(output: bytes) -> int:
    """Bytes of the longest line."""
    return max(map(len, output.split(b"\n")))


def _is_hidden(char: str) -> bool:
    code = ord(char)
    selector = 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF or 0x180B <= code <= 0x180F
    return unicodedata.category(char) in _HIDDEN or selector or code in _HIDDEN_MARKS
