"""Names are people's, ids are ours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallchain.model.ids import did_you_mean, fault_in_name, is_function_name, is_id, slug, uuid7

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


@given(st.binary(min_size=10, max_size=10), st.binary(min_size=10, max_size=10))
def test_ids_are_uuid7_and_later_ones_sort_later(one: bytes, other: bytes) -> None:
    first, second = uuid7(NOON, one), uuid7(NOON + timedelta(milliseconds=1), other)

    assert is_id(first)
    assert first < second


@pytest.mark.parametrize("name", ["my first run", "gpt-4o", "ünïcode", "a/b", "x" * 63])
def test_names_are_free_text(name: str) -> None:
    assert fault_in_name(name) is None


@pytest.mark.parametrize(
    "name", ["", " ", " a", "a ", "x" * 64, "a\nb", "a\x1b[2J", "a\u202eb", "a\u200bb", "\ud800", "a\x85b", "\U000e0041"]
)
def test_names_hold_nothing_invisible_and_are_short(name: str) -> None:
    assert fault_in_name(name) is not None


@given(st.text(max_size=80))
def test_a_slug_is_part_of_a_legal_function_name(name: str) -> None:
    assert is_function_name(slug(name)[:64])


@pytest.mark.parametrize(
    ("name", "legal"),
    [("add", True), ("a-b_C9", True), ("x" * 64, True), ("x" * 65, False), ("a b", False), ("", False), ("ä", False), ("a\n", False)],
)
def test_function_names_are_what_providers_take(name: str, legal: bool) -> None:
    assert is_function_name(name) is legal


def test_a_near_name_is_offered_and_a_far_one_is_not() -> None:
    assert did_you_mean("Calculater", ["calculator", "writer"]) == "did you mean 'calculator'?"
    assert did_you_mean("zzz", ["calculator"]) == ""
