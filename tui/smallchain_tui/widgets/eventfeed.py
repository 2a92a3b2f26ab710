"""What happens, as it happens: a feed that follows, and lets a reader be.

The one rule: nothing that comes or goes moves the lines under the eyes of who scrolled up.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, ClassVar

from textual.binding import BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive

from smallchain.protocol.text import one_line, visible_json
from smallchain_tui.keymap import bindings
from smallchain_tui.viewmodel.eventview import LEVELS, Entry, EventView, event_line, in_short
from smallchain_tui.viewmodel.line import Line
from smallchain_tui.viewmodel.ring import Gap, Ring
from smallchain_tui.viewmodel.rows import EventRow
from smallchain_tui.widgets.lines import Lines

Older = Callable[[int], Awaitable[Sequence[EventRow]]]
"""Fetches events from before a sequence number, oldest first; none when there are none."""


class EventFeed(Lines):
    """Shows a ring. `flush` paints what came into it: once, however much it is; call it ten times a second at most."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("events")]
    hints: ClassVar[tuple[str, ...]] = ("lines.open", "events.follow", "events.level", "events.types")

    follow: reactive[bool] = reactive(True, repaint=False)
    raw: reactive[bool] = reactive(False)

    class TypesWanted(Message):
        """A person wants to choose the reasons to be shown."""

        def __init__(self, feed: EventFeed) -> None:
            super().__init__()
            self.feed = feed

    class Told(Message):
        """The line about the feed itself says something else now."""

        def __init__(self, feed: EventFeed, words: str) -> None:
            super().__init__()
            self.feed = feed
            self.words = words

        @property
        def control(self) -> EventFeed:
            """Which feed."""
            return self.feed

    def __init__(
        self,
        ring: Ring,
        *,
        now: Callable[[], float],
        older: Older | None = None,
        with_run: bool = True,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        """`now`: seconds of a clock that only rises. `with_run`: the run is told in each line."""
        super().__init__(id=id, classes=classes)
        self.view = EventView(ring)
        self._clock = now
        self._older = older
        self._with_run = with_run
        self._unread = 0
        self._own_moves = 0
        self._fetching = False
        self._at_beginning = older is None
        self._told = ""

    # ---- events come

    def flush(self) -> None:
        """Show what has come into the ring since the last one."""
        moved = self.view.catch_up(self._clock())
        if moved.added or moved.left:
            self._measure()
            if self.follow:
                self._to_end()
            else:
                self._unread += moved.added
                self._keep_place(-moved.left)
        self._tell()

    def flush_older(self) -> None:
        """Show what was put in front of the ring's first event."""
        if down := self.view.catch_up_older():
            self._measure()
            self._keep_place(down)

    def fill(self, gap: Gap, rows: Sequence[EventRow]) -> None:
        """Put loaded events in a gap's place; the reader stands at the first of them."""
        self.view.ring.fill(gap, rows)
        self.view.narrow()
        self._measure()
        self.move_to(self.view.place_of(gap.after + 1))

    # ---- what it shows

    def count(self) -> int:
        return len(self.view.shown)

    def line(self, index: int) -> Line:
        entry = self.view.shown[index]
        if self.raw and isinstance(entry, EventRow):
            return ((visible_json(entry.item), ""),)
        return event_line(entry, self.cells, with_run=self._with_run)

    def find(self, words: str, start: int, step: int) -> int | None:
        return self.view.find(words, start=start, step=step)

    @property
    def current(self) -> Entry | None:
        """What the cursor is on."""
        return self.view.shown[self.cursor] if self.cursor < self.count() else None

    def narrow(self, *, level: str | None = None, hidden_reasons: Collection[str] | None = None, words: str | None = None) -> None:
        """Show other events; the reader stays at the event, or at the next one that is shown."""
        current = self.current
        self.view.narrow(level=level, hidden_reasons=hidden_reasons, words=words)
        self._measure()
        if self.follow or not isinstance(current, EventRow):
            self._to_end()
        else:
            self.move_to(self.view.place_of(current.seq))
        self._tell()

    def words(self) -> str:
        """The line about the feed: whether it follows, how fast events come, what is not shown."""
        view = self.view
        parts = ["FOLLOW" if self.follow else f"PAUSED, {self._unread} new below (f)"]
        parts.append(f"{in_short(view.rate(self._clock()))}/s max {in_short(view.fastest)}")
        if view.level != LEVELS[0]:
            parts.append(f"level>={view.level.lower()}")
        if view.hidden_reasons:
            parts.append(f"{len(view.hidden_reasons)} types hidden")
        if view.filter:
            parts.append(f"/{one_line(view.filter.text, cells=20)}")
        parts.append(f"{view.ring.dropped} dropped")
        return "  ".join(parts)

    # ---- following and reading

    def watch_follow(self, follow: bool) -> None:
        if follow:
            self._unread = 0
            self.view.ring.let_older_go()
            self._at_beginning = self._older is None
            if self.is_mounted:
                self._to_end()
        self._tell()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if self._own_moves or round(old_value) == round(new_value):
            return
        top, height = round(new_value), max(self.scrollable_content_region.height, 1)
        if top < self.max_scroll_y:
            self.follow = False
        elif new_value > old_value:  # a window that grew at the end moves up, and nobody moved it
            self.follow = True
        if not self.follow and not top <= self.cursor < top + height:
            self.cursor = min(max(self.cursor, top), top + height - 1)
        if top == 0:
            self._want_older()

    def move_to(self, index: int) -> None:
        self.follow = self.follow and index >= self.count() - 1
        self._own_moves += 1
        super().move_to(index)
        self._own_moves -= 1
        if index <= 0:
            self._want_older()

    def action_cursor_last(self) -> None:
        """To the newest, and on with it."""
        self.follow = True
        self._to_end()

    def action_follow(self) -> None:
        """Follow, or hold still."""
        self.follow = not self.follow

    def action_minute_on(self) -> None:
        """To the next minute."""
        self.move_to(self.view.minute(self.cursor, 1))

    def action_minute_back(self) -> None:
        """To the beginning of this minute, or of the one before."""
        self.move_to(self.view.minute(self.cursor, -1))

    def action_level(self) -> None:
        """Show from the next level on."""
        self.narrow(level=LEVELS[(LEVELS.index(self.view.level) + 1) % len(LEVELS)])

    def action_types(self) -> None:
        """Let a person choose the types."""
        self.post_message(self.TypesWanted(self))

    def action_raw_events(self) -> None:
        """The events as JSON, or as sentences."""
        self.raw = not self.raw

    # ---- copy and export

    def value_here(self) -> str:
        entry = self.current
        return entry.message if isinstance(entry, EventRow) else ""

    def item_here(self) -> Any:
        entry = self.current
        return entry.item if isinstance(entry, EventRow) else None

    def everything(self) -> Any:
        return {"items": [entry.item for entry in self.view.shown if isinstance(entry, EventRow)]}

    def on_resize(self) -> None:
        self._measure()
        if self.follow:
            self._to_end()

    def _measure(self) -> None:
        """The new size; neither the cursor nor the place moves by it."""
        self._own_moves += 1
        size = Size(0, self.count())
        if self.show_vertical_scrollbar and size.height > self.container_size.height:
            # Only the bar's proportions change. Set as usual, the size asks for a layout of the whole screen, ten times a second.
            self.set_reactive(EventFeed.virtual_size, size)
            self.vertical_scrollbar.window_virtual_size = size.height
        else:
            self.virtual_size = size
        self._own_moves -= 1
        self.refresh()

    def _to_end(self) -> None:
        self._own_moves += 1
        self.cursor = max(self.count() - 1, 0)
        self.scroll_to(y=self.max_scroll_y, animate=False, force=True)
        self._own_moves -= 1

    def _keep_place(self, down: int) -> None:
        """What is in sight moved by so many lines: the window and the cursor move with it."""
        if not down:
            return
        self._own_moves += 1
        self.cursor = min(max(self.cursor + down, 0), max(self.count() - 1, 0))
        self.scroll_to(y=max(self.scroll_offset.y + down, 0), animate=False, force=True)
        self._own_moves -= 1

    def _want_older(self) -> None:
        if not (self._fetching or self._at_beginning or self._older is None) and self.view.ring.first_seq:
            self._fetching = True
            self.run_worker(self._fetch(self._older), group="older", exit_on_error=False)

    async def _fetch(self, older: Older) -> None:
        try:
            rows = await older(self.view.ring.first_seq)
            self._at_beginning = not self.view.ring.take_older(rows)
            self.flush_older()
        finally:
            self._fetching = False

    def _tell(self) -> None:
        words = self.words()
        if words != self._told and self.is_mounted:
            self._told = words
            self.post_message(self.Told(self, words))
