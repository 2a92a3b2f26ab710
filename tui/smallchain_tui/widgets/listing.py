"""A list with a cursor, marks and a filter, drawn line by line: only what is seen is rendered, so a hundred thousand rows cost as ten.

The one rule: the cursor stays with its row, by key, however the list is sorted, filtered or filled; only a person moves it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from smallchain.protocol.text import cut, one_line, pad, width
from smallchain_tui.keymap import bindings
from smallchain_tui.viewmodel import filters, glyphs
from smallchain_tui.viewmodel.filters import Filter

Row = TypeVar("Row")

Piece = tuple[str, str]
"""A text, raw, and the name of its colour (`""`: plain, `muted`, `waiting`, ...); `bold` may follow after a space."""

_NAMES = ("ink", "muted", "accent", *glyphs.colours(), "cursor", "cursor-blurred", "marked", "hit", "header")


class Listing(ScrollView, Generic[Row], can_focus=True):
    """Rows of one kind. A subclass says what a row's key and fields are, and draws it.

    `rows` are all, in their order; `shown` those that pass the filter. A row takes `row_height` lines.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("lists")
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"listing--{name}" for name in _NAMES}
    row_height: ClassVar[int] = 1
    has_header: ClassVar[bool] = False
    hints: ClassVar[tuple[str, ...]] = ("lists.open", "lists.mark")
    """Ids of actions that the status line names while this has the focus."""
    empty: str = "nothing here"
    """What stands there while there is no row at all."""

    class Opened(Message):
        """Somebody wants to go into a row."""

        def __init__(self, listing: Listing[Any], key: str) -> None:
            self.listing, self.key = listing, key
            super().__init__()

        @property
        def control(self) -> Listing[Any]:
            """The list."""
            return self.listing

    class Moved(Opened):
        """The cursor stands on another row."""

    class Counted(Message):
        """Rows, filter, marks or order changed: titles that count may be drawn again."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.rows: Sequence[Row] = ()
        self.shown: Sequence[Row] = ()
        self.filter = Filter()
        self.marks: set[str] = set()
        self.cursor = 0
        self._key = ""
        self._anchor = 0
        self._styles_of: dict[tuple[str, str], Style] = {}

    # ---- what a subclass says

    def key_of(self, row: Row) -> str:
        """What a row is known by."""
        raise NotImplementedError

    def fields_of(self, row: Row) -> Mapping[str, str]:
        """What a row is searched by."""
        raise NotImplementedError

    def pieces_of(self, row: Row, line: int, cells: int) -> list[Piece]:
        """A line of a row, to stand in so many cells."""
        raise NotImplementedError

    def header_of(self, cells: int) -> list[Piece]:
        """The line above the rows, where `has_header`."""
        return []

    # ---- filling

    def show(self, rows: Sequence[Row]) -> None:
        """Have these rows, in this order."""
        self.rows = rows
        self._arrange()

    def apply_filter(self, text: str) -> None:
        """Show what passes; an empty text shows all."""
        self.filter = filters.parse(text)
        self._arrange()

    @property
    def current(self) -> Row | None:
        """The row under the cursor."""
        return self.shown[self.cursor] if 0 <= self.cursor < len(self.shown) else None

    @property
    def current_key(self) -> str:
        """The key of the row under the cursor, empty where there is none."""
        row = self.current
        return self.key_of(row) if row is not None else ""

    def chosen(self) -> list[Row]:
        """What is marked, in order; else the row under the cursor."""
        marked = [row for row in self.shown if self.key_of(row) in self.marks]
        return marked or ([self.current] if self.current is not None else [])

    def go_to(self, key: str) -> bool:
        """Put the cursor on a row; False where it is not shown."""
        for index, row in enumerate(self.shown):
            if self.key_of(row) == key:
                self._move(index)
                return True
        return False

    def _arrange(self) -> None:
        self.shown = [row for row in self.rows if self.filter.passes(self.fields_of(row))] if self.filter else self.rows
        keys = {self.key_of(row) for row in self.rows}
        self.marks &= keys
        at = next((index for index, row in enumerate(self.shown) if self.key_of(row) == self._key), None)
        before = self.cursor
        self.cursor = at if at is not None else max(0, min(self.cursor, len(self.shown) - 1))
        if at is None or not self._key:
            self._key = self.current_key
            self.post_message(self.Moved(self, self._key))
        elif at != before and self.size.height and not self._shows_from_top(at):
            # The list moved under the reader: the row stays where it was on the screen.
            self.scroll_to(y=self.scroll_offset.y + (at - before) * self.row_height, animate=False, force=True, immediate=True)
        self._measure()
        self.post_message(self.Counted())
        self.refresh()

    def _shows_from_top(self, index: int) -> bool:
        """Whether the list stands at its top, and would show a row from there: then what comes above it is to be seen too."""
        return self.scroll_offset.y == 0 and (index + 1) * self.row_height + self.has_header <= self.size.height

    def _measure(self) -> None:
        self.virtual_size = Size(self.size.width, len(self.shown) * self.row_height + self.has_header)

    # ---- moving

    def _move(self, index: int) -> None:
        index = max(0, min(index, len(self.shown) - 1))
        self.cursor, self._key = index, self.key_of(self.shown[index]) if self.shown else ""
        top = index * self.row_height
        window = Region(0, top, self.size.width, self.row_height + self.has_header)
        self.scroll_to_region(window, animate=False, force=True, immediate=True)
        self.refresh()
        self.post_message(self.Moved(self, self._key))

    def _page(self) -> int:
        return max(1, (self.size.height - self.has_header) // self.row_height)

    def action_cursor_down(self) -> None:
        """One row down."""
        self._move(self.cursor + 1)

    def action_cursor_up(self) -> None:
        """One row up."""
        self._move(self.cursor - 1)

    def action_cursor_first(self) -> None:
        """To the first row."""
        self._move(0)

    def action_cursor_last(self) -> None:
        """To the last row."""
        self._move(len(self.shown) - 1)

    def action_half_page_down(self) -> None:
        """Half a page down."""
        self._move(self.cursor + max(1, self._page() // 2))

    def action_half_page_up(self) -> None:
        """Half a page up."""
        self._move(self.cursor - max(1, self._page() // 2))

    def action_cursor_page_down(self) -> None:
        """A page down."""
        self._move(self.cursor + self._page())

    def action_cursor_page_up(self) -> None:
        """A page up."""
        self._move(self.cursor - self._page())

    def action_open(self) -> None:
        """Go into the row."""
        if self.current is not None:
            self.post_message(self.Opened(self, self.current_key))

    def action_mark(self) -> None:
        """Mark the row, or take the mark away; the cursor goes on."""
        if self.current is None:
            return
        self.marks ^= {self.current_key}
        self._anchor = self.cursor
        self.post_message(self.Counted())
        self._move(self.cursor + 1)

    def action_mark_range(self) -> None:
        """Mark all rows from the last mark to here."""
        first, last = sorted((min(self._anchor, len(self.shown) - 1), self.cursor))
        self.marks |= {self.key_of(row) for row in self.shown[first : last + 1]}
        self.post_message(self.Counted())
        self.refresh()

    def clear_marks(self) -> bool:
        """Take all marks away; False where there were none."""
        had = bool(self.marks)
        self.marks.clear()
        self.post_message(self.Counted())
        self.refresh()
        return had

    def on_click(self, event: events.Click) -> None:
        """A click moves the cursor; a second one on the same row goes in."""
        line = event.y - self.has_header + self.scroll_offset.y
        index = line // self.row_height
        if not (line >= 0 and 0 <= index < len(self.shown)):
            return
        if event.chain >= 2 and index == self.cursor:
            self.action_open()
        else:
            self._move(index)

    # ---- drawing

    def on_resize(self) -> None:
        """The width of what is drawn follows."""
        self._measure()

    def notify_style_update(self) -> None:
        """Colours changed: with the theme, or a class."""
        super().notify_style_update()
        self._styles_of.clear()

    def style(self, colour: str, *, under: str = "") -> Style:
        """The style of a colour's name, on the ground of another."""
        found = self._styles_of.get((colour, under))
        if found is None:
            name, _, more = colour.partition(" ")
            found = self.rich_style + self.get_component_rich_style(f"listing--{name or 'ink'}", partial=True)
            if under:
                ground = self.get_component_rich_style(f"listing--{under}", partial=True)
                found = self.rich_style if ground.reverse else found  # reversed colours would make a chequered line
                found += ground.background_style + Style(reverse=ground.reverse, bold=ground.bold)
            found += Style(bold=True) if "bold" in more else Style()
            self._styles_of[colour, under] = found
        return found

    def render_line(self, y: int) -> Strip:
        """A line of what is seen."""
        cells = self.size.width
        if self.has_header and y == 0:
            return self._strip(self.header_of(cells), cells, under="header")
        if not self.rows and y == self.has_header + 1:
            return self._strip([("  " + self.empty, "muted")], cells)
        if self.rows and not self.shown and y == self.has_header + 1:
            return self._strip([(f"  nothing of {len(self.rows)} passes the filter; esc clears it", "muted")], cells)
        index, line = divmod(y - self.has_header + self.scroll_offset.y, self.row_height)
        if not 0 <= index < len(self.shown):
            return Strip.blank(cells, self.rich_style)
        row = self.shown[index]
        at, marked = index == self.cursor, self.key_of(row) in self.marks
        under = ("cursor" if self.has_focus else "cursor-blurred") if at else "marked" if marked else ""
        pieces = self.pieces_of(row, line, cells - 2)
        signs = glyphs.Glyphs(self.ascii)
        lead = signs.pointer if at and self.has_focus and line == 0 else " "
        lead += signs.mark if marked and line == 0 else " "
        if self.is_stale:
            pieces = [(text, "muted") for text, _ in pieces]
        return self._strip([(lead, "accent bold"), *pieces], cells, under=under)

    @property
    def ascii(self) -> bool:
        """Whether only ASCII is drawn."""
        return bool(getattr(getattr(self.app, "glyphs", None), "ascii", False))

    @property
    def is_stale(self) -> bool:
        """Whether what is shown is what was, not what is."""
        return self.screen.has_class("-stale")

    def _strip(self, pieces: Sequence[Piece], cells: int, *, under: str = "") -> Strip:
        segments: list[Segment] = []
        hits = self.filter.highlights()
        for text, colour in pieces:
            shown, style = one_line(text), self.style(colour, under=under)
            shown = shown.replace("…", "~") if self.ascii else shown
            segments += _marked(shown, hits, style, self.style("hit")) if hits else [Segment(shown, style)]
        return Strip(segments).adjust_cell_length(cells, self.style("", under=under))


def fitted(text: str, cells: int, *, right: bool = False) -> str:
    """A raw text made visible, cut and padded to a width."""
    shown = cut(one_line(text), cells) if cells > 0 else ""
    return " " * (cells - width(shown)) + shown if right else pad(shown, cells)


def fitted_name(name: str, cells: int) -> str:
    """A run's name in a width: of one that is too long its end is kept, since children begin alike."""
    shown = one_line(name)
    if width(shown) <= cells or "/" not in shown or not shown.isascii():
        return fitted(name, cells)
    return pad("…" + shown[len(shown) - cells + 1 :], cells) if cells > 1 else shown[:cells]


def _marked(text: str, hits: Sequence[str], style: Style, hit: Style) -> list[Segment]:
    folded = text.casefold()
    if len(folded) != len(text):  # a letter that folds to two: places would not agree
        return [Segment(text, style)]
    segments: list[Segment] = []
    at = 0
    while True:
        found = min(((place, len(word)) for word in hits if (place := folded.find(word, at)) >= 0), default=None)
        if found is None:
            return [*segments, Segment(text[at:], style)]
        place, length = found
        segments += [Segment(text[at:place], style), Segment(text[place : place + length], style + hit)]
        at = place + length
