"""Lines of text with a cursor, drawn one by one as they come into sight: what feeds, trees, documents and conversations stand on.

The one rule: only what is in sight is ever made, so a pane of 50,000 lines costs what a pane of 50 does. Lines are spans of
visible text, never markup.
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip

from smallchain.protocol.text import visible
from smallchain_tui.keymap import bindings
from smallchain_tui.viewmodel.glyphs import Glyphs
from smallchain_tui.viewmodel.line import STYLES, Line, marked, text_of

_GUTTER = 2
"""Cells before each line: the cursor stands there, so that it is seen without colour."""


class Lines(ScrollView, can_focus=True):
    """The base: who derives says how many lines there are and what each of them is."""

    DEFAULT_CSS = "Lines { height: 1fr; overflow-x: hidden; scrollbar-size-horizontal: 0; }"
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"lines--{name}" for name in (*STYLES, "cursor", "cursor-blurred")}
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("lines")]

    has_cursor: ClassVar[bool] = True
    hints: ClassVar[tuple[str, ...]] = ("lines.open",)
    """Ids of actions that the status line names while this has the focus."""

    cursor: reactive[int] = reactive(0, repaint=False)
    """The line the cursor is on."""

    class Opened(Message):
        """Enter, or a second click, on a line."""

        def __init__(self, lines: Lines, index: int) -> None:
            super().__init__()
            self.lines = lines
            self.index = index

        @property
        def control(self) -> Lines:
            """Where."""
            return self.lines

    class Moved(Message):
        """The cursor stands on another line."""

        def __init__(self, lines: Lines, index: int) -> None:
            super().__init__()
            self.lines = lines
            self.index = index

        @property
        def control(self) -> Lines:
            """Where."""
            return self.lines

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.searched = ""
        self._known_styles: dict[tuple[str, bool], Style] = {}

    # ---- for who derives

    def count(self) -> int:
        """How many lines there are."""
        raise NotImplementedError

    def line(self, index: int) -> Line:
        """One of them."""
        raise NotImplementedError

    def find(self, words: str, start: int, step: int) -> int | None:
        """The next line with these words, around the end."""
        words, count = words.casefold(), self.count()
        places = ((start + step * distance) % count for distance in range(1, count + 1))
        return next((at for at in places if words in text_of(self.line(at)).casefold()), None)

    def value_here(self) -> str:
        """What the cursor is on as it is copied: raw."""
        return text_of(self.line(self.cursor)).strip() if self.cursor < self.count() else ""

    def item_here(self) -> Any:
        """The same as a JSON value; None where there is none."""
        return None

    def everything(self) -> Any:
        """All that is shown as a JSON value, to be written to a file."""
        return [text_of(self.line(index)) for index in range(self.count())]

    def changed(self) -> None:
        """Lines came, went or look different: measure and paint again."""
        count = self.count()
        self.virtual_size = Size(0, count)
        self.cursor = min(max(self.cursor, 0), max(count - 1, 0))
        self.refresh()

    @property
    def cells(self) -> int:
        """How wide a line may be."""
        return max(self.scrollable_content_region.width - _GUTTER, 20)

    @property
    def glyphs(self) -> Glyphs:
        """The signs of the dashboard, those of any font where there is none."""
        found = getattr(self.app, "glyphs", None)
        return found if isinstance(found, Glyphs) else Glyphs()

    @property
    def local_time(self) -> bool:
        """Whether times are told in the zone of the person."""
        return getattr(getattr(self.app, "options", None), "local_time", False) is True

    # ---- moving

    def move_to(self, index: int) -> None:
        """Put the cursor on a line and show it."""
        self.cursor = min(max(index, 0), max(self.count() - 1, 0))
        self.show_cursor()

    def show_cursor(self) -> None:
        """Scroll as little as it takes."""
        top, height = self.scroll_offset.y, max(self.scrollable_content_region.height, 1)
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, force=True)
        elif self.cursor >= top + height:
            self.scroll_to(y=self.cursor - height + 1, animate=False, force=True)

    def search(self, words: str) -> bool:
        """Mark these words and go to the next line that has them; whether there is one."""
        self.searched = words
        self.refresh()
        return bool(words) and self.to_hit(1, start=self.cursor - 1)

    def to_hit(self, step: int, *, start: int | None = None) -> bool:
        """Go to the next hit, or the previous one; whether there is one."""
        if not self.searched or not self.count():
            return False
        found = self.find(self.searched, self.cursor if start is None else start, step)
        if found is not None:
            self.move_to(found)
        return found is not None

    def watch_cursor(self, old: int, new: int) -> None:
        self.refresh_line(old)
        self.refresh_line(new)
        self.post_message(self.Moved(self, new))

    def action_cursor_down(self) -> None:
        """One line down."""
        self.move_to(self.cursor + 1)

    def action_cursor_up(self) -> None:
        """One line up."""
        self.move_to(self.cursor - 1)

    def action_cursor_first(self) -> None:
        """To the first line."""
        self.move_to(0)

    def action_cursor_last(self) -> None:
        """To the last line."""
        self.move_to(self.count() - 1)

    def action_half_page_down(self) -> None:
        """Half a page down."""
        self._page(0.5)

    def action_half_page_up(self) -> None:
        """Half a page up."""
        self._page(-0.5)

    def action_cursor_page_down(self) -> None:
        """A page down."""
        self._page(1)

    def action_cursor_page_up(self) -> None:
        """A page up."""
        self._page(-1)

    def action_open(self) -> None:
        """Go into the line."""
        if self.count():
            self.post_message(self.Opened(self, self.cursor))

    def action_next_hit(self) -> None:
        """To the next hit of the search."""
        self.to_hit(1)

    def action_previous_hit(self) -> None:
        """To the hit before."""
        self.to_hit(-1)

    def on_click(self, event: events.Click) -> None:
        index = self.scroll_offset.y + event.get_content_offset_capture(self).y
        if 0 <= index < self.count():
            again = index == self.cursor and event.chain > 1
            self.move_to(index)
            if again:
                self.action_open()

    # ---- painting

    def on_resize(self) -> None:
        self.changed()

    def on_focus(self) -> None:
        self._known_styles.clear()
        self.refresh()

    def on_blur(self) -> None:
        self._known_styles.clear()
        self.refresh()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._known_styles.clear()

    def render_line(self, y: int) -> Strip:
        """One line of the terminal."""
        index, cells = self.scroll_offset.y + y, self.scrollable_content_region.width
        if index >= self.count():
            return Strip.blank(cells, self.rich_style)
        on_it = self.has_cursor and index == self.cursor
        line = marked(self.line(index), self.searched) if self.searched else self.line(index)
        if self.screen.has_class("-stale"):  # what was, not what is
            line = tuple((text, "muted") for text, _ in line)
        style = partial(self._style, on_it=on_it)
        gutter = Segment(f"{self.glyphs.pointer} " if on_it and self.has_focus else "  ", style("accent"))
        segments = [gutter, *(Segment(self._drawn(text), style(name)) for text, name in line)]
        if (chosen := self.text_selection) is not None:
            segments = self._selected(segments, chosen, index)
        strip = Strip(segments)
        if strip.cell_length > cells:  # that something is left out is seen
            strip = Strip([*strip.crop(0, max(0, cells - 1)), Segment(self._drawn("…"), style("muted"))])
        return strip.adjust_cell_length(cells, style("")).apply_offsets(0, index)

    def _drawn(self, text: str) -> str:
        return visible(text).replace("…", "~") if self.glyphs.ascii else visible(text)

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """What the mouse marked, as text."""
        start = selection.start.y if selection.start else 0
        end = selection.end.y + 1 if selection.end else self.count()
        texts = ["  " + text_of(self.line(index)) if start <= index < end else "" for index in range(min(end, self.count()))]
        return selection.extract("\n".join(texts)), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        self.refresh()

    def _page(self, pages: float) -> None:
        self.move_to(self.cursor + int(pages * max(self.scrollable_content_region.height - 1, 2)))

    def _selected(self, segments: list[Segment], selection: Selection, index: int) -> list[Segment]:
        span = selection.get_span(index)
        if span is None:
            return segments
        begin, end = span
        whole = sum(segment.cell_length for segment in segments)
        cuts = sorted({min(begin, whole), whole if end < 0 else min(end, whole), whole})
        parts = list(Segment.divide(segments, cuts))
        marked_part = 1 if min(begin, whole) < whole else 0
        style = self.screen.get_component_rich_style("screen--selection")
        return [
            Segment(segment.text, (segment.style or Style()) + style if place == marked_part else segment.style)
            for place, part in enumerate(parts)
            for segment in part
        ]

    def _style(self, name: str, *, on_it: bool) -> Style:
        known = self._known_styles.get((name, on_it))
        if known is None:
            known = self.rich_style + self.get_component_rich_style(f"lines--{name or 'ink'}", partial=True)
            if on_it:
                ground = self.get_component_rich_style("lines--cursor" if self.has_focus else "lines--cursor-blurred", partial=True)
                known = self.rich_style if ground.reverse else known  # reversed colours would make a chequered line
                known += ground.background_style + Style(reverse=ground.reverse)
            self._known_styles[name, on_it] = known
        return known
