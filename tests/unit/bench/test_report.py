"""A figure as a line: medians, ratios repeat by repeat, and whether its target is met."""

from __future__ import annotations

import json

import pytest

from bench.report import Figure, Target, percentile


def test_a_ratio_is_taken_repeat_by_repeat_where_both_were_repeated_as_often() -> None:
    figure = Figure("turns", "cpu", "ms", [1.0, 4.0], baseline=[2.0, 4.0], baseline_is="bare")

    assert figure.ratios == [0.5, 1.0]


def test_a_baseline_taken_once_stands_beside_every_repeat() -> None:
    figure = Figure("turns", "cpu", "ms", [1.0, 4.0], baseline=[2.0], baseline_is="bare")

    assert figure.ratios == [0.5, 2.0]


@pytest.mark.parametrize(("samples", "met"), [([6.0, 8.0, 9.0], True), ([6.0, 6.9, 9.0], False)])
def test_a_target_is_met_by_the_median(samples: list[float], met: bool) -> None:
    line = json.loads(Figure("turns", "rate", "1/s", samples, "higher", target=Target("value", ">=", 7)).line())

    assert (line["met"], line["target"]) == (met, "value >= 7")


def test_a_figure_that_could_not_be_taken_says_so_and_meets_nothing() -> None:
    line = json.loads(Figure("fsyncs", "fsyncs", "1", [], target=Target("value", "<=", 0.5), note="strace is not here").line())

    assert (line["value"], line["met"], line["note"]) == (None, None, "strace is not here")


def test_a_percentile_is_a_number_that_was_seen() -> None:
    numbers = [float(number) for number in range(1, 101)]

    assert (percentile(numbers, 0.5), percentile(numbers, 0.99), percentile([3.0], 0.99)) == (50.0, 99.0, 3.0)
