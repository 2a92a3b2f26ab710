"""The lists of tools, MCP servers, artifacts and the rest: reached by a key or a command, read when they are seen, and gone into."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from smallchain_tui.screens.item import ItemScreen
from smallchain_tui.screens.things import ThingsScreen
from smallchain_tui.viewmodel.things import KINDS
from support.dashboard import NARROW, NORMAL, WIDE, Clock, Watched, dashboard, run, serve
from support.fakedaemon import FakeDaemon
from support.hostile import HOSTILE, HOSTILE_LINES, came_through

SIZES = pytest.mark.parametrize("size", [WIDE, NORMAL, NARROW], ids=["160x45", "120x40", "80x24"])
ID = "01936d1e-0000-7000-8000-0000000000af"


def written(kind: str, name: str, **fields: Any) -> dict[str, Any]:
    place = {"file": "smallchain.yaml", "line": 7}
    return {"kind": kind, "name": name, "id": f"{kind}/{name}", "status": "Ready", "detail": "", "spec": {}} | place | fields


def notes(**fields: Any) -> dict[str, Any]:
    said = ["notes: listening", "notes: disk is nearly full"]
    return written("mcp_server", "notes", spec={"command": ["notes"]}, tools=["keep", "find"], restarts=2, pid=4242, stderr=said, **fields)


def chart(**fields: Any) -> dict[str, Any]:
    item = {"kind": "artifact", "name": "chart.csv", "id": ID, "run": "blog-7", "run_id": "id-of-blog-7", "tool": "draw"}
    return item | {"media_type": "text/csv", "size_bytes": 4100, "created_at": "2026-11-23T08:55:00Z", "digest": "ab" * 32} | fields


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeDaemon]:
    with FakeDaemon(tmp_path / "d.sock") as fake:
        serve(fake, runs=[run("blog-7")])
        found: dict[str, list[dict[str, Any]]] = {kind.name: [] for kind in KINDS}
        draw = written("tool", "draw", spec={"executor": {"python": {}}, "effects": "once"}, fence="bubblewrap, cgroup")
        build = written("tool", "report", status="Pending", detail="its requirements are being built", spec={"builtin": "now"})
        found["tools"], found["mcp_servers"], found["artifacts"] = [draw, build], [notes()], [chart()]
        for kind, items in found.items():
            fake.answers["GET", f"/v1/{kind}"] = lambda asked, items=items: (200, {"items": items, "next": None})
        fake.answers["GET", "/v1/describe/tool/draw"] = {"item": draw, "related": {"used_by": []}}
        mcp_tools = [{"name": "keep", "state": "changed", "function": "notes__keep"}]
        fake.answers["GET", "/v1/describe/mcp_server/notes"] = {"item": notes(), "related": {"mcp_tools": mcp_tools}}
        fake.answers["GET", f"/v1/describe/artifact/{ID}"] = {"item": chart(), "related": {}}
        fake.answers["GET", f"/v1/artifacts/{ID}/content"] = lambda asked: (200, b"day,readers\n1,1540\n")
        yield fake


async def gone_in(seen: Watched) -> None:
    await seen.press("enter")
    await seen.until(lambda: isinstance(seen.app.screen, ItemScreen) and seen.app.screen.is_settled, "the thing")
    await seen.pilot.pause()


@SIZES
async def test_a_key_leads_to_the_tools_with_how_they_stand_and_what_is_around_them(fake: FakeDaemon, size: tuple[int, int]) -> None:
    async with dashboard(fake, size=size, now=Clock()) as seen:
        await seen.sees("blog-7")
        await seen.press("5")
        await seen.sees("draw")

        assert "✓ draw" in seen.line_with("python")
        assert "○ report" in seen.line_with("builtin now")
        if size is not NARROW:
            assert "bubblewrap, cgroup" in seen.line_with("✓ draw")
            assert "its requirements are" in seen.line_with("○ report")
        await gone_in(seen)
        assert "fence  bubblewrap, cgroup" in seen.text()


@SIZES
async def test_an_mcp_server_shows_its_last_words_its_restarts_and_its_tools(fake: FakeDaemon, size: tuple[int, int]) -> None:
    async with dashboard(fake, size=size, now=Clock()) as seen:
        await seen.sees("blog-7")
        seen.app.command("mcp_servers")
        await seen.sees("notes: disk is")
        await gone_in(seen)

        assert "pid 4242  restarts 2" in seen.text()
        await seen.press("2")
        assert "notes: listening" in seen.text()
        await seen.press("3")
        assert "state: changed" in seen.text()


async def test_what_an_artifact_holds_is_read_where_it_is_a_text(fake: FakeDaemon) -> None:
    async with dashboard(fake, size=NORMAL, now=Clock()) as seen:
        await seen.sees("blog-7")
        seen.app.command("artifacts")
        await seen.sees("chart.csv")
        assert "4.0 KiB" in seen.line_with("chart.csv")
        assert "5m" in seen.line_with("chart.csv")
        await gone_in(seen)

        assert "1,1540" in seen.text()
        assert f"smallchain get artifacts {ID[-8:]} --save FILE" in seen.text()


async def test_an_artifact_that_is_no_text_or_too_large_is_not_fetched(fake: FakeDaemon) -> None:
    for number, fields in enumerate(({"media_type": "image/png"}, {"size_bytes": 10**8})):
        fake.answers["GET", f"/v1/describe/artifact/{number}"] = {"item": chart(**fields), "related": {}}
        async with dashboard(fake, size=NORMAL, now=Clock()) as seen:
            await seen.sees("blog-7")
            seen.app.open_item("artifact", str(number))
            await seen.sees("of tool draw")

    assert not [asked for asked in fake.requests if asked.path.endswith("/content")]


async def test_a_list_is_filtered_sorted_and_read_again_after_an_event(fake: FakeDaemon) -> None:
    async with dashboard(fake, size=NORMAL, now=Clock()) as seen:
        await seen.sees("blog-7")
        await seen.press("5")
        await seen.sees("draw")
        await seen.press("slash")
        await seen.type("status=pending")
        await seen.press("enter")
        await seen.misses("draw")
        assert "1 of 2" in seen.text()
        await seen.press("escape")
        await seen.sees("draw")

        more = [written("tool", "later", spec={"builtin": "now"})]
        fake.answers["GET", "/v1/tools"] = lambda asked: (200, {"items": more, "next": None})
        fake.tell(reason="ResourceChanged", message="tool 'later' was written")
        await seen.sees("✓ later")
        await seen.press("3")
        await seen.sees("chart.csv")
        await seen.press("escape")
        assert not isinstance(seen.app.screen, ThingsScreen)


@pytest.mark.parametrize("typed", ["artifacts", "run blog-7"])
async def test_a_command_that_is_typed_is_carried_out_once(fake: FakeDaemon, typed: str) -> None:
    async with dashboard(fake, size=NORMAL, now=Clock()) as seen:
        await seen.sees("blog-7")
        await seen.press("colon")
        await seen.type(typed)
        before = len(seen.app.screen_stack)
        await seen.press("enter")
        await seen.until(lambda: len(seen.app.screen_stack) > before, "the screen")
        await seen.pilot.pause()

        assert len(seen.app.screen_stack) == before + 1


async def test_a_daemon_that_cannot_list_them_is_said_in_their_place(fake: FakeDaemon) -> None:
    fault = {"code": "broken", "message": "the disk is full", "hint": "", "problems": []}
    fake.answers["GET", "/v1/channels"] = lambda asked: (500, {"error": fault})
    async with dashboard(fake, size=NORMAL, now=Clock()) as seen:
        await seen.sees("blog-7")
        seen.app.command("channels")

        await seen.sees("the disk is full")


async def test_the_help_names_the_key_and_every_command(fake: FakeDaemon) -> None:
    async with dashboard(fake, size=(120, 160), now=Clock()) as seen:
        await seen.sees("blog-7")
        await seen.press("question_mark")
        await seen.sees("COMMANDS, AFTER :")

        for kind in KINDS:
            assert kind.name in seen.text()
        assert "tools, MCP servers, artifacts" in seen.text()
        assert "turn the mouse off with f9" in seen.text()


async def test_hostile_names_and_words_are_shown_and_do_nothing(fake: FakeDaemon) -> None:
    bad = notes(detail=HOSTILE) | {"name": HOSTILE, "stderr": HOSTILE_LINES.split("\n")}
    fake.answers["GET", "/v1/mcp_servers"] = lambda asked: (200, {"items": [bad, {"tools": 7, "spec": "x", "stderr": None}], "next": None})
    async with dashboard(fake, size=WIDE, now=Clock()) as seen:
        await seen.sees("blog-7")
        seen.app.command("mcp_servers")
        await seen.sees("2 of 2")

        assert came_through(seen.text().encode()) == set()


def schedule(**fields: Any) -> dict[str, Any]:
    started = {
        "next_start_at": "2026-11-24T07:00:00Z",
        "last_start_at": "2026-11-23T07:00:01Z",
        "last_run": "digest-4",
        "last_phase": "succeeded",
    }
    skips = {"skipped": 3, "skipped_at": "2026-11-23T08:00:00Z", "skipped_why": "run 'digest-4' is not over", "waiting_since": None}
    return written("schedule", "digest", spec={"task": "write_post"}, **started | skips | fields)


@SIZES
async def test_a_schedule_says_when_it_starts_and_what_it_skipped_and_why(fake: FakeDaemon, size: tuple[int, int]) -> None:
    fake.answers["GET", "/v1/schedules"] = lambda asked: (200, {"items": [schedule()], "next": None})
    fake.answers["GET", "/v1/describe/schedule/digest"] = lambda asked: (200, {"item": schedule(), "related": {"runs": [run("digest-4")]}})
    async with dashboard(fake, size=size, now=Clock()) as seen:
        await seen.sees("blog-7")
        seen.app.command("schedules")
        await seen.sees("07:00:00, in 22h00m")
        await gone_in(seen)

        for words in (
            "next start  07:00:00, in 22h00m",
            "run digest-4",
            "skipped     3, the last 08:00:00, 1h00m ago: run 'digest-4' is not over",
        ):
            assert words in seen.text()


@pytest.mark.parametrize("kind", ["budget", "schedule"])
async def test_hostile_caps_and_schedules_are_shown_and_do_nothing(fake: FakeDaemon, kind: str) -> None:
    names = (
        "counts",
        "limit",
        "per",
        "spent",
        "held",
        "left",
        "raised",
        "status",
        "detail",
        "last_run",
        "last_phase",
        "skipped_why",
        "file",
    )
    bad = written(kind, "bad", **dict.fromkeys(names, HOSTILE)) | {"skipped": 2, "waiting": 3, "next_room_at": HOSTILE, "used": HOSTILE}
    fake.answers["GET", f"/v1/{kind}s"] = lambda asked: (200, {"items": [bad, {"name": HOSTILE}], "next": None})
    fake.answers["GET", f"/v1/describe/{kind}/bad"] = lambda asked: (200, {"item": bad, "related": {"runs": HOSTILE}})
    async with dashboard(fake, size=WIDE, now=Clock()) as seen:
        await seen.sees("blog-7")
        seen.app.command(f"{kind}s")
        await seen.sees("2 of 2")
        assert came_through(seen.text().encode()) == set()
        seen.app.open_item(kind, "bad")
        await seen.until(lambda: isinstance(seen.app.screen, ItemScreen) and seen.app.screen.is_settled, "the thing")
        await seen.pilot.pause()

        assert came_through(seen.text().encode()) == set()
