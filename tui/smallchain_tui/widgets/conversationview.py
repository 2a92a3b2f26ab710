"""What was said in a run: a line for each message, call and result, which opens in place; what it cost at the end of the line."""

from __future__ import annotations

from typing import Any, ClassVar

from smallchain_tui.viewmodel.conversation import Conversation, Said, body, head
from smallchain_tui.viewmodel.line import Line, text_of
from smallchain_tui.widgets.lines import Lines


class ConversationView(Lines):
    """Shows a conversation. While the cursor is on the last row, it stays with what is said next."""

    hints: ClassVar[tuple[str, ...]] = ("lines.open", "lines.unfold")

    def __init__(self, *, only: frozenset[str] = frozenset(), id: str | None = None, classes: str | None = None) -> None:
        """`only`: the kinds of rows that are shown, all of them when empty."""
        super().__init__(id=id, classes=classes)
        self.conversation = Conversation()
        self._only = only
        self._rows: list[Said] = []
        self._open: set[str] = set()
        self._places: list[tuple[int, int]] = []
        self._bodies: dict[str, list[Line]] = {}
        self._width = 0

    def show(self, conversation: Conversation) -> None:
        """The conversation as it stands now; the cursor stays on its row."""
        current = self.current
        at_end = current is None or self.cursor >= self.count() - 1
        self.conversation = conversation
        self._rows = [row for row in conversation.rows if not self._only or row.kind in self._only]
        self._lay_out()
        self.changed()
        if at_end:
            self.move_to(self.count() - 1)
        elif current is not None:
            self.move_to(self._line_of(current.key))

    @property
    def rows(self) -> list[Said]:
        """The rows that are shown."""
        return self._rows

    @property
    def current(self) -> Said | None:
        """The row the cursor is on."""
        return self._rows[self._places[self.cursor][0]] if self.cursor < len(self._places) else None

    def count(self) -> int:
        return len(self._places)

    def line(self, index: int) -> Line:
        place, part = self._places[index]
        row = self._rows[place]
        return head(row, self.cells, self.glyphs) if part < 0 else self._bodies[row.key][part]

    def find(self, words: str, start: int, step: int) -> int | None:
        """A row is found by all that was said, not only by what its line shows of it."""
        words, count = words.casefold(), len(self._places)
        for distance in range(1, count + 1):
            at = (start + step * distance) % count
            place, part = self._places[at]
            row = self._rows[place]
            folded = part < 0 and row.key not in self._open
            if words in (row.words if folded else text_of(self.line(at))).casefold():
                return at
        return None

    def value_here(self) -> str:
        return row.words if (row := self.current) is not None else ""

    def item_here(self) -> Any:
        return (row.call or row.message) if (row := self.current) is not None else None

    def everything(self) -> Any:
        return {"messages": list({row.seq: row.message for row in self.conversation.rows}.values())}

    def action_unfold(self) -> None:
        """Read the row here, or close it."""
        if (row := self.current) is not None:
            self._open ^= {row.key}
            self._again(row)

    def action_unfold_all(self) -> None:
        """Read all rows here, or close them."""
        row = self.current
        self._open = set() if self._open else {row.key for row in self._rows}
        self._again(row)

    def on_resize(self) -> None:
        row = self.current
        if self.cells != self._width:
            self._lay_out()
        self.changed()
        if row is not None:
            self.move_to(self._line_of(row.key))

    def _again(self, row: Said | None) -> None:
        self._lay_out()
        self.changed()
        if row is not None:
            at = self._line_of(row.key)
            self.move_to(at + len(self._bodies.get(row.key, ())))  # show as much of it as there is room for
            self.move_to(at)

    def _lay_out(self) -> None:
        self._width = self.cells
        self._bodies = {row.key: body(row, self.cells) for row in self._rows if row.key in self._open}
        self._places = []
        for place, row in enumerate(self._rows):
            self._places += [(place, part) for part in range(-1, len(self._bodies.get(row.key, ())))]

    def _line_of(self, key: str) -> int:
        return next((at for at, (place, part) in enumerate(self._places) if part < 0 and self._rows[place].key == key), 0)
