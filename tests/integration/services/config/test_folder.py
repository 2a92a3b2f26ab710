"""The config folder as a look at the disk finds it: real files, links, pipes and owners."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from smallchain.model.errors import BadInput
from smallchain.model.manifest import parse_manifest
from smallchain.services.config.folder import (
    ConfigFile,
    Scan,
    applied_path,
    file_of,
    remove,
    scan,
    signature,
    with_source,
    write,
)

TASK = "tasks: [{name: greet, agent: a, user_message: hi}]\n"
NOBODY = 65534
as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "config"
    folder.mkdir(mode=0o700)
    return folder


@contextmanager
def a_plain_user() -> Iterator[None]:
    """Permissions bind root to nothing, so root looks as nobody does."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def shared_root() -> Iterator[Path]:
    """A folder that nobody can enter, too."""
    with TemporaryDirectory(prefix="sc-") as made:
        os.chmod(made, 0o755)
        folder = Path(made, "config")
        folder.mkdir(mode=0o755)
        folder.chmod(0o755)
        yield folder


def names(found: Scan) -> list[str]:
    return [Path(each.path).name for each in found.files]


def why(found: Scan, name: str) -> str:
    return next(problem.message for path, problem in found.unread.items() if path.endswith(name))


def test_every_yaml_file_counts_in_folders_of_any_depth(root: Path) -> None:
    (root / "team" / "writers").mkdir(parents=True)
    for path in ("b.yaml", "a.yml", "team/c.yaml", "team/writers/d.yaml"):
        (root / path).write_text(TASK)
    (root / "notes.txt").write_text("not ours")
    (root / "env").write_text("KEY=value")

    found = scan(root)

    assert names(found) == ["a.yml", "b.yaml", "c.yaml", "d.yaml"]
    assert [each.folder for each in found.files] == [str(root)] * 2 + [str(root / "team"), str(root / "team" / "writers")]
    assert (found.gone, found.unread) == ("", {})


@pytest.mark.parametrize(
    "litter",
    [".a.yaml.swp", "a.yaml~", "4913", "#a.yaml#", ".#a.yaml", ".a.yaml", "a.yaml.tmp", "a.yaml.bak", ".git/a.yaml", "old~/a.yaml"],
)
def test_what_editors_leave_behind_is_no_config_and_no_change(root: Path, litter: str) -> None:
    (root / "a.yaml").write_text(TASK)
    before = signature(root)

    (root / litter).parent.mkdir(exist_ok=True)
    (root / litter).write_text("this: [is no manifest")

    assert names(scan(root)) == ["a.yaml"]
    assert signature(root) == before


def test_the_signature_changes_with_every_change_that_counts(root: Path) -> None:
    seen = {signature(root)}
    (root / "a.yaml").write_text(TASK)
    seen.add(signature(root))
    (root / "a.yaml").write_text(TASK + "# more\n")
    seen.add(signature(root))
    os.utime(root / "a.yaml", ns=(0, 1))
    seen.add(signature(root))
    (root / "new").write_text(TASK + "# more\n")
    os.utime(root / "new", ns=(0, 1))
    (root / "new").replace(root / "a.yaml")
    seen.add(signature(root))
    (root / "a.yaml").rename(root / "b.yaml")
    seen.add(signature(root))
    (root / "b.yaml").unlink()
    root.rename(root.with_name("aside"))
    seen.add(signature(root))
    root.mkdir()
    seen.add(signature(root))

    assert len(seen) == 8
    assert None in seen


def test_a_link_that_stays_inside_is_followed(root: Path) -> None:
    (root / "..data").mkdir()
    (root / "..data" / "a.yaml").write_text(TASK)
    (root / "a.yaml").symlink_to("..data/a.yaml")

    assert names(scan(root)) == ["a.yaml"]


def test_a_link_that_leads_out_is_refused_by_name(root: Path) -> None:
    (root.parent / "elsewhere.yaml").write_text(TASK)
    (root / "a.yaml").symlink_to("../elsewhere.yaml")

    assert why(scan(root), "a.yaml") == "is a link that leads out of the config folder"


def test_a_linked_folder_outside_is_not_walked_and_the_yaml_right_in_it_is_refused(root: Path) -> None:
    outside = root.parent / "outside"
    (outside / "deep" / "deeper").mkdir(parents=True)
    (outside / "deep" / "deeper" / "x.yaml").write_text(TASK)
    (root / "team").symlink_to(outside)

    assert (scan(root).files, scan(root).unread) == ([], {})

    (outside / "y.yaml").write_text(TASK)

    assert why(scan(root), "y.yaml") == "is a link that leads out of the config folder"
    assert len(scan(root).unread) == 1


def test_links_that_lead_round_in_a_circle_find_each_file_once(root: Path) -> None:
    (root / "a").mkdir()
    (root / "a" / "x.yaml").write_text(TASK)
    (root / "a" / "up").symlink_to("..")
    (root / "a" / "same").symlink_to(".")
    (root / "loop.yaml").symlink_to("loop.yaml")
    (root / "nowhere.yaml").symlink_to("missing.yaml")

    found = scan(root)

    assert names(found) == ["x.yaml"]
    assert why(found, "loop.yaml") == "is not a regular file"
    assert len(found.unread) == 1


def test_a_pipe_is_refused_without_waiting_for_a_writer(root: Path) -> None:
    os.mkfifo(root / "a.yaml")

    assert why(scan(root), "a.yaml") == "is not a regular file"


def test_a_folder_named_like_a_file_is_walked(root: Path) -> None:
    (root / "a.yaml").mkdir()
    (root / "a.yaml" / "b.yaml").write_text(TASK)

    assert names(scan(root)) == ["b.yaml"]


def test_a_file_above_one_mib_is_refused_with_both_numbers(root: Path) -> None:
    (root / "a.yaml").write_bytes(b"#" * (2 << 20))

    assert why(scan(root), "a.yaml") == "has 2097152 bytes; 1048576 (1 MiB) are the most"


def test_a_file_that_everybody_can_write_is_refused(root: Path) -> None:
    (root / "a.yaml").write_text(TASK)
    (root / "a.yaml").chmod(0o666)

    assert why(scan(root), "a.yaml") == "can be written by everybody (chmod o-w it)"


def test_a_folder_that_everybody_can_write_is_not_looked_at(root: Path) -> None:
    (root / "a.yaml").write_text(TASK)
    root.chmod(0o777)

    assert scan(root).gone == "can be written by everybody (chmod o-w it)"


@as_root
def test_a_file_of_another_user_is_refused(root: Path) -> None:
    (root / "a.yaml").write_text(TASK)
    os.chown(root / "a.yaml", 12345, 12345)

    assert why(scan(root), "a.yaml") == "belongs to another user (uid 12345)"


@as_root
def test_a_folder_of_another_user_is_not_looked_at(root: Path) -> None:
    (root / "a.yaml").write_text(TASK)
    os.chown(root, 12345, 12345)

    assert scan(root).gone == "belongs to another user (uid 12345)"


def test_an_unreadable_file_is_a_problem_of_its_own(shared_root: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        (shared_root / name).write_text(TASK)
        (shared_root / name).chmod(0o644)
    (shared_root / "a.yaml").chmod(0)

    with a_plain_user():
        found = scan(shared_root)

    assert names(found) == ["b.yaml"]
    assert why(found, "a.yaml") == "can't be read"


@pytest.mark.parametrize("inner", ["", "team"])
def test_a_folder_that_can_no_longer_be_listed_counts_as_gone_and_never_as_empty(shared_root: Path, inner: str) -> None:
    (shared_root / "team").mkdir(mode=0o755)
    (shared_root / "team").chmod(0o755)
    (shared_root / "team" / "a.yaml").write_text(TASK)
    (shared_root / "team" / "a.yaml").chmod(0o644)
    (shared_root / inner).chmod(0)

    with a_plain_user():
        found, mark = scan(shared_root), signature(shared_root)
    (shared_root / inner).chmod(0o755)

    assert found.gone == f"can't be read (Permission denied: {shared_root / inner})"
    assert (found.files, mark) == ([], None)


def test_a_folder_that_is_missing_or_a_file_is_gone(root: Path) -> None:
    root.rmdir()
    assert scan(root).gone == "is missing"

    root.write_text("not a folder")
    assert scan(root).gone == "is not a folder"


def test_a_name_that_is_no_utf_8_is_refused_and_told_in_escapes(root: Path) -> None:
    with open(os.fsencode(root) + b"/bad-\xff.yaml", "w") as file:
        file.write(TASK)

    ((path, problem),) = scan(root).unread.items()

    assert path.endswith("/bad-\\udcff.yaml")
    assert str(problem) == f"{path}: has a name that is not UTF-8; rename it"


@pytest.mark.parametrize("name", ["new\nline.yaml", "\x1b[31mred.yaml", "tab\t.yaml", "ö 名.yaml"])
def test_a_name_is_kept_as_it_is_where_text_can_hold_it(root: Path, name: str) -> None:
    (root / name).write_text(TASK)

    assert [each.path for each in scan(root).files] == [str(root / name)]


def test_an_applied_copy_goes_by_the_name_and_folder_of_its_source_and_keeps_its_lines(root: Path) -> None:
    text = "tasks:\n- {name: greet, agent: a, user_message: hi}\n- {name: broken, agnt: a}"
    path = applied_path(root, "/home/me/my agents.yaml")
    write(path, with_source(text, "/home/me/my agents.yaml", "/home/me"))

    (found,) = scan(root).files

    assert path.parent == root / "applied"
    assert path.name.startswith("my-agents-")
    assert (found.path, found.shown, found.source, found.folder) == (
        str(path),
        "/home/me/my agents.yaml",
        "/home/me/my agents.yaml",
        "/home/me",
    )
    assert found.data.decode() == text + "\n"
    with pytest.raises(BadInput) as error:
        parse_manifest(found.data, file=found.shown)
    assert error.value.problems[0].place.line == 3


def test_two_sources_of_one_name_have_a_copy_each(root: Path) -> None:
    paths = {applied_path(root, source) for source in ("/a/agents.yaml", "/b/agents.yaml", "/b/agents.yml", "agents")}

    assert len(paths) == 4
    assert all(path.name.startswith("agents-") and path.suffix == ".yaml" for path in paths)


@pytest.mark.parametrize("source", ["../../etc/passwd", "a/b\nc.yaml", "", ".hidden", "x" * 300, "名前.yaml", "/odd/\udcff.yaml"])
def test_the_copy_of_any_source_stays_in_its_folder_and_is_read_back(root: Path, source: str) -> None:
    path = applied_path(root, source)
    write(path, with_source(TASK, source, "/somewhere"))

    assert path.parent == root / "applied"
    assert [(each.source, each.data.decode()) for each in scan(root).files] == [(source, TASK)]


def test_a_last_line_like_ours_means_nothing_outside_the_folder_of_applied_copies(root: Path) -> None:
    data = with_source(TASK, "/home/me/a.yaml", "/home/me")

    found = file_of(root / "a.yaml", data, root)

    assert isinstance(found, ConfigFile)
    assert (found.shown, found.source, found.folder) == (str(root / "a.yaml"), "", str(root))


def test_a_write_leaves_a_whole_private_file_and_no_draft(root: Path) -> None:
    path = applied_path(root, "a.yaml")
    write(path, b"one")
    write(path, b"two")

    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [each.name for each in path.parent.iterdir()] == [path.name]

    remove(path)
    remove(path)

    assert list(path.parent.iterdir()) == []
