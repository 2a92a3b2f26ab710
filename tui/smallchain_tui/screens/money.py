"""What was spent and how caps stand, read for the screen that shows it: one `SpendChart` and one `BudgetBars`.

The one rule: sums are made by the daemon, so they are asked for now and then; how caps stand is asked for soon after something happened.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from smallchain.model.errors import SmallchainError
from smallchain.protocol.text import one_line
from smallchain_tui.screens.base import BaseScreen
from smallchain_tui.viewmodel.budgets import Budget
from smallchain_tui.viewmodel.spend import DAYS, Spend
from smallchain_tui.widgets.budgetbars import BudgetBars
from smallchain_tui.widgets.spendchart import SpendChart

_SPEND_S = 15.0
_BUDGETS_S = 2.0


class Money:
    """Of everything, or of one run with its descendants and the caps over it (`run`: its name)."""

    def __init__(self, screen: BaseScreen, *, run: str = "") -> None:
        self._screen = screen
        self._run = run
        self._budgets_stale, self._reading = True, False
        self._spend_at = self._budgets_at = float("-inf")

    def stale(self) -> None:
        """Something happened: caps may stand otherwise."""
        self._budgets_stale = True

    def again(self) -> None:
        """Read all of it, now."""
        self._spend_at, self._budgets_stale = float("-inf"), True
        self._begin()

    def tick(self) -> None:
        """Read what is old, and let the times of the bars go on."""
        self._screen.query_one(BudgetBars).tick()
        now = self._screen.app.monotonic()
        if now - self._spend_at >= _SPEND_S or (self._budgets_stale and now - self._budgets_at >= _BUDGETS_S):
            self._begin()

    def _begin(self) -> None:
        if not self._reading and self._screen.app.state.connection.live:
            self._screen.run_worker(self.read(), group="money", exit_on_error=False)

    async def read(self) -> None:
        """Read what is old; a reading that goes on already is enough."""
        if self._reading:
            return
        self._reading, self._budgets_stale = True, False
        try:
            await self._read(self._screen.app.monotonic())
        finally:
            self._reading = False

    async def _read(self, now: float) -> None:
        link, chart = self._screen.app.link, self._screen.query_one(SpendChart)
        self._budgets_at = now
        if now - self._spend_at >= _SPEND_S:
            self._spend_at = now
            try:
                chart.show([Spend.of(item) for item in await link.items("spend", self._wanted())])
            except SmallchainError as error:
                chart.show_unknown(f"what was spent is not known: {one_line(error.message)}")
        try:
            found = await link.items("budgets", {"run": self._run} if self._run else {})
        except SmallchainError:
            return  # the bars stay as they were; that the daemon is away stands above
        self._screen.query_one(BudgetBars).show([Budget.of(item) for item in found])

    def _wanted(self) -> dict[str, Any]:
        if self._run:
            return {"run": self._run, "by": ["hour", "llm", "agent", "run"]}
        return {"by": ["hour", "llm", "agent"], "since": (self._screen.app.now() - timedelta(days=DAYS)).isoformat()}
