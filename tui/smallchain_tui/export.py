"""Files that a person asks for: new ones, for their owner alone, under names that no shell, path or terminal stumbles over.

The one rule: nothing that is there is ever written over, and no name leads out of the working folder.
"""

from __future__ import annotations

import os
import re
from datetime import datetime
from pathlib import Path

from smallchain_tui.viewmodel.document import in_json

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST = 80


def safe_name(*words: str) -> str:
    """Words as one part of a file's name: letters, digits, `.`, `_` and `-`, neither hidden nor a flag."""
    name = "-".join(part for word in words if (part := _UNSAFE.sub("-", word).strip("-.")))
    return name[:_LONGEST].rstrip("-.") or "unnamed"


def write(folder: Path, what: str, value: object, *, now: datetime) -> Path:
    """Write a text as it is, or a value as JSON, to a new file there; returns its path. Raises OSError."""
    data = value if isinstance(value, str) else in_json(value) + "\n"
    suffix = ".txt" if isinstance(value, str) and value.lstrip()[:1] not in ("{", "[") else ".json"
    stem = f"{safe_name('smallchain', what)}-{now:%Y%m%d-%H%M%S}"
    for number in range(100):
        path = folder / f"{stem}{f'-{number}' if number else ''}{suffix}"
        try:
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            continue
        with os.fdopen(file, "w", encoding="utf-8", errors="surrogatepass", newline="") as stream:
            stream.write(data)
        return path.absolute()
    raise FileExistsError(f"a hundred files are named like {stem}{suffix}")
