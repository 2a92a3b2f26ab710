"""What was spent, by hour and day, by model, agent and run. Pure: the moment is an argument.

The one rule: what is not known is said to be not known, never shown as nothing spent.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from smallchain.protocol.text import one_line
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
_HOURS = 24
DAYS = 14
"""So many days are told, the present one among them."""
_MONEY = 10
_WITH_HOURS, _WITH_DAYS = 70, 92
"""From so many cells on, a row has its chart of hours, and that of days."""


def per(spends: Iterable[Spend], length: timedelta, *, now: datetime, count: int) -> list[int]:
    """What was spent in each of the last `count` hours or days of UTC, the present one last."""
    found, this = [0] * count, _ordinal(now, length)
    for spend in spends:
        if spend.at is not None and 0 <= (back := this - _ordinal(spend.at, length)) < count:
            found[count - 1 - back] += spend.cost_nanousd
    return found


def by(spends: Iterable[Spend], what: str) -> list[tuple[str, list[Spend]]]:
    """The sums of each agent, llm or run; the dearest first."""
    groups: dict[str, list[Spend]] = defaultdict(list)
    for spend in spends:
        groups[str(getattr(spend, what)) or "-"].append(spend)

    def dear(name: str) -> tuple[int, int, str]:
        return -sum(each.cost_nanousd for each in groups[name]), -sum(each.calls for each in groups[name]), name

    return [(name, groups[name]) for name in sorted(groups, key=dear)]


def sparkline(amounts: Sequence[int], glyphs: Glyphs, *, most: int = 0) -> str:
    """One cell for each amount, by its share of the largest (of `most`, where that is more); what is more than nothing is seen."""
    most, levels = max(most, *amounts, 0), glyphs.levels
    if most <= 0:
        return levels[0] * len(amounts)
    return "".join(levels[-(-amount * (len(levels) - 1) // most)] for amount in amounts)


def spend_lines(spends: Sequence[Spend], cells: int, glyphs: Glyphs, *, now: datetime) -> list[Line]:
    """The table: this hour, today, the last day by hours, two weeks by days; of all, then of each model, agent and run."""
    scale = max(per(spends, HOUR, now=now, count=_HOURS), default=0), max(per(spends, DAY, now=now, count=DAYS), default=0)
    lines = [_heading(cells), _share("all", spends, scale, cells, glyphs, now=now)]
    if unpriced := sum(spend.unpriced for spend in spends):
        lines.append(((f"{count(unpriced, 'call is', 'calls are')} of models without a price: what they cost is not known", "waiting"),))
    for what, title in (("llm", "by model"), ("agent", "by agent"), ("run", "by run")):
        groups = by(spends, what)
        if [name for name, _ in groups] in ([], ["-"]):
            continue
        lines += [((title, "strong"),)]
        lines += [_share(f"  {name}", own, scale, cells, glyphs, now=now) for name, own in groups]
    return lines


def _name(cells: int) -> int:
    """How wide the names are: what the figures and the charts leave."""
    charts = (_HOURS + 4 if cells >= _WITH_HOURS else 0) + (DAYS if cells >= _WITH_DAYS else 0)
    return min(28, max(8, cells - 3 * _MONEY - charts))


def _heading(cells: int) -> Line:
    spans: list[Span] = [
        cell("SPENT", _name(cells)),
        to_right("THIS HOUR", _MONEY),
        to_right("TODAY", _MONEY),
        to_right(f"{DAYS} DAYS", _MONEY),
    ]
    if cells >= _WITH_HOURS:
        spans.append(cell("  LAST 24 H, BY HOURS", _HOURS + 4))
    if cells >= _WITH_DAYS:
        spans.append(cell(f"{DAYS} DAYS", DAYS))
    return tuple((words, "muted") for words, _ in spans)


def _share(name: str, spends: Sequence[Spend], scale: tuple[int, int], cells: int, glyphs: Glyphs, *, now: datetime) -> Line:
    """One row. The charts of all rows have one scale, so that they can be compared."""
    hours, days = per(spends, HOUR, now=now, count=_HOURS), per(spends, DAY, now=now, count=DAYS)
    spans: list[Span] = [
        cell(one_line(name), _name(cells), "strong" if name == "all" else ""),
        *(to_right(exact_dollars(spent), _MONEY, "number" if spent else "muted") for spent in (hours[-1], days[-1], sum(days))),
    ]
    if cells >= _WITH_HOURS:
        spans += [("  ", ""), (sparkline(hours, glyphs, most=scale[0]), "accent"), ("  ", "")]
    if cells >= _WITH_DAYS:
        spans.append((sparkline(days, glyphs, most=scale[1]), "accent"))
    return tuple(spans)


def spoken(spends: Sequence[Spend], *, now: datetime) -> list[str]:
    """The same in sentences, for who hears them; what nothing was spent on is left out."""

    def told(whose: str, some: Sequence[Spend]) -> str:
        hour, days = per(some, HOUR, now=now, count=1)[-1], per(some, DAY, now=now, count=DAYS)
        return f"{whose}: {exact_dollars(hour)} this hour, {exact_dollars(days[-1])} today, {exact_dollars(sum(days))} in {DAYS} days."

    found = [told("Spent", spends)]
    for what, title in (("llm", "Model"), ("agent", "Agent")):
        found += [told(f"{title} {one_line(name)}", own) for name, own in by(spends, what) if any(each.cost_nanousd for each in own)]
    return found


def _ordinal(at: datetime, length: timedelta) -> int:
    return int(at.astimezone(UTC).timestamp() // length.total_seconds())
