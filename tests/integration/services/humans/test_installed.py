"""A type of channel that an installed package brings is used like ours; one that can't be imported is a channel in Error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from smallchain.model.lifecycles import Readiness
from smallchain.services.humans.installed import installed
from smallchain.store import resources
from support.house import a_house
from support.rows import all_deliveries

PACKAGE = """
from smallchain.model.delivery import Delivered


class Board:
    told = []

    async def deliver(self, delivery):
        self.told.append((delivery.channel.to, delivery.told.question))
        return Delivered("card-1")

    async def tell_end(self, delivery, sentence):
        pass

    async def listen(self, channels, hear):
        pass

    async def check(self, channel):
        return "" if channel.to else "the board has no name"

    async def close(self):
        pass
"""
ENTRY_POINTS = "[smallchain.channels]\nboard = own_board:Board\nbroken = own_board_that_is_not_there:Board\n"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What an installer leaves of a package."""
    folder = tmp_path / "site"
    (folder / "own_board-1.0.dist-info").mkdir(parents=True)
    (folder / "own_board.py").write_text(PACKAGE)
    (folder / "own_board-1.0.dist-info" / "METADATA").write_text("Name: own-board\nVersion: 1.0\n")
    (folder / "own_board-1.0.dist-info" / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(folder)
    return folder


def scene(*channels: dict[str, object]) -> str:
    reply = {"tool_calls": [{"name": "ask_team", "arguments": {"question": "which colour?"}}]}
    return json.dumps(
        {
            "llms": [{"name": "s", "provider": "scripted", "replies": [reply, {"content": "done"}]}],
            "agents": [{"name": "a", "llm": "s", "tools": [{"human": "team"}]}],
            "tasks": [{"name": "t", "agent": "a", "user_message": "go"}],
            "runs": [{"name": "r", "task": "t"}],
            "channels": list(channels),
        }
    )


@pytest.mark.usefixtures("site")
async def test_a_request_is_told_through_a_package_s_own_channel(tmp_path: Path) -> None:
    import own_board  # type: ignore[import-not-found]

    async with a_house(tmp_path, channels=installed()) as house:
        await house.apply(scene({"name": "team", "type": "board", "to": "wall", "parameters": {"colour": "red"}}))

        rows = await house.until(lambda tx: [row["reference"] for row in all_deliveries(tx) if row["reference"]])

    assert rows == ["card-1"]
    assert own_board.Board.told == [("wall", "which colour?")]


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize(
    ("channel", "said"),
    [
        ({"name": "team", "type": "board"}, "the board has no name"),
        ({"name": "team", "type": "broken"}, "can't be loaded: ModuleNotFoundError"),
    ],
)
async def test_what_is_wrong_with_it_is_the_channel_s_detail(tmp_path: Path, channel: dict[str, object], said: str) -> None:
    async with a_house(tmp_path, channels=installed()) as house:
        await house.apply(scene(channel))

        detail = await house.until(
            lambda tx: [row.detail for row in resources.of_kind(tx, "channel") if row.status is Readiness.ERROR and row.detail]
        )

    assert said in detail[0]


async def test_a_type_that_no_package_brings_is_pending_and_lists_those_there_are(tmp_path: Path) -> None:
    async with a_house(tmp_path, channels=installed()) as house:
        await house.apply(scene({"name": "team", "type": "carrier-pigeon"}))

        detail = await house.until(
            lambda tx: [row.detail for row in resources.of_kind(tx, "channel") if row.status is Readiness.PENDING and row.checked]
        )

    assert "no installed package brings `type: carrier-pigeon`" in detail[0]
