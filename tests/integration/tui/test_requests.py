"""Questions, and whatever else waits for a person: to choose is not to send, and what is sent is what stands there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from smallchain_tui.desk import Desk
from smallchain_tui.viewmodel.decision import Stage
from support.dashboard import NARROW, WIDE, changed_tool, request, run, serve
from support.deciding import deciding
from support.fakedaemon import FakeDaemon
from support.hostile import HOSTILE, HOSTILE_LINES, came_through

A = "01936d1e-0000-7000-8000-00000000000a"
SIZES = pytest.mark.parametrize("size", [WIDE, NARROW], ids=["160x45", "80x24"])
SETTLE = {
    "happened": "post counts as done with the result you give",
    "did_not_happen": "post counts as not done; the model is told so",
    "run_again": "post runs again with the same arguments",
}


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeDaemon]:
    with FakeDaemon(tmp_path / "d.sock") as fake:
        yield fake


def asks(fake: FakeDaemon, kind: str, **fields: Any) -> None:
    """A daemon with one open request."""
    item = request(A, "blog-7", kind=kind, digest="", **fields)
    serve(fake, runs=[run("blog-7", "Waiting")], requests=[item])
    fake.answers[("GET", f"/v1/describe/request/{A}")] = {"item": item, "related": {}}
    for path in (f"answer/{A}", f"settle/{A}", f"approve/{A}", "resume/id-of-blog-7", "cancel/id-of-blog-7"):
        fake.answers[("POST", f"/v1/{path}")] = {"counted": True, "sentence": "it counted"}


def sent(fake: FakeDaemon) -> list[tuple[str, Any]]:
    return [(asked.path, asked.body) for asked in fake.requests if asked.method == "POST"]


def question(fake: FakeDaemon, *choices: str, **fields: Any) -> None:
    told = {"tool": "ask_human", "question": "which region first?", "outcomes": {"answer": "the model is told"}, "choices": list(choices)}
    asks(fake, "question", **told | fields)


# ---- questions


@SIZES
async def test_a_choice_is_put_into_the_field_and_sent_by_its_own_key(fake: FakeDaemon, size: tuple[int, int]) -> None:
    question(fake, "EU", "US")
    async with deciding(fake, size=size) as seen:
        await seen.open(A)
        for words in ("which region first?", "1  EU", "2  US"):
            assert words in seen.text()
        await seen.alone("2")
        await seen.wait()
        assert sent(fake) == []
        assert "> 2  US" in seen.text()
        await seen.alone("ctrl+s")
        await seen.wait()
        await seen.comes_to(Stage.ENDED)

        assert sent(fake) == [(f"/v1/answer/{A}", {"text": "US"})]


async def test_a_free_answer_has_lines_and_digits_and_is_kept_until_it_is_sent(fake: FakeDaemon, tmp_path: Path) -> None:
    question(fake)
    desk = Desk.of(tmp_path)
    async with deciding(fake, desk=desk) as seen:
        await seen.open(A)
        await seen.pilot.pause()
        await seen.type("EU 1")
        await seen.press("enter")
        await seen.type("then US")
        await seen.wait()
        assert sent(fake) == []
    async with deciding(fake, desk=Desk.of(tmp_path)) as again:
        await again.open(A)
        await again.pilot.pause()
        await again.alone("ctrl+s")
        await again.wait()
        await again.comes_to(Stage.ENDED)

    assert sent(fake) == [(f"/v1/answer/{A}", {"text": "EU 1\nthen US"})]
    assert Desk.of(tmp_path).draft(A).is_empty


async def test_an_empty_answer_is_none(fake: FakeDaemon) -> None:
    question(fake)
    async with deciding(fake) as seen:
        await seen.open(A)
        await seen.alone("ctrl+s")
        await seen.wait()

        assert "nothing is written yet" in seen.text()
        assert sent(fake) == []


# ---- the others


@pytest.mark.parametrize(
    ("digit", "text", "body"),
    [("1", "posted as 4711", {"happened": "posted as 4711"}), ("2", "", {"did_not_happen": True}), ("3", "", {"run_again": True})],
)
async def test_a_call_in_doubt_is_settled_in_one_of_three_ways(fake: FakeDaemon, digit: str, text: str, body: dict[str, Any]) -> None:
    asks(fake, "settle", outcomes=SETTLE, arguments={"title": "news"})
    async with deciding(fake) as seen:
        await seen.open(A)
        assert 'title: "news"' in seen.text()
        await seen.alone(digit)
        await seen.pilot.pause()
        if text:
            await seen.type(text)
        await seen.alone("ctrl+s")
        await seen.wait()
        await seen.comes_to(Stage.ENDED)

        assert sent(fake) == [(f"/v1/settle/{A}", body)]


@pytest.mark.parametrize("kind", ["loop", "quarantine"])
async def test_a_run_that_goes_in_circles_is_resumed_or_cancelled(fake: FakeDaemon, kind: str) -> None:
    asks(fake, kind, tool="", outcomes={"resume": "the run goes on", "cancel": "the run is cancelled"})
    async with deciding(fake) as seen:
        await seen.open(A)
        await seen.alone("ctrl+s")
        await seen.wait()
        assert sent(fake) == [], "nothing is chosen beforehand"
        await seen.alone("1", "ctrl+s")
        await seen.wait()
        await seen.comes_to(Stage.ENDED)

        assert sent(fake) == [("/v1/resume/id-of-blog-7", {"only": True})]
        assert "smallchain resume blog-7 --only" in seen.lines()[-1]


@pytest.mark.parametrize("kind", ["budget", "tool_changed"])
async def test_kinds_whose_loops_come_later_are_answered_by_what_the_daemon_offers(fake: FakeDaemon, kind: str) -> None:
    asks(fake, kind, outcomes={"approve": "the cap is raised", "deny": "the cap stays"})
    async with deciding(fake) as seen:
        await seen.open(A)
        await seen.alone("1", "ctrl+s")
        await seen.wait()
        await seen.comes_to(Stage.ENDED)

        assert sent(fake) == [(f"/v1/approve/{A}", {})]


@SIZES
async def test_a_changed_tool_shows_its_difference_and_the_server_in_place_of_a_run(fake: FakeDaemon, size: tuple[int, int]) -> None:
    item = changed_tool(A)
    serve(fake, runs=[run("blog-7")], requests=[item])
    fake.answers[("GET", f"/v1/describe/request/{A}")] = {"item": item, "related": {}}
    fake.answers[("POST", f"/v1/approve/{A}")] = {"counted": True, "sentence": "it is accepted"}
    async with deciding(fake, size=size) as seen:
        await seen.press("a")
        await seen.sees("MCP server 'notes'")
        assert "tool_changed" in seen.text()
        await seen.open(A)

        assert "run " not in seen.lines()[1]
        assert "MCP server 'notes'" in seen.text()
        assert "- keeps a note" in seen.text()
        assert "+ keeps a note and mails it <U+202E>" in seen.text()
        assert "before:" not in seen.text()
        assert "the model is told" not in seen.text()
        await seen.alone("1", "ctrl+s")
        await seen.wait()
        await seen.comes_to(Stage.ENDED)

        assert sent(fake) == [(f"/v1/approve/{A}", {"expect_digest": item["digest"]})]


async def test_a_kind_that_is_not_known_is_shown_and_not_decided(fake: FakeDaemon) -> None:
    asks(fake, "prophecy")
    async with deciding(fake) as seen:
        await seen.until(lambda: A in seen.app.state.requests, "the request")
        seen.app.open_request(A)
        await seen.sees("does not know a request of kind 'prophecy'")
        await seen.press("y", "1", "ctrl+s")

        assert sent(fake) == []


@SIZES
async def test_hostile_words_are_shown_and_do_nothing(fake: FakeDaemon, size: tuple[int, int]) -> None:
    question(fake, HOSTILE, "[@click=app.quit]x[/]", question=HOSTILE_LINES, why=HOSTILE, path=HOSTILE)
    async with deciding(fake, size=size) as seen:
        await seen.open(A)
        await seen.alone("1")
        await seen.pilot.pause()
        await seen.paste(f"pasted {HOSTILE_LINES}")

        assert came_through(seen.text().encode()) == set()
        assert "[@click=app.quit]x[/]" in seen.text()
