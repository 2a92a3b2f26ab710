"""Caps as bars: what is spent, what is held for calls that are out, what is left; or what is missing to know it."""

from __future__ import annotations

from collections.abc import Sequence

from smallchain_tui.viewmodel.line import Line
from smallchain_tui.viewmodel.spend import Budget, budget_lines
from smallchain_tui.widgets.lines import Lines


class BudgetBars(Lines):
    """Shows budgets."""

    has_cursor = False

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._budgets: Sequence[Budget] = ()
        self._lines: list[Line] = []

    def show(self, budgets: Sequence[Budget]) -> None:
        """The budgets as they stand now."""
        self._budgets = budgets
        self.changed()

    def changed(self) -> None:
        self._lines = budget_lines(self._budgets, self.cells, self.glyphs)
        super().changed()

    def count(self) -> int:
        return len(self._lines)

    def line(self, index: int) -> Line:
        return self._lines[index]
