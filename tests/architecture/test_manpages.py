"""The man pages: they say what the parsers say, groff takes them without a warning, and an installed wheel has them where man looks."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from smallchain.cli.main import COMMANDS, parser_of
from smallchain.model.manifest import json_schema
from support.programs import needed

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "man").iterdir())


def _read(page: str) -> str:
    """A page as a person reads it, without roff's escapes."""
    text = (ROOT / "docs" / "man" / page).read_text(encoding="ascii")
    return re.sub(r"\\f[BIR]", "", text).replace("\\-", "-").replace("\\(aq", "'").replace("\\e", "\\")


@pytest.fixture
def man() -> str:
    needed("groff", package="groff-base")
    return needed("man", package="man-db")


@pytest.mark.parametrize("command", COMMANDS)
def test_the_page_has_every_word_of_every_command(command: str) -> None:
    page = _read("smallchain.1")
    section = page.split(f".SS smallchain {command}")[1].split(".SS ")[0]

    parser = parser_of(command)[1]
    flags = [
        flag
        for action in parser._actions
        if action.dest not in ("help", "socket", "config_dir", "state_dir")
        for flag in action.option_strings
    ]
    assert [flag for flag in flags if not re.search(rf"(^|[ ,]){re.escape(flag)}([ ,]|$)", section, re.MULTILINE)] == []
    assert f"smallchain {command}" in section.split("Examples:")[1]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_word_of_every_command_is_explained(command: str) -> None:
    assert [action.dest for action in parser_of(command)[1]._actions if not action.help] == []


def test_the_page_of_the_yaml_has_every_section_and_every_field() -> None:
    page = _read("smallchain.yaml.5")
    schema = json_schema()

    assert [name for name in schema["properties"] if f".SH {name.upper()}\n" not in page] == []
    fields = {name for definition in schema["definitions"].values() for name in definition.get("properties", {})}
    assert [name for name in fields if f"\n{name} (" not in page] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_groff_takes_every_page_without_a_warning(man: str, page: Path) -> None:
    command = [man, "--warnings", "-E", "UTF-8", "-Tutf8", "-Z", "-l", str(page)]

    done = subprocess.run(command, env=os.environ | {"LC_ALL": "C.UTF-8", "MANWIDTH": "80"}, capture_output=True, timeout=60, check=False)

    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout


def test_an_installed_wheel_has_the_pages_where_man_looks(man: str, tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    (data,) = tmp_path.glob("*.data/data")
    (data / "bin").mkdir()

    env = {name: value for name, value in os.environ.items() if name != "MANPATH"} | {"PATH": f"{data / 'bin'}:{os.environ['PATH']}"}
    for name in ("smallchain", "smallchain-tui", "smallchain.yaml", "smallchaind"):
        found = subprocess.run([man, "-w", name], env=env, capture_output=True, text=True, timeout=60, check=True).stdout.strip()
        assert Path(found).is_relative_to(data)
