"""The columns of the lists: what each says of an item, in any terminal, whatever the item is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from smallchain_tui.viewmodel.things import KINDS, Kind, fields_of, widths

NOW = datetime(2026, 11, 23, 9, 5, tzinfo=UTC)
_OF = {kind.name: kind for kind in KINDS}


def texts(kind: str, /, **item: Any) -> dict[str, str]:
    return {column.heading: column.text(item, NOW) for column in _OF[kind].columns}


def test_a_tool_says_how_it_runs_and_what_is_around_it() -> None:
    written = {"executor": {"docker": {}}, "effects": "once"}

    assert texts("tools", name="a", status="Ready", detail="", fence="a container", spec=written) == {
        "NAME": "a",
        "STATUS": "Ready",
        "RUNS": "docker",
        "EFFECTS": "once",
        "FENCE": "a container",
        "DETAIL": "",
    }
    assert texts("tools", spec={"builtin": "now"})["RUNS"] == "builtin now"


def test_an_mcp_server_says_its_trouble_and_else_its_last_words() -> None:
    said = {"stderr": ["first", "last"], "tools": ["a", "b"], "restarts": 0}

    assert texts("mcp_servers", detail="it ended with 1", **said)["DETAIL, OR LAST WORDS"] == "it ended with 1"
    assert texts("mcp_servers", detail="", **said)["DETAIL, OR LAST WORDS"] == "last"
    assert (texts("mcp_servers", **said)["TOOLS"], texts("mcp_servers", **said)["RESTARTS"]) == ("2", "0")


def test_a_file_says_its_first_problem_with_its_line() -> None:
    problems = [{"line": 2, "message": "a quote opens here"}, {"line": 9, "message": "more"}]

    assert texts("files", problems=problems)["FIRST PROBLEM, BY ITS LINE"] == "2: a quote opens here"
    assert texts("files", problems=[])["FIRST PROBLEM, BY ITS LINE"] == ""


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize(
    "item", [{}, {"spec": 7, "problems": "x", "tools": 1, "stderr": {}, "in_use": "x"}, {"spec": {"limits": 3, "executor": []}}]
)
def test_an_item_of_any_form_has_a_text_in_each_column(kind: Kind, item: dict[str, Any]) -> None:
    assert all(isinstance(text, str) for text in fields_of(kind, item, NOW).values())


@pytest.mark.parametrize("cells", [36, 74, 100, 154])
def test_columns_never_take_more_than_there_is_and_empty_ones_take_nothing(cells: int) -> None:
    items = [{"name": "n" * 60, "status": "Ready", "spec": {"effects": "once", "executor": {"python": {}}}, "detail": "d" * 300}]

    found = widths(_OF["tools"], items, NOW, cells)
    assert sum(each + 2 for each in found[:-1] if each) + found[-1] <= max(cells, 56)
    assert found[4] == 0, "no tool has a fence"
    assert found[-1] > 0 or cells < 56
