"""How long to wait: doubling, spread, capped, and the same for the same row and count."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallchain.engine.backoff import FIRST, LONGEST, delay

HOUR = timedelta(hours=1)
counts = st.integers(1, 10_000)
keys = st.text(max_size=40)


def whole(failures: int) -> timedelta:
    """The wait before it is spread."""
    return min(LONGEST, FIRST * (2 ** min(failures - 1, 30)))


@given(failures=counts, key=keys)
def test_a_wait_doubles_and_is_shortened_by_at_most_a_third(failures: int, key: str) -> None:
    wait = delay(failures, key=key)

    assert whole(failures) * 2 / 3 - timedelta(microseconds=1) <= wait <= whole(failures)


@given(failures=counts, key=keys)
def test_the_same_row_and_count_wait_the_same_also_after_a_crash(failures: int, key: str) -> None:
    assert delay(failures, key=key) == delay(failures, key=key)


def test_rows_that_failed_together_come_back_apart() -> None:
    waits = {delay(8, key=f"run-{number}") for number in range(1000)}

    assert len(waits) > 950
    assert max(waits) - min(waits) > whole(8) / 4


@given(failures=counts, key=keys, asked=st.timedeltas(timedelta(0), timedelta(days=400)))
def test_it_is_never_less_than_the_provider_asks_up_to_an_hour(failures: int, key: str, asked: timedelta) -> None:
    wait = delay(failures, key=key, at_least=asked)

    assert min(asked, HOUR) <= wait <= max(HOUR, LONGEST)


@pytest.mark.parametrize("at_least", [None, timedelta(0), timedelta(milliseconds=1)])
def test_a_provider_that_asks_for_less_changes_nothing(at_least: timedelta | None) -> None:
    assert delay(5, key="run-1", at_least=at_least) == delay(5, key="run-1")


def test_waits_grow_until_the_longest() -> None:
    waits = [delay(failures, key="run-1") for failures in range(1, 40)]

    assert waits[0] < timedelta(seconds=0.6)
    assert all(wait > timedelta(0) for wait in waits)
    assert all(wait >= LONGEST * 2 / 3 for wait in waits[10:])
