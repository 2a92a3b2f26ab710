"""A few lines that say what a screen is about; they take the room they need, and no focus."""

from __future__ import annotations

from collections.abc import Sequence

from smallchain_tui.viewmodel.line import Line
from smallchain_tui.widgets.lines import Lines


class Facts(Lines, can_focus=False):
    """Shows lines, each cut at the end of the screen."""

    has_cursor = False

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._lines: Sequence[Line] = ()

    def show(self, lines: Sequence[Line]) -> None:
        """These lines."""
        if lines != self._lines:
            self._lines = lines
            self.styles.height = max(len(lines), 1)
            self.changed()

    def count(self) -> int:
        return len(self._lines)

    def line(self, index: int) -> Line:
        return self._lines[index]
