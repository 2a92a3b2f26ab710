"""What the soak's verdict finds wrong: it must be able to fail."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from bench.soak import acted_wrong, grown, steady_lag, unpaired


@pytest.fixture
def database() -> sqlite3.Connection:
    """The columns that are looked at, with one run that is over."""
    connection = sqlite3.connect(":memory:")
    connection.executescript(
        "CREATE TABLE runs (no, id, name, phase); CREATE TABLE messages (run_no, seq, wire); CREATE TABLE toolcalls (id, effects, phase);"
        "INSERT INTO runs VALUES (1, 'r', 'monday', 'succeeded');"
    )
    return connection


def say(database: sqlite3.Connection, *messages: dict[str, Any]) -> None:
    """The conversation of the run."""
    for seq, message in enumerate(messages):
        database.execute("INSERT INTO messages VALUES (1, ?, ?)", (seq, json.dumps(message)))


ASKS = {"role": "assistant", "content": None, "tool_calls": [{"id": "a"}]}
RESULT = {"role": "tool", "tool_call_id": "a", "content": "3"}


def test_a_call_with_its_result_is_paired(database: sqlite3.Connection) -> None:
    say(database, ASKS, RESULT)

    assert list(unpaired(database)) == []


def test_a_call_without_its_result_is_told(database: sqlite3.Connection) -> None:
    say(database, ASKS)

    assert list(unpaired(database)) == ["monday"]


def test_an_effect_that_came_twice_under_one_decision_is_told(database: sqlite3.Connection, tmp_path: Path) -> None:
    database.execute("INSERT INTO toolcalls VALUES ('c', 'once', 'succeeded')")
    log = tmp_path / "effects.log"
    log.write_text("c c.1\nc c.1\n", encoding="utf-8")

    assert acted_wrong(database, log)["twice"] == ["c.1"]


def test_an_effect_that_came_again_after_a_new_decision_is_fine(database: sqlite3.Connection, tmp_path: Path) -> None:
    database.execute("INSERT INTO toolcalls VALUES ('c', 'once', 'succeeded')")
    log = tmp_path / "effects.log"
    log.write_text("c c.1\nc c.2\n", encoding="utf-8")

    assert acted_wrong(database, log)["ok"]


def test_a_call_that_succeeded_without_acting_is_told(database: sqlite3.Connection, tmp_path: Path) -> None:
    database.execute("INSERT INTO toolcalls VALUES ('c', 'once', 'succeeded')")

    assert acted_wrong(database, tmp_path / "none.log")["missed"] == ["c"]


def samples(minutes: int, mib_an_hour: float) -> list[dict[str, Any]]:
    """A sample a minute, of a process that grows."""
    return [{"minutes": minute, "rss_kib": 1024 * (100 + mib_an_hour * minute / 60)} for minute in range(minutes)]


def test_memory_that_grows_for_an_hour_is_told() -> None:
    assert not grown(samples(60, 10), "rss_kib", 1 / 1024, most=4, unit="MiB")["ok"]
    assert grown(samples(60, 1), "rss_kib", 1 / 1024, most=4, unit="MiB")["ok"]


def test_a_soak_of_minutes_judges_no_growth_and_says_so() -> None:
    found = grown(samples(10, 10), "rss_kib", 1 / 1024, most=4, unit="MiB")

    assert (found["ok"], found["judged"]) == (True, False)


def test_lag_that_rises_above_what_is_bearable_is_told() -> None:
    assert steady_lag([10.0] * 40)["ok"]
    assert steady_lag([10.0] * 20 + [300.0] + [10.0] * 20)["ok"]
    assert not steady_lag([10.0] * 20 + [80.0] * 20)["ok"]
