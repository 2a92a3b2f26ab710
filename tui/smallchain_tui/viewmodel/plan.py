"""A run's plan, and the work it has begun beside itself, as lines: how each step and each piece stands; pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from smallchain.protocol.text import one_line, width
from smallchain_tui.viewmodel.glyphs import Glyphs, colour_of
from smallchain_tui.viewmodel.line import Line, Span, cell, columns, to_right, wrapped
from smallchain_tui.viewmodel.rows import Item, moment, number, text
from smallchain_tui.viewmodel.words import clock, count, span

NO_PLAN = "This run has told no plan. An agent tells one with the tool `update_plan`."

_STATUS, _PRIORITY = 13, 5
_LEAD = _STATUS + 2 + _PRIORITY + 2


@dataclass(frozen=True, slots=True)
class PlanLine:
    """A line, and the step or the piece of work it is about; None for headings."""

    line: Line
    about: Item | None = None
    key: str = ""
    """Tells it apart from the others: the cursor stays on it."""


def done(steps: Sequence[Item]) -> str:
    """`2/5`: how many steps are done, of those that were not dropped; empty without a plan."""
    kept = [step for step in steps if text(step, "status") != "dropped"]
    return f"{sum(text(step, 'status') == 'done' for step in kept)}/{len(kept)}" if steps else ""


def plan_lines(
    steps: Sequence[Item], work: Sequence[Item], cells: int, glyphs: Glyphs, *, now: datetime, local: bool = False
) -> list[PlanLine]:
    """The plan, a step a line with its note below it; then the detached work."""
    found: list[PlanLine] = []
    if steps:
        found.append(PlanLine(columns(cell("  STATUS", _STATUS, "muted"), to_right("PRIO", _PRIORITY, "muted"), ("ITEM, NOTE", "muted"))))
        for place, step in enumerate(steps):
            found += _step(step, f"step {place}", cells, glyphs)
    else:
        found += [PlanLine(((line, "muted"),)) for line in wrapped(NO_PLAN, cells)]
    if work:
        found += [PlanLine(()), PlanLine(((f"Detached work: {_going_on(work)}", "strong"),))]
        found.append(
            PlanLine(_work_line("  ID", "AGENT", ("STATUS", "muted"), "SINCE", "FOR", (("WHAT FOR, RUN", "muted"),), cells, "muted"))
        )
        found += [_work(piece, cells, glyphs, now=now, local=local) for piece in work]
    return found


def _step(step: Item, key: str, cells: int, glyphs: Glyphs) -> Iterator[PlanLine]:
    status, priority = text(step, "status"), step.get("priority")
    style = {"done": "muted", "dropped": "muted", "in_progress": "strong"}.get(status, "")
    state = cell(f"{glyphs.of(status)} {one_line(status)}", _STATUS, colour_of(status))
    head: Line = (
        state,
        ("  ", ""),
        to_right(str(number(step, "priority")) if priority is not None else "", _PRIORITY, "number"),
        ("  ", ""),
    )
    for line in wrapped(one_line(text(step, "item")), cells - _LEAD):
        yield PlanLine((*head, (line, style)), step, key)
        head = ((" " * _LEAD, ""),)
    if note := text(step, "note"):
        for line in wrapped(one_line(note), cells - _LEAD - 2):
            yield PlanLine(((" " * _LEAD, ""), (f"{glyphs.bar} ", "muted"), (line, "asleep")), step, key)


def _going_on(work: Sequence[Item]) -> str:
    out = sum(moment(piece, "finished_at") is None for piece in work)
    ended = len(work) - out
    return ", ".join(part for part in (f"{out} going on" if out else "", f"{ended} ended" if ended else "") if part) or count(0, "piece")


def _work(piece: Item, cells: int, glyphs: Glyphs, *, now: datetime, local: bool) -> PlanLine:
    status = text(piece, "status")
    since, ended = moment(piece, "since"), moment(piece, "finished_at")
    lasted = span((ended or now) - since) if since is not None else ""
    told = "" if ended is None else "told" if piece.get("told") is True else "not told yet"
    what: tuple[Span, ...] = (
        (one_line(text(piece, "detail") or told), "waiting" if ended is None else "muted"),
        (f"  {one_line(text(piece, 'run'))}", "key"),
    )
    state = (f"{glyphs.of(status)} {one_line(status)}", colour_of(status))
    name, agent = f"  {one_line(text(piece, 'name'))}", one_line(text(piece, "agent"))
    line = _work_line(name, agent, state, clock(since, local=local), lasted, what, cells)
    return PlanLine(line, piece, f"work {text(piece, 'name')}")


def _work_line(name: str, agent: str, state: Span, since: str, lasted: str, what: Sequence[Span], cells: int, style: str = "") -> Line:
    fixed: list[Span] = [cell(name, 14, style or "strong"), cell(agent, 16 if cells >= 90 else 10, style), cell(state[0], 14, state[1])]
    fixed += [cell(since, 8, "muted"), to_right(lasted, 6, "muted")]
    room = cells - sum(width(each) + 2 for each, _ in fixed)
    return (*columns(*fixed), ("  ", ""), *_fitting(what, room))


def _fitting(spans: Sequence[Span], room: int) -> Iterator[Span]:
    for words, style in spans:
        if room > 0:
            shown = one_line(words, cells=room) if width(words) > room else words
            room -= width(shown)
            yield shown, style
