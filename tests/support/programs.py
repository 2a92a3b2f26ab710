"""Programs of the system that some tests need, and that not every machine has."""

from __future__ import annotations

import shutil

import pytest


def needed(name: str, /, *, package: str | None = None) -> str:
    """Where a program is; without it the test is skipped, and says what to install (in CI that is a failure: `tests/conftest.py`).

    `package` is Debian's, where it is not named as the program.
    """
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed (Debian: apt-get install {package or name})")
    return found
