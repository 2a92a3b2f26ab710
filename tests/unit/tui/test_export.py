from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from smallchain_tui import export
from support.hostile import HOSTILE, HOSTILE_LINES

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "..", "-rf", ".bashrc", "a/b", "", "$(reboot)", HOSTILE, "日本", "x" * 500, "a\0b"]
)
def test_no_name_leads_out_of_the_folder_hides_or_looks_like_a_flag(tmp_path: Path, name: str) -> None:
    path = export.write(tmp_path, name, {"a": 1}, now=NOW)

    assert path.parent == tmp_path
    assert path.name.startswith("smallchain")
    assert path.name.isascii()
    assert not set(path.name) & set(" $()/\\;&|<>*?'\"\n")
    assert len(path.name) < 120


def test_a_text_is_written_as_it_is_and_a_value_as_json(tmp_path: Path) -> None:
    text = export.write(tmp_path, "text", HOSTILE_LINES, now=NOW)
    value = export.write(tmp_path, "value", {"a": [HOSTILE]}, now=NOW)

    assert text.read_bytes() == HOSTILE_LINES.encode()
    assert text.suffix == ".txt"
    assert json.loads(value.read_text(encoding="utf-8")) == {"a": [HOSTILE]}


def test_nothing_that_is_there_is_written_over_and_no_link_is_followed(tmp_path: Path) -> None:
    first = export.write(tmp_path, "x", {"n": 1}, now=NOW)
    precious = tmp_path / "precious"
    precious.write_text("mine")
    first.with_name(f"{first.stem}-1.json").symlink_to(precious)

    third = export.write(tmp_path, "x", {"n": 3}, now=NOW)

    assert json.loads(first.read_text()) == {"n": 1}
    assert precious.read_text() == "mine"
    assert third.name == f"{first.stem}-2.json"


def test_a_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    assert export.write(tmp_path, "x", "text", now=NOW).stat().st_mode & 0o777 == 0o600
