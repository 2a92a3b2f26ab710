"""The tool calls of a run, oldest first. The first line names the columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, ClassVar

from smallchain_tui.viewmodel.calls import call_line, heading
from smallchain_tui.viewmodel.line import Line
from smallchain_tui.viewmodel.rows import Item
from smallchain_tui.widgets.lines import Lines


class CallsView(Lines):
    """Shows tool calls; the cursor stays on its call."""

    hints: ClassVar[tuple[str, ...]] = ("lines.open",)

    def __init__(self, *, now: Callable[[], datetime], id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._now = now
        self._calls: Sequence[Item] = ()

    def show(self, calls: Sequence[Item]) -> None:
        """The calls as they stand now."""
        current = self.current
        self._calls = calls
        self.changed()
        self.move_to(next((at for at, call in enumerate(calls, 1) if current is not None and call.get("id") == current.get("id")), 1))

    @property
    def current(self) -> Item | None:
        """The call the cursor is on."""
        return self._calls[self.cursor - 1] if 0 < self.cursor <= len(self._calls) else None

    def count(self) -> int:
        return len(self._calls) + 1

    def line(self, index: int) -> Line:
        return call_line(self._calls[index - 1], self.cells, self.glyphs, now=self._now()) if index else heading(self.cells)

    def move_to(self, index: int) -> None:
        super().move_to(max(index, 1))

    def value_here(self) -> str:
        return str(call.get("result") or "") if (call := self.current) is not None else ""

    def item_here(self) -> Any:
        return self.current

    def everything(self) -> Any:
        return {"items": [dict(call) for call in self._calls]}
