from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from smallchain.model.money import NANO
from smallchain_tui.viewmodel.glyphs import Glyphs
from smallchain_tui.viewmodel.line import text_of
from smallchain_tui.viewmodel.spend import DAY, HOUR, Budget, Spend, budget_lines, by, per, sparkline, spend_lines

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
    assert [name for name, _, _ in by(SPENDS, "agent")] == ["writer", "researcher"]
    assert by(SPENDS, "llm") == [("fast", 5_500_000_000, 6), ("large", 250_000_000, 2)]


def test_the_least_amount_is_seen_beside_the_largest() -> None:
    assert sparkline([0, 1, 500, 1_000_000], GLYPHS) == " ..#"
    assert sparkline([0, 0], GLYPHS) == "  "


def test_the_pane_says_what_has_no_price() -> None:
    lines = [text_of(line) for line in spend_lines([spend("23T09", "0.00", unpriced=3)], 78, GLYPHS, now=NOW)]

    assert "3 calls are of models without a price: what they cost is not known" in lines


def test_the_pane_has_hour_day_model_and_agent() -> None:
    text = "\n".join(text_of(line) for line in spend_lines(SPENDS, 78, GLYPHS, now=NOW))

    assert all(words in text for words in ("this hour       $0.75", "today           $1.75", "by model", "large", "by agent", "researcher"))
    assert "by run" not in text


def budget(**fields: Any) -> Budget:
    item = {"kind": "budget", "name": "all-of-it", "status": "Ready", "detail": "", "counts": "everything", "limit": "$25.00", "per": "day"}
    return Budget.of(item | fields)


def test_a_budget_shows_spent_held_limit_and_share() -> None:
    line = text_of(budget_lines([budget(spent="$7.40", held="$1.00", used=0.336)], 100, GLYPHS)[0])

    assert "$7.40 + $1.00 held of $25.00/day  34%" in line
    assert "#" in line


def test_a_budget_of_tokens_or_time_is_told_in_them() -> None:
    line = text_of(budget_lines([budget(limit="2h", spent="30m", held="0s", used=0.25)], 100, GLYPHS)[0])

    assert "30m of 2h/day  25%" in line


def test_a_cap_that_each_run_has_for_itself_draws_no_bar() -> None:
    lines = [text_of(line) for line in budget_lines([budget(counts="agent crawler", per="run", spent=None)], 100, GLYPHS)]

    assert lines == ["all-of-it             $25.00/run over agent crawler"]


def test_a_budget_that_is_used_up_has_a_sign_beside_its_colour() -> None:
    assert "  !#" in text_of(budget_lines([budget(spent="$25.01", used=1.0004)], 100, GLYPHS)[0])


@pytest.mark.parametrize("cells", [20, 44, 60])
@pytest.mark.parametrize("odd", [{"limit": None}, {"limit": 5, "used": "much"}, {"used": 1e300}, {"per": [], "counts": {}}, {"used": -3}])
def test_a_budget_of_any_form_is_a_line(odd: dict[str, Any], cells: int) -> None:
    assert budget_lines([budget(spent="$1.00", **odd)], cells, GLYPHS)


def test_without_budgets_it_says_how_one_is_made() -> None:
    assert "budgets:" in "".join(text_of(line) for line in budget_lines([], 60, GLYPHS))
