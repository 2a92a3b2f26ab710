"""The runs: what needs a person first, with state, cost, age and what happened last, in as many columns as there is room."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from textual.binding import BindingType

from smallchain_tui.keymap import bindings
from smallchain_tui.viewmodel.glyphs import Glyphs, colour_of
from smallchain_tui.viewmodel.rows import EventRow, RequestRow, RunRow
from smallchain_tui.viewmodel.words import age, dollars
from smallchain_tui.widgets.listing import Listing, Piece, fitted, fitted_name


@dataclass(frozen=True, slots=True)
class RunLine:
    """A run, and what stands beside it: its oldest open request and its newest event."""

    run: RunRow
    request: RequestRow | None = None
    event: EventRow | None = None

    @property
    def last(self) -> tuple[str, str]:
        """What there is to say of it now, and its colour: what it asks, why it failed, what it waits for, what it said."""
        run = self.run
        if self.request is not None:
            asks = self.request.tool if self.request.kind == "approval" else self.request.question or self.request.tool
            return f"{self.request.kind}: {asks}", "waiting"
        if run.status == "Failed":
            return run.error, "failed"
        if run.status == "Succeeded":
            return run.output.strip(), "muted"
        return run.detail or (self.event.message if self.event else ""), "muted" if run.is_over else ""


_STATUS, _COST, _AGE = 10, 7, 5
_RIGHT = frozenset(("COST", "AGE", "DEPTH", "TURNS", "PRIO"))
_WIDE = (("DEPTH", 5), ("TURNS", 5), ("PRIO", 4), ("LLM", 12), ("ID", 8))


class RunsTable(Listing[RunLine]):
    """One line a run."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("runs")
    has_header = True
    hints = ("lists.open", "overview.filter", "lists.sort", "lists.mark", "lists.wide", "runs.pause", "runs.cancel")
    empty = "no runs yet: `smallchain run TASK` starts one"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.wide = False
        self.now: datetime | None = None
        self._ages: tuple[str, ...] = ()

    def key_of(self, row: RunLine) -> str:
        """Runs are known by their ids: a name may come again in another database."""
        return row.run.id

    def fields_of(self, row: RunLine) -> Mapping[str, str]:
        """What a filter can name."""
        run = row.run
        return {
            "name": run.name,
            "status": run.status,
            "agent": run.agent,
            "task": run.task,
            "llm": run.llm,
            "last": row.last[0],
            "cost": f"{run.cost_nanousd / 1e9:.9f}",
            "depth": str(run.depth),
            "turns": str(run.turns),
            "phase": run.phase,
            "id": run.id,
            "root": run.root,
            "parent": run.parent,
        }

    def tick(self, now: datetime) -> None:
        """Let the ages go on; draws only when one that is seen has changed."""
        self.now = now
        first = self.scroll_offset.y
        ages = tuple(age(row.run.created_at, now) for row in self.shown[first : first + max(1, self.size.height)])
        if ages != self._ages:
            self._ages = ages
            self.refresh()

    def header_of(self, cells: int) -> list[Piece]:
        """The names of the columns."""
        pieces: list[Piece] = [("    ", "muted")]
        for title, size in self._columns(cells):
            pieces.append((fitted(title, size, right=title in _RIGHT) + "  ", "muted"))
        return pieces

    def pieces_of(self, row: RunLine, line: int, cells: int) -> list[Piece]:
        """The cells of a run."""
        run, colour = row.run, colour_of(row.run.status)
        last, last_colour = row.last
        over = "muted" if run.is_over and run.status != "Failed" else ""
        values = {
            "RUN": (run.name, over or "ink bold"),
            "TASK": (run.task, "muted"),
            "AGENT": (run.agent, "muted" if over else ""),
            "STATUS": (run.status, colour),
            "COST": (dollars(run.tree_cost_nanousd) if run.tree_cost_nanousd else "-", over),
            "AGE": (age(run.created_at, self.now) if self.now else "-", over),
            "LAST": (last, last_colour),
            "DEPTH": (str(run.depth), "muted"),
            "TURNS": (str(run.turns), "muted"),
            "PRIO": (str(run.priority), "muted"),
            "LLM": (run.llm, "muted"),
            "ID": (run.id[-8:], "muted"),
        }
        pieces: list[Piece] = [(Glyphs(self.ascii).of(run.status) + " ", f"{colour} bold")]
        for title, size in self._columns(cells):
            text, style = values[title]
            shown = fitted_name(text, size) if title == "RUN" else fitted(text, size, right=title in _RIGHT)
            pieces.append((shown + "  ", style))
        return pieces

    def _columns(self, cells: int) -> list[tuple[str, int]]:
        """Titles and widths that fill the line: the name and what happened last share what is left."""
        left = cells - 2
        fixed = [("STATUS", _STATUS), ("COST", _COST), ("AGE", _AGE)]
        if self.wide:
            fixed += list(_WIDE)
        if left >= 120 or self.wide:
            fixed = [("TASK", 12), ("AGENT", 12), *fixed]
        elif left >= 84:
            fixed = [("AGENT", 12), *fixed]
        rest = left - sum(size + 2 for _, size in fixed) - 4
        longest = max((len(row.run.name) for row in self.shown[self.scroll_offset.y : self.scroll_offset.y + 60]), default=12)
        name = max(10, min(longest, max(16, rest * 2 // 5), 40))
        return [("RUN", name), *fixed, ("LAST", max(0, rest - name))]
