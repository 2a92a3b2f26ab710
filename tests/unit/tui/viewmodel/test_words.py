"""Times and money in few cells."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from smallchain_tui.viewmodel.words import age, clock, count, dollars, span, when

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("length", "shown"),
    [
        ({"seconds": -5}, "0s"),
        ({"seconds": 59.9}, "59s"),
        ({"minutes": 12}, "12m"),
        ({"hours": 1, "minutes": 4}, "1h04m"),
        ({"hours": 23, "minutes": 59}, "23h59m"),
        ({"days": 3, "hours": 2}, "3d02h"),
        ({"days": 41}, "41d"),
    ],
)
def test_a_span_is_short(length: dict[str, float], shown: str) -> None:
    assert span(timedelta(**length)) == shown


@pytest.mark.parametrize(
    ("nanousd", "shown"),
    [(0, "$0.00"), (1, "<$0.01"), (4_999_999, "<$0.01"), (5_000_000, "$0.01"), (1_120_000_000, "$1.12"), (1_234_567_890_000, "$1,234.57")],
)
def test_money_is_shown_in_cents_and_never_as_nothing_when_it_is_something(nanousd: int, shown: str) -> None:
    assert dollars(nanousd) == shown


def test_what_is_not_known_is_a_dash() -> None:
    assert age(None, NOW) == "-"
    assert clock(None) == "--:--:--"
    assert age(NOW - timedelta(minutes=2), NOW) == "2m"
    assert clock(NOW) == "09:00:00"
    assert (count(1, "run"), count(2, "run"), count(2, "reply", "replies")) == ("1 run", "2 runs", "2 replies")


@pytest.mark.parametrize(
    ("far", "shown"),
    [
        ({"minutes": 12}, "09:12:00, in 12m"),
        ({"minutes": -28}, "08:32:00, 28m ago"),
        ({"seconds": 0}, "09:00:00, 0s ago"),
        ({"days": 7, "hours": 14}, "Nov 30 23:00:00, in 7d14h"),
    ],
)
def test_a_moment_says_how_near_it_is_and_its_date_where_that_is_another(far: dict[str, float], shown: str) -> None:
    assert when(NOW + timedelta(**far), NOW) == shown
