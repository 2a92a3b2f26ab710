"""Money is whole nano-dollars, rounded up once a call."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallchain.model.errors import BadInput
from smallchain.model.money import NANO, Price, Usage, parse_dollars, show_dollars


@pytest.mark.parametrize(("text", "nanousd"), [("$2.50", 2_500_000_000), ("2.50", 2_500_000_000), ("$0", 0), ("$0.000000001", 1)])
def test_dollars_are_exact(text: str, nanousd: int) -> None:
    assert parse_dollars(text) == nanousd


@pytest.mark.parametrize("text", ["", "-5", "$-5", "10 USD", "1e400", "$1e3", "€5", "$5.", "$.5", "$5/day", "$1,000", "$0.0000000001"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        parse_dollars(text)


@given(st.integers(0, 10**9 * NANO - 1))
def test_shown_dollars_read_back_as_themselves(nanousd: int) -> None:
    assert parse_dollars(show_dollars(nanousd)) == nanousd


def test_at_least_two_places_are_shown() -> None:
    assert [show_dollars(amount) for amount in (0, 1_120_000_000, 21_500, -5 * NANO)] == ["0.00", "1.12", "0.0000215", "-5.00"]


def test_a_call_is_rounded_up_once() -> None:
    price = Price(input=1, output=1)

    assert price.cost(Usage(input_tokens=1, output_tokens=1)) == 1
    assert price.cost(Usage(input_tokens=1_000_000, output_tokens=1)) == 2


def test_cached_tokens_cost_their_own_price_or_that_of_input() -> None:
    usage = Usage(input_tokens=1_000_000, output_tokens=0, cached_tokens=400_000)

    assert Price(input=1000, output=0, cached_input=500).cost(usage) == 800
    assert Price(input=1000, output=0).cost(usage) == 1000


def test_more_cached_tokens_than_input_never_cost_less_than_nothing() -> None:
    assert Price(input=1000, output=0, cached_input=0).cost(Usage(10, 0, cached_tokens=1000)) == 0
