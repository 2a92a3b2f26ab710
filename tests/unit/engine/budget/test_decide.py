"""Whether a call fits: what it may use is never told too low, and the strictest cap decides."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallchain.engine.budget.bounds import media_in, replies_asked, written_output
from smallchain.engine.budget.decide import LEAST_OUTPUT, MOST_OUTPUT, Bounds, Word, admit, output_of, worst_of
from smallchain.model.cap import Cap, OnLimit, Standing, Unit, Worst
from smallchain.model.money import MOST, Price, Rates, Usage

PRICE = Price(Rates(input=2_500_000_000, output=10_000_000_000, cached_input=1_250_000_000))

RATES = st.builds(Rates, *[st.integers(0, 10**12)] * 2, *[st.none() | st.integers(0, 10**12)] * 2)
TIERS = st.lists(st.tuples(st.integers(0, 10**7), RATES), max_size=2).map(lambda found: tuple(sorted(found, key=lambda each: each[0])))


def standing(limit: int, *, spent: int = 0, held: int = 0, unit: Unit = Unit.DOLLARS, on_limit: OnLimit = OnLimit.WAIT) -> Standing:
    return Standing(Cap("budget", "b", "", unit, limit, "day", "rolling", on_limit), spent, held)


@given(
    prompt=st.integers(0, 10**7),
    room=st.integers(0, 10**12),
    replies=st.integers(1, 50),
    price=st.builds(Price, RATES, TIERS),
    shares=st.tuples(*[st.integers(0, 100)] * 4),
)
def test_a_reply_that_the_cap_bounds_never_costs_more_than_was_held(
    prompt: int, room: int, replies: int, price: Price, shares: tuple[int, int, int, int]
) -> None:
    bounds = Bounds(prompt, None, price, 1000, replies)
    output = output_of(bounds, [standing(room)])
    worst = worst_of(bounds, output)
    used = Usage(prompt * shares[0] // 100, output * replies * shares[1] // 100, prompt * shares[2] // 100, prompt * shares[3] // 100)

    assert price.cost(used) <= worst.nanousd
    assert LEAST_OUTPUT <= output <= MOST_OUTPUT
    assert output == LEAST_OUTPUT or worst.nanousd <= room or price.worst(prompt, 0) > room


def test_each_of_several_replies_is_held() -> None:
    bounds = Bounds(100, 500, PRICE, 1000, replies=4)

    assert worst_of(bounds, output_of(bounds, [])).tokens == 100 + 4 * 500


def test_several_replies_share_what_a_cap_of_tokens_leaves() -> None:
    bounds = Bounds(1_000, None, None, 1000, replies=3)
    output = output_of(bounds, [standing(4_000, unit=Unit.TOKENS)])

    assert (output, worst_of(bounds, output).tokens) == (1_000, 4_000)


def test_a_cap_of_time_that_no_call_fits_under_names_the_field_that_makes_calls_shorter() -> None:
    verdict = admit([standing(3_000, unit=Unit.TIME)], Worst(0, 0, 600_000))

    assert verdict.word is Word.NEVER
    assert verdict.why == "one call may use 10m, the `timeout` of its LLM, which is more than budget 'b' of 3s a day allows"


def test_what_no_column_holds_counts_as_more_than_any_cap() -> None:
    worst = worst_of(Bounds(10**9, 10**30, Price(Rates(10**18, 10**18)), 1000), 10**30)

    assert (worst.nanousd, worst.tokens) == (MOST, MOST)
    assert admit([standing(MOST - 1)], worst).word is Word.NEVER
    assert Price(Rates(10**18, 10**18)).cost(Usage(10**9, 10**9)) == MOST


@pytest.mark.parametrize(
    ("parameters", "output", "replies"),
    [
        ({}, None, 1),
        ({"max_tokens": 100}, 100, 1),
        ({"max_tokens": 100, "max_completion_tokens": 300}, 300, 1),
        ({"max_tokens": None, "n": None}, None, 1),
        ({"max_tokens": None, "max_completion_tokens": 20}, 20, 1),
        ({"max_tokens": -1}, None, 1),
        ({"max_tokens": 0}, None, 1),
        ({"max_tokens": 100, "max_completion_tokens": -1}, None, 1),
        ({"max_tokens": 100.0, "n": 3.0}, 100, 3),
        ({"max_tokens": "100", "n": "3"}, 100, 3),
        ({"max_tokens": True, "n": True}, None, 1),
        ({"max_tokens": [100], "n": {"is": 3}}, None, 1),
        ({"max_tokens": float("inf"), "n": float("nan")}, None, 1),
        ({"max_tokens": "lots", "n": -5}, None, 1),
        ({"max_completion_tokens": 40, "n": 5}, 40, 5),
    ],
)
def test_what_parameters_say_of_a_reply_is_read_as_the_most_lenient_server_would(
    parameters: dict[str, object], output: int | None, replies: int
) -> None:
    assert (written_output(parameters), replies_asked(parameters)) == (output, replies)


def test_pictures_and_sounds_are_counted_beside_their_bytes() -> None:
    parts = [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": "http://a"}}, {"type": "input_audio"}, "odd"]

    assert media_in({"role": "user", "content": parts}) == 3
    assert media_in({"role": "user", "content": "look"}) == media_in({"role": "assistant", "content": None}) == 0


@pytest.mark.parametrize("first", OnLimit)
@pytest.mark.parametrize("second", OnLimit)
def test_of_two_caps_that_are_used_up_the_strictest_decides_whatever_their_order(first: OnLimit, second: OnLimit) -> None:
    order = [OnLimit.STOP, OnLimit.ASK, OnLimit.WAIT]
    found = admit([standing(100, spent=90, on_limit=each) for each in (first, second)], Worst(20, 20, 20))

    assert found.standing is not None
    assert found.standing.cap.on_limit is min(first, second, key=order.index)


def test_what_others_hold_is_no_limit_beside_a_cap_that_is_used_up() -> None:
    waits, over = standing(100, held=90, on_limit=OnLimit.STOP), standing(100, spent=90)

    assert admit([waits, over], Worst(20, 20, 20)).word is Word.OVER
    assert admit([waits], Worst(20, 20, 20)).word is Word.AWAITS_OTHERS
    assert admit([waits, standing(10)], Worst(20, 20, 20)).word is Word.NEVER


@pytest.mark.parametrize(("room", "word"), [(19, Word.OVER), (20, Word.FITS), (21, Word.FITS)])
def test_a_call_that_takes_exactly_what_is_left_fits(room: int, word: Word) -> None:
    assert admit([standing(100, spent=100 - room)], Worst(20, 20, 20)).word is word
