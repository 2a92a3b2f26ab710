"""What holds for root's cells holds for an ordinary user's: the tests of cells, run as one."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from support.ordinary import ordinary


@pytest.mark.long
@pytest.mark.skipif(os.geteuid() != 0, reason="the tests run as an ordinary user already")
def test_cells_hold_for_an_ordinary_user() -> None:
    folder = Path(tempfile.mkdtemp(prefix="smallchain-ordinary-"))
    folder.chmod(0o755)
    try:
        with ordinary(folder) as somebody:
            words = [
                "-m",
                "pytest",
                "-q",
                "-p",
                "no:cacheprovider",
                f"--basetemp={somebody.home / 'pytest'}",
                "--rootdir",
                str(somebody.tree),
            ]
            argv = somebody.argv(
                *words, str(somebody.tree / "tests/integration/services/sandbox/test_cells.py"), HYPOTHESIS_STORAGE_DIRECTORY="/tmp"
            )
            done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd="/", timeout=300)
    finally:
        shutil.rmtree(folder, ignore_errors=True)

    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
