"""What was spent: the last day by hours, the last two weeks by days, by model, agent and run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from smallchain_tui.viewmodel.line import Line
from smallchain_tui.viewmodel.spend import Spend, spend_lines
from smallchain_tui.widgets.lines import Lines


class SpendChart(Lines):
    """Shows sums of settled model calls; says so while they are not known."""

    has_cursor = False

    def __init__(self, *, now: Callable[[], datetime], id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._now = now
        self._spends: Sequence[Spend] | None = None
        self._why_unknown = "reading what was spent"
        self._lines: list[Line] = []

    def show(self, spends: Sequence[Spend]) -> None:
        """What was spent, as it stands now."""
        self._spends = spends
        self.changed()

    def show_unknown(self, why: str) -> None:
        """It is not known, and why."""
        self._spends, self._why_unknown = None, why
        self.changed()

    def changed(self) -> None:
        if self._spends is None:
            self._lines = [((self._why_unknown, "waiting"),)]
        else:
            self._lines = spend_lines(self._spends, self.cells, self.glyphs, now=self._now())
        super().changed()

    def count(self) -> int:
        return len(self._lines)

    def line(self, index: int) -> Line:
        return self._lines[index]
