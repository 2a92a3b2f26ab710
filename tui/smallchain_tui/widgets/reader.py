"""Lines to read before deciding: wrapped, never clipped, each with a gutter of its own; it says how much of it is out of sight.

The one rule: nothing of a text is left out of reach: what is longer than a line goes on in the next, what is below is counted in the foot.
It takes no focus and no key: the keys of a decision belong to its screen.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, repeat
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from smallchain.protocol.text import width
from smallchain_tui.viewmodel.asking import Row
from smallchain_tui.viewmodel.line import wrapped

_COLOURS = ("ink", "muted", "accent", "waiting", "failed", "added", "removed", "strong")


class Reader(ScrollView, can_focus=False):
    """Rows to read."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"reader--{name}" for name in _COLOURS}
    DEFAULT_CSS = """
    Reader { background: $ground; color: $ink; overflow-x: hidden; scrollbar-size-vertical: 1; height: 1fr; }
    Reader > .reader--ink { color: $ink; }
    Reader > .reader--muted { color: $muted; }
    Reader > .reader--accent { color: $accent-text; }
    Reader > .reader--waiting { color: $waiting; }
    Reader > .reader--failed { color: $failed; }
    Reader > .reader--added { color: $added; }
    Reader > .reader--removed { color: $removed; }
    Reader > .reader--strong { text-style: bold; }
    """

    class Moved(Message):
        """Other lines are in sight."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.rows: Sequence[Row] = ()
        self._lines: list[Row] = []
        self._laid_out_for = -1
        self._styles_of: dict[str, Style] = {}

    def show(self, rows: Sequence[Row]) -> None:
        """Have these rows; the place is kept where they are the same."""
        if list(rows) == list(self.rows):
            return
        self.rows = rows
        self._laid_out_for = -1
        self._lay_out()
        self.scroll_to(y=0, animate=False, force=True)

    def page(self, pages: float) -> None:
        """Go on, or back, by so many pages; at the end, it stays there."""
        self.scroll_to(y=self.scroll_offset.y + int(pages * max(1, self.size.height - 1)), animate=False, force=True)

    @property
    def below(self) -> int:
        """How many lines are out of sight below."""
        return max(0, len(self._lines) - self.scroll_offset.y - self.size.height)

    def foot(self) -> str:
        """Which lines are in sight, where not all are: `1-20 of 44, 24 below`."""
        count, top = len(self._lines), self.scroll_offset.y
        if count <= self.size.height:
            return ""
        return f"{top + 1}-{min(count, top + self.size.height)} of {count}" + (f", {self.below} below" if self.below else "")

    # ---- drawing

    def on_resize(self) -> None:
        """Lines break where the width says."""
        self._lay_out()
        self.post_message(self.Moved())

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Say it."""
        super().watch_scroll_y(old_value, new_value)
        self.post_message(self.Moved())

    def notify_style_update(self) -> None:
        """Colours changed."""
        super().notify_style_update()
        self._styles_of.clear()

    def _lay_out(self) -> None:
        cells = self.scrollable_content_region.width or self.size.width
        if cells == self._laid_out_for or cells <= 0:
            return
        self._laid_out_for = cells
        self._lines = [
            Row(row.gutter if first else " " * width(row.gutter), part, row.colour)
            for row in self.rows
            for first, part in zip(chain([True], repeat(False)), wrapped(row.text, max(8, cells - width(row.gutter))), strict=False)
        ]
        self.virtual_size = Size(0, len(self._lines))
        self.refresh()
        self.post_message(self.Moved())

    def _style(self, colour: str) -> Style:
        found = self._styles_of.get(colour)
        if found is None:
            name, _, more = colour.partition(" ")
            found = self.rich_style + self.get_component_rich_style(f"reader--{name or 'ink'}", partial=True)
            found += Style(bold=True) if "bold" in more else Style()
            self._styles_of[colour] = found
        return found

    def render_line(self, y: int) -> Strip:
        """One line of the terminal."""
        index, cells = self.scroll_offset.y + y, self.size.width
        if index >= len(self._lines):
            return Strip.blank(cells, self.rich_style)
        row = self._lines[index]
        return Strip([Segment(row.gutter, self._style("muted")), Segment(row.text, self._style(row.colour))]).adjust_cell_length(
            cells, self.rich_style
        )
