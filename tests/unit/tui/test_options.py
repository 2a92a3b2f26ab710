"""`tui.toml`: what it says holds, what it cannot say is told, and nothing in it keeps the dashboard from opening."""

from __future__ import annotations

from pathlib import Path

import pytest

from smallchain_tui.options import Options


def _read(folder: Path, text: str, **environ: str) -> Options:
    (folder / "tui.toml").write_text(text)
    return Options.read(folder, environ)


def test_without_a_file_all_is_as_it_comes(tmp_path: Path) -> None:
    assert Options.read(tmp_path, {}) == Options()


def test_what_stands_in_the_file_holds(tmp_path: Path) -> None:
    text = (
        'theme = "light"\nascii = true\nmouse = false\n[keys]\n"runs.pause" = "P"\n[notify]\nbell = false\ncommand = "notify-send -u low"\n'
    )
    found = _read(tmp_path, text)

    assert found.faults == ()
    assert (found.theme, found.ascii, found.mouse, found.keys.shown("runs.pause")) == ("light", True, False, "P")
    assert (found.notify.bell, found.notify.title, found.notify.command) == (False, True, ("notify-send", "-u", "low"))


def test_flags_and_variables_stand_before_the_file(tmp_path: Path) -> None:
    (tmp_path / "tui.toml").write_text("read_only = false\n")

    assert Options.read(tmp_path, {}, read_only=True, ascii=True).read_only
    assert Options.read(tmp_path, {"SMALLCHAIN_REDUCED_MOTION": "1"}).reduced_motion
    assert not Options.read(tmp_path, {"SMALLCHAIN_REDUCED_MOTION": "0"}).reduced_motion


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("theme = ", "can't be read"),
        ('colour = "red"', "there is no setting 'colour'"),
        ('[keys]\n"runs.pause" = "K"', "K is both runs.pause and runs.cancel; the default keys are used"),
        ('[keys]\n"runs.pause" = 7', "maps action ids to keys"),
        ("keys = 7", "maps action ids to keys"),
        ("notify = 7", "[notify] is a table"),
        ("[notify]\nbel = true", "[notify] has no setting 'bel'"),
    ],
)
def test_a_fault_is_told_and_the_dashboard_opens_with_its_own_keys(tmp_path: Path, text: str, fault: str) -> None:
    found = _read(tmp_path, text)

    assert any(fault in each for each in found.faults), found.faults
    assert found.keys.moved == {}
