"""Several approvals together: first the list of what is taken and what is left out, then the verdict, then a result for each.

The one rule: they are sent one by one, each with its own digest; one that does not count does not keep the others, and a lost connection
stops what is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from smallchain.model.delivery import Verb
from smallchain.model.errors import Busy, SmallchainError, Unreachable
from smallchain.protocol.client import path_of
from smallchain.protocol.text import one_line
from smallchain_tui import twins
from smallchain_tui.keymap import bindings
from smallchain_tui.screens.deciding import DecidingScreen
from smallchain_tui.viewmodel.asking import Row
from smallchain_tui.viewmodel.bulk import Bulk, Many, Result, preflight
from smallchain_tui.viewmodel.bulk import Row as Marked
from smallchain_tui.viewmodel.decision import Decision, Ending, Stage, Verdict
from smallchain_tui.viewmodel.state import REQUESTS, Changed
from smallchain_tui.widgets.pane import Pane
from smallchain_tui.widgets.reader import Reader


class BulkScreen(DecidingScreen):
    """What was marked in the inbox."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("bulk")]
    scopes: ClassVar[tuple[str, ...]] = ("app", "anywhere", "deciding", "bulk")

    def __init__(self, ids: Sequence[str]) -> None:
        super().__init__()
        self._ids = list(ids)
        self.bulk = Bulk(())
        self.goes_on = False
        """Whether they are being sent."""

    def crumbs(self) -> tuple[str, ...]:
        """Where one is."""
        return ("smallchain", "inbox", "several")

    def parts(self) -> ComposeResult:
        """The list."""
        with Pane(id="marked-pane"):
            yield Reader(id="marked")

    def on_mount(self) -> None:
        """Look at what is marked as it stands now."""
        known = self.app.state.requests
        self.bulk = preflight(known[id].item for id in self._ids if id in known)
        count = len(self.bulk.taken)
        if not self.bulk.rows:
            self.fault = "nothing of what was marked waits any more"
        elif not count:
            self.fault = "none of them can be decided together: open each by itself"
        self._show()
        if count:
            self.call_after_refresh(self._opened)
        self.paint()

    def _opened(self) -> None:
        now, note = self.app.monotonic(), self.decision.note if self.decision is not None else ""
        self.step(Decision(Many(len(self.bulk.taken)), quiet_since=now, since=now, note=note))
        self.paint()

    def state_changed(self, changed: Changed) -> None:
        """What another decides meanwhile is told by its own result; a lost connection arms the keys anew."""
        self.lost_or_found()
        if REQUESTS in changed and not self.goes_on and self.decision is not None and not self.decision.is_over:
            self._drop_closed()
        self.paint()

    def _drop_closed(self) -> None:
        """What was decided elsewhere is no longer among them; what remains has another number, so what was begun is not for it."""
        known = self.app.state.requests
        still = preflight(known[row.asked.id].item for row in self.bulk.rows if row.asked.id in known)
        if still.rows == self.bulk.rows:
            return
        self.bulk = still
        self._show()
        if not still.taken:
            self.fault = "all of it was decided elsewhere"
            self.step(None)
        else:
            self._opened()

    # ---- shown

    def head(self) -> None:
        """How many, and how many not."""
        taken, left = len(self.bulk.taken), len(self.bulk.left_out)
        pieces = [(f"{taken} approvals", "$ink bold"), (" are decided together", "$muted")]
        if left:
            pieces.append((f"   {left} left out, to be opened alone", "$waiting bold"))
        if self.bulk.results:
            pieces.append((f"   {self.bulk.summary()}", "$ink bold"))
        self.said("#ask", *pieces)

    def _show(self) -> None:
        rows: list[Row] = []
        for number, row in enumerate(self.bulk.taken, 1):
            rows += self._lines(f"{number:>3}  ", row)
        if self.bulk.left_out:
            rows += [Row("", ""), Row("", "left out", "muted")]
            for row in self.bulk.left_out:
                rows += self._lines("  -  ", row)
        self.query_one("#marked", Reader).show(rows)
        self.query_one("#marked-pane", Pane).title("What is marked")
        self._foot()

    def _lines(self, gutter: str, row: Marked) -> list[Row]:
        asked = row.asked
        risk = "   HIGH" if asked.risk.casefold() == "high" else ""
        head = one_line(f"{asked.tool or asked.kind}   run {asked.run}   {twins.short(asked.id)}{risk}")
        lines = [Row(gutter, head, "strong"), Row("     ", row.arguments or "no arguments")]
        result = self.bulk.results.get(asked.id)
        if row.left_out:
            lines.append(Row("     ", one_line(row.left_out), "waiting"))
        elif result is not None:
            sign = self.app.glyphs.of("succeeded" if result.counted else "failed")
            lines.append(Row(f"  {sign}  ", one_line(result.sentence), "added" if result.counted else "failed"))
        elif self.bulk.stopped:
            lines.append(Row("     ", "not sent", "waiting"))
        return lines

    def _foot(self) -> None:
        seen = self.query_one("#marked", Reader).foot()
        self.query_one("#marked-pane", Pane).foot(f"{seen}  {self.app.keys.shown('deciding.page')}: on" if seen else "")

    def on_reader_moved(self, event: Reader.Moved) -> None:
        """The foot counts lines."""
        event.stop()
        if self.is_mounted:
            self._foot()

    def open_line(self, decision: Decision) -> list[tuple[str, str]]:
        """The verdicts."""
        count = len(self.bulk.taken)
        return [
            *self.keys_line(("bulk.approve", f"Approve {count}..."), ("bulk.deny", f"Deny {count}, with a note...")),
            ("esc back", "$muted"),
        ]

    def quiet_line(self, decision: Decision) -> list[tuple[str, str]]:
        """The command that does the same."""
        if decision.stage is Stage.OPENED:
            return [("same: ", "$muted"), (self._twin(Verb.APPROVE, ""), "$running")]
        return [("", "")]

    def why_word(self, decision: Decision) -> str:
        """Why a word is typed."""
        return f"{len(self.bulk.taken)} at once"

    def doing(self, decision: Decision) -> str:
        """In words."""
        return f"{decision.verdict.verb if decision.verdict is not None else ''} {len(self.bulk.taken)}"

    def _twin(self, verb: str, note: str) -> str:
        ids = [twins.short(row.asked.id) for row in self.bulk.taken]
        return twins.command(verb, ids, [("--note", note)] if note else [])

    # ---- keys

    def action_approve(self) -> None:
        """Approve all that are taken, after their number was typed."""
        self.verdict(Verdict(Verb.APPROVE), "bulk.approve")

    def action_deny(self) -> None:
        """Deny all that are taken; the note is written first."""
        self.verdict(Verdict(Verb.DENY), "bulk.deny")

    # ---- sent

    async def carry_out(self, decision: Decision) -> None:
        """One by one."""
        assert decision.verdict is not None
        self.goes_on = True
        while (row := self.bulk.next()) is not None:
            act = self.bulk.act(row, decision.verdict, decision.note)
            try:
                why_not = self.app.may_act()
                if why_not is not None:
                    self.bulk = self.bulk.stop(why_not)
                    break
                answer = await self.app.link.act(path_of(act.verb, act.ref), act.body)
            except (Unreachable, Busy) as error:
                self.bulk = self.bulk.told(row.asked.id, Result(False, f"whether it counted is not known: {error.message}"))
                self.bulk = self.bulk.stop("the connection broke")
            except SmallchainError as error:
                self.bulk = self.bulk.told(row.asked.id, Result(False, error.message))
            else:
                self.bulk = self.bulk.told(row.asked.id, Result(True, str(answer.get("sentence") or "done")))
                self.app.desk.drop(row.asked.id)
            if self.is_attached:
                self._show()
                self.paint()
        self.goes_on = False
        self.app.state.stale_requests = self.app.state.stale_all = True
        summary = self.bulk.summary()
        if self.is_attached and self.decision is not None:
            self._show()
            self.step(self.decision.answered(summary, self.app.monotonic()))
        self.app.tell(summary, twin=self._twin(decision.verdict.verb, decision.note))

    def ended(self, ending: Ending) -> list[tuple[str, str]]:
        """How many counted; in another colour where not all did."""
        all_well = all(result.counted for result in self.bulk.results.values()) and not self.bulk.stopped
        return [(ending.sentence, "$done bold" if all_well else "$waiting bold")]
