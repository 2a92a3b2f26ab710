"""Caps as bars and figures, in dollars, tokens and time, at any width; and what a limit becomes when it is raised."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from smallchain_tui.viewmodel.budgets import Budget, budget_lines, gauge, in_order, parts_of, spoken
from smallchain_tui.viewmodel.glyphs import Glyphs
from smallchain_tui.viewmodel.line import text_of
from support.hostile import HOSTILE, came_through

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
GLYPHS = Glyphs(ascii=True)


def item(**fields: Any) -> dict[str, Any]:
    told = {"kind": "budget", "name": "all-of-it", "status": "Ready", "detail": "", "counts": "everything", "limit": "$25.00", "per": "day"}
    figures = {"spent": "$7.40", "held": "$1.00", "left": "$16.60", "used": 0.336, "file": "smallchain.yaml", "line": 12}
    return told | figures | fields


def budget(**fields: Any) -> Budget:
    return Budget.of(item(**fields))


def lines(*budgets: Budget, cells: int = 100) -> list[str]:
    return [text_of(line) for line, _ in budget_lines(budgets, cells, GLYPHS, now=NOW)]


def test_a_budget_shows_spent_limit_share_held_and_left() -> None:
    first, second = lines(budget())

    assert "$7.40 of $25.00/day" in first
    assert first.endswith("34%")
    assert second.split("  ")[1:] == ["$16.60 left", "$1.00 held"]


def test_a_bar_has_what_is_spent_what_is_held_and_what_is_left() -> None:
    assert "".join(text for text, _ in gauge(budget(spent="$10.00", held="$5.00"), 20, GLYPHS, "done")) == "########====--------"


def test_the_least_that_is_spent_or_held_is_seen_and_no_bar_is_longer_than_its_room() -> None:
    least = budget(limit="1,000,000 tokens", spent="1 tokens", held="1 tokens")
    past = budget(spent="$40.00", held="$9.00")

    assert "".join(text for text, _ in gauge(least, 10, GLYPHS, "done")) == "#=--------"
    assert "".join(text for text, _ in gauge(past, 10, GLYPHS, "failed")) == "#" * 10


@pytest.mark.parametrize(
    ("figures", "share"),
    [
        ({"limit": "2h", "spent": "30m", "held": "0s"}, 0.25),
        ({"limit": "200,000 tokens", "spent": "50,000 tokens", "held": "0 tokens"}, 0.25),
        ({"limit": "$10.00", "raised": "$10.00", "spent": "$5.00", "held": "$0.00"}, 0.25),
    ],
)
def test_shares_are_told_in_any_unit_and_of_the_limit_as_it_was_raised(figures: dict[str, str], share: float) -> None:
    assert parts_of(budget(**figures)) == (share, 0.0)


def test_the_limit_beside_the_bar_is_the_one_that_holds() -> None:
    text = " ".join(lines(budget(raised="$10.00")))

    assert "$7.40 of $35.00/day" in text
    assert "raised by $10.00" in text


def test_what_stands_still_is_said_with_the_moment_at_which_it_goes_on() -> None:
    found = budget(waiting=2, next_room_at="2026-11-23T09:42:07Z", used=0.98)

    text = " ".join(lines(found))
    assert "2 runs stand still" in text
    assert "room at 09:42:07, in 12m" in text
    assert " !" in text, "a sign beside the colour"


def test_where_no_time_brings_room_that_is_said() -> None:
    assert "no time brings room" in " ".join(lines(budget(per="run", waiting=1)))


def test_a_cap_that_each_run_has_for_itself_draws_no_bar() -> None:
    assert lines(budget(counts="agent crawler", per="run", spent=None)) == ["all-of-it                 $25.00/run of agent crawler"]


def test_those_at_which_runs_stand_still_come_first_and_each_line_knows_its_cap() -> None:
    budgets = in_order(
        [
            budget(name="own", spent=None),
            budget(name="low", used=0.1),
            budget(name="full", used=0.9),
            budget(name="stopped", waiting=1, used=0.5),
        ]
    )

    assert [each.name for each in budgets] == ["stopped", "full", "low", "own"]
    assert [place for _, place in budget_lines(budgets, 100, GLYPHS, now=NOW)] == [0, 0, 1, 1, 2, 2, 3]


def test_it_is_told_in_a_sentence() -> None:
    assert spoken(budget(held="$0.00"), now=NOW) == "Budget all-of-it: $7.40 spent of $25.00/day, 34% used. $16.60 left."


@pytest.mark.parametrize("cells", [20, 44, 60, 140])
@pytest.mark.parametrize(
    "odd",
    [
        {"limit": None},
        {"limit": 5, "used": "much"},
        {"used": 1e300},
        {"used": float("nan")},
        {"per": [], "counts": {}},
        {"used": -3},
        {
            "name": HOSTILE,
            "limit": HOSTILE,
            "spent": HOSTILE,
            "left": HOSTILE,
            "held": HOSTILE,
            "raised": HOSTILE,
            "counts": HOSTILE,
            "file": HOSTILE,
            "request_id": HOSTILE,
        },
    ],
)
def test_a_budget_of_any_form_is_lines_that_do_nothing(odd: dict[str, Any], cells: int) -> None:
    found = budget(**odd)
    own = budget(**odd | {"spent": None})

    told = [*lines(found, own, cells=cells), spoken(found, now=NOW), spoken(own, now=NOW)]
    assert came_through("\n".join(told).encode()) == set()


def test_without_budgets_it_says_how_one_is_made() -> None:
    assert "budgets:" in "".join(lines(cells=60))
