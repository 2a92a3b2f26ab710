from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from smallchain.model.money import NANO
from smallchain_tui.viewmodel.glyphs import Glyphs
from smallchain_tui.viewmodel.line import text_of
from smallchain_tui.viewmodel.spend import DAY, HOUR, Spend, by, per, sparkline, spend_lines, spoken
from support.hostile import HOSTILE, came_through

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
GLYPHS = Glyphs(ascii=True)


def spend(hour: str, cost: str, **fields: Any) -> Spend:
    item = {
        "kind": "spend",
        "hour": f"2026-11-{hour}:00:00Z",
        "agent": "writer",
        "llm": "fast",
        "calls": 2,
        "unpriced": 0,
        "cost_usd": cost,
    }
    return Spend.of(item | fields)


SPENDS = [spend("22T09", "4.00"), spend("23T08", "1.00", agent="researcher"), spend("23T09", "0.50"), spend("23T09", "0.25", llm="large")]


def test_each_hour_and_day_has_what_was_spent_in_it_the_present_one_last() -> None:
    assert per(SPENDS, HOUR, now=NOW, count=3) == [0, NANO, 750_000_000]
    assert per(SPENDS, DAY, now=NOW, count=2) == [4 * NANO, 1_750_000_000]


def test_what_lies_outside_the_window_is_in_no_bucket() -> None:
    assert sum(per([spend("20T09", "9.00"), spend("23T10", "9.00")], HOUR, now=NOW, count=24)) == 0


def test_models_and_agents_come_dearest_first() -> None:
    assert [name for name, _ in by(SPENDS, "agent")] == ["writer", "researcher"]
    assert [(name, len(own)) for name, own in by(SPENDS, "llm")] == [("fast", 3), ("large", 1)]


def test_the_least_amount_is_seen_beside_the_largest() -> None:
    assert sparkline([0, 1, 500, 1_000_000], GLYPHS) == " ..#"
    assert sparkline([0, 0], GLYPHS) == "  "


def lines_of(spends: list[Spend], cells: int = 100) -> list[str]:
    return [text_of(line) for line in spend_lines(spends, cells, GLYPHS, now=NOW)]


def test_charts_of_several_rows_have_one_scale() -> None:
    assert sparkline([0, 5], GLYPHS, most=10) == " ="
    assert sparkline([0, 5], GLYPHS) == " #"


def test_the_pane_says_what_has_no_price() -> None:
    assert "3 calls are of models without a price: what they cost is not known" in lines_of([spend("23T09", "0.00", unpriced=3)])


@pytest.mark.parametrize("cells", [44, 75, 100, 160])
def test_each_model_and_agent_has_this_hour_today_and_two_weeks(cells: int) -> None:
    rows = {line.split()[0]: line.split()[1:4] for line in lines_of(SPENDS, cells) if "$" in line}

    assert rows == {
        "all": ["$0.75", "$1.75", "$5.75"],
        "fast": ["$0.50", "$1.50", "$5.50"],
        "large": ["$0.25", "$0.25", "$0.25"],
        "writer": ["$0.75", "$0.75", "$4.75"],
        "researcher": ["$0.00", "$1.00", "$1.00"],
    }
    assert all(len(line) <= cells for line in lines_of(SPENDS, cells))


def test_with_room_a_row_has_its_hours_and_then_its_days() -> None:
    for cells, charts in ((44, 0), (75, 24), (100, 38)):
        drawn = {
            line.split()[0]: sum(line.count(sign) for sign in ".:-=+*#")
            for line in lines_of([spend("23T09", "1.00")] * 1, cells)
            if "$" in line
        }
        assert drawn["all"] - 3 == (2 if charts > 24 else 1 if charts else 0), (
            "a sign for the hour and one for the day, beside three points"
        )


def test_what_hears_it_is_told_the_same_without_what_cost_nothing() -> None:
    told = spoken([*SPENDS, spend("23T09", "0.00", llm="free")], now=NOW)

    assert told[0] == "Spent: $0.75 this hour, $1.75 today, $5.75 in 14 days."
    assert "Model fast: $0.50 this hour, $1.50 today, $5.50 in 14 days." in told
    assert not any("free" in line for line in told)


def test_hostile_names_and_figures_of_any_form_are_lines() -> None:
    odd = [spend("23T09", "1.00", agent=HOSTILE, llm=HOSTILE), Spend.of({"hour": 5, "cost_usd": "much", "calls": "many", "agent": None})]

    assert came_through("\n".join(lines_of(odd)).encode()) == set()
    assert came_through("\n".join(spoken(odd, now=NOW)).encode()) == set()
