"""JSON in one form, and nothing from outside that is not JSON."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallchain.model import canonical
from smallchain.model.errors import BadInput

_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(_JSON)
def test_what_is_written_is_read_again(value: Any) -> None:
    assert canonical.parse(canonical.canonical(value)) == value


def test_the_order_of_keys_does_not_change_the_digest() -> None:
    assert canonical.digest({"a": 1, "b": [True]}) == canonical.digest({"b": [True], "a": 1})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", object()])
def test_what_is_not_json_is_not_written(value: Any) -> None:
    with pytest.raises(BadInput):
        canonical.canonical(value)


@pytest.mark.parametrize(
    "text",
    [
        "NaN",
        "-Infinity",
        "1e999",
        '{"a":1,"a":2}',
        "9" * 5000,
        str(2**70),
        '"\\ud800"',
        '"\\u0000"',
        "[" * 1000,
        "[" * 102 + "]" * 102,
        "",
        "{",
        b"\xff",
    ],
    ids=lambda text: repr(text[:12]),
)
def test_hostile_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(BadInput):
        canonical.parse(text)
