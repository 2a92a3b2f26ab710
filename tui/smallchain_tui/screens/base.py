"""What every screen has: the header line with its breadcrumb, the status line, help, filter and command lines, back and out.

The one rule: a screen is told what changed (`state_changed`) and when a second has passed (`ticked`); it never polls, and holds no client.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static
from textual.worker import Worker, WorkerState

from smallchain_tui.keymap import bindings, hint_of
from smallchain_tui.viewmodel.connection import Standing
from smallchain_tui.viewmodel.glyphs import colour_of
from smallchain_tui.viewmodel.state import Changed
from smallchain_tui.viewmodel.words import clock
from smallchain_tui.widgets.filterbar import FilterBar
from smallchain_tui.widgets.headerline import Header, HeaderLine
from smallchain_tui.widgets.listing import Listing, Piece
from smallchain_tui.widgets.statusline import StatusLine

if TYPE_CHECKING:
    from smallchain_tui.app import Dashboard

_TOLD_FOR_S = 12.0
_CONNECTION_COLOURS = {
    Standing.CONNECTED: "done",
    Standing.CONNECTING: "pending",
    Standing.RECONNECTING: "waiting",
    Standing.STOPPED: "failed bold",
    Standing.SKEW: "waiting bold",
}


class BaseScreen(Screen[None]):
    """A full screen of the dashboard. A subclass composes its `body`, names its `crumbs`, and hears of changes."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("anywhere")
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-normal"), (140, "-wide")]  # noqa: RUF012 - Textual declares it so
    VERTICAL_BREAKPOINTS = [(0, "-short"), (32, "-tall")]  # noqa: RUF012
    scopes: ClassVar[tuple[str, ...]] = ("app", "anywhere")
    """The scopes of the key map that are heard here, for the help page."""
    hints: ClassVar[tuple[str, ...]] = ()
    """Ids of actions for the status line, after those of the focused widget."""

    _told: Timer | None = None
    app: Dashboard

    # ---- what a subclass says

    def body(self) -> ComposeResult:
        """The widgets between the header line and the status line."""
        yield Static("", markup=False)

    def crumbs(self) -> tuple[str, ...]:
        """Where one is, raw; the first is the program's name."""
        return ("smallchain",)

    def state_changed(self, changed: Changed) -> None:
        """Parts of `app.state` changed (names of `viewmodel.state`): show them. At most ten times a second."""

    def ticked(self, now: datetime) -> None:
        """A second has passed: let ages go on."""

    def out(self) -> bool:
        """Esc was pressed: True where something here was closed or cleared by it; else the screen is left."""
        return False

    # ---- what is the same everywhere

    def compose(self) -> ComposeResult:
        """Header line, body, filter line, status line."""
        yield HeaderLine(id="header")
        yield from self.body()
        yield FilterBar(id="bar")
        yield StatusLine(id="status")

    @property
    def stands(self) -> bool:
        """Whether all of it is there: composed, and not being taken down, when its widgets go first."""
        return self.is_mounted and self.is_attached and bool(self.query(HeaderLine)) and bool(self.query(StatusLine))

    def on_mount(self) -> None:
        """Show what is known already."""
        self.set_class(self.app.options.ascii, "-ascii")
        self.call_after_refresh(self.refresh_lines)

    def on_screen_resume(self) -> None:
        """Catch up with what happened while another screen was in front."""
        from smallchain_tui.viewmodel import state

        self.app.call_after_refresh(self.caught_up, frozenset((state.RUNS, state.REQUESTS, state.EVENTS, state.CONNECTION, state.SPEND)))

    def caught_up(self, changed: Changed) -> None:
        """Show all that changed, and the lines above and below."""
        if not self.stands:
            return
        self.set_class(not self.app.state.connection.live, "-stale")
        self.state_changed(changed)
        self.refresh_lines()

    def refresh_lines(self) -> None:
        """Draw the header line and the hints anew, where they differ."""
        if not self.stands:
            return
        self.query_one(HeaderLine).show(self.header())
        self.query_one(StatusLine).show_hints(self._hints())

    def header(self) -> Header:
        """The first line's content."""
        app, state = self.app, self.app.state
        now = app.now()
        connection = state.connection
        words = connection.words(now)
        if self.size.width < 100:
            words = "conn" if connection.standing is Standing.CONNECTED else words.partition(":")[0].partition(" (")[0]
        if not connection.live and connection.as_of is not None:
            words += f", as of {clock(connection.as_of, local=app.options.local_time)}"
        middle: list[Piece] = []
        if state.loaded:
            total = len(state.runs)
            middle.append((f"runs {total}{'' if state.complete else '+'}", "muted"))
            for index, (word, number) in enumerate(state.counts().items()):
                shown = f"{number} {word.lower()}" if self.size.width >= 100 else f"{number}{app.glyphs.of(word)}"
                middle.append((("  " if index else ": ") + shown, colour_of(word)))
        right: list[Piece] = []
        if state.requests:
            right.append((f"inbox {len(state.requests)}", "waiting bold"))
            right.append(("  ", ""))
        right.append(("read-only" if app.options.read_only else "rw" if app.may_act() is None else "reads only", "muted"))
        if self.size.width >= 100:
            zone = "" if app.options.local_time else "UTC "
            right.append((f"  {zone}{clock(now, local=app.options.local_time)}", "muted"))
        return Header(self.crumbs(), (f"[{words}]", _CONNECTION_COLOURS[connection.standing]), tuple(middle), tuple(right))

    def _hints(self) -> list[tuple[str, str]]:
        focused = self.focused
        own = focused.hints if isinstance(focused, Listing) else getattr(focused, "hints", ())
        ids = dict.fromkeys(("anywhere.help", *own, *self.hints, "anywhere.command_line", "app.command_palette", "anywhere.back"))
        return [(self.app.keys.shown(id), hint_of(id)) for id in ids if self.app.keys.of(id) and hint_of(id)]

    def on_descendant_focus(self) -> None:
        """The hints are those of what has the focus."""
        self.call_after_refresh(self.refresh_lines)

    def tell(self, message: str, *, twin: str = "", severity: str = "") -> None:
        """Say something in the status line for a while; `severity`: empty or `error`."""
        line = self.query_one_optional(StatusLine)
        if line is None:
            return  # the program is ending, and an act has come to its end just now
        line.tell(message, twin=twin, severity=severity)
        if self._told is not None:
            self._told.stop()
        self._told = self.set_timer(_TOLD_FOR_S, lambda: line.tell(""))

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """A worker of this screen ended with a fault that nobody foresaw."""
        if event.state is WorkerState.ERROR and event.worker.error is not None:
            self.app.broke(event.worker.error)

    # ---- keys

    def action_help(self) -> None:
        """What the keys here do."""
        from smallchain_tui.screens.help import HelpScreen

        self.app.push_screen(HelpScreen(self.scopes))

    def action_back(self) -> None:
        """Back to where one came from; from the overview out of the program."""
        self.app.go_back()

    def action_out(self) -> None:
        """Close or clear what is open here, else go back; never out of the program."""
        if self.out():
            return
        if len(self.app.screen_stack) > 2:
            self.app.go_back()

    def action_command_line(self) -> None:
        """Let a command be typed."""
        self._focus_before: Widget | None = self.focused
        self.query_one(FilterBar).open("command", hint="run NAME, tools, mcp_servers, artifacts, filter TEXT, sort NAME, inbox, quit, help")

    def on_filter_bar_ended(self, event: FilterBar.Ended) -> None:
        """The command was typed."""
        event.stop()
        if event.purpose == "command":
            self.restore_focus()
            if event.kept and event.text.strip():
                self.app.command(event.text)

    def restore_focus(self) -> None:
        """Give the focus back to what had it before somebody typed."""
        before = getattr(self, "_focus_before", None)
        if before is not None and before.is_attached:
            self.set_focus(before)
