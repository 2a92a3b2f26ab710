"""One thing: a message, a tool call, a model call, an event, a resource; its arguments, its result, the raw request and reply."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from textual.binding import BindingType
from textual.widget import Widget

from smallchain.model.errors import SmallchainError, Unknown
from smallchain.protocol.client import path_of
from smallchain.protocol.text import one_line
from smallchain_tui.keymap import bindings
from smallchain_tui.screens.detail import DetailScreen
from smallchain_tui.viewmodel import parts
from smallchain_tui.viewmodel.budgets import Budget
from smallchain_tui.viewmodel.parts import Thing
from smallchain_tui.viewmodel.raising import how_raised
from smallchain_tui.viewmodel.rows import Item, number, sequence, text
from smallchain_tui.viewmodel.state import CONNECTION, EVENTS, Changed
from smallchain_tui.widgets.documentview import DocumentView
from smallchain_tui.widgets.facts import Facts
from smallchain_tui.widgets.lines import Lines

_MOST_PARTS = 6
_LEAST_S = 0.5
_LIVE = frozenset(("budget", "schedule"))
"""What any event may have moved."""
_MOST_READ = 262_144
"""Bytes of an artifact that are shown; of a larger one, the command that saves it."""
_LEGIBLE = frozenset(("text/plain", "text/markdown", "text/csv", "text/html", "application/json"))


class ItemScreen(DetailScreen):
    """A thing by its kind and its id, name or number; `run`: whose message or model call it is."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("detail"), *bindings("item")]
    scopes = ("app", "anywhere", "detail", "lines", "item")
    hints: ClassVar[tuple[str, ...]] = ("lines.unfold", "detail.yaml", "detail.raw", *DetailScreen.hints)

    def __init__(self, kind: str, ref: str, *, run: str = "") -> None:
        super().__init__()
        self.kind = kind
        self.ref = ref
        self.run_name = run
        self.thing: Thing | None = None
        self._stale = True
        self._loading = False
        self._problem = ""
        self._seen_seq = 0

    def crumbs(self) -> tuple[str, ...]:
        """Where one is."""
        run = self.thing.run if self.thing is not None else self.run_name
        name = self.thing.name if self.thing is not None else self.ref
        return ("smallchain", *(("runs", run) if run else ()), self.kind, name)

    def panes(self) -> list[Widget]:
        """A document for each part there may be."""
        return [DocumentView(id=f"part-{number}") for number in range(1, _MOST_PARTS + 1)]

    def part_titles(self) -> list[str]:
        """The parts there are."""
        return [part.title for part in self.thing.parts[:_MOST_PARTS]] if self.thing is not None else [self.kind]

    def foot(self) -> str:
        """What of the part is hidden, and how it is written."""
        document = self.lines
        if self._problem or not isinstance(document, DocumentView):
            return self._problem
        hidden = document.document.hidden()
        return f"{document.document.form}{'  exact' if document.document.exact else ''}{f'  sanitised: {hidden}' if hidden else ''}"

    # ---- data

    @property
    def is_settled(self) -> bool:
        """Whether it was read, or why it cannot be is known."""
        return self.thing is not None or bool(self._problem)

    def on_mount(self) -> None:
        """Read it."""
        self.query_one(Facts).show([((f"reading {one_line(self.kind)} {one_line(self.ref)}", "muted"),)])
        self._read_again()

    def state_changed(self, changed: Changed) -> None:
        """An event of its run came: it may be another than it was."""
        run = self.app.state.run_named(self.thing.run) if self.thing is not None and self.thing.run else None
        newest = self.app.state.last_event.get(run.id) if run is not None else None
        seq, self._seen_seq = self._seen_seq, newest.seq if newest is not None else 0
        of_its_run = self.kind in ("toolcall", "run") and self._seen_seq > seq
        if CONNECTION in changed or (EVENTS in changed and (of_its_run or self.kind in _LIVE)):
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
                try:
                    thing = await self._read()
                except SmallchainError as error:
                    self._problem = one_line(error.message)
                    if self.thing is None:
                        self.query_one(Facts).show([((self._problem, "failed"),)])
                    self.draw_titles()
                    return
                self._problem = ""
                if thing != self.thing:
                    self._show(thing)
                await asyncio.sleep(_LEAST_S)
        finally:
            self._loading = False

    async def _read(self) -> Thing:
        link, glyphs = self.app.link, self.app.glyphs
        match self.kind:
            case "toolcall":
                return parts.toolcall(await link.describe("toolcall", self.ref), glyphs, now=self.app.now())
            case "message":
                return await self._read_message()
            case "exchange":
                return parts.exchange(await link.get(path_of("exchange", self.run_name), {"attempt": int(self.ref)}))
            case "event":
                return parts.event(await link.describe("event", self.ref))
            case "artifact":
                return await self._read_artifact()
            case "budget":
                return self._resource(await self._described_budget())
            case _:
                return self._resource(await link.describe(self.kind, self.ref))

    async def _read_artifact(self) -> Thing:
        described = await self.app.link.describe("artifact", self.ref)
        found = described.get("item")
        item: Item = found if isinstance(found, dict) else {}
        content = ""
        if number(item, "size_bytes") <= _MOST_READ and text(item, "media_type").partition(";")[0] in _LEGIBLE:
            content = (await self.app.link.download(f"{path_of('artifacts', self.ref)}/content")).decode(errors="backslashreplace")
        return self._resource(described, content=content)

    async def _described_budget(self) -> Item:
        """A cap; as it stands for a run, where it was opened from one."""
        described = await self.app.link.describe("budget", self.ref)
        if not self.run_name:
            return described
        over = await self.app.link.items("budgets", {"run": self.run_name})
        return {**described, "item": next((item for item in over if item.get("name") == self.ref), described.get("item"))}

    def _resource(self, described: Item, *, content: str = "") -> Thing:
        cells, local = max(self.size.width - 4, 20), self.app.options.local_time
        return parts.resource(self.kind, described, self.app.glyphs, now=self.app.now(), cells=cells, local=local, content=content)

    async def _read_message(self) -> Thing:
        transcript = await self.app.link.get(path_of("transcript", self.run_name))
        found: list[Item] = [each for each in sequence(transcript, "messages") if isinstance(each, dict)]
        said = next((each for each in found if str(number(each, "seq")) == self.ref), None)
        if said is None:
            raise Unknown(f"run {self.run_name!r} has no message {self.ref}")
        attempt = number(said, "attempt")
        if not attempt:
            return parts.message(said, None, self.run_name)
        try:
            exchange = await self.app.link.get(path_of("exchange", self.run_name), {"attempt": attempt})
        except SmallchainError as error:
            return parts.message(said, None, self.run_name, why_no_exchange=one_line(error.message))
        return parts.message(said, exchange, self.run_name)

    def _show(self, thing: Thing) -> None:
        self.thing = thing
        self.query_one(Facts).show(thing.facts)
        for place, part in enumerate(thing.parts[:_MOST_PARTS], 1):
            self.query_one(f"#part-{place}", DocumentView).show(part.shown)
        self.show_part(min(self.part, len(self.part_titles())))
        self.refresh_lines()

    # ---- parts

    def moved(self, lines: Lines) -> None:
        """Beside the first part stands the second, beside another the first."""
        if self.thing is not None:
            place = self.thing.beside if self.part == 1 else 0
            part = self.thing.parts[min(place, len(self.thing.parts) - 1)]
            self.beside(part.title, part.shown)
        self.draw_titles()

    def opened(self, lines: Lines) -> None:
        """A call that was delegated leads to its run, an event to what it is about; else a line unfolds."""
        item = self.thing.item if self.thing is not None else {}
        about = item.get("object")
        if self.kind == "toolcall" and (child := text(item, "child")):
            self.app.open_run(child)
        elif self.kind == "event" and isinstance(about, dict) and text(about, "kind") == "toolcall" and text(about, "id"):
            self.app.open_item("toolcall", text(about, "id"))
        elif self.kind == "event" and text(item, "run"):
            self.app.open_run(text(item, "run"))
        elif isinstance(lines, DocumentView):
            lines.action_unfold()

    def action_budget(self) -> None:
        """Raise the cap that this is."""
        if self.kind == "budget" and self.thing is not None:
            budget = Budget.of(self.thing.item)
            if budget.request_id:
                self.app.open_budget(budget)
            else:
                self.tell(how_raised(budget))

    def exported(self) -> object:
        """The raw text of a part where it was read from one: a request as it was sent, a reply as it came."""
        lines = self.lines
        if self.thing is not None and lines.id != "preview":
            part = self.thing.parts[self.part - 1]
            return part.raw if part.raw is not None else part.value
        return lines.everything()
