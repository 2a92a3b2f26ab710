"""One grammar for every field that is a time."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallchain.model.durations import parse_duration, show_duration
from smallchain.model.errors import BadInput


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("30s", timedelta(seconds=30)),
        ("2m", timedelta(minutes=2)),
        ("1h30m", timedelta(minutes=90)),
        ("2d", timedelta(days=2)),
        ("500ms", timedelta(milliseconds=500)),
        ("1w", timedelta(days=7)),
        ("1m5ms", timedelta(minutes=1, milliseconds=5)),
    ],
)
def test_a_written_duration_is_its_length(text: str, length: timedelta) -> None:
    assert parse_duration(text) == length


@pytest.mark.parametrize("text", ["", "0", "0s", "-1", "-5s", "5", "5 parsecs", "1e12", "1e12s", "1h 30m", "30m1h", "4000d", "s"])
def test_what_is_no_duration_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_duration(text)

    assert caught.value.hint


@given(st.integers(1, 10 * 365 * 86_400_000))
def test_a_shown_duration_reads_back_as_itself(millis: int) -> None:
    length = timedelta(milliseconds=millis)

    assert parse_duration(show_duration(length)) == length
