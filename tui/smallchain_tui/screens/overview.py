"""The first screen: runs, the inbox, events, delegations and money; what needs a person stands first.

Three layouts: wide (from 140 columns) shows all at once; normal and narrow show one of four panes at a time,
with the events below the runs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical

from smallchain.model.errors import SmallchainError
from smallchain_tui.keymap import bindings
from smallchain_tui.screens.base import BaseScreen
from smallchain_tui.screens.money import Money
from smallchain_tui.viewmodel import attention
from smallchain_tui.viewmodel.ring import Gap
from smallchain_tui.viewmodel.rows import EventRow
from smallchain_tui.viewmodel.state import CONNECTION, EVENTS, REQUESTS, RUNS, Changed
from smallchain_tui.viewmodel.words import age, count, dollars
from smallchain_tui.widgets.budgetbars import BudgetBars
from smallchain_tui.widgets.delegationtree import DelegationTree
from smallchain_tui.widgets.eventfeed import EventFeed
from smallchain_tui.widgets.filterbar import FilterBar
from smallchain_tui.widgets.inboxpane import InboxPane
from smallchain_tui.widgets.lines import Lines
from smallchain_tui.widgets.listing import Listing
from smallchain_tui.widgets.pane import Pane
from smallchain_tui.widgets.runstable import RunLine, RunsTable
from smallchain_tui.widgets.spendchart import SpendChart

TABS = ("runs", "inbox", "events", "spend")
_OLDER = 500


class OverviewScreen(BaseScreen):
    """Where one starts, and comes back to."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("overview")
    scopes = ("app", "anywhere", "overview", "lists", "runs", "inbox", "events", "bars")
    hints: ClassVar[tuple[str, ...]] = ("overview.inbox", "overview.things")

    def __init__(self) -> None:
        super().__init__()
        self.tab = "runs"
        self.order = "attention"
        self.reverse = False
        self.money = Money(self)

    def body(self) -> ComposeResult:
        """All panes; the stylesheet shows those that have room."""
        with Horizontal(id="body"):
            with Vertical(id="left"):
                with Pane(id="pane-runs"):
                    yield RunsTable(id="runs")
                with Pane(id="pane-events"):
                    yield EventFeed(self.app.state.events, now=lambda: self.app.now().timestamp(), older=self._older, id="events")
                with Pane(id="pane-spend"):
                    yield SpendChart(now=self.app.now, id="spend")
            with Vertical(id="right"):
                with Pane(id="pane-inbox"):
                    yield InboxPane(id="inbox")
                with Pane(id="pane-delegations"):
                    yield DelegationTree(now=self.app.now, id="delegations")
                with Pane(id="pane-budgets"):
                    yield BudgetBars(now=self.app.now, id="budgets")

    def on_mount(self) -> None:
        """Begin with the runs."""
        super().on_mount()
        self.add_class("-tab-runs")
        starts = self.app.keys.shown("runs.start")
        self.query_one(RunsTable).empty = f"no runs yet: `smallchain run TASK` starts one, and so does {starts}"
        self.query_one("#pane-budgets", Pane).title("Budgets")
        self.query_one("#pane-delegations", Pane).title("Delegations")
        self.query_one(RunsTable).focus()
        self._titles()

    # ---- data

    def state_changed(self, changed: Changed) -> None:
        """Runs, requests, events or the connection changed."""
        if changed & {RUNS, REQUESTS, EVENTS}:
            self._show_runs()
        if REQUESTS in changed:
            rows = attention.inbox(self.app.state.requests.values())
            self.query_one(InboxPane).show_requests(rows, self.app.now(), self.app.desk.snoozed(self.app.now().timestamp()))
        if EVENTS in changed:
            self.query_one(EventFeed).flush()
            self.money.stale()
        if changed & {RUNS, EVENTS}:
            self._show_tree()
        if CONNECTION in changed:
            for pane in (*self.query(Listing), *self.query(Lines)):
                pane.refresh()
            self.money.again()
        self._titles()

    def ticked(self, now: datetime) -> None:
        """Ages go on."""
        self.query_one(RunsTable).tick(now)
        self.query_one(InboxPane).tick(now)
        self.money.tick()

    def _show_runs(self) -> None:
        state, table = self.app.state, self.query_one(RunsTable)
        runs = attention.ordered(state.runs.values(), state.requests, by=self.order, reverse=self.reverse, last_event=state.last_event)
        asks = {row.run_id: row for row in reversed(state.requests.values())}
        table.now = self.app.now()
        table.show([RunLine(run, asks.get(run.id), state.last_event.get(run.id)) for run in runs])

    def _show_tree(self) -> None:
        """The tree that the run under the cursor belongs to."""
        line = self.query_one(RunsTable).current
        root_id = line.run.root_id if line is not None else ""
        tree = [row for row in self.app.state.runs.values() if row.root_id == root_id] if root_id else []
        root = self.app.state.runs.get(root_id)
        self.query_one(DelegationTree).show(tree, root=root_id)
        self.query_one("#pane-delegations", Pane).title(f"Delegations: {root.name}" if root is not None else "Delegations")

    async def _older(self, seq: int) -> list[EventRow]:
        after = max(0, seq - 1 - _OLDER)
        return [row for row in await self.app.link.events(after=after, limit=_OLDER) if row.seq < seq]

    async def _load_gap(self, feed: EventFeed, gap: Gap) -> None:
        try:
            rows = await self.app.link.events(after=gap.after, limit=1000)
        except SmallchainError as error:
            self.tell(f"not loaded: {error.message}", severity="error")
        else:
            feed.fill(gap, rows)

    def _titles(self) -> None:
        state, table = self.app.state, self.query_one(RunsTable)
        shown, total = len(table.shown), len(table.rows)
        self.query_one("#pane-runs", Pane).title(self._main_title("runs", f"Runs {shown}/{total}{'' if state.complete else '+'}"))
        self.query_one("#pane-events", Pane).title(self._main_title("events", "Events"))
        self.query_one("#pane-inbox", Pane).title(self._main_title("inbox", f"Inbox ({len(state.requests)})"))
        self.query_one("#pane-spend", Pane).title(self._main_title("spend", "Spend"))
        marks = f"{count(len(table.marks), 'marked', 'marked')}  " if table.marks else ""
        filtered = f"filter: {table.filter.text}  " if table.filter else ""
        self.query_one("#pane-runs", Pane).foot(f"{marks}{filtered}sort: {'-' if self.reverse else ''}{self.order}")
        oldest = state.oldest_request_at()
        self.query_one("#pane-inbox", Pane).foot(f"oldest waits {age(oldest, self.app.now())}" if oldest else "")
        self.query_one("#pane-spend", Pane).foot(f"all runs shown: {dollars(state.cost_nanousd())}")

    def _main_title(self, tab: str, title: str) -> str:
        if self.has_class("-wide") or self.tab != tab:
            return title
        inbox = len(self.app.state.requests)
        names = {"runs": "Runs", "inbox": f"Inbox({inbox})" if inbox else "Inbox", "events": "Events", "spend": "Spend"}
        return "  ".join(f"[{n}]{names[name]}" if name == tab else f"{n} {names[name]}" for n, name in enumerate(TABS, 1))

    # ---- messages of the panes

    def on_listing_moved(self, event: Listing.Moved) -> None:
        """The tree is that of the run under the cursor."""
        event.stop()
        if isinstance(event.listing, RunsTable):
            self._show_tree()

    def on_event_feed_told(self, event: EventFeed.Told) -> None:
        """The feed says how it stands."""
        event.stop()
        self.query_one("#pane-events", Pane).foot(event.words)

    def on_event_feed_types_wanted(self, event: EventFeed.TypesWanted) -> None:
        """Choose the types of events that are shown."""
        from smallchain_tui.screens.eventtypes import choose_types

        event.stop()
        choose_types(self.app, event.feed)

    def on_lines_opened(self, event: Lines.Opened) -> None:
        """Go into what the line is about."""
        event.stop()
        pane = event.lines
        if isinstance(pane, EventFeed) and isinstance(pane.current, EventRow):
            self.app.open_item("event", str(pane.current.seq), run=pane.current.run)
        elif isinstance(pane, EventFeed) and isinstance(pane.current, Gap):
            self.run_worker(self._load_gap(pane, pane.current), group="gap", exclusive=True, exit_on_error=False)
        elif isinstance(pane, DelegationTree) and pane.current is not None:
            self.app.open_run(pane.current.name)
        elif isinstance(pane, BudgetBars) and pane.current is not None:
            self.app.open_item("budget", pane.current.name)

    def on_listing_opened(self, event: Listing.Opened) -> None:
        """Go in."""
        event.stop()
        if isinstance(event.listing, RunsTable):
            run = self.app.state.runs.get(event.key)
            if run is not None:
                self.app.open_run(run.name)
        else:
            self.app.open_request(event.key)

    def on_inbox_pane_snoozed(self, event: InboxPane.Snoozed) -> None:
        """Put a request behind the others."""
        event.stop()
        self.app.put_off(event.key)

    def on_listing_counted(self) -> None:
        """Titles count."""
        self._titles()

    # ---- keys

    def action_pane(self, name: str) -> None:
        """Show a pane, and give it the focus."""
        self.tab = name
        if name == "spend":
            self.money.again()
        for tab in TABS:
            self.set_class(tab == name, f"-tab-{tab}")
        self.call_after_refresh(self.query_one(f"#{name}").focus)
        self._titles()

    def action_things(self) -> None:
        """Tools, MCP servers, artifacts, and the rest of what is written."""
        self.app.open_things()

    def out(self) -> bool:
        """Clear marks, then the filter, then go to the runs."""
        pane = self._pane()
        if isinstance(pane, Listing) and pane.clear_marks():
            return True
        if self._filter_of(pane):
            self._apply_filter(pane, "")
            return True
        if self.tab != "runs":
            self.action_pane("runs")
            return True
        return False

    def _pane(self) -> Listing[Any] | EventFeed:
        """The pane that keys are about: the one with the focus, else the runs."""
        return self.focused if isinstance(self.focused, Listing | EventFeed) else self.query_one(RunsTable)

    @staticmethod
    def _filter_of(pane: Listing[Any] | EventFeed) -> str:
        found = pane.filter if isinstance(pane, Listing) else pane.view.filter
        return found.text if found else ""

    @staticmethod
    def _apply_filter(pane: Listing[Any] | EventFeed, text: str) -> None:
        if isinstance(pane, Listing):
            pane.apply_filter(text)
        else:
            pane.narrow(words=text)

    def action_filter(self) -> None:
        """Type a filter for the pane that has the focus."""
        self._filtering = self._focus_before = self._pane()
        self.query_one(FilterBar).open("filter", self._filter_of(self._filtering), hint="text  key=value  !not  ~fuzzy")

    def on_filter_bar_typed(self, event: FilterBar.Typed) -> None:
        """Filter as it is typed."""
        event.stop()
        if event.purpose == "filter":
            self._apply_filter(self._filtering, event.text)

    def on_filter_bar_ended(self, event: FilterBar.Ended) -> None:
        """Keep the filter, or drop it."""
        if event.purpose != "filter":
            return  # the base's handler, which Textual calls after this one, knows it
        event.stop()
        event.prevent_default()
        if not event.kept:
            self._apply_filter(self._filtering, "")
        self.restore_focus()

    def action_larger(self) -> None:
        """Make the pane with the focus larger."""
        self._resize_pane(1)

    def action_smaller(self) -> None:
        """Make it smaller."""
        self._resize_pane(-1)

    def _resize_pane(self, by: int) -> None:
        """Panes above each other share the height by weights, or have a fixed one; both may be changed, and are kept while it is open."""
        pane = next((pane for pane in self.query(Pane) if pane.has_pseudo_class("focus-within")), None)
        height = pane.styles.height if pane is not None else None
        if pane is None or height is None:
            return
        if height.is_fraction:
            pane.styles.height = f"{max(1.0, height.value + by * 0.5)}fr"
        else:
            pane.styles.height = max(4, int(height.value) + by)

    def action_sort(self) -> None:
        """Choose the order of the runs."""
        from smallchain_tui.screens.menu import Menu

        def chosen(name: str | None) -> None:
            if name is not None:
                self.sort_by(name)

        self.app.push_screen(Menu("Sort by", attention.ORDERS, current=self.order), chosen)

    def sort_by(self, name: str) -> None:
        """Sort the runs; the order that is there already is turned round."""
        self.reverse = not self.reverse if name == self.order else False
        self.order = name
        self._show_runs()
        self._titles()

    def action_wide(self) -> None:
        """More columns, or fewer."""
        table = self.query_one(RunsTable)
        table.wide = not table.wide
        table.refresh()

    def action_copy_value(self) -> None:
        """Copy the name of the run, the id of the request, the words of a line."""
        pane = self.focused if isinstance(self.focused, Lines) else self._pane()
        if isinstance(pane, Lines):
            self.app.copy(pane.value_here())
        elif (current := pane.current) is not None:
            self.app.copy(current.run.name if isinstance(current, RunLine) else current.id)

    def action_copy_json(self) -> None:
        """Copy what is marked, else what the cursor is on, as the daemon gave it."""
        items = self._items(self._pane())
        if items:
            self.app.copy(json.dumps(items[0] if len(items) == 1 else {"items": items}, ensure_ascii=False, indent=2))

    def action_export(self) -> None:
        """Write what is marked, else all that is listed, to a file."""
        pane = self._pane()
        if isinstance(pane, EventFeed):
            self.app.export("events", pane.everything()["items"])
        else:
            self.app.export(pane.id or "list", self._items(pane, whole=not pane.marks))

    @staticmethod
    def _items(pane: Listing[Any] | EventFeed, *, whole: bool = False) -> list[Mapping[str, Any]]:
        if isinstance(pane, EventFeed):
            return [found] if (found := pane.item_here()) else []
        rows = pane.shown if whole else pane.chosen()
        return [dict(row.run.item if isinstance(row, RunLine) else row.item) for row in rows]

    # ---- the run under the cursor

    @property
    def run(self) -> RunLine | None:
        """The run under the cursor."""
        return self.query_one(RunsTable).current

    def action_open_request(self) -> None:
        """What the run asks."""
        if self.run is not None and self.run.request is not None:
            self.app.open_request(self.run.request.id)
        else:
            self.tell("this run asks nothing of anybody")

    def action_bulk(self) -> None:
        """Look at what is marked in the inbox, to approve it together."""
        inbox = self.query_one(InboxPane)
        self.app.open_bulk([row.id for row in inbox.chosen()])

    def action_pause(self) -> None:
        """Pause the run."""
        self._act("pause")

    def action_resume(self) -> None:
        """Resume or retry the run."""
        self._act("resume")

    def action_cancel(self) -> None:
        """Cancel the run, after a question."""
        self._act("cancel")

    def action_fork(self) -> None:
        """Fork the run."""
        self._act("fork")

    def action_budget(self) -> None:
        """Raise the cap under the cursor, else the one that stands in the run's way."""
        bars = self.query_one(BudgetBars)
        if bars.has_focus and bars.current is not None:
            self.app.open_budget(bars.current)
        elif self.run is not None:
            self.app.open_budget(run=self.run.run.name)

    def action_start(self) -> None:
        """Run a task."""
        self.app.open_act("start")

    def _act(self, verb: str) -> None:
        if self.run is not None:
            self.app.open_act(verb, self.run.run.name)

    def action_tree(self) -> None:
        """The run's tree."""
        if self.run is not None:
            self.app.open_run(self.run.run.name, tab="tree")

    def action_run_events(self) -> None:
        """The run's events."""
        if self.run is not None:
            self.app.open_run(self.run.run.name, tab="events")

    def action_yaml(self) -> None:
        """The run as YAML."""
        if self.run is not None:
            self.app.open_item("run", self.run.run.name)

    def action_parent(self) -> None:
        """To the parent's row."""
        if self.run is not None and self.run.run.parent_id:
            self.query_one(RunsTable).go_to(self.run.run.parent_id)

    def action_child(self) -> None:
        """To the row of the first child."""
        if self.run is not None:
            parent = self.run.run.id
            child = next((row for row in self.app.state.runs.values() if row.parent_id == parent), None)
            if child is not None:
                self.query_one(RunsTable).go_to(child.id)
