"""Caps as they stand: a bar for each with what is spent, held and left, when there is more room, and how one is raised. Pure.

The one rule: amounts are the daemon's words, in dollars, tokens or time; what is computed here is only how long a bar is, and what a limit
becomes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from smallchain.model.cap import Unit, parse_amount, show_amount
from smallchain.model.errors import BadInput
from smallchain.protocol.text import one_line, width
from smallchain_tui.viewmodel.glyphs import Glyphs
from smallchain_tui.viewmodel.line import Line, Span, cell, flow, text_of, to_right
from smallchain_tui.viewmodel.rows import Item, moment, number, text
from smallchain_tui.viewmodel.words import count, when

_BAR = 40
_TEXTS = (
    *("name", "counts", "limit", "per", "window", "on_limit"),
    *("spent", "held", "raised", "left", "status", "detail", "request_id", "run"),
)
_LONGEST = 40
"""Characters of an amount; what is longer is none."""
_NO_TIME = show_amount(Unit.TIME, 0)
"""Which is no duration that anybody could write."""
_SIDE_BY_SIDE = 60
"""From so many cells on, a bar and its figures share a line."""


@dataclass(frozen=True, slots=True)
class Budget:
    """A cap as it stands. `spent` is empty for a cap that each run has for itself; `used` is the share of the limit that is spent or held.

    `run`: whose tree it counts, empty for a shared one; `waited_for`: the run that was asked about waits for room under it.
    """

    name: str
    counts: str
    limit: str
    per: str
    window: str
    on_limit: str
    spent: str
    held: str
    raised: str
    left: str
    used: float
    status: str
    detail: str
    next_room_at: datetime | None
    waiting: int
    request_id: str
    run: str
    waited_for: bool
    place: str
    """The file and the line where it is written; empty where that is not known."""
    item: Item = field(repr=False, compare=False)

    @classmethod
    def of(cls, item: Item, /) -> Budget:
        """From an item of `/v1/budgets`."""
        used = item.get("used")
        file = text(item, "file")
        return cls(
            **{name: text(item, name) for name in _TEXTS},
            used=float(used) if isinstance(used, int | float) and -1e9 < used < 1e9 else 0.0,
            next_room_at=moment(item, "next_room_at"),
            waiting=number(item, "waiting"),
            waited_for=item.get("waited_for") is True,
            place=f"{file}:{number(item, 'line')}" if file and number(item, "line") else file,
            item=item,
        )

    @property
    def limit_now(self) -> str:
        """The limit as it holds: what is written, with what people added to it."""
        limit, raised = amount(self.limit), amount(self.raised)
        return self.limit if limit is None or raised is None else show_amount(limit[0], limit[1] + raised[1])

    @property
    def shown_limit(self) -> str:
        """`$5.00/day`, on one line."""
        return f"{one_line(self.limit_now)}{f'/{one_line(self.per)}' if self.per else ''}"


def in_order(budgets: Iterable[Budget]) -> list[Budget]:
    """At which runs stand still first, then those that are used most; those without a figure of their own last."""
    return sorted(budgets, key=lambda each: (not each.waited_for, each.waiting == 0, not each.spent, -each.used, each.name))


def amount(words: str) -> tuple[Unit, int] | None:
    """What the daemon's words amount to; None for what is no amount."""
    if len(words) > _LONGEST:
        return None
    try:
        return (Unit.TIME, 0) if words == _NO_TIME else parse_amount(words.replace(",", "").strip())
    except BadInput:
        return None


def parts_of(budget: Budget) -> tuple[float, float]:
    """The shares of the limit, with what was added to it, that are spent and held; both 0 where the words are none."""
    limit, raised, spent, held = (amount(words) for words in (budget.limit, budget.raised or "0 tokens", budget.spent, budget.held))
    if limit is None or raised is None or spent is None or held is None:
        return min(max(budget.used, 0.0), 1.0), 0.0
    whole = max(limit[1] + raised[1], 1)
    return spent[1] / whole, held[1] / whole


def budget_lines(budgets: Sequence[Budget], cells: int, glyphs: Glyphs, *, now: datetime, local: bool = False) -> list[tuple[Line, int]]:
    """Lines for each cap, each with the number of its cap: its bar, its figures, and what stands still at it until when."""
    if not budgets:
        return [((("No budget is written.", "muted"),), -1), ((("`budgets:` in YAML caps what agents spend.", "muted"),), -1)]
    widest = max((width(_figures(budget)) for budget in budgets if budget.spent), default=0)
    return [
        (line, place)
        for place, budget in enumerate(budgets)
        for line in one_budget(budget, cells, glyphs, now=now, local=local, widest=widest)
    ]


def one_budget(budget: Budget, cells: int, glyphs: Glyphs, *, now: datetime, local: bool = False, widest: int = 0) -> list[Line]:
    """The lines of one cap. `widest`: how wide the figures of those beside it are, so that bars are of one length."""
    name = cell(one_line(budget.name), min(24, max(cells // 4, 10)), "strong")
    if not budget.spent:
        return [(name, ("  ", ""), (budget.shown_limit, ""), (f" of {one_line(budget.counts)}" if budget.counts else "", "muted"))]
    share = min(max(budget.used, 0.0), 9.99)
    style = "failed" if share >= 1 or budget.waiting else "waiting" if share >= 0.8 else "done"
    sign: Span = (" !" if style == "failed" else "  ", style)
    figures = _figures(budget)
    percent: Span = (f" {share:>4.0%}", style if share >= 0.8 else "")
    more = _more(budget, now=now, local=local)
    beside = cells >= _SIDE_BY_SIDE
    room = cells - width(name[0]) - 2 - 1 - width(percent[0]) - (max(width(figures), widest) + 1 if beside else 0)
    bar = gauge(budget, min(max(room, 0), _BAR), glyphs, style)
    first: Line = (name, sign, (" ", ""), *bar, *((to_right(figures, max(width(figures), widest) + 1),) if beside else ()), percent)
    under = more if beside else [((figures, ""),), *more]
    return [first, *((("  ", ""), *line) for line in flow(under, cells - 2))]


def _figures(budget: Budget) -> str:
    return f"{one_line(budget.spent)} of {budget.shown_limit}"


def gauge(budget: Budget, cells: int, glyphs: Glyphs, style: str) -> list[Span]:
    """The bar: what is spent, what is held for calls that are out, what is left; anything spent or held is seen."""
    if cells <= 0:
        return []
    used, held, left = glyphs.gauge
    spent_share, held_share = parts_of(budget)
    full = _cells_of(spent_share, cells)
    out = min(_cells_of(held_share, cells), cells - full)
    return [(used * full, style), (held * out, "accent"), (left * (cells - full - out), "muted")]


def _cells_of(share: float, cells: int) -> int:
    return min(max(round(cells * min(share, 1.0)), 1 if share > 0 else 0), cells)


def _more(budget: Budget, *, now: datetime, local: bool) -> list[Line]:
    """What else there is to know of a cap that has figures, each a group of words."""
    found: list[Line] = [((f"{one_line(budget.left)} left", "muted"),)]
    if any(digit in budget.held for digit in "123456789"):
        found.append(((f"{one_line(budget.held)} held", "accent"),))
    if budget.raised:
        found.append(((f"raised by {one_line(budget.raised)}", "waiting"),))
    if budget.waiting:
        found.append(((f"{count(budget.waiting, 'run stands', 'runs stand')} still", "waiting"),))
    if budget.next_room_at is not None:
        words = "room at" if budget.waiting else "more room at"
        found.append(((f"{words} {when(budget.next_room_at, now, local=local)}", "asleep"),))
    elif budget.waiting:
        found.append((("no time brings room", "failed"),))
    if budget.request_id:
        found.append((("asks to be raised", "waiting"),))
    return found


def spoken(budget: Budget, *, now: datetime) -> str:
    """A cap in a sentence, for who hears it."""
    if not budget.spent:
        return f"Budget {one_line(budget.name)}: {budget.shown_limit} for {one_line(budget.counts)}, each for itself."
    more = ", ".join(text_of(line) for line in _more(budget, now=now, local=False))
    whose = f"Budget {one_line(budget.name)}: {one_line(budget.spent)} spent of {budget.shown_limit}, {budget.used:.0%} used."
    return f"{whose} {more[:1].upper()}{more[1:]}."
