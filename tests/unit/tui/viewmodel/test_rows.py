"""Rows of a stranger's JSON: what is missing or odd is empty."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallchain_tui.viewmodel.rows import EventRow, RequestRow, RunRow
from support import dashboard

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
_FIELDS = st.sampled_from([*dashboard.run("a"), *dashboard.request("b", "a"), "seq", "time", "level", "reason", "object", "message"])


def test_a_run_is_read_whole() -> None:
    row = RunRow.of(dashboard.run("blog-7", "Waiting", cost_usd="1.12", tree_cost_usd="2.0000005", depth=1, parent="blog", paused=True))

    assert (row.name, row.status, row.depth, row.parent, row.paused) == ("blog-7", "Waiting", 1, "blog", True)
    assert (row.cost_nanousd, row.tree_cost_nanousd) == (1_120_000_000, 2_000_000_500)
    assert row.created_at == datetime(2026, 11, 23, 8, 59, tzinfo=UTC)
    assert not row.is_over


def test_a_request_keeps_its_arguments_raw() -> None:
    arguments = {"title": "\x1b[31mred\x1b[0m"}

    assert RequestRow.of(dashboard.request("r", "a", arguments=arguments)).arguments == arguments


@pytest.mark.parametrize("row", [RunRow, RequestRow, EventRow])
@given(item=st.dictionaries(_FIELDS, _JSON, max_size=12))
def test_whatever_the_item_holds_it_is_a_row(row: Any, item: dict[str, Any]) -> None:
    found = row.of(item)

    assert row.of(found.item) == found
