"""What is done to runs: the default does nothing, each act shows the command that does the same, before and after."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from smallchain_tui.screens.overview import OverviewScreen
from smallchain_tui.viewmodel.decision import Stage
from support.dashboard import NARROW, WIDE, run, serve
from support.deciding import Deciding, deciding
from support.fakedaemon import FakeDaemon
from support.hostile import HOSTILE, came_through

SIZES = pytest.mark.parametrize("size", [WIDE, NARROW], ids=["160x45", "80x24"])


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeDaemon]:
    with FakeDaemon(tmp_path / "d.sock") as fake:
        serve(
            fake,
            runs=[run("blog-7"), run("blog-7/writer-1", parent="blog-7", parent_id="id-of-blog-7"), run("pay-3", "Failed", error="exit 2")],
        )
        for verb in ("pause", "resume", "cancel"):
            fake.answers[("POST", f"/v1/{verb}/id-of-blog-7")] = {"runs": [{"name": "blog-7"}, {"name": "blog-7/writer-1"}]}
        fake.answers[("POST", "/v1/retry/id-of-pay-3")] = {"run": {"name": "refund-2"}}
        fake.answers[("POST", "/v1/fork/id-of-pay-3")] = {"run": {"name": "pay-3-fork"}}
        fake.answers[("POST", "/v1/runs")] = {"run": {"name": "digest-9"}}
        yield fake


def sent(fake: FakeDaemon) -> list[tuple[str, Any]]:
    return [(asked.path, asked.body) for asked in fake.requests if asked.method == "POST"]


async def open_act(seen: Deciding, verb: str, name: str = "") -> None:
    await seen.until(lambda: seen.app.state.loaded and seen.app.may_act() is None, "the runs")
    seen.app.open_act(verb, name)
    await seen.opened()


@SIZES
@pytest.mark.parametrize("key", ["enter", "n", "escape", "q"])
async def test_to_cancel_the_default_is_no(fake: FakeDaemon, key: str, size: tuple[int, int]) -> None:
    async with deciding(fake, size=size) as seen:
        await open_act(seen, "cancel", "blog-7")
        for words in ("Cancel run blog-7?", "No: enter", "smallchain cancel blog-7", "1 live descendant"):
            assert words in seen.text()
        await seen.alone(key)

        assert isinstance(seen.app.screen, OverviewScreen)
        assert sent(fake) == []


async def test_to_cancel_takes_a_key_that_stands_alone_and_a_note_goes_along(fake: FakeDaemon) -> None:
    async with deciding(fake) as seen:
        await open_act(seen, "cancel", "blog-7")
        await seen.press("y")
        assert seen.stage is Stage.OPENED
        await seen.alone("tab")
        await seen.type("too dear")
        await seen.alone("ctrl+s")
        await seen.alone("y")
        await seen.wait()
        await seen.comes_to(Stage.ENDED)

        assert sent(fake) == [("/v1/cancel/id-of-blog-7", {"note": "too dear"})]
        assert "2 runs cancelled" in seen.text()
        assert "smallchain cancel blog-7 --note 'too dear'" in seen.lines()[-1]


async def test_to_pause_the_whole_tree_or_one_alone(fake: FakeDaemon) -> None:
    async with deciding(fake) as seen:
        await open_act(seen, "pause", "blog-7")
        assert "same: smallchain pause blog-7 " in seen.text()
        await seen.alone("2")
        assert "same: smallchain pause blog-7 --only" in seen.text()
        await seen.alone("y")
        await seen.wait()
        await seen.comes_to(Stage.ENDED)

        assert sent(fake) == [("/v1/pause/id-of-blog-7", {"only": True})]


async def test_to_resume_with_what_is_written_now(fake: FakeDaemon) -> None:
    async with deciding(fake) as seen:
        await open_act(seen, "resume", "blog-7")
        await seen.alone("3", "y")
        await seen.wait()
        await seen.comes_to(Stage.ENDED)

        assert sent(fake) == [("/v1/resume/id-of-blog-7", {"adopt": True})]


async def test_to_resume_a_run_that_is_over_is_to_retry_it(fake: FakeDaemon) -> None:
    async with deciding(fake) as seen:
        await open_act(seen, "resume", "pay-3")
        await seen.alone("y")
        await seen.wait()
        assert sent(fake) == [], "nothing is chosen beforehand"
        await seen.alone("1", "y")
        await seen.wait()
        await seen.comes_to(Stage.ENDED)

        assert sent(fake) == [("/v1/retry/id-of-pay-3", {})]
        assert "run refund-2 was started" in seen.text()


async def test_what_was_done_is_done_again_only_after_it_was_listed_and_a_word_typed(fake: FakeDaemon) -> None:
    listed = {"code": "unconfirmed", "message": "3 calls succeeded that are not to be made twice", "hint": "", "problems": []}
    fake.answers[("POST", "/v1/retry/id-of-pay-3")] = lambda asked: (
        (200, {"run": {"name": "refund-2"}}) if asked.body.get("confirmed") else (409, {"error": listed})
    )
    async with deciding(fake) as seen:
        await open_act(seen, "retry", "pay-3")
        await seen.alone("2", "y")
        await seen.wait()
        await seen.sees("3 calls succeeded that are not to be made twice")
        await seen.alone("2", "y")
        await seen.comes_to(Stage.CONFIRMING)
        await seen.pilot.pause()
        await seen.type("repeat")
        await seen.alone("ctrl+s")
        await seen.wait()
        await seen.comes_to(Stage.ENDED)

        assert sent(fake)[-1] == ("/v1/retry/id-of-pay-3", {"from_start": True, "confirmed": True})


async def test_to_fork_takes_the_number_of_a_message(fake: FakeDaemon) -> None:
    async with deciding(fake) as seen:
        await open_act(seen, "fork", "pay-3")
        await seen.pilot.pause()
        await seen.type("x")
        await seen.alone("ctrl+s")
        assert "a whole number is wanted" in seen.text()
        await seen.press("backspace", "5")
        assert "same: smallchain fork pay-3 --at 5" in seen.text()
        await seen.alone("ctrl+s")
        await seen.wait()
        await seen.comes_to(Stage.ENDED)

        assert sent(fake) == [("/v1/fork/id-of-pay-3", {"at": 5})]


async def test_to_run_a_task_its_fields_are_filled_in(fake: FakeDaemon) -> None:
    async with deciding(fake) as seen:
        await open_act(seen, "start")
        await seen.pilot.pause()
        await seen.type("daily digest")
        await seen.press("tab")
        await seen.type("only AI")
        assert "smallchain run 'daily digest' --message 'only AI'" in seen.text()
        await seen.alone("ctrl+s")
        await seen.wait()
        await seen.comes_to(Stage.ENDED)

        assert sent(fake) == [("/v1/runs", {"task": "daily digest", "message": "only AI"})]


async def test_what_is_known_stands_in_the_fields_already(fake: FakeDaemon) -> None:
    async with deciding(fake) as seen:
        await open_act(seen, "start", "daily digest")
        assert "same: smallchain run 'daily digest'" in seen.text()
        await seen.press("escape")
        seen.app.open_act("fork", "pay-3", at=7)
        await seen.opened()

        assert "same: smallchain fork pay-3 --at 7" in seen.text()
        assert sent(fake) == []


async def test_hostile_names_are_shown_and_do_nothing(fake: FakeDaemon) -> None:
    name = f"x{HOSTILE}"
    serve(fake, runs=[run(name, detail=HOSTILE)])
    async with deciding(fake) as seen:
        await open_act(seen, "cancel", name)

        assert came_through(seen.text().encode()) == set()
