from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from smallchain.model.steps import PlanStep, StepStatus
from smallchain_tui.screens.run import RunScreen
from smallchain_tui.widgets.documentview import DocumentView
from smallchain_tui.widgets.eventfeed import EventFeed
from support import tuirun
from support.dashboard import NARROW, NORMAL, START, WIDE, Clock, Watched, dashboard
from support.fakedaemon import FakeDaemon
from support.hostile import HOSTILE, HOSTILE_LINES, came_through
from support.tuirun import CHILD, NAME, blog, message

OF_IT = {"run": NAME, "run_id": f"id-of-{NAME}"}


@pytest.fixture
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeDaemon]:
    with FakeDaemon(tmp_path_factory.mktemp("d") / "d.sock") as daemon:
        blog(daemon)
        yield daemon


@asynccontextmanager
async def opened(fake: FakeDaemon, size: tuple[int, int] = WIDE, **options: Any) -> AsyncIterator[Watched]:
    async with dashboard(fake, size=size, now=Clock(), **options) as seen:
        await seen.sees(NAME)
        seen.app.open_run(NAME)
        await seen.sees("First the draft")
        yield seen


async def test_a_run_that_is_opened_while_the_daemon_is_away_claims_no_figures(fake: FakeDaemon) -> None:
    async with dashboard(fake, size=WIDE, now=Clock()) as seen:
        await seen.sees(NAME)
        fake.stop()
        await seen.until(lambda: not seen.app.state.connection.live, "the loss")
        seen.app.open_run(NAME)

        await seen.sees("not read: the daemon does not answer")
        assert "0 model calls" not in seen.text()
        assert "null" not in seen.text()
        fake.start()
        await seen.sees("First the draft")


@pytest.mark.parametrize("size", [WIDE, NORMAL, NARROW])
async def test_a_run_says_first_what_it_waits_for_and_how_to_answer(fake: FakeDaemon, size: tuple[int, int]) -> None:
    async with opened(fake, size) as seen:
        assert "! Waiting  for an approval of publish_post" in seen.text()
        assert "o opens it" in seen.line_with("may publish_post run?")
        assert all(words in seen.text() for words in ("manager", "$0.28"))


async def test_why_a_run_failed_is_read_whole_also_on_a_narrow_screen_and_said_once(fake: FakeDaemon) -> None:
    why = "agent 'crawler' of $0.10 a minute is used up: $0.068 spent, and the next call may use $0.034; raise it, then `smallchain retry blog`"
    blog(fake)[0].update(status="Failed", detail=why, error=why)
    async with opened(fake, NARROW) as seen:
        shown = " ".join(" ".join(line.split()) for line in seen.lines())

        assert shown.count(why) == 1


async def test_the_conversation_shows_calls_costs_and_which_sentences_are_ours(fake: FakeDaemon) -> None:
    async with opened(fake, NORMAL) as seen:
        assert all(words in seen.line_with("First the draft") for words in ("llm", "gpt-4o", "2.9s", "611 tok", "$0.0018"))
        assert f"-> {CHILD}" in seen.line_with("delegate_to_writer  message=write it")
        assert "awaiting_approval" in seen.line_with("publish_post  title=AI news")
        assert "ours: template turns_left" in seen.line_with("You have 2 turns left")
        assert "1 model call  600 tokens in, 11 out  $0.0018" in seen.text()


async def test_a_message_is_read_in_place_with_space(fake: FakeDaemon) -> None:
    async with opened(fake, NARROW) as seen:
        await seen.press("g", "j", "j", "j", "j", "j", "space")
        await seen.sees("| of two lines")

        await seen.press("space")
        await seen.misses("| of two lines")


async def test_what_the_cursor_is_on_stands_beside_it_where_there_is_room(fake: FakeDaemon) -> None:
    async with opened(fake) as seen:
        await seen.press("g", "j", "j", "j", "j")
        await seen.sees("Tool call publish_post")

        assert "title: AI news" in seen.text()
        assert "phase: awaiting_approval" in seen.text()


async def test_each_part_has_a_number(fake: FakeDaemon) -> None:
    fake.tell(reason="RunStarted", message="Executing task: daily_digest", **OF_IT)
    async with opened(fake) as seen:
        for key, words in (
            ("2", "ARGUMENTS -> RESULT"),
            ("3", "told no plan"),
            ("4", "OF IT OWN"),
            ("5", "by model"),
            ("6", "Executing task"),
        ):
            await seen.press(key)
            await seen.sees(words)
        await seen.press("1")
        await seen.sees("First the draft")


SIZES = pytest.mark.parametrize("size", [WIDE, NORMAL, NARROW], ids=["160x45", "120x40", "80x24"])


@SIZES
async def test_the_plan_has_each_step_as_it_stands_with_its_note(fake: FakeDaemon, size: tuple[int, int]) -> None:
    steps = (PlanStep("Find sources", StepStatus.DONE, 5, "three of them"), PlanStep("Write the draft"))
    blog(fake, plan=[step.shown() for step in steps])
    async with opened(fake, size) as seen:
        await seen.press("3")
        await seen.sees("Find sources")

        assert "[3]Plan (1/2)" in seen.text()
        assert "✓ done" in seen.line_with("Find sources")
        assert "○ pending" in seen.line_with("Write the draft")
        assert "three of them" in seen.text()


@SIZES
async def test_detached_work_stands_below_the_plan_is_read_again_at_its_own_events_and_leads_to_its_run(
    fake: FakeDaemon, size: tuple[int, int]
) -> None:
    piece = {
        "kind": "work",
        "name": "work-3-1",
        "agent": "scout",
        "run": CHILD,
        "run_id": f"id-of-{CHILD}",
        "since": "2026-11-23T08:48:00Z",
    }
    described = dict(fake.answers["GET", f"/v1/describe/run/{NAME}"])  # type: ignore[call-overload]
    described["related"] = described["related"] | {"work": [piece | {"status": "Running", "told": False}]}
    fake.answers["GET", f"/v1/describe/run/{NAME}"] = lambda asked: (200, described)
    async with opened(fake, size) as seen:
        await seen.press("3")
        await seen.sees("Detached work: 1 going on")
        assert "● Running" in seen.line_with("work-3-1")
        assert "12m" in seen.line_with("work-3-1")

        described["related"] |= {"work": [piece | {"status": "Succeeded", "told": True, "finished_at": "2026-11-23T08:59:00Z"}]}
        fake.tell(reason="RunSucceeded", run=CHILD, run_id=f"id-of-{CHILD}")
        await seen.sees("Detached work: 1 ended")
        await seen.press("G", "enter")
        await seen.sees(f"runs › {CHILD}")


async def test_the_tree_rolls_costs_up_and_enter_leads_to_the_child(fake: FakeDaemon) -> None:
    async with opened(fake, NORMAL) as seen:
        await seen.press("t")
        await seen.sees("writer-1")
        root = next(line for line in seen.lines() if NAME in line and "! Waiting" in line)
        assert all(words in root for words in ("›", "$0.28", "$0.20"))
        assert "$0.08" in seen.line_with("writer  writer-1")

        await seen.press("j", "enter")
        await seen.sees(f"runs › {CHILD}")


async def test_brackets_go_to_the_child_and_back_to_the_parent_in_the_same_place(fake: FakeDaemon) -> None:
    async with opened(fake) as seen:
        depth = len(seen.app.screen_stack)
        await seen.press("right_square_bracket")
        await seen.sees(f"runs › {CHILD}")
        await seen.press("left_square_bracket")
        await seen.sees("First the draft")

        assert len(seen.app.screen_stack) == depth
        await seen.press("left_square_bracket")
        await seen.sees("this run has no parent")


async def test_a_call_that_delegated_leads_to_its_run_and_any_other_to_itself(fake: FakeDaemon) -> None:
    async with opened(fake) as seen:
        await seen.press("2", "enter")
        await seen.sees(f"runs › {CHILD}")
        await seen.press("escape")
        await seen.sees(f"runs › {NAME}")
        await seen.press("j", "enter")
        await seen.sees("toolcall › publish_post")


async def test_what_is_said_next_appears_by_itself_and_the_cursor_goes_with_it(fake: FakeDaemon) -> None:
    async with opened(fake, NORMAL) as seen:
        more = [*tuirun.messages(), message(6, "assistant", "All is published.")]
        fake.answers["GET", f"/v1/transcript/{NAME}"] = {"run": {}, "messages": more}
        fake.tell(reason="ToolCallSucceeded", **OF_IT)

        await seen.sees("All is published.")
        assert "›" in seen.line_with("All is published.")


async def test_a_reader_further_up_is_left_where_he_is(fake: FakeDaemon) -> None:
    async with opened(fake, NORMAL) as seen:
        await seen.press("g", "j")
        more = [*tuirun.messages(), message(6, "assistant", "All is published.")]
        fake.answers["GET", f"/v1/transcript/{NAME}"] = {"run": {}, "messages": more}
        fake.tell(reason="ToolCallSucceeded", **OF_IT)

        await seen.sees("All is published.")
        assert "›" in seen.line_with("Create a blog post and promote it")


async def test_only_its_own_events_stand_in_its_feed(fake: FakeDaemon) -> None:
    fake.answers["GET", "/v1/events"] = lambda asked: (200, {"items": [], "last": len(fake.events)})
    async with opened(fake) as seen:
        await seen.press("e")
        fake.tell(message="of another run", run="other", run_id="id-of-other")
        fake.tell(message="of this run", **OF_IT)

        await seen.sees("of this run")
        feed = seen.app.screen.query_one(EventFeed)
        assert feed.count() == 1
        assert "FOLLOW" in seen.text()


async def test_types_of_events_are_chosen_from_a_list(fake: FakeDaemon) -> None:
    fake.answers["GET", "/v1/events"] = lambda asked: (200, {"items": [], "last": len(fake.events)})
    async with opened(fake) as seen:
        await seen.press("e")
        for reason in ("ToolCallStarted", "RunStarted", "RunStarted"):
            fake.tell(reason=reason, **OF_IT)
        await seen.until(lambda: seen.app.screen.query_one(EventFeed).count() == 3)

        await seen.press("T")
        await seen.sees("Types shown")
        await seen.press("space", "enter")
        await seen.sees("1 types hidden")

        assert seen.app.screen.query_one(EventFeed).count() == 1


async def test_a_search_is_typed_marked_and_gone_on_with(fake: FakeDaemon) -> None:
    async with opened(fake, NORMAL) as seen:
        await seen.press("g", "slash")
        await seen.type("draft")
        await seen.press("enter")
        assert "›" in seen.line_with("First the draft")

        await seen.press("n")
        assert "›" in seen.line_with("delegate_to_writer: the draft")
        await seen.press("escape")
        assert isinstance(seen.app.screen, RunScreen)


@pytest.mark.parametrize(("key", "verb"), [("p", "pause"), ("R", "resume"), ("K", "cancel"), ("F", "fork")])
async def test_acts_are_those_of_the_dashboard_and_refused_when_nothing_may_be_changed(fake: FakeDaemon, key: str, verb: str) -> None:
    async with opened(fake, NARROW, read_only=True) as seen:
        await seen.press(key)

        await seen.sees("this is --read-only")
        assert not [asked for asked in fake.requests if asked.method == "POST"]


async def test_a_run_that_is_not_there_says_so(fake: FakeDaemon) -> None:
    async with dashboard(fake, now=Clock()) as seen:
        await seen.sees(NAME)
        seen.app.open_run("no-such-run")

        await seen.sees("no route /v1/describe/run/no-such-run")


async def test_while_the_daemon_is_away_the_run_stays_and_comes_up_to_date_afterwards(fake: FakeDaemon) -> None:
    async with opened(fake) as seen:
        fake.stop()
        await seen.until(lambda: seen.app.screen.has_class("-stale"))
        assert "First the draft" in seen.text()

        more = [*tuirun.messages(), message(6, "assistant", "All is published.")]
        fake.answers["GET", f"/v1/transcript/{NAME}"] = {"run": {}, "messages": more}
        fake.start()

        await seen.sees("All is published.")


async def test_the_events_are_exported_as_the_daemon_tells_them(fake: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    told = fake.tell(reason="RunStarted", message="first\nsecond", object={"kind": "run", "name": NAME, "id": "x"}, **OF_IT)
    async with opened(fake) as seen:
        await seen.press("6")
        await seen.sees("second")
        await seen.press("x")
        await seen.sees("written: ")

        (file,) = map(tmp_path.joinpath, os.listdir(tmp_path))
        (item,) = json.loads(file.read_text(encoding="utf-8"))["items"]
        assert {name: item[name] for name in ("seq", "reason", "message", "object", "run")} == {
            name: told[name] for name in ("seq", "reason", "message", "object", "run")
        }
        assert file.name == f"smallchain-runs-blog-7-events-{START:%Y%m%d-%H%M%S}.json"


@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_a_hostile_run_reaches_no_terminal_on_any_part(fake: FakeDaemon, size: tuple[int, int]) -> None:
    hostile = {"detail": HOSTILE, "error": HOSTILE_LINES, "agent": HOSTILE, "task": HOSTILE, "llm": HOSTILE, "output": HOSTILE}
    (parent, _) = blog(fake)
    parent |= hostile
    calls = [
        call | {"tool": HOSTILE, "result": HOSTILE_LINES, "detail": HOSTILE, "arguments": {HOSTILE: HOSTILE}} for call in tuirun.calls()
    ]
    fake.answers["GET", "/v1/toolcalls"] = {"items": calls, "next": None}
    fake.answers["GET", f"/v1/describe/run/{NAME}"] = {"item": parent, "related": {"toolcalls": calls, "modelcalls": [tuirun.modelcall(1)]}}
    said = [each | {"content": HOSTILE_LINES, "model": HOSTILE, "tool": HOSTILE} for each in tuirun.messages()]
    fake.answers["GET", f"/v1/transcript/{NAME}"] = {"run": parent, "messages": [message(0, "user", "First the draft"), *said]}
    fake.answers["GET", "/v1/budgets"] = {
        "items": [
            {"kind": "budget", "name": HOSTILE, "status": HOSTILE, "detail": HOSTILE, "limit": HOSTILE, "spent": HOSTILE, "counts": HOSTILE}
        ]
    }
    fake.answers["GET", "/v1/spend"] = {"items": [{"hour": "2026-11-23T08:00:00Z", "llm": HOSTILE, "agent": HOSTILE, "cost_usd": "1.00"}]}
    fake.tell(message=HOSTILE_LINES, reason=HOSTILE, **OF_IT)
    async with opened(fake, size) as seen:
        for key in "1z2345T":
            await seen.press(key)
            assert came_through(seen.text().encode()) == set()
            assert len(seen.lines()) == size[1]


async def test_a_document_beside_takes_the_focus_folds_and_turns_to_json(fake: FakeDaemon) -> None:
    async with opened(fake) as seen:
        await seen.press("2", "j")
        await seen.sees("title: AI news")
        await seen.press("tab", "y")
        await seen.sees('"title": "AI news"')
        await seen.press("g", "z")

        assert '"arguments": {…}' in seen.text()
        assert seen.app.screen.query_one("#preview", DocumentView).has_focus


@pytest.mark.parametrize(("key", "sign"), [("colon", ":"), ("slash", "/")])
async def test_what_is_typed_is_seen_above_the_hints(fake: FakeDaemon, key: str, sign: str) -> None:
    async with opened(fake, NARROW) as seen:
        await seen.press(key)
        await seen.type("first")
        await seen.sees(f"{sign} first")

        assert seen.lines()[-2].startswith(f"{sign} first")
        assert "help" in seen.lines()[-1]
