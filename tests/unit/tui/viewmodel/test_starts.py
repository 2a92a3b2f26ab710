"""A schedule's starts in words: the next and the last, what waits, what was skipped and why."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from smallchain_tui.viewmodel.line import text_of
from smallchain_tui.viewmodel.starts import cell, schedule_lines, what_about_it
from support.hostile import HOSTILE, came_through

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
DIGEST = {
    "next_start_at": "2026-11-24T07:00:00Z",
    "last_start_at": "2026-11-23T07:00:01Z",
    "last_run": "digest-4",
    "last_phase": "succeeded",
    "skipped": 3,
    "skipped_at": "2026-11-23T08:00:00Z",
    "skipped_why": "run 'digest-4' is not over",
}


def lines(**fields: Any) -> list[str]:
    return [text_of(line) for line in schedule_lines(DIGEST | fields, now=NOW)]


def test_it_says_the_next_and_the_last_start_and_what_was_skipped() -> None:
    assert lines() == [
        "next start  07:00:00, in 21h30m",
        "last start  07:00:01, 2h29m ago  run digest-4  succeeded",
        "skipped     3, the last 08:00:00, 1h30m ago: run 'digest-4' is not over",
    ]


def test_a_start_that_waits_is_said() -> None:
    assert "waits       the start of 09:00:00, 30m ago, until that run is over" in lines(waiting_since="2026-11-23T09:00:00Z")


def test_one_that_never_started_has_dashes_and_nothing_skipped() -> None:
    assert [text_of(line) for line in schedule_lines({}, now=NOW)] == ["next start  -", "last start  -"]


def test_in_a_table_it_says_its_trouble_first_then_what_waits_then_what_was_skipped() -> None:
    assert what_about_it(DIGEST | {"detail": "task 'x' does not exist"}, NOW) == "task 'x' does not exist"
    assert "waits until digest-4 is over" in what_about_it(DIGEST | {"waiting_since": "2026-11-23T09:00:00Z"}, NOW)
    assert what_about_it(DIGEST, NOW) == "skipped 08:00:00, 1h30m ago: run 'digest-4' is not over"
    assert cell(DIGEST, "next_start_at", NOW) == "07:00:00, in 21h30m"
    assert cell({}, "next_start_at", NOW) == ""


def test_hostile_words_are_shown_and_do_nothing() -> None:
    odd = dict.fromkeys(("last_run", "last_phase", "skipped_why", "detail", "next_start_at"), HOSTILE) | {"skipped": 1}

    assert came_through("\n".join(text_of(line) for line in schedule_lines(odd, now=NOW)).encode()) == set()
