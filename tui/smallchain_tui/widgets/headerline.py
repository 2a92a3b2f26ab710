"""The first line: where one is, how the daemon stands, how many runs and requests there are, what may be done, and the time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from smallchain.protocol.text import cut, one_line, width
from smallchain_tui.viewmodel import glyphs
from smallchain_tui.widgets.listing import Piece

_NAMES = ("ink", "muted", "accent", "brand", *glyphs.colours())


@dataclass(frozen=True, slots=True)
class Header:
    """What the line shows. Parts are left out from the right end of `middle` where there is no room."""

    crumbs: tuple[str, ...]
    connection: Piece
    middle: tuple[Piece, ...] = ()
    right: tuple[Piece, ...] = ()


class HeaderLine(Widget):
    """One line, drawn when its content differs."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"headerline--{name}" for name in _NAMES}
    DEFAULT_CSS = "HeaderLine { height: 1; dock: top; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.header = Header((), ("", ""))

    def show(self, header: Header) -> None:
        """Draw this, if it is not what is drawn."""
        if header != self.header:
            self.header = header
            self.refresh()

    def style(self, colour: str) -> Style:
        """The style of a colour's name."""
        name, _, more = colour.partition(" ")
        found = self.rich_style + self.get_component_rich_style(f"headerline--{name or 'ink'}", partial=True)
        return found + Style(bold=True) if "bold" in more else found

    def render_line(self, y: int) -> Strip:
        """The line."""
        cells, header = self.size.width, self.header
        signs = glyphs.Glyphs(bool(getattr(getattr(self.app, "glyphs", None), "ascii", False)))
        left: list[Piece] = [(" ", "")]
        for index, crumb in enumerate(header.crumbs):
            if index:
                left.append((f" {signs.crumb} ", "muted"))
            last = index == len(header.crumbs) - 1
            left.append((crumb, "brand bold" if not index else "ink bold" if last else "muted"))
        left.append(("  ", ""))
        left.append(header.connection)
        right = [*header.right, (" ", "")]
        room = cells - _cells(left) - _cells(right)
        middle: list[Piece] = []
        for piece in header.middle:
            if _cells([*middle, piece]) + 3 > room:
                break
            middle.append(piece)
        gap = max(1, room - _cells(middle) - 3) if middle else max(1, room)
        line = [*left, *([("   ", ""), *middle] if middle else []), (" " * gap, ""), *right]
        segments = [Segment(cut(one_line(text), cells), self.style(colour)) for text, colour in line]
        return Strip(segments).adjust_cell_length(cells, self.rich_style)


def _cells(pieces: list[Piece]) -> int:
    return sum(width(one_line(text)) for text, _ in pieces)
