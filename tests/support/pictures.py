"""Screens kept as text in tests/data/screens, to be looked at by a person and compared cell by cell.

A picture is named for what a person should notice on it. `SMALLCHAIN_DRAW=1` draws those anew that differ: look at the difference before
it is committed.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from pathlib import Path

PICTURES = Path(__file__).parents[1] / "data" / "screens"


def assert_same_picture(name: str, lines: Sequence[str]) -> None:
    """The screen is as it was drawn; else the difference is shown."""
    path = PICTURES / f"{name}.txt"
    seen = "".join(f"{line.rstrip()}\n" for line in lines)
    kept = path.read_text(encoding="utf-8") if path.exists() else ""
    if seen == kept:
        return
    if os.environ.get("SMALLCHAIN_DRAW"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(seen, encoding="utf-8")
        return
    difference = difflib.unified_diff(kept.splitlines(), seen.splitlines(), "as it was drawn", "as it is", lineterm="", n=1)
    raise AssertionError(f"{path.name} looks different; SMALLCHAIN_DRAW=1 draws it anew\n" + "\n".join(difference))
