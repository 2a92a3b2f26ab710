"""What the screens of one run and of one thing share: numbered parts in a frame, a preview beside it, search, copy, export.

The one rule: what is copied or written to a file is the value as the daemon gave it; what is shown went through `protocol.text`.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.widget import Widget

from smallchain.protocol.text import one_line
from smallchain_tui import export
from smallchain_tui.keymap import bindings
from smallchain_tui.screens.base import BaseScreen
from smallchain_tui.viewmodel.document import in_json
from smallchain_tui.widgets.documentview import DocumentView
from smallchain_tui.widgets.facts import Facts
from smallchain_tui.widgets.filterbar import FilterBar
from smallchain_tui.widgets.lines import Lines
from smallchain_tui.widgets.pane import Pane


class DetailScreen(BaseScreen):
    """A subclass says which parts there are (`panes`), what a line opens (`opened`) and what is shown beside (`preview_of`)."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("detail")]
    hints: ClassVar[tuple[str, ...]] = ("detail.search", "detail.copy_value", "detail.export")

    def __init__(self) -> None:
        super().__init__()
        self.part = 1
        self._searched_from = 0

    # ---- what a subclass says

    def panes(self) -> list[Widget]:
        """The widgets of the parts, in their order."""
        raise NotImplementedError

    def part_titles(self) -> list[str]:
        """What the parts are called, in the same order."""
        raise NotImplementedError

    def opened(self, lines: Lines) -> None:
        """Enter on a line of a part."""

    def moved(self, lines: Lines) -> None:
        """The cursor of a part stands on another line."""

    def foot(self) -> str:
        """What stands in the lower edge of the frame."""
        return ""

    # ---- what is the same

    def body(self) -> ComposeResult:
        """Facts above, parts below, and beside them, where there is room, a document."""
        yield Facts(id="facts")
        with Horizontal(id="detail"):
            with Pane(id="parts"):
                yield from self.panes()
            with Pane(id="beside"):
                yield DocumentView("", id="preview")

    def on_mount(self) -> None:
        """Begin with the part that is wanted."""
        self.show_part(self.part)

    @property
    def lines(self) -> Lines:
        """The part that is shown, or what is beside it while that has the focus."""
        preview = self.query_one("#preview", DocumentView)
        return preview if preview.has_focus else self.shown_part()

    def shown_part(self) -> Lines:
        """The part that is shown."""
        widgets = list(self.query_one("#parts", Pane).children)
        found = widgets[min(self.part, len(widgets)) - 1]
        return found if isinstance(found, Lines) else found.query_one(Lines)

    def show_part(self, number: int) -> None:
        """Show a part, and give it the focus; a number beyond the last does nothing."""
        widgets = list(self.query_one("#parts", Pane).children)
        if not 1 <= number <= len(self.part_titles()):
            return
        self.part = number
        for place, widget in enumerate(widgets, 1):
            widget.display = place == number
        self.shown_part().focus()
        self.draw_titles()
        self.moved(self.shown_part())

    def draw_titles(self) -> None:
        """The numbered names in the upper edge, the foot in the lower."""
        names = [f"[{n}]{one_line(name)}" if n == self.part else f"{n} {one_line(name)}" for n, name in enumerate(self.part_titles(), 1)]
        pane = self.query_one("#parts", Pane)
        pane.title("  ".join(names))
        pane.foot(self.foot())

    def beside(self, title: str, value: object) -> None:
        """Show a value beside, where there is room for it."""
        self.query_one("#beside", Pane).title(title)
        self.query_one("#preview", DocumentView).show(value)

    def on_lines_opened(self, event: Lines.Opened) -> None:
        """Go in."""
        event.stop()
        self.opened(event.lines)

    def on_lines_moved(self, event: Lines.Moved) -> None:
        """The preview follows the cursor."""
        event.stop()
        if event.lines.display and event.lines.id != "preview" and event.lines is self.shown_part():
            self.moved(event.lines)

    def action_show_part(self, number: int) -> None:
        """Another part."""
        self.show_part(number)

    def out(self) -> bool:
        """Esc ends a search first."""
        if self.lines.searched:
            self.lines.search("")
            return True
        return False

    # ---- search

    def action_search(self) -> None:
        """Type what to look for."""
        self._focus_before = self.lines
        self._searched_from = self.lines.cursor
        self.query_one(FilterBar).open("search", hint="what to look for; n and N go on")

    def on_filter_bar_typed(self, event: FilterBar.Typed) -> None:
        """Go to the first hit while it is typed."""
        if event.purpose == "search":
            event.stop()
            lines = self._focus_before
            if isinstance(lines, Lines) and event.text:
                lines.move_to(self._searched_from)
                lines.search(event.text)

    def on_filter_bar_ended(self, event: FilterBar.Ended) -> None:
        """Enter keeps the hits marked, Esc goes back to where one was."""
        if event.purpose != "search":
            return  # the base's handler, which Textual calls after this one, knows it
        event.stop()
        event.prevent_default()
        lines = self._focus_before
        if isinstance(lines, Lines):
            if not event.kept or not event.text:
                lines.search("")
                lines.move_to(self._searched_from)
            elif not lines.search(event.text):
                self.tell(f"{event.text!r} is nowhere here")
        self.restore_focus()

    # ---- documents, copy, export

    def action_yaml(self) -> None:
        """A document: YAML or JSON. A line of another part: what it stands for, as a document."""
        lines = self.lines
        if isinstance(lines, DocumentView):
            lines.other_form()
        else:
            self.opened(lines)

    def action_raw(self) -> None:
        """What is hidden in a document's texts, as a program writes it."""
        lines = self.lines
        document = lines if isinstance(lines, DocumentView) else self.query_one("#preview", DocumentView)
        document.other_exactness()
        hidden = document.document.hidden()
        self.tell(f"texts as a program writes them; {hidden} hidden characters" if document.document.exact else "texts to read")

    def action_fold(self) -> None:
        """Fold the part around the cursor."""
        if isinstance(self.lines, DocumentView):
            self.lines.fold(True)

    def action_unfold(self) -> None:
        """Unfold what the cursor is on."""
        if isinstance(self.lines, DocumentView):
            self.lines.fold(False)

    def action_copy_value(self) -> None:
        """Copy what the cursor is on."""
        self.app.copy(self.lines.value_here())

    def action_copy_json(self) -> None:
        """Copy it as JSON."""
        self.app.copy(in_json(self.lines.item_here()))

    def action_export(self) -> None:
        """Write all of this part to a new file in the working folder."""
        what = "-".join((*self.crumbs()[1:], self.part_titles()[self.part - 1].partition(" ")[0].lower()))
        try:
            path = export.write(Path.cwd(), what, self.exported(), now=self.app.now())
        except OSError as error:
            self.tell(f"not written: {error}", severity="error")
            return
        self.tell(f"written: {path}")

    def exported(self) -> object:
        """What a file gets: a text as it is, anything else as JSON."""
        return self.lines.everything()
