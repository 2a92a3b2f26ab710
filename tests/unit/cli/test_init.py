"""`init`: what it writes is valid as it stands, and nothing that is there is ever lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from smallchain.cli.main import main
from smallchain.cli.starters import STARTERS


@pytest.mark.parametrize("template", STARTERS)
def test_what_it_writes_passes_the_strictest_validation(tmp_path: Path, template: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", str(tmp_path / "new" / "folder"), "--template", template]) == 0
    path = tmp_path / "new" / "folder" / "smallchain.yaml"
    said = capsys.readouterr()
    assert said.out == f"created {path}\n"
    assert f"smallchain apply -f {path}\n" in said.err

    assert main(["validate", "--strict", str(path)]) == 0
    assert "1 run" in capsys.readouterr().out
    assert STARTERS[template].run in path.read_text()
    assert os.listdir(path.parent) == ["smallchain.yaml"]


def test_this_folder_and_hello_are_the_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    assert main(["init"]) == 0
    assert capsys.readouterr().out == "created smallchain.yaml\n"
    assert (tmp_path / "smallchain.yaml").read_text() == STARTERS["hello"].text


@pytest.mark.parametrize("there", ["file", "link", "folder"])
def test_what_is_there_is_never_replaced(tmp_path: Path, there: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "smallchain.yaml"
    match there:
        case "file":
            path.write_text("mine")
        case "link":
            path.symlink_to("nowhere")
        case _:
            path.mkdir()

    assert main(["init", str(tmp_path)]) == 1
    assert "is there already; name another folder" in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["smallchain.yaml"]
    assert there != "file" or path.read_text() == "mine"


def test_a_folder_that_cannot_be_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")

    assert main(["init", str(tmp_path / "file" / "below")]) == 1
    assert "could not write" in capsys.readouterr().err
