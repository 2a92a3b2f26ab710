"""Tools, MCP servers, artifacts and whatever else is written: a list for each kind, and beside it the thing under the cursor.

The one rule: only the list that is seen is read, when it comes to the front, and again after an event.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal

from smallchain.model.errors import SmallchainError
from smallchain.protocol.text import one_line
from smallchain_tui.keymap import bindings
from smallchain_tui.screens.base import BaseScreen
from smallchain_tui.viewmodel.budgets import Budget
from smallchain_tui.viewmodel.state import CONNECTION, EVENTS, Changed
from smallchain_tui.viewmodel.things import KINDS, Kind
from smallchain_tui.widgets.documentview import DocumentView
from smallchain_tui.widgets.filterbar import FilterBar
from smallchain_tui.widgets.lines import Lines
from smallchain_tui.widgets.listing import Listing
from smallchain_tui.widgets.pane import Pane
from smallchain_tui.widgets.thingslist import ThingsList

_LEAST_S = 1.0


class ThingsScreen(BaseScreen):
    """The lists, one at a time; `name`: the kind to begin with (`tools`, `mcp_servers`, ...)."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("things")
    scopes = ("app", "anywhere", "things", "lists")

    def __init__(self, name: str = "") -> None:
        super().__init__()
        self.kind: Kind = next((kind for kind in KINDS if kind.name == name), KINDS[0])
        self._order = ""
        self._reverse = False
        self._stale = True
        self._loading = False

    def crumbs(self) -> tuple[str, ...]:
        """Where one is."""
        return ("smallchain", self.kind.title)

    def body(self) -> ComposeResult:
        """The lists, of which one is shown, and a document."""
        with Horizontal(id="detail"):
            with Pane(id="parts"):
                for kind in KINDS:
                    yield ThingsList(kind, now=self.app.now())
            with Pane(id="beside"):
                yield DocumentView("", id="preview")

    def on_mount(self) -> None:
        """Begin with what is wanted."""
        self.show_kind(self.kind)

    @property
    def listing(self) -> ThingsList:
        """The list that is shown."""
        return self.query_one(f"#list-{self.kind.name}", ThingsList)

    def show_kind(self, kind: Kind) -> None:
        """Show the list of a kind, read anew."""
        self.kind, self._order, self._reverse = kind, "", False
        for listing in self.query(ThingsList):
            listing.display = listing.kind is kind
        self.listing.focus()
        self._preview()
        self._titles()
        self.refresh_lines()
        self._read_again()

    # ---- data

    def state_changed(self, changed: Changed) -> None:
        """Something happened: what is listed may be another than it was."""
        if changed & {EVENTS, CONNECTION}:
            self._read_again()

    def _read_again(self) -> None:
        self._stale = True
        if not self._loading:
            self._loading = True
            self.run_worker(self._load(), group="load", exit_on_error=False)

    async def _load(self) -> None:
        try:
            while self._stale:
                self._stale = False
                kind, listing = self.kind, self.listing
                try:
                    found = await self.app.link.items(kind.name)
                except SmallchainError as error:
                    listing.show_fault(one_line(error.message))
                else:
                    listing.show_items(self._sorted(found), self.app.now())
                    if listing is self.listing:
                        self._preview()
                self._titles()
                if kind is self.kind:
                    await asyncio.sleep(_LEAST_S)
        finally:
            self._loading = False

    def _sorted(self, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        column = next((each for each in self.kind.columns if each.heading == self._order), None)
        if column is None:
            return items
        now = self.app.now()
        return sorted(items, key=lambda item: column.text(item, now).casefold(), reverse=self._reverse)

    # ---- shown

    def _titles(self) -> None:
        names = [f"[{n}]{kind.title}" if kind is self.kind else f"{n} {kind.title}" for n, kind in enumerate(KINDS, 1)]
        listing = self.listing
        pane = self.query_one("#parts", Pane)
        pane.title("  ".join(names))
        filtered = f"filter: {listing.filter.text}  " if listing.filter else ""
        ordered = f"sort: {'-' if self._reverse else ''}{self._order}  " if self._order else ""
        pane.foot(f"{filtered}{ordered}{len(listing.shown)} of {len(listing.rows)}")

    def _preview(self) -> None:
        current = self.listing.current
        self.query_one("#beside", Pane).title(str(current.get("name")) if current is not None else "")
        self.query_one("#preview", DocumentView).show(current if current is not None else "")

    def on_listing_moved(self, event: Listing.Moved) -> None:
        """The document is that of the line under the cursor."""
        event.stop()
        if event.listing is self.listing:
            self._preview()

    def on_listing_counted(self) -> None:
        """The foot counts."""
        self._titles()

    def on_listing_opened(self, event: Listing.Opened) -> None:
        """Go in."""
        event.stop()
        current = self.listing.current
        if current is None:
            return
        name = str(current.get("id") if self.kind.one == "artifact" else current.get("name"))
        self.app.open_item(self.kind.one, name)

    def on_lines_opened(self, event: Lines.Opened) -> None:
        """Enter in the document unfolds it."""
        event.stop()
        self.query_one("#preview", DocumentView).action_unfold()

    # ---- keys

    def out(self) -> bool:
        """Clear marks, then the filter."""
        if self.listing.clear_marks():
            return True
        if self.listing.filter:
            self.listing.apply_filter("")
            return True
        return False

    def action_kind(self, number: int) -> None:
        """The list of another kind."""
        self.show_kind(KINDS[number - 1])

    def action_filter(self) -> None:
        """Type a filter."""
        self._focus_before = self.listing
        self.query_one(FilterBar).open("filter", self.listing.filter.text, hint="text  column=value  !not  ~fuzzy")

    def on_filter_bar_typed(self, event: FilterBar.Typed) -> None:
        """Filter as it is typed."""
        event.stop()
        if event.purpose == "filter":
            self.listing.apply_filter(event.text)

    def on_filter_bar_ended(self, event: FilterBar.Ended) -> None:
        """Keep the filter, or drop it."""
        if event.purpose != "filter":
            return  # the base's handler, which Textual calls after this one, knows it
        event.stop()
        event.prevent_default()
        if not event.kept:
            self.listing.apply_filter("")
        self.restore_focus()

    def action_sort(self) -> None:
        """Choose the column to sort by; the same again turns the order round."""
        from smallchain_tui.screens.menu import Menu

        def chosen(heading: str | None) -> None:
            if heading is not None:
                self._reverse = not self._reverse if heading == self._order else False
                self._order = heading
                self.listing.show_items(self._sorted(list(self.listing.rows)), self.app.now())
                self._titles()

        self.app.push_screen(Menu("Sort by", [column.heading for column in self.kind.columns], current=self._order), chosen)

    def action_wide(self) -> None:
        """The list alone, or with the document beside it."""
        self.toggle_class("-alone")

    def action_yaml(self) -> None:
        """All of it, on a screen of its own."""
        self.listing.action_open()

    def action_budget(self) -> None:
        """Raise the cap under the cursor."""
        if self.kind.one == "budget" and (current := self.listing.current) is not None:
            self.app.open_budget(Budget.of(current))

    def action_copy_value(self) -> None:
        """Copy the name, of an artifact the id."""
        if (current := self.listing.current) is not None:
            self.app.copy(str(current.get("id") if self.kind.one == "artifact" else current.get("name")))

    def action_copy_json(self) -> None:
        """Copy what is marked, else what the cursor is on, as the daemon gave it."""
        items = self.listing.chosen()
        if items:
            self.app.copy(json.dumps(items[0] if len(items) == 1 else {"items": items}, ensure_ascii=False, indent=2))

    def action_export(self) -> None:
        """Write what is marked, else all that is listed, to a file."""
        self.app.export(self.kind.name, list(self.listing.chosen() if self.listing.marks else self.listing.shown))
