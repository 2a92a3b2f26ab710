"""A request of the inbox on a screen of its own: it is loaded, watched while it is open, and what was begun on it is kept.

The one rule: what is decided is what was shown. A request that another answered, or that changed, is shown so before anything is sent.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime

from textual.content import Content
from textual.widgets import Static

from smallchain.model.errors import Busy, SmallchainError, Unreachable
from smallchain.protocol.client import path_of
from smallchain.protocol.text import one_line, width
from smallchain_tui import twins
from smallchain_tui.screens.deciding import DecidingScreen, visibly
from smallchain_tui.viewmodel import attention
from smallchain_tui.viewmodel.asking import hiding, waiting
from smallchain_tui.viewmodel.decision import Act, Decision, Stage
from smallchain_tui.viewmodel.rows import RequestRow
from smallchain_tui.viewmodel.state import CONNECTION, REQUESTS, Changed
from smallchain_tui.widgets.textfield import TextField


class AskedScreen(DecidingScreen):
    """One request; a subclass says how it is shown and answered."""

    def __init__(self, id: str) -> None:
        super().__init__()
        self.request_id = id
        self.row: RequestRow | None = None
        self.exact = False
        self._place = 0
        self._looking = False

    def show_row(self) -> None:
        """Show the request, as it came."""

    def crumbs(self) -> tuple[str, ...]:
        """Where one is."""
        return ("smallchain", "inbox", self.row.tool or self.row.kind if self.row is not None else self.request_id[-8:])

    # ---- its life

    def on_mount(self) -> None:
        """Show what is known; ask for the rest."""
        ids = self._others()
        self._place = ids.index(self.request_id) if self.request_id in ids else 0
        known = self.app.state.requests.get(self.request_id)
        if known is not None:
            self._have(known)
        else:
            self._look()

    def on_unmount(self) -> None:
        """What was begun is kept."""
        self.keep_draft()

    def _have(self, row: RequestRow) -> None:
        first = self.row is None
        self.row = row
        self.show_row()
        if first:
            self.call_after_refresh(self._opened)
        elif self.decision is not None:
            self.step(self.decision.looked(row.item, self.app.monotonic()))
        self.paint()

    def _opened(self) -> None:
        """It has been painted: from here on a person can have seen it."""
        if self.row is None or self.decision is not None:
            return
        draft, now = self.app.desk.draft(self.request_id), self.app.monotonic()
        try:
            decision = Decision.open(self.row.item, now, note=draft.note, text=draft.text)
        except ValueError:
            self.fault = (
                f"this version does not know a request of kind {self.row.kind!r}: `smallchain describe request {self.request_id[-8:]}`"
            )
            self.paint()
            return
        self.query_one("#note", TextField).fill(draft.note)
        self.decision = decision
        self.begun(draft.arguments if draft.digest == self.row.digest else "")
        self.step(replace(self.decision).looked(self.row.item, now))
        self.refresh_lines()
        self.paint()

    def begun(self, edit: str) -> None:
        """The decision is open; `edit` is what stood in the field of an edit that was not finished."""

    def state_changed(self, changed: Changed) -> None:
        """Another may have been first; the daemon may be gone, or back."""
        self.lost_or_found()
        if changed & {REQUESTS, CONNECTION} and (self.decision is None or not self.decision.is_over):
            known = self.app.state.requests.get(self.request_id)
            unknown = self.decision is not None and self.decision.stage is Stage.UNKNOWN
            if known is not None and not unknown:
                self._have(known)
            elif self.app.state.loaded:
                self._look()
        self.paint()

    def ticked(self, now: datetime) -> None:
        """Waiting times go on."""
        self.head()

    def _look(self) -> None:
        """Ask how the request stands, once at a time."""
        if not self._looking and self.app.state.connection.live:
            self._looking = True
            self.run_worker(self._looked(), group="look", exit_on_error=False)

    async def _looked(self) -> None:
        try:
            row = await self.app.link.request(self.request_id)
        except SmallchainError as error:
            self.fault = error.message if self.row is None else ""
            self.paint()
        else:
            if row.id:
                self._have(row)
        finally:
            self._looking = False

    async def carry_out(self, decision: Decision) -> None:
        """Send it; a broken connection leaves open whether it counted, until the daemon says."""
        act, now = decision.request(), self.app.monotonic
        try:
            answer = await self.app.link.act(path_of(act.verb, act.ref), act.body)
        except (Unreachable, Busy) as error:
            self._go(decision.lost(f"whether it counted is not known: {error.message}", now()))
            self.app.tell(f"whether it counted is not known: {error.message}", severity="error")
        except SmallchainError as error:
            why = f"{error.message}{f' ({error.hint})' if error.hint else ''}"
            self._go(decision.refused(why, now()))
            self.app.tell(why, severity="error")
            if self.is_attached:
                self._looking = False
                self._look()
        else:
            sentence = str(answer.get("sentence") or "done")
            self.app.desk.drop(decision.subject.id)
            self._go(decision.answered(sentence, now()))
            self.app.tell(sentence, twin=self.twin(act))
        self.app.state.stale_requests = self.app.state.stale_all = True

    def _go(self, decision: Decision) -> None:
        if self.is_attached and self.decision is not None and self.decision.stage is Stage.SENT:
            self.step(decision)

    def twin(self, act: Act) -> str:
        """The command that does the same."""
        body, note = act.body, str(act.body.get("note", ""))
        match act.verb:
            case "approve":
                given = body.get("arguments")
                before = self.row.arguments if self.row is not None and isinstance(self.row.arguments, dict) else {}
                changed = {name: value for name, value in given.items() if before.get(name) != value} if isinstance(given, dict) else None
                return twins.approve(act.ref, note=note, for_run=bool(body.get("for_run")), arguments=changed)
            case "deny":
                return twins.deny(act.ref, note=note)
            case "answer":
                return twins.answer(act.ref, str(body.get("text", "")), note=note)
            case "settle":
                verb = next(name for name in ("happened", "did_not_happen", "run_again") if name in body)
                return twins.settle(act.ref, verb, result=str(body.get("happened", "")), note=note)
            case _:
                return twins.on_run(act.verb, self.row.run if self.row is not None else act.ref, note=note, only=bool(body.get("only")))

    # ---- drafts

    def edit_text(self) -> str:
        """The text of an edit that is not finished."""
        return ""

    def keep_draft(self) -> None:
        """Keep what was begun, unless it is decided."""
        decision = self.decision
        if decision is None or self.row is None or decision.stage in (Stage.SENT, Stage.ENDED):
            return
        draft = replace(
            self.app.desk.draft(self.request_id), digest=self.row.digest, note=decision.note, text=decision.text, arguments=self.edit_text()
        )
        self.app.desk.keep(self.request_id, draft)
        if self.app.desk.fault:
            self.tell(self.app.desk.fault, severity="error")

    def following(self) -> str:
        """The next one, or back."""
        return f"{self.app.keys.shown('deciding.next_request')} next   esc back" if self._others() else "esc back"

    def head(self) -> None:
        """Who asks for what, how long it waits, what hides in it."""
        row = self.row
        if row is None:
            return
        now = self.app.now()
        high = row.risk.casefold() == "high"
        first: list[tuple[str, str]] = [
            (f"{self.app.glyphs.of('open')} ", "$waiting bold"),
            (one_line(row.tool or row.kind, cells=64), "$ink bold"),
            ("   ", ""),
        ]
        if row.risk:
            first.append(
                (f"risk {row.risk.upper()}   " if row.risk != "normal" else "risk normal   ", "$failed bold" if high else "$muted")
            )
        room = self.size.width - 3 - sum(width(one_line(text)) for text, _ in first)
        run = one_line(f"run {row.run}   ", cells=max(12, room // 2)) if row.run else ""
        first += [(run, "$ink"), (one_line(row.path, cells=max(8, room - width(run))), "$muted")]
        ids = self._others()
        place = f"{ids.index(self.request_id) + 1} of {len(ids)}" if self.request_id in ids else f"{len(ids)} more wait" if ids else ""
        second: list[tuple[str, str]] = [(waiting(row, now), "$waiting" if row.expires_at else "$muted"), (f"   {place}", "$ink")]
        if self.size.width >= 100:
            second.append(
                (f"   request {row.id[-8:]}" + (f"   digest {row.digest[:12]}" if row.digest and row.kind != "budget" else ""), "$muted")
            )
        pieces = [*visibly(first), ("\n", ""), *visibly(second)]
        if row.why and self.size.width < 100 and row.kind == "approval":
            pieces += [("\nwhy: ", "$muted"), (one_line(row.why, cells=max(20, self.size.width - 8)), "$ink")]
        if hidden := hiding(row):
            pieces += [("\n", ""), (one_line(hidden), "$failed bold")]
        self.query_one("#ask", Static).update(Content.assemble(*pieces))

    # ---- the others in the inbox

    def _others(self) -> list[str]:
        return [row.id for row in attention.inbox(self.app.state.requests.values())]

    def action_next_request(self) -> None:
        """The next one in the inbox."""
        self._turn(1)

    def action_previous_request(self) -> None:
        """The one before."""
        self._turn(-1)

    def _turn(self, step: int) -> None:
        ids = self._others()
        left = [id for id in ids if id != self.request_id]
        if not left or (self.decision is not None and self.decision.stage not in (Stage.OPENED, Stage.ENDED, Stage.UNKNOWN)):
            self.tell("nothing else waits" if not left else "not now: a decision is begun here")
            return
        at = ids.index(self.request_id) + step if self.request_id in ids else self._place + min(0, step)
        self.app.pop_screen()
        self.app.open_request(ids[at % len(ids)])

    def action_snooze(self) -> None:
        """Put it off for ten minutes, and go on."""
        self.keep_draft()
        super().action_back()
        self.app.put_off(self.request_id)

    def action_exactly(self) -> None:
        """What is hidden, written out, and back."""
        self.exact = not self.exact
        self.show_row()

    def action_copy_json(self) -> None:
        """The request as the daemon gave it."""
        if self.row is not None:
            self.app.copy(json.dumps(dict(self.row.item), ensure_ascii=False, indent=2))
