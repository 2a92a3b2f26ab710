"""A schedule's starts: the next and the last one, what waits, what was skipped and why; pure."""

from __future__ import annotations

from datetime import datetime

from smallchain.protocol.text import one_line
from smallchain_tui.viewmodel.glyphs import colour_of
from smallchain_tui.viewmodel.line import Line
from smallchain_tui.viewmodel.rows import Item, moment, number, text
from smallchain_tui.viewmodel.words import when


def cell(item: Item, name: str, now: datetime) -> str:
    """A moment of a schedule for a column; empty where there is none."""
    at = moment(item, name)
    return when(at, now) if at is not None else ""


def what_about_it(item: Item, now: datetime) -> str:
    """Why it does not start: what is wrong with it, since when a start waits, what was skipped last and why."""
    if detail := text(item, "detail"):
        return detail
    if (since := moment(item, "waiting_since")) is not None:
        return f"the start of {when(since, now)} waits until {text(item, 'last_run') or 'the last run'} is over"
    if (at := moment(item, "skipped_at")) is not None:
        return f"skipped {when(at, now)}: {text(item, 'skipped_why')}"
    return ""


def schedule_lines(item: Item, *, now: datetime, local: bool = False) -> list[Line]:
    """The lines above a schedule that was gone into."""

    def told(name: str) -> str:
        at = moment(item, name)
        return when(at, now, local=local) if at is not None else "-"

    last = text(item, "last_phase")
    lines: list[Line] = [
        (("next start  ", "muted"), (told("next_start_at"), "strong")),
        (
            ("last start  ", "muted"),
            (told("last_start_at"), ""),
            (f"  run {one_line(text(item, 'last_run'))}" if text(item, "last_run") else "", "key"),
            (f"  {one_line(last)}" if last else "", colour_of(last)),
        ),
    ]
    if moment(item, "waiting_since") is not None:
        lines.append((("waits       ", "muted"), (f"the start of {told('waiting_since')}, until that run is over", "waiting")))
    if skipped := number(item, "skipped"):
        why = f": {one_line(text(item, 'skipped_why'))}" if text(item, "skipped_why") else ""
        lines.append((("skipped     ", "muted"), (str(skipped), "waiting"), (f", the last {told('skipped_at')}{why}", "")))
    return lines
