"""Money is whole nano-dollars, rounded up once a call."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallchain.model.errors import BadInput
from smallchain.model.money import NANO, Price, Rates, Usage, parse_dollars, show_dollars


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
    price = Price(Rates(input=1, output=1))

    assert price.cost(Usage(input_tokens=1, output_tokens=1)) == 1
    assert price.cost(Usage(input_tokens=1_000_000, output_tokens=1)) == 2


def test_tokens_of_a_cache_cost_their_own_rate_or_that_of_input() -> None:
    usage = Usage(input_tokens=1_000_000, output_tokens=0, cached_tokens=400_000, cache_write_tokens=200_000)

    assert Rates(input=1000, output=0, cached_input=500, cache_write=1250).cost(usage) == 400 + 200 + 250
    assert Rates(input=1000, output=0).cost(usage) == 1000


def test_more_cached_tokens_than_input_never_cost_less_than_nothing() -> None:
    assert Rates(input=1000, output=0, cached_input=0, cache_write=0).cost(Usage(10, 0, 1000, 1000)) == 0


def test_a_prompt_beyond_a_length_has_that_lengths_rates_for_the_whole_call() -> None:
    price = Price(Rates(1_000, 2_000), ((1_000_000, Rates(3_000, 4_000)), (2_000_000, Rates(5_000, 6_000))))

    assert [price.cost(Usage(prompt, 1_000_000)) for prompt in (1_000_000, 2_000_000, 3_000_000)] == [3_000, 10_000, 21_000]
    assert [price.worst(prompt, 1_000_000) for prompt in (1_000_000, 2_000_000, 3_000_000)] == [3_000, 10_000, 21_000]


counts = st.integers(0, 5_000_000)
rates = st.builds(Rates, *[st.integers(0, 10**12)] * 2, *[st.none() | st.integers(0, 10**12)] * 2)
prices = st.builds(
    lambda first, longer: Price(first, tuple(sorted(longer.items()))), rates, st.dictionaries(st.integers(1, 4_000_000), rates, max_size=3)
)


@given(prices, counts, counts, counts, counts, counts, counts)
def test_no_call_within_its_bounds_costs_more_than_its_worst(
    price: Price, prompt: int, output: int, cached: int, written: int, more: int, more_output: int
) -> None:
    assert price.cost(Usage(prompt, output, cached, written)) <= price.worst(prompt + more, output + more_output)


@given(prices, st.integers(0, 10**13), counts)
def test_the_reply_that_so_much_pays_for_is_the_longest_one(price: Price, nanousd: int, prompt: int) -> None:
    output = price.output_within(nanousd, prompt)

    if output is None:
        assert price.worst(prompt, 0) == price.worst(prompt, 10**9)
    elif output >= 0:
        assert price.worst(prompt, output + 1) > nanousd
