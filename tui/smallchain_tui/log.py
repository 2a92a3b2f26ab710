"""What the dashboard itself did, in a file, for whoever looks for a fault: only when asked for, and never what runs or people said.

The one rule: nothing is ever written to the terminal but by Textual, so there is no other place where a log could go.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

FILE = "tui.log"
log = logging.getLogger("smallchain_tui")
log.addHandler(logging.NullHandler())
log.propagate = False


def to_file(state_dir: Path) -> Path:
    """Write from now on to `tui.log` in the state folder, mode 0600; returns its path. Raises OSError."""
    path = state_dir / FILE
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600))
    handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    return path
