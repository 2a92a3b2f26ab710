"""The app: it joins settings, link, feed and state, paints what changed ten times a second, and opens the screens by name.

The one rule: it wires, and decides nothing. Screens ask it for `link`, `state`, `keys`, `glyphs`, `now()` and `may_act()`.
"""

from __future__ import annotations

import asyncio
import importlib
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from textual.app import App, SystemCommand
from textual.binding import BindingType
from textual.screen import Screen
from textual.worker import Worker, WorkerState

from smallchain.model.errors import SmallchainError, Unknown
from smallchain.protocol.client import Client
from smallchain.protocol.text import one_line, visible
from smallchain_tui import export, themes
from smallchain_tui.desk import Desk
from smallchain_tui.feed import Feed
from smallchain_tui.keymap import Keys, bindings
from smallchain_tui.link import Link
from smallchain_tui.log import log
from smallchain_tui.notify import Herald
from smallchain_tui.options import Options
from smallchain_tui.screens.base import BaseScreen
from smallchain_tui.screens.overview import OverviewScreen
from smallchain_tui.viewmodel import raising
from smallchain_tui.viewmodel.budgets import Budget
from smallchain_tui.viewmodel.glyphs import Glyphs
from smallchain_tui.viewmodel.state import REQUESTS, RUNS, Changed, State
from smallchain_tui.viewmodel.words import clock, count
from smallchain_tui.widgets import scrollbars

SNOOZE = timedelta(minutes=10)
FLUSH_S = 0.1
"""How often what changed is painted."""
_READ_AGAIN_S = 0.3
_READ_ALL_S = 1.0

SCREENS = {
    "run": ("smallchain_tui.screens.run", "RunScreen"),
    "item": ("smallchain_tui.screens.item", "ItemScreen"),
    "things": ("smallchain_tui.screens.things", "ThingsScreen"),
    "approval": ("smallchain_tui.screens.approval", "ApprovalScreen"),
    "question": ("smallchain_tui.screens.question", "QuestionScreen"),
    "request": ("smallchain_tui.screens.request", "RequestScreen"),
    "raise": ("smallchain_tui.screens.raising", "RaiseScreen"),
    "bulk": ("smallchain_tui.screens.bulk", "BulkScreen"),
    "act": ("smallchain_tui.screens.acts", "act_screen"),
}
"""Where the screens are: imported when they are first opened, so that the first paint does not wait for them."""


class Dashboard(App[None]):
    """The dashboard of one daemon. `now` is the clock of all that is shown, `monotonic` (seconds) that of keys: tests give their own."""

    CSS_PATH = Path(__file__).with_name("style.tcss")
    TITLE = "smallchain"
    BINDINGS: ClassVar[list[BindingType]] = bindings("app")
    ENABLE_COMMAND_PALETTE = True

    def __init__(
        self,
        client: Client,
        options: Options,
        *,
        desk: Desk | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.options = options
        self.glyphs = Glyphs(options.ascii)
        scrollbars.draw(ascii=options.ascii)
        super().__init__()
        self.desk = desk or Desk(None)
        self.now = now
        self.monotonic = monotonic
        self.keys: Keys = options.keys
        self.state = State()
        self.feed = Feed(client, now=now)
        self.link = Link(client, why_not=self.may_act)
        self.herald = Herald(options.notify, write=self._write_terminal, toast=lambda line: self.notify(line, markup=False, timeout=8))
        self._news = False
        self._read_at = 0.0
        self._all_took_s = 0.0
        self._reading = False
        self._ticked_at = 0
        self._mouse_on = options.mouse

    # ---- its life

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Our names of colours, for themes that are not ours."""
        return dict(themes.variables(themes.DARK))

    def on_mount(self) -> None:
        """Paint first, then look for the daemon."""
        for theme in themes.themes():
            self.register_theme(theme)
        wanted = self.options.theme if self.options.theme in self.available_themes else f"smallchain-{self.options.theme}"
        self.theme = wanted if wanted in self.available_themes else themes.DARK
        if self.options.reduced_motion:
            self.animation_level = "none"
        self.set_keymap(dict(self.keys.moved))
        self.push_screen(OverviewScreen())
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        self.feed.start()
        self.set_interval(FLUSH_S, self._paint, name="paint")
        for fault in self.options.faults[:3]:
            self.notify(one_line(fault), severity="warning", timeout=15, markup=False)

    def on_unmount(self) -> None:
        """The feed's thread ends with us."""
        self.feed.stop()
        self.herald.close()

    def _paint(self) -> None:
        """Take in what has come, and paint what it changed."""
        if not self.screen_stack:
            return  # the program is ending
        changed = self.state.take_connection(self.feed.connection)
        if changed:
            log.info("connection: %s %s", self.state.connection.standing, self.state.connection.detail)
        changed |= self.state.take_events(self.feed.drain())
        self.changed(changed)
        self._read_what_is_stale()
        now = self.now()
        second = int(now.timestamp())
        if second != self._ticked_at:
            self._ticked_at = second
            if self._news or self.herald.waits:
                self._news = False
                self.herald.look(self.state, self.monotonic())
            screen = self.screen
            if isinstance(screen, BaseScreen) and screen.stands:
                screen.ticked(now)
                screen.refresh_lines()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """A worker of ours ended with a fault that nobody foresaw."""
        if event.state is WorkerState.ERROR and event.worker.error is not None:
            self.broke(event.worker.error)

    def broke(self, error: BaseException) -> None:
        """Say that a part of the dashboard broke; the rest goes on, since somebody may be deciding something."""
        log.error("a part broke: %s", "".join(traceback.format_exception(error)))
        self.tell(f"a part of the dashboard broke: {type(error).__name__}; --log writes down where", severity="error")

    def changed(self, changed: Changed) -> None:
        """Tell the screen in front which parts of the state changed."""
        self._news |= bool(changed & {RUNS, REQUESTS})
        screen = self.screen
        if changed and isinstance(screen, BaseScreen):
            screen.caught_up(changed)

    def _read_what_is_stale(self) -> None:
        state, loop_time = self.state, asyncio.get_running_loop().time()
        if self._reading or not state.connection.live or not (state.stale_all or state.stale_runs or state.stale_requests):
            return
        pause = max(_READ_ALL_S, 5 * self._all_took_s) if state.stale_all and state.loaded else _READ_AGAIN_S
        if loop_time - self._read_at < pause:
            return
        self._reading, self._read_at = True, loop_time
        self.run_worker(self._read(), group="read", exit_on_error=False)

    async def _read(self) -> None:
        """Read again what events said is stale. What becomes stale meanwhile is read the next time."""
        state = self.state
        whole, ids, requests = state.stale_all, set(state.stale_runs), state.stale_requests
        state.stale_all, state.stale_requests = False, False
        state.stale_runs = set()
        for id in list(ids):  # what a child costs, its ancestors cost
            row = state.runs.get(id)
            while row is not None and row.parent_id and row.parent_id not in ids:
                ids.add(row.parent_id)
                row = state.runs.get(row.parent_id)
        try:
            if requests:
                self.changed(state.take_requests(await self.link.requests()))
            if whole or len(ids) > 100:
                began = asyncio.get_running_loop().time()
                rows, complete = await self.link.runs()
                self._all_took_s = asyncio.get_running_loop().time() - began
                self.changed(state.take_runs(rows, whole=True, complete=complete))
            elif ids:
                rows, _ = await self.link.runs(ids=ids)
                self.changed(state.take_runs(rows, whole=False))
        except Unknown:
            state.stale_all = True  # a run that an event told of is there no more
        except SmallchainError:
            # The feed finds out how the daemon is, and says so; what is stale stays so.
            state.stale_all |= whole
            state.stale_requests |= requests
            state.stale_runs |= ids
        finally:
            self._reading = False

    # ---- what screens ask

    def may_act(self) -> str | None:
        """Why nothing can be changed now, a sentence part; None while it can."""
        if self.options.read_only:
            return "this is --read-only: nothing is changed from here"
        return self.state.connection.why_not()

    def tell(self, message: str, *, twin: str = "", severity: str = "") -> None:
        """Say something in the status line of the screen in front, with the command that does the same."""
        screen = next((each for each in reversed(self.screen_stack) if isinstance(each, BaseScreen)), None)
        if screen is not None:
            screen.tell(message, twin=twin, severity=severity)

    def put_off(self, id: str) -> None:
        """Put a request behind the others for ten minutes; it waits on, and nobody is told."""
        until = self.now() + SNOOZE
        self.desk.keep(id, replace(self.desk.draft(id), snoozed_until=until.timestamp()))
        self.tell(f"put off until {clock(until, local=self.options.local_time)}; it waits on, and nobody was told")
        self.changed(frozenset((REQUESTS,)))

    async def act(self, path: str, body: Mapping[str, Any] | None = None, *, twin: str = "") -> dict[str, Any] | None:
        """Change something, and say so with its twin; None where it was refused or failed, which is said too."""
        log.info("act: POST %s", path)
        try:
            answer = await self.link.act(path, body)
        except SmallchainError as error:
            self.tell(f"{error.message}{f' ({error.hint})' if error.hint else ''}", severity="error")
            return None
        sentence = answer.get("sentence")
        self.tell(sentence if isinstance(sentence, str) else "done", twin=twin)
        self.state.stale_requests = True
        self.state.stale_all = True
        return answer

    def copy(self, text: str) -> None:
        """Put a raw text into the clipboard (OSC 52, base64: nothing of it reaches the terminal as it is)."""
        self.copy_to_clipboard(text)
        self.tell(f"copied {len(text)} characters")

    def export(self, what: str, items: Sequence[Mapping[str, Any]]) -> None:
        """Write items to a new file in the working folder, as the command's `-o json` has them."""
        try:
            path = export.write(Path.cwd(), what, {"items": list(items)}, now=self.now())
        except OSError as error:
            self.tell(f"not written: {error}", severity="error")
            return
        self.tell(f"{count(len(items), 'item')} in {path}")

    # ---- going places: the one place that knows the screens

    def open_run(self, name: str, *, tab: str = "") -> None:
        """A run's screen; `tab`: the part to begin with (`messages`, `tree`, `events`, ...)."""
        self._open("run", name, tab=tab)

    def open_item(self, kind: str, ref: str, *, run: str = "") -> None:
        """One thing with all that belongs to it: a `toolcall`, `message`, `event`, `exchange`, `run`, `llm`, ... by its id, seq or name."""
        self._open("item", kind, ref, run=run)

    def open_things(self, name: str = "") -> None:
        """The lists of tools, MCP servers, artifacts and the rest, beginning with one of them."""
        self._open("things", name)

    def open_request(self, id: str) -> None:
        """What a person is asked, by its kind: an approval, a question, a cap to be raised, or one of the others."""
        row = self.state.requests.get(id)
        screens = {"approval": "approval", "question": "question", "budget": "raise"}
        self._open(screens.get(row.kind, "request") if row is not None else "request", id)

    def open_budget(self, budget: Budget | None = None, *, run: str = "") -> None:
        """Raise a cap (else the one that stands in a run's way): its request, where it asks; else the cap itself, with how it is raised."""
        self.run_worker(self._open_budget(budget, run), group="budget", exclusive=True, exit_on_error=False)

    async def _open_budget(self, budget: Budget | None, run: str) -> None:
        if budget is None:
            try:
                budget = raising.chosen([Budget.of(item) for item in await self.link.items("budgets", {"run": run})])
            except SmallchainError as error:
                self.tell(error.message, severity="error")
                return
        if budget is None:
            self.tell(f"no cap is over run {run!r}")
        elif budget.request_id:
            self._open("raise", budget.request_id)
        else:
            self.open_item("budget", budget.name, run=run or budget.run)

    def open_bulk(self, ids: Sequence[str]) -> None:
        """The list before several are approved together."""
        self._open("bulk", list(ids))

    def open_act(self, verb: str, run: str = "", *, at: int = 0) -> None:
        """The dialog of an act: `pause`, `resume`, `cancel`, `retry`, `fork` on a run, or `start` of a task.

        `at`: the message that a fork begins with.
        """
        why = self.may_act()
        if why is not None:
            self.tell(why, severity="error")
            return
        self._open("act", verb, run, at=at)

    def _open(self, which: str, *words: Any, **more: Any) -> None:
        module, name = SCREENS[which]
        make = getattr(importlib.import_module(module), name)
        self.push_screen(make(*words, **{key: value for key, value in more.items() if value}))

    def go_back(self) -> None:
        """One screen back; from the overview out of the program, which says that the runs go on."""
        if len(self.screen_stack) > 2:
            self.pop_screen()
        else:
            self.action_quit_at_once()

    # ---- keys and commands

    def action_quit_at_once(self) -> None:
        """End the dashboard; the daemon and its runs go on."""
        live = sum(not row.is_over for row in self.state.runs.values())
        self.exit(
            message=f"{live} {'run goes' if live == 1 else 'runs go'} on in the daemon." if live and self.state.connection.live else None
        )

    def action_refresh_now(self) -> None:
        """Look for the daemon now, and read everything again."""
        self.feed.hurry()
        self.state.stale_all = self.state.stale_requests = True
        self.tell("reading everything again")

    def action_next_theme(self) -> None:
        """The next of our themes."""
        at = themes.NAMES.index(self.theme) if self.theme in themes.NAMES else -1
        self.theme = themes.NAMES[(at + 1) % len(themes.NAMES)]
        self.tell(f"theme: {self.theme.removeprefix('smallchain-')}")

    def action_toggle_mouse(self) -> None:
        """Give the mouse to the terminal, or take it back."""
        self._mouse_on = not self._mouse_on
        driver = self._driver
        for name in ("_enable_mouse_support",) if self._mouse_on else ("_disable_mouse_support",):
            switch = getattr(driver, name, None)
            if switch is not None:
                switch()
        self.tell("mouse on" if self._mouse_on else "mouse off: the terminal selects text now")

    def action_copy_or_hint(self) -> None:
        """Copy the selection; without one, say how to leave."""
        selected = self.screen.get_selected_text()
        if selected:
            self.copy(selected)
        else:
            self.tell(f"ctrl+c copies a selection; {self.keys.shown('anywhere.back')} quits, and the runs go on")

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """What the palette finds: what the keys of the screen in front do, and the themes."""
        seen = set()
        for active in screen.active_bindings.values():
            binding = active.binding
            if binding.id and binding.description and active.enabled and binding.id not in seen:
                seen.add(binding.id)
                yield SystemCommand(
                    f"{binding.description} ({self.keys.shown(binding.id)})",
                    binding.id,
                    lambda action=binding.action, node=active.node: self.call_later(self.run_action, action, node),
                )
        for name in themes.NAMES:
            yield SystemCommand(f"theme: {name.removeprefix('smallchain-')}", "theme", lambda name=name: setattr(self, "theme", name))
        yield SystemCommand("screenshot", "save the screen as an SVG file", lambda: self.call_later(self.deliver_screenshot))

    def command(self, text: str) -> None:
        """Carry out a typed command: `run NAME`, `filter TEXT`, `sort NAME`, `theme NAME`, ..."""
        from smallchain_tui.commands import carry_out

        carry_out(self, text)

    def _write_terminal(self, sequence: str) -> None:
        """Put a sequence of our own into the terminal, where there is one."""
        driver = self._driver
        if driver is not None and not self.is_headless:
            driver.write(sequence)
            driver.flush()

    # ---- when it breaks

    def _fatal_error(self) -> None:
        """Tell what broke without the values of variables: they may hold arguments, notes, keys."""
        from rich.text import Text

        self.bell()
        error = self._exception
        told = "".join(traceback.format_exception(error)) if error is not None else "the dashboard broke"
        log.critical("%s", told)
        words = "\nThe dashboard broke; the daemon and its runs go on. Please report what stands above.\n"
        self._exit_renderables.append(Text(visible(told, multiline=True) + words))
        self._close_messages_no_wait()
