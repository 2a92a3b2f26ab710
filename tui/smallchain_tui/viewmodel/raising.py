"""How a cap is raised: by its request where it asks, else where it is written; what its limit and what is left become. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from smallchain.model.cap import show_amount
from smallchain.protocol.text import one_line
from smallchain_tui.viewmodel.asking import Row
from smallchain_tui.viewmodel.budgets import Budget, amount, in_order
from smallchain_tui.viewmodel.words import count, when


def chosen(budgets: Sequence[Budget]) -> Budget | None:
    """The cap of those over a run that a person means who wants to raise one: which it waits for, which asks, which is used most."""
    return next(iter(sorted(in_order(budgets), key=lambda each: (not each.waited_for, not each.request_id))), None)


def how_raised(budget: Budget) -> str:
    """How its limit is raised, a sentence for a person: by its request, where there is one, else where it is written."""
    if budget.request_id:
        return f"it asks to be raised: `smallchain approve {one_line(budget.request_id)[-8:]}`, or its request in the inbox"
    where = f"`limit` in {one_line(budget.place)}" if budget.place else "its `limit`"
    return f"raise {where} and save: what stands still goes on at once; with `on_limit: ask` beside it, a person is asked the next time"


def raised_to(budget: Budget, by: str) -> tuple[str, str] | str:
    """The limit and what is left once `by` is added, in words; or what is wrong with it, a sentence."""
    unit_of, added = amount(budget.limit), amount(by)
    if added is None or added[1] <= 0:
        return "an amount is wanted, as $5, 200000 tokens or 2h"
    if unit_of is None:
        return "what the limit is, is not known"
    if added[0] is not unit_of[0]:
        return f"the cap is counted in {unit_of[0].value}"
    raised, spent, held = (amount(words) for words in (budget.raised or show_amount(unit_of[0], 0), budget.spent, budget.held))
    limit = unit_of[1] + (raised[1] if raised else 0) + added[1]
    left = limit - (spent[1] if spent else 0) - (held[1] if held else 0)
    return show_amount(unit_of[0], limit), show_amount(unit_of[0], max(left, 0))


def figures(budget: Budget, by: str, *, now: datetime, local: bool = False) -> list[Row]:
    """How it stands, and how it would: two lines, before and after."""
    becomes = raised_to(budget, by)
    limit, left = becomes if isinstance(becomes, tuple) else ("?", "?")
    per = f"/{one_line(budget.per)}" if budget.per else ""
    first = f"limit {budget.shown_limit} -> {limit}{per}   left {one_line(budget.left)} -> {left}"
    second = [f"spent {one_line(budget.spent)}", f"held {one_line(budget.held)}"]
    second += [f"raised before by {one_line(budget.raised)}"] if budget.raised else []
    second += [f"{count(budget.waiting, 'run stands', 'runs stand')} still"] if budget.waiting else []
    second += [f"room by itself at {when(budget.next_room_at, now, local=local)}"] if budget.next_room_at else []
    return [Row("  ", first, "strong"), Row("  ", "   ".join(second))]


def ways(budget: Budget | None, now: datetime, *, local: bool = False) -> tuple[str, str, str]:
    """What can be answered, in the order of the digits: for this window, for good, not at all."""
    if budget is None or not budget.per:
        window = "for this window"
    elif budget.per == "run":
        window = "for this run"
    else:
        window = f"for this {one_line(budget.per)}" if budget.window == "calendar" else f"for {_A.get(budget.per, 'a while')} from now"
    stays = "it waits until there is room"
    if budget is not None and budget.next_room_at is not None:
        stays += f" at {when(budget.next_room_at, now, local=local)}"
    elif budget is not None and budget.per == "run":
        stays = "it stands still until somebody raises it"
    return (
        f"raise it {window}: what stands still goes on at once",
        "raise it for good: as long as the cap is written as it is",
        f"leave it: {stays}",
    )


_A = {"minute": "a minute", "hour": "an hour", "day": "a day", "week": "a week", "month": "30 days"}
