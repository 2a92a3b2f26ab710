"""Names are people's, ids are ours: what a name may hold, how one becomes part of a function's name, and UUIDv7 ids."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable
from datetime import datetime

LONGEST_NAME = 63
_FUNCTION_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def uuid7(at: datetime, chance: bytes) -> str:
    """A UUIDv7 (RFC 9562, section 5.7) for a moment and ten random bytes; ids made later sort later."""
    millis = int(at.timestamp() * 1000) & (2**48 - 1)
    random = int.from_bytes(chance[:10], "big")
    value = millis << 80 | 0x7 << 76 | (random >> 62 & 0xFFF) << 64 | 0b10 << 62 | random & (2**62 - 1)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def after_id(last: str, new: str) -> str:
    """`new`, or the id right after `last` where `new` would not sort later: ids of one moment keep the order of their making."""
    if new > last:
        return new
    text = f"{int(last.replace('-', ''), 16) + 1:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def is_id(text: str) -> bool:
    """Whether a text has the form of one of our ids."""
    return _ID.fullmatch(text) is not None


def fault_in_name(name: str) -> str | None:
    """Why a text cannot be a name, or None. Control, format (bidi, zero-width), and surrogate characters are refused."""
    if not name.strip():
        return "is empty"
    if name != name.strip():
        return "begins or ends with a space"
    if len(name) > LONGEST_NAME:
        return f"has {len(name)} characters; {LONGEST_NAME} are the most"
    for char in name:
        if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
            return f"holds the invisible character U+{ord(char):04X}"
    return None


def is_function_name(name: str) -> bool:
    """Whether model providers take this as the name of a function."""
    return _FUNCTION_NAME.fullmatch(name) is not None


def slug(name: str) -> str:
    """A name as part of a function's name: letters, digits, `_` and `-` stay, the rest becomes `_`; never empty."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-zA-Z0-9_-]+", "_", plain).strip("_") or "x"


def did_you_mean(wrong: str, names: Iterable[str]) -> str:
    """`did you mean 'x'?` for the nearest name, or an empty text when none is near."""
    by_fold = {name.casefold(): name for name in names}
    near = difflib.get_close_matches(wrong.casefold(), by_fold, n=1, cutoff=0.6)
    return f"did you mean {by_fold[near[0]]!r}?" if near else ""
