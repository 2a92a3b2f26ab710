"""Which types of events a feed shows: a list with a mark for each, over the screen."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import SelectionList
from textual.widgets.selection_list import Selection

from smallchain.protocol.text import one_line
from smallchain_tui.widgets.eventfeed import EventFeed


class EventTypes(ModalScreen[frozenset[str] | None]):
    """Returns the types that are hidden, or None where nothing was changed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", show=False),
        Binding("enter", "done", show=False, priority=True),
        Binding("a", "all", show=False),
        Binding("j", "down", show=False),
        Binding("k", "up", show=False),
    ]

    def __init__(self, counts: Mapping[str, int], hidden: Collection[str]) -> None:
        super().__init__()
        self._counts = counts
        self._hidden = hidden

    def compose(self) -> ComposeResult:
        """The types, the most frequent first."""
        names = sorted({*self._counts, *self._hidden}, key=lambda name: (-self._counts.get(name, 0), name))
        rows = (Selection(Content(f"{one_line(name)}  {self._counts.get(name, 0)}"), name, name not in self._hidden) for name in names)
        yield SelectionList[str](*rows, id="menu")

    def on_mount(self) -> None:
        """Say what the keys do."""
        box = self.query_one(SelectionList)
        box.border_title = Content(" Types shown ")
        box.border_subtitle = Content(" space marks  a all  enter done  esc leaves ")
        box.focus()

    def action_done(self) -> None:
        """Show what is marked."""
        box: SelectionList[str] = self.query_one(SelectionList)
        self.dismiss(frozenset({*self._counts, *self._hidden} - set(box.selected)))

    def action_leave(self) -> None:
        """As it was."""
        self.dismiss(None)

    def action_all(self) -> None:
        """All of them, or none."""
        box: SelectionList[str] = self.query_one(SelectionList)
        if len(box.selected) == box.option_count:
            box.deselect_all()
        else:
            box.select_all()

    def action_down(self) -> None:
        """The next one."""
        self.query_one(SelectionList).action_cursor_down()

    def action_up(self) -> None:
        """The one before."""
        self.query_one(SelectionList).action_cursor_up()


def choose_types(app: App[Any], feed: EventFeed) -> None:
    """Let a person choose, then narrow the feed."""

    def chosen(hidden: frozenset[str] | None) -> None:
        if hidden is not None:
            feed.narrow(hidden_reasons=hidden)

    app.push_screen(EventTypes(feed.view.reasons(), feed.view.hidden_reasons), chosen)
