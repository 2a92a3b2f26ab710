"""The inbox folder on a real disk: what is written, what is heard, and what becomes of files that nobody should believe."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from smallchain.model.delivery import Heard, Said, Told, Verb
from smallchain.model.errors import Busy
from smallchain.services.humans.inbox import MOST, Inbox
from smallchain.services.humans.inboxfile import name_of
from support.people import REQUEST, Judge, question, told

NAME = name_of(told())


class House:
    """An inbox on a folder, with a judge of its one request, or with more requests that nobody answers."""

    def __init__(self, folder: Path, judge: Judge, *more: Told) -> None:
        self.root = folder / "inbox"
        self.judge = judge
        self.more = more
        self.full = False
        self.inbox = Inbox(self.root, waiting=self.waiting, hear=self.hear)

    async def waiting(self) -> Sequence[Told]:
        return (*self.more, *(() if self.judge.won else (self.judge.request,)))

    async def hear(self, said: Said) -> Heard:
        if self.full:
            raise Busy("the disk is full")
        return await self.judge.hear(said)

    async def look(self) -> None:
        """Look until nothing moves."""
        while await self.inbox.look():
            pass

    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file() or path.is_symlink())

    def save(self, name: str = NAME, /, **lines: str) -> Path:
        """Fill in lines as an editor does: a new file in the place of the old one."""
        path = self.root / name
        text = path.read_text()
        for key, value in lines.items():
            text = "\n".join(f"{key}: {value}" if line.startswith(f"{key}:") else line for line in text.split("\n"))
        draft = path.with_name("4913")
        draft.write_text(text)
        os.replace(draft, path)
        return path


@pytest.fixture
async def house(tmp_path: Path) -> House:
    made = House(tmp_path, Judge())
    await made.look()
    return made


async def test_each_open_request_is_a_file_of_our_own(house: House) -> None:
    assert house.files() == [NAME]
    assert (house.root / NAME).stat().st_mode & 0o777 == 0o600
    assert house.root.stat().st_mode & 0o777 == 0o700
    assert not house.judge.said


async def test_a_saved_decision_decides_and_the_file_goes(house: House) -> None:
    house.save(decision="approve", note="well done")

    await house.look()

    assert house.judge.won is not None
    assert (house.judge.won.verb, house.judge.won.note, house.judge.won.via) == (Verb.APPROVE, "well done", "file")
    assert house.files() == []


async def test_an_editor_that_writes_in_place_is_read_when_it_rests(house: House) -> None:
    path = house.root / NAME
    text = path.read_text()
    path.write_text(text[:100])
    assert await house.inbox.look()
    path.write_text(text.replace("\ndecision:", "\ndecision: deny", 1))
    assert await house.inbox.look()
    assert not house.judge.said

    assert not await house.inbox.look()

    assert [said.verb for said in house.judge.said] == [Verb.DENY]


async def test_a_draft_stays_as_it_was_saved(house: House) -> None:
    path = house.save(note="I think about it")

    await house.look()
    await house.look()

    assert "I think about it" in path.read_text()
    assert not house.judge.said


async def test_what_cannot_be_read_is_told_beside_the_file_until_it_can(house: House) -> None:
    path = house.save(decision="aprove")
    await house.look()

    problem = path.with_name(NAME.replace(".yaml", ".problem.txt"))
    assert "did you mean 'approve'?" in problem.read_text()
    assert "decision: aprove" in path.read_text()

    house.save(decision="approve")
    await house.look()

    assert house.files() == []
    assert house.judge.won is not None


async def test_an_answer_that_does_not_count_while_it_is_open_is_told_too(house: House) -> None:
    house.save(decision="approve", digest='"' + "cd" * 32 + '"')

    await house.look()

    assert house.files() == [NAME.replace(".yaml", ".problem.txt"), NAME]
    assert "has changed" in (house.root / house.files()[0]).read_text()
    assert house.judge.won is None


async def test_a_late_save_is_put_aside_with_who_won(house: House) -> None:
    await house.judge.hear(Said(REQUEST, Verb.DENY, "bob", "terminal"))
    house.save(decision="approve", note="mine")

    await house.look()

    assert house.files() == [f"late/{NAME}"]
    late = (house.root / "late" / NAME).read_text().split("\n")
    assert late[0] == '# too late: "already decided: deny by bob (terminal)"'
    assert any("note: mine" in line for line in late)


async def test_a_save_after_the_file_went_is_put_aside_as_well(house: House) -> None:
    text = (house.root / NAME).read_text().replace("decision: ", "decision: approve ", 1)
    await house.judge.hear(Said(REQUEST, Verb.DENY, "bob", "slack"))
    house.inbox.ring()
    await house.look()
    assert house.files() == []

    (house.root / NAME).write_text(text)
    await house.look()

    assert house.files() == [f"late/{NAME}"]


async def test_the_file_of_a_request_that_is_over_goes_when_it_says_nothing(house: House) -> None:
    await house.judge.hear(Said(REQUEST, Verb.DENY, "bob", "slack"))
    house.inbox.ring()

    await house.look()

    assert house.files() == []
    assert len(house.judge.said) == 1


async def test_what_was_saved_while_nobody_watched_is_heard_at_the_start(tmp_path: Path, house: House) -> None:
    house.save(decision="deny")

    again = House(tmp_path, house.judge)
    await again.look()

    assert [said.verb for said in house.judge.said] == [Verb.DENY]
    assert again.files() == []


async def test_a_kill_after_the_decision_and_before_its_file_went_decides_nothing_twice(tmp_path: Path, house: House) -> None:
    house.save(decision="deny")
    await house.judge.hear(Said(REQUEST, Verb.DENY, "alice", "file"))

    again = House(tmp_path, house.judge)
    await again.look()

    assert house.judge.won is not None
    assert again.files() == [f"late/{NAME}"]


@pytest.mark.parametrize("left", [b"", b"\0" * 4096])
async def test_what_a_power_cut_left_is_written_anew(tmp_path: Path, house: House, left: bytes) -> None:
    whole = (house.root / NAME).read_bytes()
    (house.root / NAME).write_bytes(left)

    again = House(tmp_path, house.judge)
    await again.look()

    assert (again.root / NAME).read_bytes() == whole
    assert not house.judge.said


async def test_a_file_or_folder_that_was_removed_is_written_again(house: House) -> None:
    (house.root / NAME).unlink()
    await house.look()
    assert house.files() == [NAME]

    (house.root / NAME).unlink()
    house.root.rmdir()
    await house.look()
    assert house.files() == [NAME]


async def test_a_link_is_not_followed(tmp_path: Path, house: House) -> None:
    elsewhere = tmp_path / "elsewhere.yaml"
    elsewhere.write_text((house.root / NAME).read_text().replace("decision: ", "decision: approve ", 1))
    for kind in (os.symlink, os.link):
        (house.root / NAME).unlink()
        kind(elsewhere, house.root / NAME)

        await house.look()

        assert not house.judge.said
        assert house.files() == [NAME.replace(".yaml", ".problem.txt"), NAME]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")
async def test_a_file_of_another_user_is_not_believed(house: House) -> None:
    path = house.save(decision="approve")
    os.chown(path, 4711, 4711)

    await house.look()

    assert not house.judge.said
    assert "belongs to another user (uid 4711)" in (house.root / NAME.replace(".yaml", ".problem.txt")).read_text()


async def test_what_is_no_file_and_what_is_too_large_is_not_read(house: House) -> None:
    (house.root / NAME).unlink()
    os.mkfifo(house.root / NAME)
    await house.look()
    assert "not a regular file" in (house.root / NAME.replace(".yaml", ".problem.txt")).read_text()

    (house.root / NAME).unlink()
    (house.root / NAME).write_bytes(b"#" * (2 << 20))
    await house.look()
    assert "more than 1 MiB" in (house.root / NAME.replace(".yaml", ".problem.txt")).read_text()
    assert not house.judge.said


async def test_what_editors_leave_is_neither_read_nor_removed(house: House) -> None:
    for name in ("4913", f".{NAME}.swp", f"{NAME}~", "notes.txt"):
        (house.root / name).write_text("decision: approve")

    await house.look()

    assert len(house.files()) == 5
    assert not house.judge.said


async def test_while_the_disk_is_full_the_decision_waits_in_its_file(house: House) -> None:
    house.full = True
    house.save(decision="approve")
    await house.inbox.look()
    with pytest.raises(Busy):
        await house.inbox.look()

    house.full = False
    await house.look()

    assert house.judge.won is not None
    assert house.files() == []


async def test_the_newest_five_hundred_have_files(tmp_path: Path) -> None:
    many = [question(request_id=f"{n:08x}{REQUEST[8:]}") for n in range(MOST + 20)]
    house = House(tmp_path, Judge(replace(many[-1], request_id="f" * 8 + REQUEST[8:])), *many)

    await house.look()

    assert len(house.files()) == MOST
    assert name_of(many[0]) not in house.files()
    assert name_of(many[-1]) in house.files()


async def test_of_fifty_that_race_with_a_file_one_wins_and_the_file_says_who(house: House) -> None:
    house.save(decision="approve")
    await house.inbox.look()

    await asyncio.gather(house.look(), *(house.judge.hear(Said(REQUEST, Verb.DENY, str(n), "terminal")) for n in range(49)))

    assert len(house.judge.said) == 50
    assert house.judge.won is not None
    if house.judge.won.via == "file":
        assert house.files() == []
    else:
        assert house.judge.won.by in (house.root / "late" / NAME).read_text().split("\n")[0]


async def test_a_real_editor_decides_while_it_runs(house: House) -> None:
    async def decided() -> None:
        while house.judge.won is None or house.files():
            await asyncio.sleep(0.02)

    running = asyncio.create_task(house.inbox.run())
    await asyncio.to_thread(
        subprocess.run, ["sed", "-i", "s/^decision:/decision: deny/; s/^note:.*/note: not now/", str(house.root / NAME)], check=True
    )

    async with asyncio.timeout(20):
        await decided()

    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    assert house.judge.won is not None
    assert house.judge.won.note == "not now"
