"""The line in which a filter or a command is typed; it stands above the status line while somebody types.

It is not docked: what is docked to the same edge lies one above the other, and only the last is seen.
"""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Label


class FilterBar(Horizontal):
    """A sign (`/` or `:`) and an input. It says each change while a filter is typed, and its end."""

    class Typed(Message):
        """The text changed."""

        def __init__(self, purpose: str, text: str) -> None:
            self.purpose, self.text = purpose, text
            super().__init__()

    class Ended(Typed):
        """Enter (`kept`) or Esc."""

        def __init__(self, purpose: str, text: str, *, kept: bool) -> None:
            self.kept = kept
            super().__init__(purpose, text)

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", show=False)]
    DEFAULT_CSS = """
    FilterBar { height: 1; }
    FilterBar Label { width: 2; text-style: bold; }
    FilterBar Input, FilterBar Input:focus { width: 1fr; height: 1; border: none; padding: 0; background: transparent; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.purpose = "filter"
        self.display = False

    def compose(self) -> ComposeResult:
        yield Label("/", markup=False)
        yield Input(select_on_focus=False)

    @property
    def is_open(self) -> bool:
        """Whether somebody types here."""
        return self.display

    def open(self, purpose: str, text: str = "", *, hint: str = "") -> None:
        """Let somebody type: `filter` or `command`."""
        self.purpose = purpose
        self.query_one(Label).update(":" if purpose == "command" else "/")
        self.display = True  # not by a class: what is not shown yet cannot have the focus
        box = self.query_one(Input)
        box.placeholder = hint
        with box.prevent(Input.Changed):
            box.value = text
        box.cursor_position = len(text)
        box.focus()

    def close(self) -> None:
        """Be gone."""
        self.display = False

    def on_input_changed(self, event: Input.Changed) -> None:
        """Say it."""
        event.stop()
        if self.is_open:
            self.post_message(self.Typed(self.purpose, event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter."""
        event.stop()
        self.close()
        self.post_message(self.Ended(self.purpose, event.value, kept=True))

    def action_leave(self) -> None:
        """Esc."""
        value = self.query_one(Input).value
        self.close()
        self.post_message(self.Ended(self.purpose, value, kept=False))
