"""How a cap is raised: what its limit becomes, before anything is sent; and where it is raised, where it asks nobody."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from smallchain_tui.viewmodel.budgets import Budget
from smallchain_tui.viewmodel.raising import chosen, figures, how_raised, raised_to, ways
from support.hostile import HOSTILE, came_through

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)


def budget(**fields: Any) -> Budget:
    told = {"name": "all-of-it", "limit": "$25.00", "per": "day", "window": "rolling", "spent": "$7.40", "held": "$1.00", "left": "$16.60"}
    return Budget.of(told | {"file": "smallchain.yaml", "line": 12, "used": 0.336} | fields)


def test_a_limit_that_is_raised_is_told_before_it_is() -> None:
    assert raised_to(budget(), "$5") == ("$30.00", "$21.60")
    assert raised_to(budget(raised="$10.00"), "$5") == ("$40.00", "$31.60")
    assert raised_to(budget(limit="2h", spent="1h30m", held="0s"), "30m") == ("2h30m", "1h")
    assert raised_to(budget(spent="$99.00"), "$5")[1] == "$0.00"


@pytest.mark.parametrize(
    ("by", "fault"),
    [
        ("", "an amount is wanted"),
        ("-$5", "an amount is wanted"),
        ("$0", "an amount is wanted"),
        ("2h", "counted in dollars"),
        ("9" * 9_000 + " tokens", "an amount is wanted"),
    ],
)
def test_what_no_limit_can_be_raised_by_is_said(by: str, fault: str) -> None:
    found = raised_to(budget(), by)
    assert isinstance(found, str)
    assert fault in found


def test_how_a_cap_is_raised_names_its_request_or_its_file_and_line() -> None:
    assert "smallchain approve 1a2b3c4d" in how_raised(budget(request_id="0199-1a2b3c4d"))
    assert "smallchain.yaml:12" in how_raised(budget())


def test_the_figures_are_those_before_and_after() -> None:
    first, second = (row.text for row in figures(budget(waiting=2, next_room_at="2026-11-23T09:42:07Z"), "$5", now=NOW))

    assert first == "limit $25.00/day -> $30.00/day   left $16.60 -> $21.60"
    assert second == "spent $7.40   held $1.00   2 runs stand still   room by itself at 09:42:07, in 12m"


def test_the_figures_of_a_cap_that_was_raised_before_begin_with_what_holds_now() -> None:
    first, second = (row.text for row in figures(budget(raised="$10.00", left="$26.60"), "$5", now=NOW))

    assert first == "limit $35.00/day -> $40.00/day   left $26.60 -> $31.60"
    assert "raised before by $10.00" in second


@pytest.mark.parametrize(
    ("fields", "window", "left"),
    [
        ({}, "for a day from now", "until there is room"),
        ({"window": "calendar", "next_room_at": "2026-11-24T00:00:00Z"}, "for this day", "at 00:00:00, in 14h30m"),
        ({"per": "run"}, "for this run", "until somebody raises it"),
    ],
)
def test_the_answers_say_for_how_long_it_is_raised_and_what_comes_of_leaving_it(fields: dict[str, str], window: str, left: str) -> None:
    once, _, no = ways(budget(**fields), NOW)

    assert window in once
    assert left in no


def test_the_cap_that_is_meant_is_the_one_a_run_waits_for_then_the_one_that_asks_then_the_one_most_used() -> None:
    waits, asks, used = budget(name="waits", waited_for=True, used=0.1), budget(name="asks", request_id="r"), budget(name="used", used=0.9)
    least = budget(name="least", used=0.2)

    found = [chosen(some) for some in ([used, asks, waits], [used, asks], [least, used], [])]
    assert [each.name if each else None for each in found] == ["waits", "asks", "used", None]


def test_hostile_words_are_shown_and_do_nothing() -> None:
    odd = Budget.of(dict.fromkeys(("name", "limit", "per", "window", "spent", "held", "left", "raised", "file", "request_id"), HOSTILE))
    told = [row.text for row in figures(odd, HOSTILE, now=NOW)] + [how_raised(odd), *ways(odd, NOW)]

    assert came_through("\n".join(told).encode()) == set()
