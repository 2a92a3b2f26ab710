from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from smallchain_tui.screens.item import ItemScreen
from support.dashboard import NARROW, WIDE, Clock, Watched, dashboard
from support.fakedaemon import FakeDaemon
from support.hostile import HOSTILE, HOSTILE_LINES, came_through
from support.tuirows import call_item, event_item
from support.tuirun import NAME, REPLY, REQUEST, blog, calls, message


@pytest.fixture
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeDaemon]:
    with FakeDaemon(tmp_path_factory.mktemp("d") / "d.sock") as daemon:
        blog(daemon)
        yield daemon


@asynccontextmanager
async def opened(fake: FakeDaemon, kind: str, ref: str, *, run: str = "", size: tuple[int, int] = WIDE) -> AsyncIterator[Watched]:
    async with dashboard(fake, size=size, now=Clock()) as seen:
        await seen.sees(NAME)
        seen.app.open_item(kind, ref, run=run)
        await seen.until(lambda: isinstance(seen.app.screen, ItemScreen) and seen.app.screen.is_settled, "the thing")
        await seen.pilot.pause()
        yield seen


async def test_a_call_shows_its_arguments_and_beside_them_its_result(fake: FakeDaemon) -> None:
    async with opened(fake, "toolcall", "0199-publish") as seen:
        assert "! awaiting_approval" in seen.text()
        assert "title: AI news" in seen.text()
        assert "no result yet" in seen.text()


async def test_a_call_that_ends_while_it_is_looked_at_shows_its_result(fake: FakeDaemon) -> None:
    async with opened(fake, "toolcall", "0199-publish") as seen:
        done = calls()[1] | {"phase": "succeeded", "result": '{"posted": true}', "finished_at": "2026-11-23T09:00:00Z"}
        fake.answers["GET", "/v1/describe/toolcall/0199-publish"] = {"item": done, "related": {"attempts": []}}
        fake.tell(reason="ToolCallSucceeded", run=NAME, run_id=f"id-of-{NAME}")

        await seen.sees("posted: true")
        assert "✓ succeeded" in seen.text()


async def test_a_message_shows_the_raw_request_and_reply_of_its_model_call(fake: FakeDaemon) -> None:
    async with opened(fake, "message", "3", run=NAME) as seen:
        assert "First the draft, then the post." in seen.text()
        assert "600 in, 11 out" in seen.line_with("model call 1")

        await seen.press("3")
        await seen.sees("content: Create a blog post")
        await seen.press("4")
        await seen.sees("content: The draft is done.")


async def test_a_message_of_ours_names_its_template(fake: FakeDaemon) -> None:
    async with opened(fake, "message", "5", run=NAME) as seen:
        assert "ours: this program added it, from template turns_left" in seen.text()


@pytest.mark.parametrize(("key", "sent"), [("3", json.dumps(REQUEST)), ("4", REPLY)])
async def test_a_request_and_a_reply_are_exported_byte_for_byte(
    fake: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, sent: str
) -> None:
    monkeypatch.chdir(tmp_path)
    async with opened(fake, "message", "3", run=NAME) as seen:
        await seen.press(key, "x")
        await seen.sees("written: ")

        (file,) = map(tmp_path.joinpath, os.listdir(tmp_path))
        assert file.read_bytes() == sent.encode()
        assert file.stat().st_mode & 0o777 == 0o600


async def test_copying_gives_the_value_itself_however_it_is_shown(fake: FakeDaemon) -> None:
    call = calls()[1] | {"arguments": {"body": HOSTILE_LINES}}
    fake.answers["GET", "/v1/describe/toolcall/0199-publish"] = {"item": call, "related": {"attempts": []}}
    async with opened(fake, "toolcall", "0199-publish") as seen:
        await seen.press("c")
        assert seen.app.clipboard == HOSTILE_LINES

        await seen.press("C")
        assert json.loads(seen.app.clipboard) == HOSTILE_LINES


async def test_y_turns_yaml_to_json_and_r_shows_what_is_hidden(fake: FakeDaemon) -> None:
    call = calls()[1] | {"arguments": {"to": "pa\u200bypal"}}
    fake.answers["GET", "/v1/describe/toolcall/0199-publish"] = {"item": call, "related": {"attempts": []}}
    async with opened(fake, "toolcall", "0199-publish", size=NARROW) as seen:
        assert "sanitised: 1" in seen.text()

        await seen.press("y")
        await seen.sees('"to": "pa<U+200B>ypal"')
        await seen.press("r")
        await seen.sees('"to": "pa\\u200bypal"')


async def test_an_event_leads_to_what_it_is_about(fake: FakeDaemon) -> None:
    about = {"kind": "toolcall", "name": "publish_post", "id": "0199-publish"}
    fake.answers["GET", "/v1/describe/event/41"] = {"item": event_item(41, object=about), "related": {}}
    async with opened(fake, "event", "41") as seen:
        assert "ToolCallStarted" in seen.text()

        await seen.press("enter")
        await seen.sees("toolcall › publish_post")


async def test_any_resource_is_shown_as_it_is_written(fake: FakeDaemon) -> None:
    agent = {
        "kind": "agent",
        "name": "manager",
        "id": "x",
        "status": "Pending",
        "detail": "LLM 'fast' does not exist",
        "file": "a.yaml",
        "line": 12,
    }
    fake.answers["GET", "/v1/describe/agent/manager"] = {
        "item": agent | {"spec": {"name": "manager", "tools": ["add"]}},
        "related": {"used_by": []},
    }
    async with opened(fake, "agent", "manager", size=NARROW) as seen:
        assert all(words in seen.text() for words in ("○ Pending", "LLM 'fast' does not exist", "a.yaml:12", "tools:"))


async def test_what_is_not_there_says_so(fake: FakeDaemon) -> None:
    async with opened(fake, "toolcall", "gone") as seen:
        assert "no route /v1/describe/toolcall/gone" in seen.text()
    async with opened(fake, "message", "99", run=NAME) as seen:
        assert "has no message 99" in seen.text()


@pytest.mark.parametrize("size", [WIDE, NARROW])
@pytest.mark.parametrize("kind", ["toolcall", "message", "event", "agent"])
async def test_a_hostile_thing_reaches_no_terminal_in_any_of_its_parts(fake: FakeDaemon, kind: str, size: tuple[int, int]) -> None:
    nasty = {"tool": HOSTILE, "detail": HOSTILE_LINES, "result": HOSTILE_LINES, "arguments": HOSTILE, "phase": HOSTILE, "child": HOSTILE}
    item: dict[str, Any] = {"toolcall": call_item("x", NAME), "event": event_item(1, message=HOSTILE_LINES, reason=HOSTILE)}.get(
        kind, {"kind": kind}
    )
    item = item | nasty | {"name": HOSTILE, "status": HOSTILE, "spec": {HOSTILE: [HOSTILE_LINES]}, "file": HOSTILE, "line": 1}
    fake.answers["GET", f"/v1/describe/{kind}/1"] = {"item": item, "related": {"attempts": [{HOSTILE: HOSTILE}], HOSTILE: [HOSTILE]}}
    said = message(
        1, "assistant", HOSTILE_LINES, attempt=1, model=HOSTILE, tool_calls=[{"id": HOSTILE, "name": HOSTILE, "arguments": HOSTILE}]
    )
    fake.answers["GET", f"/v1/transcript/{NAME}"] = {"messages": [said]}
    fake.answers["GET", f"/v1/exchange/{NAME}"] = {
        "attempt": 1,
        "llm": HOSTILE,
        "model": HOSTILE,
        "request": HOSTILE_LINES,
        "reply": HOSTILE_LINES,
    }
    async with opened(fake, kind, "1", run=NAME if kind == "message" else "", size=size) as seen:
        for key in "12345yr":
            await seen.press(key)
            assert came_through(seen.text().encode()) == set()
            assert len(seen.lines()) == size[1]
