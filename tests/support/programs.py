"""Programs of the system that some tests need, and that not every machine has."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

_SERVERS = Path(__file__).parents[2] / "build" / "mcp"


def needed(name: str, /, *, package: str | None = None) -> str:
    """Where a program is; without it the test is skipped, and says what to install (in CI that is a failure: `tests/conftest.py`).

    `package` is Debian's, where it is not named as the program.
    """
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed (Debian: apt-get install {package or name})")
    return found


def needed_server(name: str, /) -> str:
    """Where one of the published MCP servers is that `make mcp-servers` installs; without it the test is skipped, as above."""
    found = next((place / name for place in (_SERVERS / "node_modules/.bin", _SERVERS / "venv/bin") if (place / name).exists()), None)
    if found is None:
        pytest.skip(f"{name} is not installed (`make mcp-servers` does it)")
    return str(found)
