"""What was spent, by hour and day, by model, agent and run; and what caps are left. Pure: the moment is an argument.

The one rule: what is not known is said to be not known, never shown as nothing spent.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from smallchain.protocol.text import one_line, width
from smallchain_tui.viewmodel.conversation import exact_dollars
from smallchain_tui.viewmodel.glyphs import Glyphs
from smallchain_tui.viewmodel.line import Line, Span, cell, to_right
from smallchain_tui.viewmodel.rows import Item, moment, money, number, text
from smallchain_tui.viewmodel.words import count


@dataclass(frozen=True, slots=True)
class Spend:
    """A sum of settled model calls: of one hour or day, and of what else it was told apart by (empty where it was not)."""

    at: datetime | None
    agent: str
    llm: str
    run: str
    run_id: str
    calls: int
    unpriced: int
    input_tokens: int
    output_tokens: int
    cost_nanousd: int

    @classmethod
    def of(cls, item: Item, /) -> Spend:
        """From an item of `/v1/spend`."""
        return cls(
            moment(item, "hour") or moment(item, "day"),
            agent=text(item, "agent"),
            llm=text(item, "llm"),
            run=text(item, "run"),
            run_id=text(item, "run_id"),
            calls=number(item, "calls"),
            unpriced=number(item, "unpriced"),
            input_tokens=number(item, "input_tokens"),
            output_tokens=number(item, "output_tokens"),
            cost_nanousd=money(item, "cost_usd"),
        )


HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def per(spends: Iterable[Spend], length: timedelta, *, now: datetime, count: int) -> list[int]:
    """What was spent in each of the last `count` hours or days of UTC, the present one last."""
    found, this = [0] * count, _ordinal(now, length)
    for spend in spends:
        if spend.at is not None and 0 <= (back := this - _ordinal(spend.at, length)) < count:
            found[count - 1 - back] += spend.cost_nanousd
    return found


def by(spends: Iterable[Spend], what: str) -> list[tuple[str, int, int]]:
    """Name, cost and calls for each agent, llm or run; the dearest first."""
    cost: dict[str, int] = defaultdict(int)
    calls: dict[str, int] = defaultdict(int)
    for spend in spends:
        name = str(getattr(spend, what)) or "-"
        cost[name] += spend.cost_nanousd
        calls[name] += spend.calls
    return sorted(((name, cost[name], calls[name]) for name in cost), key=lambda each: (-each[1], -each[2], each[0]))


def sparkline(amounts: Sequence[int], glyphs: Glyphs) -> str:
    """One cell for each amount, by its share of the largest; what is more than nothing is seen."""
    most, levels = max(amounts, default=0), glyphs.levels
    if most <= 0:
        return levels[0] * len(amounts)
    return "".join(levels[-(-amount * (len(levels) - 1) // most)] for amount in amounts)


def spend_lines(spends: Sequence[Spend], cells: int, glyphs: Glyphs, *, now: datetime) -> list[Line]:
    """The pane: the last day by hours, the last two weeks by days, then by model and by agent."""
    hours, days = per(spends, HOUR, now=now, count=24), per(spends, DAY, now=now, count=14)
    unpriced = sum(spend.unpriced for spend in spends)
    lines: list[Line] = [
        _row("this hour", hours[-1], "", cells),
        _row("today", days[-1], "", cells),
        _chart("last 24 h", hours, glyphs, f"peak {exact_dollars(max(hours))}/h"),
        _chart("last 14 d", days, glyphs, f"peak {exact_dollars(max(days))}/d"),
    ]
    if unpriced:
        lines.append(((f"{unpriced} calls are of models without a price: what they cost is not known", "waiting"),))
    whole = sum(spend.cost_nanousd for spend in spends)
    for what, title in (("llm", "by model"), ("agent", "by agent"), ("run", "by run")):
        shares = by(spends, what)
        if shares and [name for name, _, _ in shares] != ["-"]:
            lines += [(), ((title, "strong"),), *(_share(name, cost, calls, whole, cells, glyphs) for name, cost, calls in shares)]
    return lines


@dataclass(frozen=True, slots=True)
class Budget:
    """A cap as it stands. Amounts are the daemon's words, in dollars, tokens or time.

    `spent` is empty for a cap that each run has for itself; `used` is the share of the limit that is spent or held.
    """

    name: str
    counts: str
    limit: str
    per: str
    spent: str
    held: str
    used: float
    status: str
    detail: str

    @classmethod
    def of(cls, item: Item, /) -> Budget:
        """From an item of `/v1/budgets`."""
        used = item.get("used")
        words = {name: text(item, name) for name in ("name", "counts", "limit", "per", "spent", "held", "status", "detail")}
        return cls(**words, used=float(used) if isinstance(used, int | float) else 0.0)


def budget_lines(budgets: Sequence[Budget], cells: int, glyphs: Glyphs) -> list[Line]:
    """A bar for each cap: what is spent, what is held for calls that are out, what is left."""
    if not budgets:
        return [(("No budget is written.", "muted"),), (("`budgets:` in YAML caps what agents spend.", "muted"),)]
    return [line for budget in budgets for line in _budget(budget, cells, glyphs)]


def _budget(budget: Budget, cells: int, glyphs: Glyphs) -> list[Line]:
    per = f"{one_line(budget.limit)}{f'/{one_line(budget.per)}' if budget.per else ''}"
    name = cell(one_line(budget.name), min(20, max(cells // 4, 8)), "strong")
    if not budget.spent:
        lines: list[Line] = [(name, ("  ", ""), (per, ""), (f" over {one_line(budget.counts)}" if budget.counts else "", "muted"))]
        if budget.status not in ("", "Ready"):
            lines.append((("  " + one_line(f"{budget.status}: {budget.detail}", cells=cells - 2), "waiting"),))
        return lines
    share = min(max(budget.used, 0.0), 9.99)
    style = "failed" if share >= 1 else "waiting" if share >= 0.8 else "done"
    holds = any(digit in budget.held for digit in "123456789")
    spent = one_line(budget.spent) + (f" + {one_line(budget.held)} held" if holds else "")
    figures = f"{spent} of {per}  {share:.0%}"
    room = min(max(cells - width(name[0]) - width(figures) - 6, 0), 40)
    used, left = glyphs.gauge
    full = min(round(room * share), room)
    bar: list[Span] = [(used * full, style), (left * (room - full), "muted"), (" " if room else "", "")]
    return [(name, ("  ", ""), ("!" if share >= 1 else " ", style), *bar, (figures, style if share >= 0.8 else ""))]


def _row(title: str, nanousd: int, more: str, cells: int) -> Line:
    return (cell(title, 11, "muted"), to_right(exact_dollars(nanousd), 10, "number"), (f"  {more}" if more else "", "muted"))


def _chart(title: str, amounts: Sequence[int], glyphs: Glyphs, peak: str) -> Line:
    return (cell(title, 11, "muted"), (" ", ""), (sparkline(amounts, glyphs), "accent"), (f"  {peak}", "muted"))


def _share(name: str, cost: int, calls: int, whole: int, cells: int, glyphs: Glyphs) -> Line:
    used, left = glyphs.gauge
    length = max(min(cells - 56, 30), 0)
    full = round(length * cost / whole) if whole else 0
    percent = f"{cost / whole:.0%}" if whole else "-"
    return (
        cell(one_line(name), min(24, cells // 3)), to_right(exact_dollars(cost), 11, "number"), to_right(percent, 6),
        ("  ", ""), (used * full, "accent"), (left * (length - full), "muted"), (f"  {count(calls, 'call')}", "muted"),
    )  # fmt: skip


def _ordinal(at: datetime, length: timedelta) -> int:
    return int(at.astimezone(UTC).timestamp() // length.total_seconds())
