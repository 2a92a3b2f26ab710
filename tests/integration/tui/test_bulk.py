"""Several approvals together: a list first, then a number to type, then one by one with a result each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from smallchain_tui.viewmodel.decision import Stage
from support.dashboard import NARROW, WIDE, request, run, serve
from support.deciding import deciding
from support.fakedaemon import FakeDaemon
from support.hostile import HOSTILE, came_through

IDS = [f"01936d1e-0000-7000-8000-00000000000{digit}" for digit in "abcd"]
SIZES = pytest.mark.parametrize("size", [WIDE, NARROW], ids=["160x45", "80x24"])


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeDaemon]:
    with FakeDaemon(tmp_path / "d.sock") as fake:
        waiting = [request(id, "blog-7", digest=f"{index}" * 64, arguments={"title": f"news {index}"}) for index, id in enumerate(IDS)]
        waiting[3] |= {"risk": "high", "tool": "wipe"}
        serve(fake, runs=[run("blog-7", "Waiting")], requests=waiting)
        for id in IDS:
            fake.answers[("POST", f"/v1/approve/{id}")] = {"counted": True, "sentence": "approved publish_post"}
            fake.answers[("POST", f"/v1/deny/{id}")] = {"counted": True, "sentence": "denied publish_post"}
        yield fake


def sent(fake: FakeDaemon) -> list[tuple[str, Any]]:
    return [(asked.path.rpartition("/")[2][-1], asked.body) for asked in fake.requests if asked.method == "POST"]


@SIZES
async def test_high_risk_is_left_out_and_named_and_the_others_go_one_by_one(fake: FakeDaemon, size: tuple[int, int]) -> None:
    async with deciding(fake, size=size) as seen:
        await seen.open(*IDS)
        for words in ("3 approvals", "1 left out", 'title="news 0"'):
            assert words in seen.text()
        await seen.alone("y")
        await seen.comes_to(Stage.CONFIRMING)
        await seen.pilot.pause()
        await seen.press("3")
        await seen.alone("ctrl+s")
        await seen.wait()
        await seen.comes_to(Stage.ENDED)

        assert sent(fake) == [(id[-1], {"expect_digest": f"{index}" * 64}) for index, id in enumerate(IDS[:3])]
        assert "3 of 3 counted, 1 left out" in seen.text()
        await seen.press("space")
        assert "HIGH risk is opened alone" in seen.text()


@pytest.mark.parametrize("key", ["enter", "space", "Y", "ctrl+s"])
async def test_no_key_but_the_verdict_and_the_number_approve(fake: FakeDaemon, key: str) -> None:
    async with deciding(fake) as seen:
        await seen.open(*IDS)
        await seen.alone(key)
        await seen.alone("y", key)
        await seen.wait()

        assert sent(fake) == []


async def test_each_has_its_result_and_one_that_fails_does_not_keep_the_others(fake: FakeDaemon) -> None:
    late = {"error": {"code": "refused", "message": "already denied by alice", "hint": "", "problems": []}}
    fake.answers[("POST", f"/v1/approve/{IDS[1]}")] = lambda asked: (409, late)
    async with deciding(fake) as seen:
        await seen.open(*IDS)
        await seen.alone("y")
        await seen.comes_to(Stage.CONFIRMING)
        await seen.pilot.pause()
        await seen.press("3")
        await seen.alone("ctrl+s")
        await seen.wait()
        await seen.comes_to(Stage.ENDED)

        assert "already denied by alice" in seen.text()
        assert "2 of 3 counted, 1 did not, 1 left out" in seen.text()


async def test_a_lost_connection_stops_what_is_left(fake: FakeDaemon) -> None:
    async with deciding(fake) as seen:
        await seen.open(*IDS)
        await seen.alone("y")
        await seen.comes_to(Stage.CONFIRMING)
        await seen.pilot.pause()
        await seen.press("3")
        await seen.alone("ctrl+s")
        fake.hangups = 2
        await seen.wait()
        await seen.comes_to(Stage.ENDED)

        assert "2 not sent" in seen.text()
        assert {id for id, _ in sent(fake)} == {"a"}


async def test_all_are_denied_with_one_note(fake: FakeDaemon) -> None:
    async with deciding(fake) as seen:
        await seen.open(*IDS)
        await seen.alone("n")
        await seen.comes_to(Stage.NOTING)
        await seen.pilot.pause()
        await seen.type("later")
        await seen.alone("ctrl+s")
        await seen.wait()
        await seen.comes_to(Stage.ENDED)

        assert [body["note"] for _, body in sent(fake)] == ["later"] * 3


async def test_marked_in_the_inbox_they_come_to_the_list(fake: FakeDaemon) -> None:
    async with deciding(fake) as seen:
        await seen.until(lambda: len(seen.app.state.requests) == 4, "the inbox")
        await seen.press("a")
        await seen.press("space", "space", "Y")
        await seen.opened()

        assert "What is marked" in seen.text()


async def test_hostile_words_are_shown_and_do_nothing(fake: FakeDaemon) -> None:
    waiting = [request(id, HOSTILE, tool=HOSTILE, arguments={"title": HOSTILE}) for id in IDS]
    serve(fake, runs=[], requests=[*waiting, request("x" * 36, "blog-7")])
    async with deciding(fake) as seen:
        await seen.open(*IDS, "x" * 36)

        assert came_through(seen.text().encode()) == set()
        assert "hidden characters: open it" in seen.text()
