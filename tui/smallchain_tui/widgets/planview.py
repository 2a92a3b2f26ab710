"""A run's plan and its detached work; the cursor stays on its step or its piece of work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, ClassVar

from smallchain_tui.viewmodel.line import Line
from smallchain_tui.viewmodel.plan import PlanLine, plan_lines
from smallchain_tui.viewmodel.rows import Item, text
from smallchain_tui.widgets.lines import Lines


class PlanView(Lines):
    """Shows both."""

    hints: ClassVar[tuple[str, ...]] = ("lines.open",)

    def __init__(self, *, now: Callable[[], datetime], id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._now = now
        self._steps: Sequence[Item] = ()
        self._work: Sequence[Item] = ()
        self._lines: list[PlanLine] = []

    def show(self, steps: Sequence[Item], work: Sequence[Item]) -> None:
        """As they stand now."""
        was = self._lines[self.cursor].key if self.cursor < len(self._lines) else ""
        self._steps, self._work = steps, work
        self.changed()
        if was:
            self.move_to(next((at for at, line in enumerate(self._lines) if line.key == was), 0))

    def tick(self) -> None:
        """How long work goes on goes on."""
        if self._work:
            self.changed()

    def changed(self) -> None:
        self._lines = plan_lines(self._steps, self._work, self.cells, self.glyphs, now=self._now(), local=self.local_time)
        super().changed()

    @property
    def current(self) -> Item | None:
        """The step or the piece of work the cursor is on."""
        return self._lines[self.cursor].about if self.cursor < len(self._lines) else None

    def count(self) -> int:
        return len(self._lines)

    def line(self, index: int) -> Line:
        return self._lines[index].line

    def value_here(self) -> str:
        current = self.current
        return (text(current, "item") or text(current, "run")) if current is not None else ""

    def item_here(self) -> Any:
        return dict(current) if (current := self.current) is not None else None

    def everything(self) -> Any:
        return {"plan": [dict(step) for step in self._steps], "work": [dict(piece) for piece in self._work]}
