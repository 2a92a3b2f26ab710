"""One run: what was said, its tool calls, its plan, what it delegated, what it cost, its events; and what it waits for.

The one rule: it is read again when an event of it comes, and never more often than it takes four times over to read it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from typing import ClassVar

from textual.binding import BindingType
from textual.containers import Vertical
from textual.widget import Widget

from smallchain.model.errors import SmallchainError
from smallchain.protocol.client import path_of
from smallchain.protocol.text import one_line, width
from smallchain_tui.keymap import bindings
from smallchain_tui.screens.detail import DetailScreen
from smallchain_tui.screens.money import Money
from smallchain_tui.viewmodel import parts, previews
from smallchain_tui.viewmodel.conversation import Conversation, conversation, exact_dollars
from smallchain_tui.viewmodel.glyphs import colour_of
from smallchain_tui.viewmodel.line import Line, Span, flow, text_of, wrapped
from smallchain_tui.viewmodel.plan import done
from smallchain_tui.viewmodel.ring import Ring
from smallchain_tui.viewmodel.rows import EventRow, Item, RunRow, text
from smallchain_tui.viewmodel.state import CONNECTION, EVENTS, RUNS, Changed
from smallchain_tui.viewmodel.words import age, clock, span
from smallchain_tui.widgets.budgetbars import BudgetBars
from smallchain_tui.widgets.callsview import CallsView
from smallchain_tui.widgets.conversationview import ConversationView
from smallchain_tui.widgets.delegationtree import DelegationTree
from smallchain_tui.widgets.eventfeed import EventFeed
from smallchain_tui.widgets.facts import Facts
from smallchain_tui.widgets.lines import Lines
from smallchain_tui.widgets.planview import PlanView
from smallchain_tui.widgets.spendchart import SpendChart

TABS = ("messages", "calls", "plan", "tree", "spend", "events")
_TITLES = ("Messages", "Tool calls", "Plan", "Tree", "Spend", "Events")
_LEAST_S = 0.3
_EVENTS = 500
_MOST_LINES = 4
"""For a sentence about how a run stands: the rest is in its description."""


class RunScreen(DetailScreen):
    """A run by its name; `tab`: the part to begin with."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("runs")]
    scopes = ("app", "anywhere", "detail", "lines", "events", "runs")
    hints: ClassVar[tuple[str, ...]] = (*DetailScreen.hints, "runs.pause", "runs.cancel")

    def __init__(self, name: str, *, tab: str = "") -> None:
        super().__init__()
        self.run_name = name
        self.part = TABS.index(tab) + 1 if tab in TABS else 1
        self._described: Item = {}
        self._conversation = Conversation()
        self._calls: Sequence[Item] = ()
        self._ring = Ring()
        self._seen_place = 0
        self._stale = True
        self._loading = False
        self._problem = ""
        self._feed_words = ""
        self._beside_it: frozenset[str] = frozenset()
        """Ids of the runs that are its detached work: what they do is seen here."""
        self._money = Money(self, run=name)

    def crumbs(self) -> tuple[str, ...]:
        """Where one is: the run's ancestors are in its name."""
        return ("smallchain", "runs", self.run_name)

    def panes(self) -> list[Widget]:
        """Six parts."""
        now = self.app.now
        return [
            ConversationView(id="messages"),
            CallsView(now=now, id="calls"),
            PlanView(now=now, id="plan"),
            DelegationTree(now=now, id="tree"),
            Vertical(SpendChart(now=now, id="spend"), BudgetBars(now=now, id="budgets"), id="money"),
            EventFeed(self._ring, now=lambda: asyncio.get_running_loop().time(), older=self._older, with_run=False, id="events"),
        ]

    def part_titles(self) -> list[str]:
        """Their names, with how many there are."""
        calls = len(parts.calls(self._described))
        work = len(parts.work(self._described))
        plan = ", ".join(part for part in (done(parts.steps(self._described)), f"work {work}" if work else "") if part)
        counts = {"Messages": len(self._conversation.rows), "Tool calls": calls, "Plan": plan}
        return [f"{title} ({counts[title]})" if counts.get(title) else title for title in _TITLES]

    def foot(self) -> str:
        """What the part that is shown says of itself."""
        if self._problem:
            return self._problem
        if not self._described:
            return "reading ..." if self.app.state.connection.live else "not read: the daemon does not answer"
        if TABS[self.part - 1] == "events":
            return self._feed_words
        return self._conversation.total() if TABS[self.part - 1] in ("messages", "spend") else ""

    # ---- data

    @property
    def row(self) -> RunRow | None:
        """The run as it stands: of the state, else as it was read here."""
        item = self._described.get("item")
        return self.app.state.run_named(self.run_name) or (RunRow.of(item) if isinstance(item, dict) else None)

    @property
    def run_id(self) -> str:
        """Its id, empty while nobody knows it."""
        return row.id if (row := self.row) is not None else ""

    def on_mount(self) -> None:
        """Show what is known, and read the rest."""
        self._seen_place = self.app.state.events.base
        self._show()
        self._read_what_is_stale()

    def state_changed(self, changed: Changed) -> None:
        """An event of this run came, or the run is another than it was."""
        if EVENTS in changed:
            self._take_events()
        if CONNECTION in changed and self.app.state.connection.live:
            self._stale = True
        if changed & {RUNS, CONNECTION}:
            self._show()
        self._read_what_is_stale()

    def ticked(self, now: datetime) -> None:
        """Ages go on, and so does the rate of events."""
        self._show_facts(now)
        self.query_one(EventFeed).flush()
        self._money.tick()
        self.query_one(PlanView).tick()

    def _take_events(self) -> None:
        """New events of this run go into its feed; what they are about is to be read again."""
        ring, mine = self.app.state.events, self.run_id
        fresh = ring.entries[max(self._seen_place - ring.base, 0) :]
        self._seen_place = ring.base + len(ring)
        told = [entry for entry in fresh if isinstance(entry, EventRow)]
        rows = [entry for entry in told if entry.run_id == mine] if mine else []
        self._stale |= any(entry.run_id in self._beside_it for entry in told)
        if rows and self._ring.take(rows):
            self._stale = True
            self.query_one(EventFeed).flush()

    def _read_what_is_stale(self) -> None:
        if self._stale and not self._loading and self.app.state.connection.live:
            self._stale, self._loading = False, True
            self.run_worker(self._load(), group="load", exit_on_error=False)

    async def _load(self) -> None:
        """Read the run, then let as much time go by as four such readings take."""
        begun = asyncio.get_running_loop().time()
        try:
            await self._read()
            self._problem = ""
        except SmallchainError as error:
            self._problem = one_line(error.message)
        finally:
            self.draw_titles()
            self._show_facts(self.app.now())
            await asyncio.sleep(max(_LEAST_S, 4 * (asyncio.get_running_loop().time() - begun)))
            self._loading = False
        self._read_what_is_stale()

    async def _read(self) -> None:
        link, first = self.app.link, not self._described
        self._described = await link.describe("run", self.run_name)
        transcript = await link.get(path_of("transcript", self.run_name))
        related = self._described.get("related")
        self._conversation = conversation(transcript, related if isinstance(related, dict) else {})
        self._show_parts(await link.items("toolcalls", {"run": self.run_name}))
        self._money.again()
        if first:
            self._ring.take([EventRow.of(item) for item in await link.items("events", {"run": self.run_name, "tail": _EVENTS})])
            self.query_one(EventFeed).flush()

    async def _older(self, seq: int) -> list[EventRow]:
        """The events of this run before one: the daemon gives those of the end, so as many more are asked for."""
        have = len(self._ring) + _EVENTS
        items = await self.app.link.items("events", {"run": self.run_name, "tail": have})
        return [row for row in map(EventRow.of, items) if row.seq < seq]

    def _show_parts(self, calls: Sequence[Item]) -> None:
        self.query_one(ConversationView).show(self._conversation)
        self.query_one(CallsView).show(parts.calls(self._described))
        self._beside_it = frozenset(text(piece, "run_id") for piece in parts.work(self._described))
        self.query_one(PlanView).show(parts.steps(self._described), parts.work(self._described))
        self._calls = calls
        self._show()
        self.moved(self.shown_part())

    def _show(self) -> None:
        row = self.row
        self._show_facts(self.app.now())
        if row is not None:
            tree = [each for each in self.app.state.runs.values() if each.root_id == row.root_id] or [row]
            self.query_one(DelegationTree).show(tree, self._calls, root=row.id)
        self.draw_titles()

    def _show_facts(self, now: datetime) -> None:
        self.query_one(Facts).show(self._facts(now))

    def _facts(self, now: datetime) -> list[Line]:
        row = self.row
        if row is None:
            return [((self._problem or f"reading run {one_line(self.run_name)}", "failed" if self._problem else "muted"),)]
        glyphs, colour = self.app.glyphs, colour_of(row.status)
        lasted = span((row.finished_at or now) - row.started_at) if row.started_at else "not started"
        cells = self.size.width - 4
        first: list[Span] = [(f"{glyphs.of(row.status)} {one_line(row.status)}", f"{colour}")]
        if row.due_at is not None and not row.is_over:
            first.append((f"  until {clock(row.due_at, local=self.app.options.local_time)}", colour))
        cost = exact_dollars(row.tree_cost_nanousd)
        own = f" ({exact_dollars(row.cost_nanousd)} its own)" if row.tree_cost_nanousd != row.cost_nanousd else ""
        groups: list[Line] = [
            (("task ", "muted"), (one_line(row.task or "-"), "")),
            (("agent ", "muted"), (one_line(row.agent or "-"), "")),
            (("llm ", "muted"), (one_line(row.llm or "-"), "")),
            (("cost ", "muted"), (cost + own, "number")),
            ((f"turn {row.turns}", "muted"),),
            ((f"depth {row.depth}", "muted"),),
            ((f"priority {row.priority}", "muted"),),
            ((f"started {clock(row.started_at, local=self.app.options.local_time)}", "muted"),) if row.started_at else (),
            ((lasted, "muted"),),
        ]
        lines: list[Line] = [*_said(row.detail, "strong", cells, after=tuple(first)), *flow(groups, cells)]
        if row.error and row.error != row.detail:
            lines += _said(row.error, "failed", cells, after=(("error", "failed"),))
        for request in self.app.state.requests_of(row.id)[:2]:
            asked = request.question or request.tool or request.kind
            waited = age(request.created_at, now)
            key = self.app.keys.shown("runs.open_request")
            lines.append(
                (
                    ("! ", "waiting"),
                    (f"{one_line(request.kind)} ", "waiting"),
                    (one_line(asked), "strong"),
                    (f"  waits {waited}  {key} opens it", "muted"),
                )
            )
        if row.status == "Succeeded" and row.output:
            lines.append((("output  ", "done"), (one_line(row.output), "")))
        return lines

    # ---- going in, and beside

    def moved(self, lines: Lines) -> None:
        """What the cursor is on stands beside; money and plans take all the room."""
        self.set_class(TABS[self.part - 1] in ("plan", "spend"), "-alone")
        if isinstance(lines, ConversationView) and (said := lines.current) is not None:
            self.beside(*previews.of_said(said))
        elif isinstance(lines, CallsView) and (call := lines.current) is not None:
            self.beside(f"Tool call {text(call, 'tool')}", previews.of_call(call))
        elif isinstance(lines, EventFeed):
            entry = lines.current
            self.beside("Event", entry.item if isinstance(entry, EventRow) else None)
        elif isinstance(lines, DelegationTree):
            self.beside("Of the tree", lines.item_here())

    def opened(self, lines: Lines) -> None:
        """Into what the cursor is on."""
        if isinstance(lines, ConversationView) and (said := lines.current) is not None:
            if said.call is not None and said.kind in ("call", "result"):
                self._open_call(said.call)
            else:
                self.app.open_item("message", str(said.seq), run=self.run_name)
        elif isinstance(lines, CallsView) and (call := lines.current) is not None:
            self._open_call(call)
        elif isinstance(lines, PlanView) and (piece := lines.current) is not None and text(piece, "run"):
            self.app.open_run(text(piece, "run"))
        elif isinstance(lines, BudgetBars) and (budget := lines.current) is not None:
            self.app.open_item("budget", budget.name, run=self.run_name)
        elif isinstance(lines, DelegationTree) and (node := lines.current) is not None:
            if node.kind == "toolcall":
                self.app.open_item("toolcall", node.id, run=self.run_name)
            elif node.name != self.run_name:
                self.app.open_run(node.name)
            else:
                self.app.open_item("run", node.name)
        elif isinstance(lines, EventFeed) and isinstance(entry := lines.current, EventRow):
            self.app.open_item("event", str(entry.seq))

    def _open_call(self, call: Item) -> None:
        if child := text(call, "child"):
            self.app.open_run(child)
        else:
            self.app.open_item("toolcall", text(call, "id"), run=self.run_name)

    def on_event_feed_told(self, event: EventFeed.Told) -> None:
        """The feed's own line stands below it."""
        event.stop()
        self._feed_words = event.words
        self.draw_titles()

    def on_event_feed_types_wanted(self, event: EventFeed.TypesWanted) -> None:
        """Choose which types are shown."""
        from smallchain_tui.screens.eventtypes import choose_types

        event.stop()
        choose_types(self.app, event.feed)

    # ---- keys

    def action_tree(self) -> None:
        """What it delegated."""
        self.show_part(TABS.index("tree") + 1)

    def action_run_events(self) -> None:
        """Its events."""
        self.show_part(TABS.index("events") + 1)

    def action_parent(self) -> None:
        """The run that delegated this one, in the place of this screen."""
        row = self.row
        if row is None or not row.parent:
            self.tell("this run has no parent")
        else:
            self._go_to(row.parent)

    def action_child(self) -> None:
        """The child under the cursor, else the first one."""
        lines, mine = self.lines, self.run_id
        chosen = ""
        if isinstance(lines, DelegationTree) and (node := lines.current) is not None and node.kind == "run" and node.depth == 1:
            chosen = node.name
        elif isinstance(lines, ConversationView) and (said := lines.current) is not None and said.call is not None:
            chosen = text(said.call, "child")
        elif isinstance(lines, CallsView) and (call := lines.current) is not None:
            chosen = text(call, "child")
        chosen = chosen or next((row.name for row in self.app.state.runs.values() if row.parent_id == mine), "")
        if chosen:
            self._go_to(chosen)
        else:
            self.tell("this run has no children")

    def _go_to(self, name: str) -> None:
        self.app.pop_screen()
        self.app.open_run(name, tab=TABS[self.part - 1])

    def action_open_request(self) -> None:
        """What it asks a person."""
        found = self.app.state.requests_of(self.run_id)
        if found:
            self.app.open_request(found[0].id)
        else:
            self.tell("this run asks nothing of anybody")

    def action_pause(self) -> None:
        """Pause it."""
        self.app.open_act("pause", self.run_name)

    def action_resume(self) -> None:
        """Resume or retry it."""
        self.app.open_act("resume", self.run_name)

    def action_cancel(self) -> None:
        """Cancel it, after a question."""
        self.app.open_act("cancel", self.run_name)

    def action_fork(self) -> None:
        """Fork it, at the message under the cursor."""
        row = self.query_one(ConversationView).current
        self.app.open_act("fork", self.run_name, at=row.seq if row is not None else 0)

    def action_budget(self) -> None:
        """Raise the cap that stands in its way, or the one under the cursor."""
        self.app.open_budget(bars.current if (bars := self.query_one(BudgetBars)).has_focus else None, run=self.run_name)

    def action_start(self) -> None:
        """Run a task."""
        self.app.open_act("start")


def _said(words: str, style: str, cells: int, /, *, after: Line) -> list[Line]:
    """Why a run stands where it stands, behind what begins the line where it fits there, else below it, on a few lines at most."""
    line = one_line(words, cells=max(cells - 2, 8) * _MOST_LINES)
    if width(text_of(after)) + 2 + width(line) <= cells:
        return [(*after, (f"  {line}" if line else "", style))]
    return [after, *((("  ", ""), (part, style)) for part in islice(wrapped(line, cells - 2), _MOST_LINES))]
