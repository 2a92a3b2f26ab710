"""The last line: what the keys do here; or for a while what was just done, with the command that does the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from smallchain.protocol.text import cut, one_line, width

Hint = tuple[str, str]
"""A key as people write it, and a word for what it does."""


class StatusLine(Widget):
    """One line: hints, or a message. The last hint (the way out) is never left out for want of room."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "statusline--key",
        "statusline--word",
        "statusline--message",
        "statusline--error",
        "statusline--twin",
    }
    DEFAULT_CSS = "StatusLine { height: 1; dock: bottom; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.hints: Sequence[Hint] = ()
        self.message = ""
        self.severity = ""
        self.twin = ""

    def show_hints(self, hints: Sequence[Hint]) -> None:
        """What the keys do."""
        if hints != self.hints:
            self.hints = hints
            self.refresh()

    def tell(self, message: str, *, twin: str = "", severity: str = "") -> None:
        """Say something in the place of the hints; `severity`: empty or `error`; an empty message brings the hints back."""
        self.message, self.twin, self.severity = message, twin, severity
        self.refresh()

    def _style(self, name: str) -> Style:
        return self.rich_style + self.get_component_rich_style(f"statusline--{name}", partial=True)

    def render_line(self, y: int) -> Strip:
        """The line."""
        cells = self.size.width
        segments = [Segment(" ", self.rich_style)]
        if self.message or self.twin:
            segments.append(Segment(one_line(self.message), self._style("error" if self.severity == "error" else "message")))
            if self.twin:
                segments.append(Segment(("   " if self.message else "") + "same: ", self._style("word")))
                segments.append(Segment(one_line(self.twin), self._style("twin")))
            return Strip(segments).adjust_cell_length(cells, self.rich_style)
        *first, last = self.hints or [("", "")]
        left = cells - 2 - _size(last)
        shown = []
        for hint in first:
            if _size(hint) > left:
                break
            left -= _size(hint)
            shown.append(hint)
        for key, word in [*shown, last]:
            segments += [Segment(key, self._style("key")), Segment(f" {cut(word, cells)}  ", self._style("word"))]
        return Strip(segments).adjust_cell_length(cells, self.rich_style)


def _size(hint: Hint) -> int:
    return width(hint[0]) + width(hint[1]) + 3
