"""A cap that asks to be raised: how it stands and how it would, by how much, for this window or for good.

The one rule: what is sent is the amount that stands in the field, bound to the cap that was shown; a digit only chooses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from smallchain.model.errors import SmallchainError
from smallchain_tui.screens.request import RequestScreen
from smallchain_tui.viewmodel import raising
from smallchain_tui.viewmodel.asking import Row
from smallchain_tui.viewmodel.budgets import Budget
from smallchain_tui.viewmodel.decision import Decision, Verdict
from smallchain_tui.viewmodel.rows import text

_VERDICTS = (Verdict("approve"), Verdict("approve", for_good=True), Verdict("deny"))
_READ_S = 2.0


class RaiseScreen(RequestScreen):
    """One request to raise a cap."""

    text_title = "By how much"
    note_hint = "a note: it is kept with the decision"

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self._budget: Budget | None = None
        self._read_at = float("-inf")
        self._reading = False

    # ---- what a cap does otherwise

    def labels(self) -> Sequence[str]:
        """For this window, for good, not at all."""
        return raising.ways(self._budget, self.app.now(), local=self.app.options.local_time) if self.row is not None else ()

    def chosen(self, decision: Decision) -> int | None:
        """Which of them."""
        return _VERDICTS.index(decision.verdict) if decision.verdict in _VERDICTS else None

    def choose(self, index: int) -> None:
        """Choose one; nothing is sent by it."""
        key = self.heard("request.choose")
        if key is not None and index < len(_VERDICTS):
            chosen = key.before.choose(_VERDICTS[index].verb, key.at)
            self.step(replace(chosen, verdict=_VERDICTS[index]) if chosen.verdict is not None else chosen)

    def action_choose(self) -> None:
        """A digit; the amount is there already, so the focus stays where digits are digits."""
        digit = self._key.name if self._key is not None else ""
        if digit.isdecimal():
            self.choose(int(digit) - 1)

    def wants_text(self, decision: Decision) -> bool:
        """The amount is always seen."""
        return True

    def begun(self, edit: str) -> None:
        """The amount that is asked for stands in the field, unless another was written before."""
        if self.decision is not None and not self.decision.text:
            self.decision = replace(self.decision, text=self._asked_for())
        super().begun(edit)
        self.remove_class("-no-text")

    def action_send(self) -> None:
        """Send it, unless the amount is none."""
        decision = self.decision
        if decision is not None and decision.verdict is not None and decision.verdict.verb == "approve" and (fault := self._fault()):
            self._key = None
            self.step(replace(decision.other(self.app.monotonic()), notice=fault))
            return
        super().action_send()

    def _asked_for(self) -> str:
        arguments = self.row.arguments if self.row is not None else None
        return text(arguments, "by") if isinstance(arguments, dict) else ""

    def _by(self) -> str:
        return self.decision.text.strip() if self.decision is not None else self._asked_for()

    def _fault(self) -> str:
        found = raising.raised_to(self._budget, self._by()) if self._budget is not None else ("", "")
        return found if isinstance(found, str) else ""

    # ---- shown

    def on_mount(self) -> None:
        """The field is one line high."""
        self.add_class("-raising")

    def before_asked(self) -> list[Row]:
        """How the cap stands, and how it would."""
        if self._budget is None:
            return []
        rows = raising.figures(self._budget, self._by(), now=self.app.now(), local=self.app.options.local_time)
        return [*rows, Row("", "")]

    def show_row(self) -> None:
        """The first time, too, the cap that it is about is read."""
        super().show_row()
        if self._budget is None:
            self._look_at_the_cap()

    def ticked(self, now: datetime) -> None:
        """What is spent goes on."""
        super().ticked(now)
        self._look_at_the_cap()
        self.show_row()

    def _look_at_the_cap(self) -> None:
        due = self.app.monotonic() - self._read_at >= _READ_S
        if due and not self._reading and self.row is not None and self.app.state.connection.live:
            self._reading = True
            self.run_worker(self._read_budget(), group="budget", exit_on_error=False)

    async def _read_budget(self) -> None:
        try:
            of_run = {"run": self.row.run} if self.row is not None and self.row.run else {}
            found = [Budget.of(item) for item in await self.app.link.items("budgets", of_run)]
        except SmallchainError:
            return  # what was read before stays; that the daemon is away stands above
        finally:
            self._read_at, self._reading = self.app.monotonic(), False
        self._budget = next((each for each in found if each.request_id == self.request_id), self._budget)
        self.show_row()
        self.paint()

    def written(self, field: str, text: str) -> None:
        """Another amount makes another limit."""
        super().written(field, text)
        if field == "text" and self.decision is not None:
            self.step(replace(self.decision, notice=""))
        self.show_row()

    def why_word(self, decision: Decision) -> str:
        """Why a word is typed."""
        return "for good" if decision.verdict is not None and decision.verdict.for_good else super().why_word(decision)

    def doing(self, decision: Decision) -> str:
        """In words."""
        verdict = decision.verdict
        if verdict is None:
            return ""
        return "leave it as it is" if verdict.verb == "deny" else f"raise it by {self._by()}" + (" for good" if verdict.for_good else "")

    def open_line(self, decision: Decision) -> list[tuple[str, str]]:
        """Choose, then send."""
        if decision.verdict is None:
            return [
                (" 1-3 ", "$accent-text bold reverse"),
                (" choose; nothing is sent by it   ", "$ink"),
                ("tab: the amount   esc later", "$muted"),
            ]
        return super().open_line(decision)
