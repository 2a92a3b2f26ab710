"""What a person has begun outlives the dashboard, in a file that is theirs alone."""

from __future__ import annotations

from pathlib import Path

from smallchain_tui.desk import MOST, Desk, Draft


def test_a_draft_outlives_the_program(tmp_path: Path) -> None:
    Desk.of(tmp_path).keep("r1", Draft(digest="d", note="mind the date", arguments='title: "b"\n'))

    assert Desk.of(tmp_path).draft("r1") == Draft(digest="d", note="mind the date", arguments='title: "b"\n')
    assert Desk.of(tmp_path).draft("r2").is_empty


def test_the_file_is_ours_alone(tmp_path: Path) -> None:
    Desk.of(tmp_path).keep("r1", Draft(note="x"))
    path = tmp_path / "dashboard" / "drafts.json"

    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert [each.name for each in path.parent.iterdir()] == ["drafts.json"]


def test_a_decided_request_leaves_nothing(tmp_path: Path) -> None:
    desk = Desk.of(tmp_path)
    desk.keep("r1", Draft(note="x"))
    desk.drop("r1")

    assert Desk.of(tmp_path).draft("r1").is_empty


def test_a_file_that_is_none_is_as_no_file_and_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "dashboard" / "drafts.json"
    path.parent.mkdir()
    for text in ("", "[1]", '{"r1": 3, "r2": {"note": 4}}', "[" * 100_000):
        path.write_text(text)
        assert Desk.of(tmp_path).draft("r1").is_empty

    Desk.of(tmp_path).keep("r1", Draft(note="x"))
    assert Desk.of(tmp_path).draft("r1").note == "x"


def test_a_folder_that_cannot_be_written_keeps_nobody_from_deciding(tmp_path: Path) -> None:
    (tmp_path / "dashboard").write_text("a file in the way")
    desk = Desk.of(tmp_path)
    desk.keep("r1", Draft(note="x"))

    assert desk.draft("r1").note == "x"
    assert desk.fault.startswith("drafts are not kept: ")


def test_the_oldest_drafts_go_first(tmp_path: Path) -> None:
    desk = Desk(None)
    for number in range(MOST + 1):
        desk.keep(str(number), Draft(note="x"))

    assert desk.draft("0").is_empty
    assert not desk.draft(str(MOST)).is_empty


def test_what_is_put_off_comes_back_at_its_time(tmp_path: Path) -> None:
    Desk.of(tmp_path).keep("r1", Draft(snoozed_until=1000.0))

    assert Desk.of(tmp_path).snoozed(999.0) == {"r1"}
    assert Desk.of(tmp_path).snoozed(1000.0) == frozenset()
