"""What CI may not do: pass because a program was missing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SKIPS = """
import pytest

from support.programs import needed

def test_one():
    needed("no-such-program", package="no-such-package")

@pytest.mark.skipif(True, reason="not here")
def test_two():
    raise AssertionError("it ran")

@pytest.mark.xfail(strict=True)
def test_three():
    raise AssertionError("as foreseen")
"""


@pytest.mark.parametrize(("ci", "said"), [("", "2 skipped, 1 xfailed"), ("true", "1 failed, 1 xfailed, 1 error")])
def test_a_skip_says_what_to_install_and_is_a_failure_in_ci(tmp_path: Path, ci: str, said: str) -> None:
    (tmp_path / "conftest.py").write_bytes((ROOT / "tests" / "conftest.py").read_bytes())
    (tmp_path / "test_skips.py").write_text(SKIPS, encoding="utf-8")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")} | {"CI": ci}
    words = [sys.executable, "-m", "pytest", "-rsfE", "-p", "no:schemathesis", "-o", f"pythonpath={ROOT / 'tests'}", "test_skips.py"]

    done = subprocess.run(words, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=False)

    assert said in done.stdout
    assert "no-such-program is not installed (Debian: apt-get install no-such-package)" in done.stdout
    assert "not here" in done.stdout
