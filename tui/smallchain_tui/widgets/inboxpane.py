"""The inbox: what waits for a person, three lines each: what is asked, by whom and how long, and the words or arguments of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from textual.binding import BindingType

from smallchain_tui.keymap import bindings
from smallchain_tui.viewmodel.glyphs import Glyphs
from smallchain_tui.viewmodel.rows import RequestRow
from smallchain_tui.viewmodel.words import age, span
from smallchain_tui.widgets.listing import Listing, Piece, fitted


class InboxPane(Listing[RequestRow], inherit_bindings=False):
    """Open requests. Enter, `y` and `n` look at one; nothing is decided from the list."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("inbox")
    row_height = 3
    hints = ("inbox.open", "inbox.mark", "inbox.approve_marked", "inbox.snooze")
    empty = "nobody waits for you"

    class Snoozed(Listing.Opened):
        """Somebody wants to put a request off."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.now: datetime | None = None
        self.put_off: frozenset[str] = frozenset()
        """Requests that stand behind the others."""

    def key_of(self, row: RequestRow) -> str:
        """Requests are known by their ids."""
        return row.id

    def fields_of(self, row: RequestRow) -> Mapping[str, str]:
        """What a filter can name."""
        return {
            "kind": row.kind,
            "tool": row.tool,
            "run": row.run,
            "path": row.path,
            "risk": row.risk,
            "question": row.question,
            "id": row.id,
            "arguments": summary(row),
        }

    def show_requests(self, rows: list[RequestRow], now: datetime, put_off: frozenset[str] = frozenset()) -> None:
        """Have these, in this order; those that were put off come last."""
        self.now = now
        self.put_off = put_off
        self.show(sorted(rows, key=lambda row: row.id in put_off))

    def tick(self, now: datetime) -> None:
        """Let the waiting times go on."""
        self.now = now
        if self.shown and now.second % 5 == 0:
            self.refresh()

    def action_snooze(self) -> None:
        """Put the request behind the others for a while; it waits on."""
        if self.current is not None:
            self.post_message(self.Snoozed(self, self.current_key))

    def pieces_of(self, row: RequestRow, line: int, cells: int) -> list[Piece]:
        """One of the three lines."""
        dot = f" {Glyphs(self.ascii).dot} "
        if line == 0:
            what = row.tool or row.kind
            room = max(0, cells - 2 - min(len(what), cells // 2) - 2)
            return [
                ("! ", "waiting bold"),
                (fitted(what, min(len(what), cells // 2)), "ink bold"),
                ("  ", ""),
                (fitted(row.asker, room), "muted"),
            ]
        if line == 1:
            pieces: list[Piece] = [("  ", "")]
            if row.kind != "approval":
                pieces.append((row.kind + dot, "accent"))
            if row.risk and row.risk != "normal":
                pieces.append((row.risk.upper() + dot, "failed bold" if row.risk == "high" else "muted"))
            waits = f"waits {age(row.created_at, self.now)}" if self.now else ""
            left = f"{dot}expires in {span(row.expires_at - self.now)}" if row.expires_at and self.now else ""
            return [*pieces, (waits, "muted"), (left, "waiting")]
        return [("  ", ""), (fitted(summary(row), max(0, cells - 2)), "")]


def summary(row: RequestRow) -> str:
    """What is asked in one line: the question, else the arguments as `name=value`."""
    if row.kind != "approval" and row.question:
        return row.question
    if isinstance(row.arguments, Mapping):
        return "  ".join(f"{name}={_short(value)}" for name, value in row.arguments.items()) or "no arguments"
    return str(row.arguments) if row.arguments else row.question


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
