"""Whether something grows: told only when it is sure."""

from __future__ import annotations

import random

import pytest

from bench.steady import slope

HOUR = [minute / 60 for minute in range(0, 60)]


def test_what_rises_steadily_grows_by_its_slope() -> None:
    found = slope(HOUR, [100 + 6 * hour for hour in HOUR])

    assert found.per_hour == pytest.approx(6)
    assert found.grows(5)
    assert not found.grows(7)


def test_what_swings_about_a_level_does_not_grow() -> None:
    chance = random.Random(1)

    assert not slope(HOUR, [100 + chance.uniform(-5, 5) for _ in HOUR]).grows(0)


def test_a_leak_is_found_among_noise() -> None:
    chance = random.Random(1)

    found = slope(HOUR, [100 + 20 * hour + chance.uniform(-5, 5) for hour in HOUR])

    assert found.low < 20 < found.high
    assert found.grows(4)


def test_samples_that_resemble_each_other_make_it_less_sure() -> None:
    chance = random.Random(1)
    steps = [chance.uniform(-5, 5) for _ in HOUR]
    apart = slope(HOUR, steps)
    held = slope(HOUR, [steps[number // 6 * 6] for number in range(60)])

    assert held.high - held.low > apart.high - apart.low


def test_a_level_that_never_moves_does_not_grow() -> None:
    assert slope(HOUR, [11.0] * 60).per_hour == 0.0


def test_nothing_is_sure_after_four_samples() -> None:
    assert not slope(HOUR[:4], [1.0, 2.0, 3.0, 4.0]).grows(0)
