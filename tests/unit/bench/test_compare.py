"""The comparison of two runs of the benchmark: what counts as moved, and what as noise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.compare import compare, main, read, table


def a_line(**changes: Any) -> dict[str, Any]:
    """A figure that has a baseline and three samples."""
    line = {
        "bench": "turns",
        "figure": "cpu_ms_per_turn",
        "at": {"agents": 50},
        "better": "lower",
        "value": 0.30,
        "samples": [0.29, 0.30, 0.31],
        "ratio": 0.10,
        "ratios": [0.098, 0.100, 0.102],
        "target": "ratio <= 0.12",
        "met": True,
    }
    return line | changes


def test_a_slower_machine_is_no_change_where_the_baseline_slowed_down_too() -> None:
    (change,) = compare([a_line()], [a_line(value=0.60, samples=[0.59, 0.60, 0.61])])

    assert (change.by, change.verdict) == ("ratio", "same")


def test_a_ratio_that_moved_by_more_than_both_runs_spread_is_told() -> None:
    (change,) = compare([a_line()], [a_line(ratios=[0.118, 0.120, 0.122])])

    assert change.verdict == "worse"
    assert change.is_worse


def test_a_ratio_that_moved_within_the_spread_is_the_same() -> None:
    (change,) = compare([a_line(ratios=[0.09, 0.10, 0.11])], [a_line(ratios=[0.10, 0.115, 0.12])])

    assert change.verdict == "same"
    assert change.noise == pytest.approx(0.4)


def test_higher_is_better_where_the_figure_says_so() -> None:
    (change,) = compare([a_line(better="higher")], [a_line(better="higher", ratios=[0.2, 0.2, 0.2])])

    assert change.verdict == "better"


def test_values_are_compared_where_one_run_has_no_baseline() -> None:
    (change,) = compare([a_line(ratios=None)], [a_line(samples=[0.39, 0.40, 0.41])])

    assert (change.by, change.old, change.new, change.verdict) == ("value", 0.30, 0.40, "worse")


def test_a_single_sample_has_to_move_by_a_quarter() -> None:
    (near,) = compare([a_line(ratios=[0.10])], [a_line(ratios=[0.12])])
    (far,) = compare([a_line(ratios=[0.10])], [a_line(ratios=[0.13])])

    assert (near.verdict, far.verdict) == ("same", "worse")


def test_a_target_that_is_no_longer_met_is_told_though_the_figure_moved_within_the_noise() -> None:
    (change,) = compare([a_line()], [a_line(ratios=[0.100, 0.102, 0.104], met=False)])

    assert change.verdict == "same"
    assert change.is_worse


def test_figures_that_one_run_lacks_are_told_as_new_or_gone() -> None:
    changes = compare([a_line(at={"agents": 1})], [a_line()])

    assert [(change.name, change.verdict) for change in changes] == [
        ("turns.cpu_ms_per_turn agents=50", "new"),
        ("turns.cpu_ms_per_turn agents=1", "gone"),
    ]


def test_a_figure_that_could_not_be_taken_is_gone_and_not_zero() -> None:
    (change,) = compare([a_line()], [a_line(value=None, samples=[], ratios=None)])

    assert (change.verdict, change.new) == ("gone", None)


def test_words_of_make_between_the_lines_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    file.write_text(f"turns took 7 s\n{json.dumps({'bench': 'machine'})}\n12\n{json.dumps(a_line())}\n", encoding="utf-8")

    lines = read(file)

    assert compare(lines, lines)[0].verdict == "same"


def test_the_exit_code_tells_whether_anything_is_worse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text(json.dumps(a_line()), encoding="utf-8")
    new.write_text(json.dumps(a_line(ratios=[0.2, 0.2, 0.2])), encoding="utf-8")

    assert (main([str(old), str(old)]), main([str(old), str(new)])) == (0, 1)
    assert "cpu_ms_per_turn agents=50" in capsys.readouterr().out


def test_the_table_marks_what_moved() -> None:
    shown = table(compare([a_line()], [a_line(ratios=[0.2, 0.2, 0.2], met=False)]))

    assert shown.splitlines()[1].startswith("-!")
