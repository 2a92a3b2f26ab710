"""A list of one kind: tools, MCP servers, artifacts, ...; one line each, in as many columns as its facts fill."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from smallchain_tui.viewmodel.glyphs import Glyphs, colour_of
from smallchain_tui.viewmodel.rows import text
from smallchain_tui.viewmodel.things import Kind, fields_of, widths
from smallchain_tui.widgets.listing import Listing, Piece, fitted


class ThingsList(Listing[dict[str, Any]]):
    """The items as the daemon gave them."""

    has_header = True
    hints: ClassVar[tuple[str, ...]] = ("lists.open", "lists.sort", "things.filter", "things.copy_value")

    def __init__(self, kind: Kind, *, now: datetime) -> None:
        super().__init__(id=f"list-{kind.name}")
        self.kind = kind
        self.now = now
        self.empty = "reading ..."
        self._widths: list[int] = []
        self._for = (0, 0)

    def key_of(self, row: dict[str, Any]) -> str:
        """Written things are known by their names, artifacts by their ids; both have an id."""
        return text(row, "id") or text(row, "name")

    def fields_of(self, row: dict[str, Any]) -> Mapping[str, str]:
        """What a filter can name."""
        return fields_of(self.kind, row, self.now)

    def show_items(self, items: list[dict[str, Any]], now: datetime) -> None:
        """These, as they were read."""
        self.now, self.empty, self._for = now, self.kind.empty, (0, 0)
        self.show(items)

    def show_fault(self, why: str) -> None:
        """They cannot be read."""
        self.empty = why
        self.refresh()

    def header_of(self, cells: int) -> list[Piece]:
        """The names of the columns."""
        titles = [(fitted(column.heading, size, right=column.right) + "  ", "muted") for column, size in self._columns(cells - 2) if size]
        return [("    ", "muted"), *titles]

    def pieces_of(self, row: dict[str, Any], line: int, cells: int) -> list[Piece]:
        """The cells of an item."""
        status = text(row, "status")
        pieces: list[Piece] = [(f"{Glyphs(self.ascii).of(status)} " if status else "  ", f"{colour_of(status)} bold")]
        for place, (column, size) in enumerate(self._columns(cells)):
            if size:
                colour = "ink bold" if place == 0 else colour_of(status) if column.heading == "STATUS" else ""
                pieces.append((fitted(column.text(row, self.now), size, right=column.right) + "  ", colour))
        return pieces

    def _columns(self, cells: int) -> list[tuple[Any, int]]:
        if self._for != (cells, len(self.shown)):
            self._widths, self._for = widths(self.kind, list(self.rows), self.now, cells - 2), (cells, len(self.shown))
        return list(zip(self.kind.columns, self._widths, strict=True))
