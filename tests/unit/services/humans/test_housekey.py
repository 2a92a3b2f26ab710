"""The house's key is made once, is its owner's alone, and is never taken from a file that is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from smallchain.model.errors import Damaged
from smallchain.services.humans.housekey import FILE, read_or_make


def test_the_key_is_made_once_and_stays(tmp_path: Path) -> None:
    key = read_or_make(tmp_path)

    assert len(key) == 32
    assert read_or_make(tmp_path) == key
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_two_houses_have_two_keys(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()

    assert read_or_make(tmp_path / "a") != read_or_make(tmp_path / "b")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o666])
def test_a_key_that_others_can_read_is_refused_with_what_to_do(tmp_path: Path, mode: int) -> None:
    read_or_make(tmp_path)
    (tmp_path / FILE).chmod(mode)

    with pytest.raises(Damaged, match="chmod 600"):
        read_or_make(tmp_path)


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 33])
def test_a_file_that_holds_no_key_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    (tmp_path / FILE).chmod(0o600)

    with pytest.raises(Damaged, match="holds no key"):
        read_or_make(tmp_path)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"x" * 32)
    (tmp_path / FILE).symlink_to(tmp_path / "elsewhere")

    with pytest.raises(Damaged, match="can't be used"):
        read_or_make(tmp_path)
