"""A matcher says yes, no, or that it cannot tell; and what cannot be told is never a no."""

from __future__ import annotations

from typing import Any

import pytest

from smallchain.model.matchers import LONGEST_TEXT, Holds, holds
from smallchain.model.toolspec import Condition


def told(condition: dict[str, Any], value: Any) -> Holds:
    """What a condition says of an argument."""
    return holds({"a": Condition(**condition)}, {"a": value})


@pytest.mark.parametrize(
    ("condition", "value", "answer"),
    [
        ({"gt": 100}, 101, Holds.YES),
        ({"gt": 100}, 100, Holds.NO),
        ({"ge": 100}, 100.0, Holds.YES),
        ({"lt": 0}, -1, Holds.YES),
        ({"le": 0}, 1, Holds.NO),
        ({"gt": 1, "lt": 5}, 3, Holds.YES),
        ({"gt": 1, "lt": 5}, 7, Holds.NO),
        ({"equals": "all"}, "all", Holds.YES),
        ({"equals": "all"}, "ALL", Holds.NO),
        ({"equals": 1}, 1.0, Holds.YES),
        ({"equals": True}, False, Holds.NO),
        ({"one_of": ["a", "b"]}, "b", Holds.YES),
        ({"one_of": ["a", "b"]}, "c", Holds.NO),
        ({"one_of": ["a", 1]}, 1, Holds.YES),
        ({"matches": "^Draft"}, "Draft: x", Holds.YES),
        ({"matches": "^Draft"}, "A Draft", Holds.NO),
        ({"matches": "(?i)confidential"}, "very CONFIDENTIAL", Holds.YES),
    ],
)
def test_a_condition_says_whether_it_holds(condition: dict[str, Any], value: Any, answer: Holds) -> None:
    assert told(condition, value) is answer


@pytest.mark.parametrize(
    ("condition", "value"),
    [
        ({"gt": 100}, "150"),
        ({"gt": 100}, True),
        ({"gt": 100}, [150]),
        ({"gt": 100}, None),
        ({"equals": "all"}, ["all"]),
        ({"equals": 1}, True),
        ({"equals": 1}, "1"),
        ({"one_of": ["a"]}, 1),
        ({"matches": "x"}, 5),
        ({"matches": "x"}, {"x": "x"}),
        ({"matches": "x"}, "x" * (LONGEST_TEXT + 1)),
        ({"equals": None}, "anything"),
    ],
)
def test_what_is_of_another_type_or_too_long_cannot_be_told(condition: dict[str, Any], value: Any) -> None:
    assert told(condition, value) is Holds.CANNOT_TELL


def test_an_argument_that_is_not_there_cannot_be_told() -> None:
    assert holds({"a": Condition(gt=1)}, {}) is Holds.CANNOT_TELL


def test_one_condition_that_does_not_hold_decides_whatever_the_others_are() -> None:
    when = {"a": Condition(gt=1), "b": Condition(equals="x"), "missing": Condition(gt=1)}

    assert holds(when, {"a": 0, "b": "x"}) is Holds.NO


def test_all_conditions_must_hold() -> None:
    when = {"a": Condition(gt=1), "b": Condition(equals="x")}

    assert holds(when, {"a": 2, "b": "x"}) is Holds.YES
    assert holds(when, {"a": 2}) is Holds.CANNOT_TELL


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|a)*$", "^(a|aa)+$", "(.*)(.*)(.*)(.*)(.*)z"])
def test_no_pattern_takes_longer_than_the_text_is_long(pattern: str) -> None:
    """Each of these takes a backtracking engine longer than the universe has stood; the test would not end."""
    assert told({"matches": pattern}, "a" * (LONGEST_TEXT - 1) + "!") is Holds.NO
