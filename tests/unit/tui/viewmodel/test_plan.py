"""A plan's steps and the work beside a run: how each stands, at any width."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from smallchain.protocol.text import width
from smallchain_tui.viewmodel.glyphs import Glyphs
from smallchain_tui.viewmodel.line import text_of
from smallchain_tui.viewmodel.plan import done, plan_lines
from support.hostile import HOSTILE, came_through

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
GLYPHS = Glyphs(ascii=True)
STEPS: list[dict[str, Any]] = [
    {"item": "read the sources", "status": "done", "priority": 5},
    {"item": "write the draft", "status": "in_progress", "note": "two pages at most"},
    {"item": "find a picture", "status": "dropped"},
    {"item": "publish", "status": "pending", "priority": -1},
]
WORK: list[dict[str, Any]] = [
    {"name": "work-1-2", "agent": "researcher", "run": "blog-7/researcher-1", "status": "Running", "since": "2026-11-23T09:18:00Z"},
    {"name": "work-3-1", "agent": "scout", "run": "blog-7/scout-1", "status": "Succeeded", "since": "2026-11-23T09:00:00Z"}
    | {"finished_at": "2026-11-23T09:05:00Z", "told": True},
]


def lines(steps: list[dict[str, Any]], work: list[dict[str, Any]], cells: int = 100) -> list[str]:
    return [text_of(line.line) for line in plan_lines(steps, work, cells, GLYPHS, now=NOW)]


def test_each_step_has_its_sign_its_word_its_priority_and_its_note_below_it() -> None:
    assert lines(STEPS, [])[1:] == [
        "v done             5  read the sources",
        "* in_progress         write the draft",
        "                      | two pages at most",
        "/ dropped             find a picture",
        "o pending         -1  publish",
    ]


def test_what_is_done_is_counted_among_what_was_not_dropped() -> None:
    assert done(STEPS) == "1/3"
    assert done([]) == ""


def test_work_says_its_id_agent_status_since_when_for_how_long_and_its_run() -> None:
    head, going, ended = lines([], WORK)[-3:]

    assert "Detached work: 1 going on, 1 ended" in lines([], WORK)
    assert head.split() == ["ID", "AGENT", "STATUS", "SINCE", "FOR", "WHAT", "FOR,", "RUN"]
    assert going.split() == ["work-1-2", "researcher", "*", "Running", "09:18:00", "12m", "blog-7/researcher-1"]
    assert ended.split() == ["work-3-1", "scout", "v", "Succeeded", "09:00:00", "5m", "told", "blog-7/scout-1"]


def test_without_a_plan_it_says_how_an_agent_tells_one() -> None:
    assert "update_plan" in " ".join(lines([], []))


def test_a_line_knows_what_it_is_about() -> None:
    found = plan_lines(STEPS, WORK, 100, GLYPHS, now=NOW)

    assert [line.about["item"] for line in found if line.about and "item" in line.about][1:3] == ["write the draft"] * 2
    assert [line.key for line in found if line.key.startswith("work")] == ["work work-1-2", "work work-3-1"]


@pytest.mark.parametrize("cells", [40, 75, 160])
def test_of_any_form_and_width_they_are_lines_that_do_nothing(cells: int) -> None:
    hostile = dict.fromkeys(("item", "status", "note", "name", "agent", "run", "detail", "since", "finished_at"), HOSTILE)
    odd: list[dict[str, Any]] = [{}, {"item": 5, "priority": "high"}, hostile | {"priority": 10**30, "item": "long " * 90}]

    found = lines(odd, odd, cells)
    assert came_through("\n".join(found).encode()) == set()
    assert all(width(line) <= max(cells, 62) for line in found)
