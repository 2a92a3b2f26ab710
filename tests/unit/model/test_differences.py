"""A change of arguments is told argument by argument."""

from __future__ import annotations

from smallchain.model.differences import differences


def test_each_change_is_told_once_and_what_stays_is_not() -> None:
    before, after = {"a": 1, "b": "x", "c": True}, {"a": 1, "b": "y", "d": [1]}

    assert differences(before, after) == ('b: "x" → "y"', "c: true → (none)", "d: (none) → [1]")


def test_another_type_is_another_value() -> None:
    assert differences({"a": 1}, {"a": True}) == ("a: 1 → true",)
    assert differences({"a": None}, {}) == ("a: null → (none)",)


def test_a_long_value_is_cut() -> None:
    (told,) = differences({}, {"a": "x" * 1000})

    assert len(told) < 250
    assert told.endswith("…")
