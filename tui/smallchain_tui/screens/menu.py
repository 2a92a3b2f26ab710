"""A short list to choose one from, over the screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from smallchain.protocol.text import one_line


class Menu(ModalScreen[str | None]):
    """Returns the chosen one, or None. Choices are raw text."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", show=False),
        Binding("j", "down", show=False),
        Binding("k", "up", show=False),
    ]

    def __init__(self, title: str, choices: Sequence[str], *, current: str = "") -> None:
        super().__init__()
        self._title, self._choices, self._current = title, choices, current

    def compose(self) -> ComposeResult:
        """The list."""
        yield OptionList(*(Option(Content(one_line(choice))) for choice in self._choices), id="menu")

    def on_mount(self) -> None:
        """Begin at the present choice."""
        box = self.query_one(OptionList)
        box.border_title = Content(f" {one_line(self._title)} ")
        if self._current in self._choices:
            box.highlighted = list(self._choices).index(self._current)
        box.focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """That one."""
        self.dismiss(self._choices[event.option_index])

    def action_leave(self) -> None:
        """None of them."""
        self.dismiss(None)

    def action_down(self) -> None:
        """The next one."""
        self.query_one(OptionList).action_cursor_down()

    def action_up(self) -> None:
        """The one before."""
        self.query_one(OptionList).action_cursor_up()
