"""Answers are exact and short, and what is no number is told in words."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallchain.model.arithmetic import OPERATIONS, compute, show_number


@pytest.mark.parametrize(
    ("name", "a", "b", "answer"),
    [
        ("add", 3, 4, "7"),
        ("add", 3.0, 4, "7"),
        ("add", 0.1, 0.2, "0.3"),
        ("add", " 5 ", "+2.50", "7.5"),
        ("add", 10**16, 1, "10000000000000001"),
        ("subtract", 5, 3, "2"),
        ("subtract", 1, 1, "0"),
        ("subtract", "-0", 0, "0"),
        ("multiply", 2**200, 3, str(2**200 * 3)),
        ("multiply", "0.5", 2, "1"),
        ("multiply", 1e300, 10, "1e301"),
        ("multiply", -3, 0.5, "-1.5"),
        ("divide", 10, 4, "2.5"),
        ("divide", 1, 3, "0.3333333333333333333333333333"),
        ("divide", 6, 3, "2"),
        ("divide", 0, 5, "0"),
        ("divide", 10**40 + 2, 2, str((10**40 + 2) // 2)),
        ("divide", 1, "1e7", "0.0000001"),
    ],
)
def test_answers_are_exact_and_short(name: str, a: Any, b: Any, answer: str) -> None:
    assert compute(name, a, b) == (True, answer)


def test_division_by_zero_is_an_answer_in_words() -> None:
    ok, text = compute("divide", 5, "0.0")

    assert not ok
    assert "division by zero" in text


@pytest.mark.parametrize(
    "value",
    [
        True, None, "", "seven", "nan", float("nan"), float("inf"), "-Infinity", "0x10", "1_000", "1,000", "٣", "1e5000",
        "1e-999999", "1e9999999999", 10**5000, "9" * 1001, "9" * 10**6, [1], {"a": 1},
    ],
    ids=lambda value: str(type(value)) + (repr(value)[:20] if not isinstance(value, int) else ""),
)  # fmt: skip
def test_what_is_no_number_is_told_by_its_letter(value: Any) -> None:
    ok, text = compute("add", 1, value)

    assert not ok
    assert text.startswith("b ")
    assert len(text) < 200


def test_an_unknown_operation_is_answered_with_those_that_exist() -> None:
    ok, text = compute("power", 2, 3)

    assert not ok
    assert all(name in text for name in OPERATIONS)


numbers = st.one_of(
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.decimals(-(10**20), 10**20).map(lambda number: str(number)),
)


@given(name=st.sampled_from(["add", "subtract", "multiply"]), a=numbers, b=numbers)
def test_sums_differences_and_products_are_never_rounded(name: str, a: Any, b: Any) -> None:
    first, second = Fraction(Decimal(str(a))), Fraction(Decimal(str(b)))
    exact = {"add": first + second, "subtract": first - second, "multiply": first * second}[name]

    ok, text = compute(name, a, b)

    assert ok
    assert Fraction(Decimal(text)) == exact


@given(number=st.decimals(allow_nan=False, allow_infinity=False))
def test_a_shown_number_reads_back_as_itself_and_ends_in_no_idle_zero(number: Decimal) -> None:
    text = show_number(number)

    assert Decimal(text) == number
    assert "." not in text.split("e")[0] or not text.split("e")[0].endswith(("0", "."))
