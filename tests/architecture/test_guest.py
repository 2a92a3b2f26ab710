"""The dashboard is a guest: it knows the model, the protocol and the settings, and opens as quickly as it can."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import smallchain_tui

HOUSE = Path(smallchain_tui.__file__).parent
MAY = ("smallchain_tui", "smallchain.model", "smallchain.protocol", "smallchain.settings")
FILES = sorted(HOUSE.rglob("*.py"))


def _imports(file: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(HOUSE)))
def test_a_guest_knows_the_model_and_the_protocol_alone(file: Path) -> None:
    ours = [name for name in _imports(file) if name.startswith("smallchain")]

    assert [name for name in ours if not name.startswith(MAY) and name != "smallchain.__version__"] == []


@pytest.mark.parametrize("file", sorted((HOUSE / "viewmodel").glob("*.py")), ids=lambda file: file.name)
def test_what_is_shown_is_decided_without_textual_and_without_the_world(file: Path) -> None:
    foreign = [
        name for name in _imports(file) if name.partition(".")[0] in ("textual", "rich", "asyncio", "threading", "socket", "os", "time")
    ]

    assert foreign == []


@pytest.mark.parametrize("file", [*(HOUSE / "widgets").glob("*.py"), *(HOUSE / "screens").glob("*.py")], ids=lambda file: file.name)
def test_screens_and_widgets_hold_no_client(file: Path) -> None:
    assert [name for name in _imports(file) if name.startswith("smallchain.protocol.client.Client")] == []


def test_arguments_are_read_without_textual() -> None:
    look = "import sys; from smallchain_tui.__main__ import main; code = main(['--keys']); print(code, 'textual' in sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True, timeout=60)

    assert done.stderr.split() == ["0", "False"]
    assert '"runs.pause" = "p"' in done.stdout
