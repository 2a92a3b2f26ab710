"""Raising a cap: its figures before and after, by keys that stand alone, bound to what was shown; and what to do where it asks nobody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from smallchain_tui.screens.item import ItemScreen
from smallchain_tui.screens.raising import RaiseScreen
from smallchain_tui.viewmodel.decision import Stage
from smallchain_tui.widgets.textfield import TextField
from support.dashboard import NARROW, NORMAL, WIDE, request, run, serve
from support.deciding import Deciding, deciding
from support.fakedaemon import FakeDaemon
from support.hostile import HOSTILE, came_through

A = "01936d1e-0000-7000-8000-00000000000a"
DIGEST = "0" * 63 + "7"
SIZES = pytest.mark.parametrize("size", [WIDE, NORMAL, NARROW], ids=["160x45", "120x40", "80x24"])


def cap(**fields: Any) -> dict[str, Any]:
    told = {
        "kind": "budget",
        "name": "crawling",
        "id": "b1",
        "status": "Used up",
        "detail": "",
        "counts": "agent crawler",
        "limit": "$5.00",
    }
    figures = {"per": "day", "window": "rolling", "on_limit": "ask", "spent": "$4.98", "held": "$0.02", "left": "$0.00", "used": 1.0}
    room = {"next_room_at": "2026-11-23T09:42:07Z", "waiting": 2, "file": "smallchain.yaml", "line": 12}
    return told | figures | room | {"request_id": A, "waited_for": True} | fields


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeDaemon]:
    with FakeDaemon(tmp_path / "d.sock") as fake:
        asks(fake, cap())
        yield fake


def asks(fake: FakeDaemon, *caps: dict[str, Any], **fields: Any) -> None:
    """A run that stands still at a cap which asks to be raised by $5."""
    told = {
        "question": "budget 'crawling' of $5.00 a day is used up. May it be raised by $5.00?",
        "rule": "budget 'crawling'",
        "tool": "",
        "why": "",
    }
    asked = {"arguments": {"by": "$5.00", "for_good": False}, "outcomes": {"approve": "the cap is raised", "deny": "the cap stays"}}
    item = request(A, "crawl-9", kind="budget", digest=DIGEST, toolcall_id=None, **told | asked | fields)
    serve(fake, runs=[run("crawl-9", "OverBudget", detail="budget 'crawling' is used up"), run("free-1")], requests=[item])
    fake.answers["GET", f"/v1/describe/request/{A}"] = {"item": item, "related": {}}
    fake.answers["GET", "/v1/budgets"] = lambda asked: (200, {"items": list(caps) if asked.query.get("run") != ["free-1"] else []})
    fake.answers["GET", "/v1/describe/budget/crawling"] = {"item": caps[0], "related": {"runs": [run("crawl-9", "OverBudget")]}}
    fake.answers["GET", "/v1/spend"] = {"items": []}
    fake.answers["POST", f"/v1/approve/{A}"] = fake.answers["POST", f"/v1/deny/{A}"] = {
        "counted": True,
        "sentence": "budget 'crawling' is raised",
    }


def sent(fake: FakeDaemon) -> list[tuple[str, Any]]:
    return [(asked.path, asked.body) for asked in fake.requests if asked.method == "POST"]


async def opened(seen: Deciding) -> Deciding:
    await seen.open(A)
    await seen.until(lambda: isinstance(seen.app.screen, RaiseScreen))
    await seen.sees("-> $10.00/day")
    return seen


@SIZES
async def test_it_shows_the_figures_before_and_after_and_the_command_and_sends_what_was_shown(
    fake: FakeDaemon, size: tuple[int, int]
) -> None:
    async with deciding(fake, size=size) as seen:
        await opened(seen)
        for words in (
            "limit $5.00/day -> $10.00/day",
            "left $0.00 -> $5.00",
            "spent $4.98",
            "held $0.02",
            "2 runs stand still",
            "for a day from now",
        ):
            assert words in seen.text()
        await seen.alone("1")
        await seen.wait()
        assert sent(fake) == [], "to choose is not to send"
        assert "> 1  raise it" in seen.text()
        assert f"same: smallchain approve {A[-8:]}" in seen.text()
        await seen.alone("ctrl+s")
        await seen.wait()
        await seen.comes_to(Stage.ENDED)

        assert sent(fake) == [(f"/v1/approve/{A}", {"expect_digest": DIGEST, "arguments": {"by": "$5.00", "for_good": False}})]
        assert "budget 'crawling' is raised" in seen.text()


async def test_another_amount_makes_another_limit_and_one_that_is_none_is_not_sent(fake: FakeDaemon) -> None:
    async with deciding(fake) as seen:
        await opened(seen)
        await seen.alone("1")
        field = seen.app.screen.query_one("#text", TextField)
        for typed, fault in (("2h", "counted in dollars"), ("much", "an amount is wanted")):
            field.fill(typed)
            await seen.sees("limit $5.00/day -> ?")
            await seen.alone("ctrl+s")
            await seen.sees(fault)
        assert sent(fake) == []
        field.fill("$20")
        await seen.sees("-> $25.00/day")
        assert "--set 'by=$20'" in seen.line_with("same:")
        await seen.alone("ctrl+s")
        await seen.wait()
        await seen.comes_to(Stage.ENDED)

        assert sent(fake)[0][1]["arguments"] == {"by": "$20", "for_good": False}


async def test_for_good_takes_a_word_that_is_typed(fake: FakeDaemon) -> None:
    async with deciding(fake) as seen:
        await opened(seen)
        await seen.alone("2", "ctrl+s")
        await seen.comes_to(Stage.CONFIRMING)
        assert "for good: type yes" in seen.text()
        await seen.wait()
        assert sent(fake) == []
        await seen.pilot.pause()
        await seen.type("yes")
        await seen.alone("ctrl+s")
        await seen.wait()
        await seen.comes_to(Stage.ENDED)

        assert sent(fake)[0][1]["arguments"] == {"by": "$5.00", "for_good": True}
        assert "--set for_good=true" in seen.lines()[-1]


async def test_to_leave_it_says_when_the_run_goes_on_by_itself(fake: FakeDaemon) -> None:
    async with deciding(fake) as seen:
        await opened(seen)
        assert "leave it: it waits until there is room at 09:42:07, in 42m" in seen.text()
        await seen.alone("3", "ctrl+s")
        await seen.wait()
        await seen.comes_to(Stage.ENDED)

        assert sent(fake) == [(f"/v1/deny/{A}", {"expect_digest": DIGEST})]


async def test_enter_space_and_keys_that_were_typed_ahead_raise_nothing(fake: FakeDaemon) -> None:
    async with deciding(fake) as seen:
        await opened(seen)
        await seen.press("1", "ctrl+s")
        await seen.wait()
        for key in ("enter", "space"):
            await seen.alone(key)
        await seen.wait()

        assert sent(fake) == []


@pytest.mark.parametrize("way", ["the key on the run", "the command", "the list of budgets", "the bars"])
async def test_a_cap_that_asks_is_raised_from_wherever_it_is_seen(fake: FakeDaemon, way: str) -> None:
    async with deciding(fake) as seen:
        await seen.until(lambda: seen.app.state.loaded and seen.app.may_act() is None, "the runs")
        if way == "the key on the run":
            await seen.press("b")
        elif way == "the command":
            seen.app.command("budget crawl-9")
        elif way == "the list of budgets":
            seen.app.command("budgets")
            await seen.until(lambda: "2 runs" not in seen.text() and "agent crawler" in seen.text())
            await seen.press("b")
        else:
            await seen.sees("2 runs stand still")
            seen.app.screen.query_one("#budgets").focus()
            await seen.press("b")
        await seen.until(lambda: isinstance(seen.app.screen, RaiseScreen), "the dialog")
        await seen.sees("-> $10.00/day")


async def test_a_cap_that_asks_nobody_says_where_it_is_written_and_when_there_is_room(fake: FakeDaemon) -> None:
    asks(fake, cap(on_limit="wait", request_id=None))
    async with deciding(fake, read_only=True) as seen:
        await seen.until(lambda: seen.app.state.loaded, "the runs")
        await seen.press("b")
        await seen.until(lambda: isinstance(seen.app.screen, ItemScreen), "the cap")
        await seen.sees("raise `limit` in smallchain.yaml:12")
        assert "room at 09:42:07, in 42m" in seen.text()
        assert "Stand still at it" in seen.text()

        assert sent(fake) == []


async def test_a_run_that_no_cap_is_over_says_so(fake: FakeDaemon) -> None:
    async with deciding(fake) as seen:
        await seen.until(lambda: seen.app.state.loaded, "the runs")
        seen.app.command("budget free-1")

        await seen.sees("no cap is over run 'free-1'")


@SIZES
async def test_hostile_words_are_shown_and_do_nothing(fake: FakeDaemon, size: tuple[int, int]) -> None:
    words = dict.fromkeys(("name", "counts", "limit", "per", "spent", "held", "left", "raised", "detail", "file"), HOSTILE)
    asks(fake, cap(**words), question=HOSTILE, rule=HOSTILE, arguments={"by": HOSTILE, "for_good": HOSTILE})
    async with deciding(fake, size=size) as seen:
        await seen.open(A)
        await seen.wait()
        await seen.sees("leave it")

        assert came_through(seen.text().encode()) == set()
