"""The command as people run it: in its own process, on folders of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]


def environment(folder: Path, **variables: str) -> dict[str, str]:
    """An environment in which nothing leads out of the folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SMALLCHAIN_", "XDG_"))}
    own = {"HOME": str(folder), "SMALLCHAIN_CONFIG_DIR": str(folder / "config"), "SMALLCHAIN_STATE_DIR": str(folder / "state")}
    paths = os.pathsep.join(str(ROOT / part) for part in (".", "daemon", "tui"))
    return kept | own | {"PYTHONPATH": paths, "PYTHONWARNINGS": "error"} | variables


def smallchain(*arguments: str, env: Mapping[str, str], stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run the command to its end."""
    command = [sys.executable, "-m", "smallchain.cli.main", *arguments]
    return subprocess.run(command, env=env, input=stdin, capture_output=True, timeout=60, check=False)
