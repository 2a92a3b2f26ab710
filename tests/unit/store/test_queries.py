"""Named SQL: each name stands once, each statement fits the schema, and nothing is kept that nobody asks for."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from importlib import resources
from pathlib import Path

import pytest

from smallchain.store import migrate, queries

ROOT = Path(__file__).parents[3]
NAMES = sorted(queries.load())
KINDS = sorted({name.partition(".")[0] for name in NAMES})


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(migrate.prepare(tmp_path_factory.mktemp("state")))) as opened:
        yield opened


def asked_for() -> set[str]:
    """Every text in the code of store and daemon that has the form of a query's name."""
    form = re.compile(rf'"((?:{"|".join(KINDS)})\.[a-z_]+)"')
    modules = [*(ROOT / "smallchain/store").glob("*.py"), *(ROOT / "daemon").rglob("*.py")]
    return {name for module in modules for name in form.findall(module.read_text(encoding="utf-8"))}


@pytest.mark.parametrize("name", NAMES)
def test_a_statement_compiles_against_the_migrated_schema(connection: sqlite3.Connection, name: str) -> None:
    text = queries.load()[name]

    connection.execute(f"EXPLAIN {text}", dict.fromkeys(re.findall(r":([a-z_]+)", text)))


def test_every_statement_is_asked_for_somewhere() -> None:
    assert set(NAMES) - asked_for() == set()


def test_every_statement_that_is_asked_for_exists() -> None:
    assert asked_for() - set(NAMES) - {each.name for each in resources.files("smallchain.store").joinpath("sql").iterdir()} == set()


def test_a_name_stands_once_in_its_file() -> None:
    for file in resources.files("smallchain.store").joinpath("sql").iterdir():
        heads = re.findall(r"^-- ([a-z_]+): .+$", file.read_text(encoding="utf-8"), re.MULTILINE)

        assert len(heads) == len(set(heads)), file.name


@pytest.mark.parametrize("name", NAMES)
def test_a_name_stands_for_one_statement(name: str) -> None:
    text = queries.load()[name]

    assert text.strip()
    assert ";" not in text


def test_sql_is_nowhere_but_in_the_store() -> None:
    form = re.compile(r"\b(SELECT .+ FROM|INSERT INTO|UPDATE \w+ SET|DELETE FROM)\b")
    folders = ("smallchain/model", "smallchain/engine", "smallchain/services", "smallchain/protocol", "smallchain/cli", "daemon", "tui")
    modules = [module for folder in folders for module in (ROOT / folder).rglob("*.py")]

    assert modules
    assert [module for module in modules if form.search(module.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    "name",
    [
        "runs.live",
        "runs.page_live",
        "runs.pending",
        "runs.unsettled",
        "runs.count",
        "runs.count_waiting",
        "toolcalls.pending",
        "toolcalls.unsettled",
        "toolcalls.executing",
        "events.after_of_tree",
    ],
)
def test_what_is_over_costs_nothing_when_one_looks_for_what_is_live(connection: sqlite3.Connection, name: str) -> None:
    text = queries.load()[name]
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", dict.fromkeys(re.findall(r":([a-z_]+)", text)))]

    assert [line for line in plan if re.fullmatch(r"SCAN (runs|toolcalls|events)", line)] == []


def test_the_tables_of_a_statement_are_read_from_its_words() -> None:
    assert queries.tables()["toolcalls.page_tree"] >= {"toolcalls", "runs"}
    assert queries.tables()["events.last"] >= {"events"}
    assert queries.targets()["runs.save"] == "runs"
    assert queries.targets()["messages.append"] == "messages"
    assert queries.targets()["alarms.drop"] == "alarms"
    assert queries.targets()["runs.get"] == ""


def test_a_statement_by_position_binds_what_its_names_say() -> None:
    named, placed = queries.load()["modelcalls.settle"], queries.by_position("modelcalls.settle")
    names = re.findall(r":([a-z_]+)", named)
    values = {name: f"the {name}" for name in reversed(names)} | {"not_asked_for": "nothing"}
    with closing(sqlite3.connect(":memory:")) as opened:
        opened.execute("CREATE TABLE runs (no, id)")
        opened.execute("INSERT INTO runs VALUES ('the run', 'the run_id')")
        opened.execute(f"CREATE TABLE modelcalls ({', '.join(['run_no', *dict.fromkeys(names)])})")
        opened.execute("INSERT INTO modelcalls (run_no, attempt, outcome) VALUES ('the run', 'the attempt', 'the read')")

        opened.execute(placed.text, placed.order(values))

        opened.row_factory = sqlite3.Row
        (row,) = opened.execute("SELECT * FROM modelcalls")
    assert {name: row[name] for name in names if name not in ("run_id", "read")} == {
        name: f"the {name}" for name in names if name not in ("run_id", "read")
    }


_SMALL = frozenset({"files", "meta", "paces", "places", "resources", "schedules", "sqlite_sequence", "waits_for_room"})
"""Tables that do not grow with the history: what is written in the folder, and what waits right now."""
_WHOLE = {
    "artifacts.list": "a person asks for all of them",
    "grants.list": "a person asks for all of them",
    "artifacts.by_part": "a person gives a part of an id",
    "grants.by_part": "a person gives a part of an id",
    "requests.by_part": "a person gives a part of an id",
    "runs.by_part": "a person gives a part of an id",
    "toolcalls.by_part": "a person gives a part of an id",
    "runs.names": "the newest names, so many, for one that is nearly what a person wrote",
    "events.tail": "the newest events, so many",
    "ledger.seed": "once for a cap, when it is written",
    "countedcalls.come_back": "once for a clock that is set back",
}
"""Statements that read a whole table, and why they may."""


@pytest.mark.parametrize("name", NAMES)
def test_no_statement_that_the_loops_ask_reads_a_whole_table_that_grows(connection: sqlite3.Connection, name: str) -> None:
    text = queries.load()[name]
    plan = connection.execute(f"EXPLAIN QUERY PLAN {text}", dict.fromkeys(re.findall(r":([a-z_]+)", text))).fetchall()
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    partial = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'index' AND sql LIKE '% WHERE %'")}
    whole = []
    for *_, step in plan:  # https://www.sqlite.org/eqp.html
        words = step.split()
        scanned = words[0] == "SCAN" and words[1] in tables - _SMALL and words[-1] not in partial
        if scanned or "AUTOMATIC" in step:
            whole.append(step)

    assert bool(whole) == (name in _WHOLE), whole
