"""Tables as kubectl draws them; JSON and YAML that read back; nothing hidden in any."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from smallchain.cli.commands.kinds import KINDS, columns_of
from smallchain.cli.render import age, name_of, pretty_event, show_items, table, text_of

RUNS: list[dict[str, Any]] = [
    {"kind": "run", "id": "a" * 36, "name": "my first run", "agent": "assistant", "status": "Running", "task": "do_some_math", "depth": 0},
    {
        "kind": "run",
        "id": "b" * 36,
        "name": "my first run/calculator_operator-1",
        "agent": "calculator_operator",
        "status": "Succeeded",
        "task": "do_some_math",
        "depth": 1,
        "phase": "succeeded",
        "tree_cost_usd": "0.0012",
    },
]


def test_runs_have_the_seeds_columns() -> None:
    lines = list(table(columns_of("runs"), RUNS))

    assert lines == [
        "RUN                                  NAME                  STATUS      TASK ID        DEPTH",
        "my first run                         assistant             Running     do_some_math   0",
        "my first run/calculator_operator-1   calculator_operator   Succeeded   do_some_math   1",
    ]


def test_wide_runs_have_phase_cost_age_and_detail_too() -> None:
    heading, _, child = table(columns_of("runs"), RUNS, wide=True)

    assert heading.split()[-4:] == ["PHASE", "COST", "AGE", "DETAIL"]
    assert child.split()[-4:] == ["succeeded", "$0.0012", "-", "-"]


def test_columns_align_by_cells_not_characters() -> None:
    names = [{"name": "日本語", "status": "Ready"}, {"name": "abc", "status": "Ready"}]

    _, wide, narrow = table(columns_of("a plain kind"), names)

    assert wide == "日本語   Ready    -"
    assert narrow == "abc      Ready    -"


def test_a_cell_is_one_visible_line() -> None:
    hostile = [{"name": "a\nb\x1b[2J", "status": "\u202eydaeR", "detail": "x" * 500}]

    _, row = table(columns_of("a plain kind"), hostile)

    assert "\n" not in row
    assert "a\\nb\\x1b[2J" in row
    assert "<U+202E>ydaeR" in row
    assert row.endswith("x…")


@pytest.mark.parametrize("plural", KINDS)
def test_every_kind_draws_an_item_that_says_nothing(plural: str) -> None:
    heading, row = table(columns_of(plural), [{}], wide=True)

    assert heading.split()
    assert row.split()


def test_toolcalls_show_the_end_of_their_ids_unless_wide() -> None:
    call = {"id": "01890000-0000-7000-8000-0000deadbeef", "tool": "add", "result": "7", "attempts": 1, "phase": "succeeded"}

    narrow = list(table(columns_of("toolcalls"), [call]))[1]
    assert narrow.split()[0] == "deadbeef"


def test_an_ids_column_is_whole_when_wide() -> None:
    for plural in ("toolcalls", "requests"):
        row = list(table(columns_of(plural), [{"id": "01890000-0000-7000-8000-0000deadbeef"}], wide=True))[1]
        assert row.split()[0] == "01890000-0000-7000-8000-0000deadbeef"


@pytest.mark.parametrize("output", ["json", "yaml"])
def test_lists_read_back_as_items(capsys: pytest.CaptureFixture[str], output: str) -> None:
    items = [{"name": "日本", "text": "a\x1b[2J\u202e\x85 \U000e0041", "n": 1.5, "none": None, "lines": "a\nb\tc"}]

    show_items(items, (), output=output)

    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "\u202e" not in printed
    assert (json.loads(printed) if output == "json" else yaml.safe_load(printed)) == {"items": items}


def test_plain_text_stays_readable_in_json_and_yaml(capsys: pytest.CaptureFixture[str]) -> None:
    for output in ("json", "yaml"):
        show_items([{"name": "東京"}], (), output=output)
        assert "東京" in capsys.readouterr().out


def test_jsonl_is_one_item_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    show_items(RUNS, (), output="jsonl")

    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == RUNS


def test_names_are_kind_and_name_or_the_id_of_what_has_no_name_of_its_own() -> None:
    assert name_of(RUNS[0]) == "run/my first run"
    assert name_of({"kind": "toolcall", "name": "add", "id": "x1"}) == "toolcall/x1"
    assert name_of({"kind": "settle", "name": "settle", "id": "r1"}) == "request/r1"


def test_a_budget_that_was_written_is_no_request_about_a_budget() -> None:
    assert name_of({"kind": "budget", "name": "all-of-it"}) == "budget/all-of-it"
    assert name_of({"kind": "budget", "name": "monday", "id": "r1", "run": "monday"}) == "request/r1"


def test_an_event_is_a_line_of_the_seeds_form() -> None:
    event = {"time": "2024-07-28T12:00:05.123456Z", "level": "INFO", "message": "Executing task: do_some_math"}

    assert pretty_event(event) == "[2024-07-28 12:00:05] [INFO] Executing task: do_some_math"


def test_an_event_is_one_line_in_utc_whatever_it_says() -> None:
    event = {"time": "2024-07-28T14:00:05+02:00", "level": "INFO", "message": "Output: a\n[fake] line\x1b[1m"}

    assert pretty_event(event) == "[2024-07-28 12:00:05] [INFO] Output: a\\n[fake] line\\x1b[1m"
    assert pretty_event({"time": "soon", "message": "m"}) == "[-] [] m"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0s"), (119, "119s"), (120, "2m"), (7199, "119m"), (7200, "2h"), (86399, "23h"), (86400, "1d"), (400000, "4d"), (-5, "0s")],
)
def test_ages_are_short(seconds: int, shown: str) -> None:
    assert age("1970-01-01T00:00:00Z", now=seconds) == shown


def test_a_value_is_said_as_the_json_of_it_when_it_is_no_text() -> None:
    assert [text_of(value) for value in (None, "a", 3, 1.5, True, {"a": [1]})] == ["", "a", "3", "1.5", "true", '{"a": [1]}']
