"""Caps as bars: what is spent, what is held for calls that are out, what is left, when there is more room; the cursor stands on a cap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, ClassVar

from textual.binding import BindingType

from smallchain_tui.keymap import bindings
from smallchain_tui.viewmodel.budgets import Budget, budget_lines, in_order
from smallchain_tui.viewmodel.line import Line
from smallchain_tui.widgets.lines import Lines


class BudgetBars(Lines):
    """Shows budgets, those at which runs stand still first."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("bars")]
    hints: ClassVar[tuple[str, ...]] = ("lines.open", "bars.budget")

    def __init__(self, *, now: Callable[[], datetime], id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._now = now
        self._budgets: Sequence[Budget] = ()
        self._lines: list[tuple[Line, int]] = []

    def show(self, budgets: Sequence[Budget]) -> None:
        """The budgets as they stand now; the cursor stays on its cap."""
        was = self.current
        self._budgets = in_order(budgets)
        self.changed()
        if was is not None:
            self.move_to(next((at for at, (_, place) in enumerate(self._lines) if self._budgets[place].name == was.name), 0))

    def tick(self) -> None:
        """Times go on."""
        self.changed()

    def changed(self) -> None:
        bar = 0 if self.show_vertical_scrollbar else self.styles.scrollbar_size_vertical  # its room is kept: it comes with these lines
        self._lines = budget_lines(self._budgets, self.cells - bar, self.glyphs, now=self._now(), local=self.local_time)
        super().changed()

    @property
    def current(self) -> Budget | None:
        """The cap the cursor is on."""
        place = self._lines[self.cursor][1] if self.cursor < len(self._lines) else -1
        return self._budgets[place] if place >= 0 else None

    def count(self) -> int:
        return len(self._lines)

    def line(self, index: int) -> Line:
        return self._lines[index][0]

    def value_here(self) -> str:
        return budget.name if (budget := self.current) is not None else ""

    def item_here(self) -> Any:
        return dict(budget.item) if (budget := self.current) is not None else None

    def everything(self) -> Any:
        return {"items": [dict(budget.item) for budget in self._budgets]}
