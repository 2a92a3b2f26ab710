"""The tool calls of a run as a table: when, what, with which arguments, how it stands, and what came of it; pure."""

from __future__ import annotations

from datetime import datetime

from smallchain.protocol.text import one_line, pad, width
from smallchain_tui.viewmodel.conversation import in_short
from smallchain_tui.viewmodel.glyphs import Glyphs, colour_of
from smallchain_tui.viewmodel.line import Line, cell, to_right
from smallchain_tui.viewmodel.rows import Item, moment, number, text
from smallchain_tui.viewmodel.words import clock, span


def heading(cells: int) -> Line:
    """What the columns are."""
    return ((pad("TIME", 10) + pad("TOOL", _tool(cells) + 2) + pad("PHASE", 20) + f"{'FOR':>7}  ARGUMENTS -> RESULT", "muted"),)


def call_line(call: Item, cells: int, glyphs: Glyphs, *, now: datetime) -> Line:
    """One call."""
    phase = text(call, "phase")
    begun, ended = moment(call, "created_at"), moment(call, "finished_at")
    said = in_short(call.get("arguments"))
    result = text(call, "result") or text(call, "detail")
    child = text(call, "child")
    room = max(cells - 10 - _tool(cells) - 2 - 20 - 9, 8)
    came = f"  -> {one_line(child or result[:500])}" if child or result else ""
    first = min(width(said), max(room - width(came), room // 2))
    tries = f" x{number(call, 'attempts')}" if number(call, "attempts") > 1 else ""
    return (
        (clock(begun), "muted"),
        ("  ", ""),
        cell(one_line(text(call, "tool")), _tool(cells), "strong"),
        ("  ", ""),
        cell(f"{glyphs.of(phase)} {one_line(phase)}{tries}", 20, colour_of(phase)),
        to_right(span((ended or now) - begun) if begun else "", 7, "muted"),
        ("  ", ""),
        cell(said, first),
        cell(came, room - first, "muted"),
    )


def _tool(cells: int) -> int:
    return 24 if cells >= 100 else 14
