"""When a sleep ends, from what a model writes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallchain.model.errors import BadInput
from smallchain.model.sleep import LONGEST, wake_time

NOW = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("builtin", "arguments", "moment"),
    [
        ("sleep_for", {"duration": "10m"}, NOW + timedelta(minutes=10)),
        ("sleep_for", {"duration": "1h30m"}, NOW + timedelta(minutes=90)),
        ("sleep_for", {"duration": "366d"}, NOW + LONGEST),
        ("sleep_until", {"time": "2026-01-02T13:00:00Z"}, NOW + timedelta(hours=1)),
        ("sleep_until", {"time": "2026-01-02T15:30:00+02:30"}, NOW + timedelta(hours=1)),
        ("sleep_until", {"time": " 2026-01-01T00:00:00Z "}, NOW - timedelta(hours=36)),
    ],
)
def test_a_duration_counts_from_now_and_a_moment_is_itself(builtin: str, arguments: dict[str, Any], moment: datetime) -> None:
    assert wake_time(builtin, arguments, now=NOW) == moment


@pytest.mark.parametrize(
    ("builtin", "arguments", "says"),
    [
        ("sleep_for", {}, "`duration` is a text"),
        ("sleep_for", {"duration": 10}, "`duration` is a text"),
        ("sleep_for", {"duration": "-5m"}, "not a duration"),
        ("sleep_for", {"duration": "0s"}, "out of range"),
        ("sleep_for", {"duration": "ten minutes"}, "not a duration"),
        ("sleep_for", {"duration": "367d"}, "more than 366d"),
        ("sleep_until", {}, "`time` is a text"),
        ("sleep_until", {"time": "tomorrow"}, "no moment"),
        ("sleep_until", {"time": "2026-01-02T13:00:00"}, "no time zone"),
        ("sleep_until", {"time": "2026-02-30T13:00:00Z"}, "no moment"),
        ("sleep_until", {"time": "0001-01-01T00:00:00+23:00"}, "no moment"),
        ("sleep_until", {"time": "9999-12-31T23:59:59-23:00"}, "no moment"),
        ("sleep_until", {"time": "2030-01-01T00:00:00Z"}, "more than 366d"),
    ],
)
def test_what_names_no_moment_is_refused_in_words_for_a_model(builtin: str, arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        wake_time(builtin, arguments, now=NOW)


@given(
    st.sampled_from(["sleep_for", "sleep_until"]),
    st.dictionaries(st.sampled_from(["duration", "time"]), st.text() | st.integers() | st.none()),
)
def test_whatever_a_model_writes_is_a_moment_or_refused(builtin: str, arguments: dict[str, Any]) -> None:
    try:
        moment = wake_time(builtin, arguments, now=NOW)
    except BadInput:
        return
    assert moment.tzinfo is UTC
    assert moment <= NOW + LONGEST
