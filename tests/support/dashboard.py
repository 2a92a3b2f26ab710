"""The dashboard in this process, on a daemon's socket (a fake one or the real one), driven key by key, and read as a person would.

The one rule: nothing is patched. It reads the same socket and draws the same cells as in a terminal.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from smallchain import __version__
from smallchain.model.mcp import difference
from smallchain.protocol.client import Client
from smallchain_tui.app import Dashboard
from smallchain_tui.options import Options
from support.fakedaemon import FakeDaemon

PATIENCE_S = 20.0
START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)

WIDE, NORMAL, NARROW = (160, 45), (120, 40), (80, 24)


@dataclass
class Clock:
    """A clock that a test sets."""

    at: datetime = field(default=START)

    def __call__(self) -> datetime:
        return self.at

    def pass_by(self, **span: float) -> None:
        """Let time go on."""
        self.at += timedelta(**span)


class Watched:
    """A dashboard under test."""

    def __init__(self, app: Dashboard, pilot: Pilot[None]) -> None:
        self.app, self.pilot = app, pilot

    async def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def type(self, text: str) -> None:
        """Type a text."""
        names = {
            " ": "space",
            "/": "slash",
            "=": "equals_sign",
            ":": "colon",
            "!": "exclamation_mark",
            "~": "tilde",
            "-": "minus",
            ">": "greater_than_sign",
        }
        await self.press(*(names.get(char, char) for char in text))

    async def until(self, holds: Callable[[], Any], what: str = "") -> None:
        """Wait until something holds; a failure shows the screen."""
        end = time.monotonic() + PATIENCE_S
        while not holds():
            if time.monotonic() > end:
                raise AssertionError(f"{what or 'it'} never came to hold\n{self.text()}")
            await self.pilot.pause(0.02)

    async def sees(self, text: str) -> None:
        """Wait until a text is on the screen."""
        await self.until(lambda: text in self.text(), f"{text!r} on the screen")

    async def misses(self, text: str) -> None:
        """Wait until a text is no more on the screen."""
        await self.until(lambda: text not in self.text(), f"the screen without {text!r}")

    def lines(self) -> list[str]:
        """The screen's lines, as they would be in the terminal."""
        width, height = self.app.size
        strips = self.app.screen._compositor.render_strips(self.app.size)
        return ["".join(segment.text for segment in strip).ljust(width) for strip in strips][:height]

    def text(self) -> str:
        """The whole screen."""
        return "\n".join(self.lines())

    def line_with(self, text: str) -> str:
        """The first line that holds a text."""
        return next((line for line in self.lines() if text in line), "")


@asynccontextmanager
async def dashboard(
    where: FakeDaemon | Client | Path, *, size: tuple[int, int] = WIDE, now: Callable[[], datetime] | None = None, **options: Any
) -> AsyncIterator[Watched]:
    """The dashboard, open on a daemon."""
    client = (
        where
        if isinstance(where, Client)
        else Client(where.path if isinstance(where, FakeDaemon) else where, timeout_s=10.0, via="dashboard")
    )
    more = {"now": now} if now is not None else {}
    app = Dashboard(client, Options(**options), **more)
    async with app.run_test(size=size) as pilot:
        yield Watched(app, pilot)
    await asyncio.sleep(0)


def status(**fields: Any) -> dict[str, Any]:
    """What `GET /v1/status` says."""
    return {"version": __version__, "pid": 4121, "runs": {}, "stopping": False} | fields


def run(name: str, status: str = "Running", **fields: Any) -> dict[str, Any]:
    """A `run` item, made a minute before `START`."""
    over = status in ("Succeeded", "Failed", "Cancelled")
    made = "2026-11-23T08:59:00.000000Z"
    return {
        "kind": "run",
        "name": name,
        "id": f"id-of-{name}",
        "run": name,
        "run_id": f"id-of-{name}",
        "status": status,
        "phase": {"Running": "calling_model", "Waiting": "awaiting_tools"}.get(status, status.lower()),
        "paused": status == "Paused",
        "detail": "",
        "output": "",
        "error": "",
        "agent": "assistant",
        "llm": "fast",
        "task": "daily_digest",
        "parent": None,
        "parent_id": None,
        "root": name,
        "root_id": f"id-of-{name}",
        "depth": 0,
        "turns": 1,
        "priority": 0,
        "cost_usd": "0.00",
        "tree_cost_usd": fields.get("cost_usd", "0.00"),
        "due_at": None,
        "created_at": made,
        "started_at": made,
        "finished_at": made if over else None,
        "file": "",
    } | fields


def request(id: str, of: str, kind: str = "approval", **fields: Any) -> dict[str, Any]:
    """An open request's item, made a minute before `START`."""
    return {
        "kind": kind,
        "name": "publish_post",
        "id": id,
        "run": of,
        "run_id": f"id-of-{of}",
        "tool": "publish_post",
        "toolcall_id": f"call-of-{id}",
        "arguments": {"channel": "#launch", "title": "AI news"} if kind == "approval" else None,
        "digest": "ab" * 32,
        "path": f"{of} > publish_post",
        "question": "may publish_post run?",
        "why": "the draft is reviewed",
        "choices": [],
        "outcomes": {"approve": "publish_post runs once", "deny": "publish_post does not run"},
        "risk": "normal",
        "rule": "tool 'publish_post'",
        "phase": "open",
        "channel": None,
        "deliveries": [],
        "created_at": "2026-11-23T08:59:00.000000Z",
        "expires_at": None,
        "on_expiry": None,
        "answered_at": None,
        "answered_by": "",
        "answered_via": "",
        "answer": None,
        "changes": [],
        "note": "",
    } | fields


def changed_tool(id: str) -> dict[str, Any]:
    """The request about a tool that its MCP server describes differently now: no run asks."""
    schema = {"type": "object"}
    before, now = ({"name": "keep", "description": each, "schema": schema} for each in ("keeps a note", "keeps a note and mails it \u202e"))
    told = {"tool": "notes__keep", "path": "MCP server 'notes'", "toolcall_id": None, "why": ""}
    asked = {"question": "MCP server 'notes' changed its tool 'keep': may agents use it as it is now?"}
    answers = {"outcomes": {"approve": "agents may use it as it is now", "deny": "it stays as it is, held"}}
    changes = {"arguments": {"before": before, "now": now}, "difference": list(difference(before, now))}
    return request(id, "", "tool_changed", **told, **asked, **answers, **changes) | {"run_id": "", "name": "notes__keep"}


def serve(fake: FakeDaemon, *, runs: list[dict[str, Any]] | None = None, requests: list[dict[str, Any]] | None = None) -> None:
    """Let a fake daemon have these runs and open requests. The lists may be changed later; an event makes the dashboard look again."""
    known, waiting = runs if runs is not None else [], requests if requests is not None else []
    fake.answers[("GET", "/v1/status")] = status()
    fake.answers[("GET", "/v1/runs")] = lambda asked: (200, {"items": known, "next": None})
    fake.answers[("GET", "/v1/requests")] = lambda asked: (200, {"items": waiting})
