"""A database is brought to this program's schema or refused; a lost, foreign, damaged or newer one is never touched."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from smallchain.model.errors import Damaged
from smallchain.store import migrate

NEXT = "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;\nINSERT INTO notes (text) VALUES ('a; b');\n"


def run(path: Path, *statements: str) -> list[tuple[object, ...]]:
    """Carry out statements on a database; the rows of the last one."""
    rows: list[tuple[object, ...]] = []
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            rows = connection.execute(statement).fetchall()
    return rows


def with_one_more(monkeypatch: pytest.MonkeyPatch, text: str = NEXT) -> None:
    """Let this program know one migration more than it does."""
    known = migrate.migrations()
    monkeypatch.setattr(migrate, "migrations", lambda: [*known, (len(known) + 1, text)])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database as this program makes it, with a fact in it."""
    made = migrate.prepare(tmp_path)
    run(made, "INSERT INTO meta (name, value) VALUES ('kept', 'yes')")
    return made


def is_kept(path: Path) -> bool:
    return run(path, "SELECT value FROM meta WHERE name = 'kept'") == [("yes",)]


# ---- made and opened again


def test_a_folder_that_never_had_one_gets_a_database(tmp_path: Path) -> None:
    path = migrate.prepare(tmp_path)

    assert run(path, "PRAGMA application_id") == [(migrate.APPLICATION_ID,)]
    assert run(path, "PRAGMA user_version") == [(migrate.migrations()[-1][0],)]
    assert path.stat().st_mode & 0o777 == 0o600


def test_one_that_is_up_to_date_is_left_as_it_is(path: Path) -> None:
    assert migrate.prepare(path.parent) == path

    assert is_kept(path)
    assert not (path.parent / "backups").exists()


def test_a_start_that_died_while_making_the_database_is_made_good(tmp_path: Path) -> None:
    (tmp_path / migrate.FILE).touch()

    migrate.prepare(tmp_path)


def test_the_migrations_are_numbered_without_gaps() -> None:
    assert [number for number, _ in migrate.migrations()] == list(range(1, len(migrate.migrations()) + 1))


# ---- brought forward


def test_what_runs_have_done_is_carried_over_to_rows_that_refer_to_them_by_number(tmp_path: Path) -> None:
    path = tmp_path / migrate.FILE
    first = migrate.migrations()[0][1]
    moment = "2026-01-02T03:04:05.000000Z"
    run(
        path,
        *migrate._statements(first),
        f"PRAGMA application_id = {migrate.APPLICATION_ID}",
        "PRAGMA user_version = 1",
        *(
            f"""INSERT INTO runs VALUES ('{id}', '{id}-name', '{id}', NULL, NULL, 0, 'sums', 'assistant', 'fast', NULL, '', '', 0,
            '{phase}', 0, '', 1, 1, 0, NULL, 0, 2, 1, 0, NULL, '', '', 5, '{moment}', '{moment}', NULL, 9)"""
            for id, phase in (("b", "awaiting_tools"), ("a", "succeeded"))
        ),
        *(
            f"INSERT INTO messages VALUES ('{id}', {seq}, 'user', '{{\"{id}\":{seq}}}', '', NULL, '{moment}')"
            for seq in (1, 2)
            for id in ("b", "a")
        ),
        f"""INSERT INTO modelcalls VALUES ('b', 1, 0, 3, 'fast', 'm', 1, 'replied', '', 'stop', 1, 2, 0, 5, 'price', 'raw', '{moment}',
        '{moment}')""",
        f"""INSERT INTO toolcalls VALUES ('c', 'b', 1, 0, 'asked', 'add', 'tool', 'add', '{{}}', 'none', 'executing', 1, 0, 1, '', '', '',
        NULL, '{moment}', NULL, 3)""",
        f"INSERT INTO events VALUES (4, '{moment}', 'INFO', 'RunStarted', 'run', 'b-name', 'b', 'b', 'b-name', 'it began')",
        f"INSERT INTO events VALUES (7, '{moment}', 'INFO', 'DaemonStarted', 'daemon', 'smallchaind', '', NULL, NULL, 'it began')",
    )
    migrate.prepare(tmp_path)
    of = "JOIN runs ON runs.no = run_no"

    assert run(path, "SELECT id, phase, version, same_calls FROM runs ORDER BY id") == [
        ("a", "succeeded", 9, 0),
        ("b", "awaiting_tools", 9, 0),
    ]
    assert run(path, f"SELECT runs.id, wire FROM messages {of} ORDER BY runs.id, seq") == [
        (id, f'{{"{id}":{seq}}}') for id in ("a", "b") for seq in (1, 2)
    ]
    assert run(path, f"SELECT runs.id, modelcalls.attempt, outcome, raw FROM modelcalls {of}") == [("b", 1, "replied", "raw")]
    assert run(path, f"SELECT toolcalls.id, runs.id, toolcalls.phase FROM toolcalls {of}") == [("c", "b", "executing")]
    assert run(path, f"SELECT seq, runs.id FROM events LEFT {of} ORDER BY seq") == [(4, "b"), (7, None)]
    assert run(path, "SELECT seq FROM sqlite_sequence WHERE name = 'events'") == [(7,)]
    assert (tmp_path / "backups" / "before-schema-2.db").exists()


def test_a_newer_program_brings_an_older_database_forward(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_one_more(monkeypatch)
    migrate.prepare(path.parent)

    assert is_kept(path)
    assert run(path, "SELECT text FROM notes") == [("a; b",)]
    assert run(path, "PRAGMA user_version") == [(migrate.migrations()[-1][0],)]


def test_an_older_database_is_backed_up_before_it_is_changed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = migrate.migrations()[-1][0]
    with_one_more(monkeypatch)
    migrate.prepare(path.parent)
    backup = path.parent / "backups" / f"before-schema-{before + 1}.db"

    assert is_kept(backup)
    assert run(backup, "PRAGMA user_version") == [(before,)]
    assert run(backup, "SELECT count(*) FROM sqlite_schema WHERE name = 'notes'") == [(0,)]
    assert backup.stat().st_mode & 0o777 == 0o600


def test_a_backup_is_itself_a_database_to_go_on_with(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = migrate.migrations()[-1][0]
    with monkeypatch.context() as newer:
        with_one_more(newer)
        migrate.prepare(path.parent)
    other = tmp_path / "other"
    other.mkdir()
    os.replace(path.parent / "backups" / f"before-schema-{before + 1}.db", other / migrate.FILE)

    assert is_kept(migrate.prepare(other))


def test_a_migration_that_fails_leaves_everything_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as newer:
        with_one_more(newer, f"{NEXT}INSERT INTO nowhere VALUES (1);\n")
        with pytest.raises(Damaged):
            migrate.prepare(path.parent)

    assert is_kept(migrate.prepare(path.parent))
    assert run(path, "SELECT count(*) FROM sqlite_schema WHERE name = 'notes'") == [(0,)]


# ---- refused


def refused(path: Path, words: str) -> None:
    """Refused with a hint, and the file is byte for byte what it was."""
    before = path.read_bytes() if path.exists() else None
    with pytest.raises(Damaged, match=words) as caught:
        migrate.prepare(path.parent)

    assert caught.value.hint
    assert (path.read_bytes() if path.exists() else None) == before


def test_one_of_a_newer_program_is_refused(path: Path) -> None:
    run(path, f"PRAGMA user_version = {migrate.migrations()[-1][0] + 1}")

    refused(path, "newer smallchain")


def test_one_of_another_program_is_refused(path: Path) -> None:
    run(path, "PRAGMA application_id = 1")

    refused(path, "another program's")


def test_one_with_tables_and_no_mark_of_ours_is_refused(tmp_path: Path) -> None:
    run(tmp_path / migrate.FILE, "CREATE TABLE theirs (id INTEGER)")

    refused(tmp_path / migrate.FILE, "another program's")


def test_one_that_was_there_and_is_gone_is_refused_and_not_made_anew(path: Path) -> None:
    path.unlink()

    refused(path, "is gone")
    assert not path.exists()


def test_one_that_was_there_and_is_empty_is_refused(path: Path) -> None:
    os.truncate(path, 0)

    refused(path, "is empty")


def test_one_with_a_damaged_page_is_refused(path: Path) -> None:
    size = int(str(run(path, "PRAGMA page_size")[0][0]))
    with path.open("r+b") as file:
        file.seek(size)
        file.write(b"\xff" * size)

    refused(path, "damaged|can't be used")


def test_one_that_is_cut_short_is_refused(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)

    refused(path, "damaged|can't be used")


def test_what_is_no_database_at_all_is_refused(path: Path) -> None:
    path.write_bytes(b"these are my notes, not a database\n" * 200)

    refused(path, "can't be used")


def test_one_with_a_trigger_that_somebody_added_is_refused(path: Path) -> None:
    run(path, "CREATE TRIGGER theirs AFTER INSERT ON events BEGIN DELETE FROM runs; END")

    refused(path, "trigger that is not ours: theirs")


def test_a_request_that_was_open_before_people_could_approve_is_still_there_and_names_its_tool(tmp_path: Path) -> None:
    first = migrate.migrations()[0][1]
    path = tmp_path / migrate.FILE
    now = "'2026-01-02T03:04:05.000000Z'"
    run(path, *[part for part in first.split(";") if part.strip()])
    call = f"'c', 'r', 1, 0, 'a', 'post', 'tool', 'post', '{{}}', 'once', 'in_doubt', 1, 1, 1, '', '', '', NULL, {now}, NULL, 1"
    told = f"'', 1, 1, 0, NULL, 0, 1, 1, 0, NULL, '', '', 0, {now}, NULL, NULL, 1"
    run(path, f"INSERT INTO runs VALUES ('r', 'n', 'r', NULL, NULL, 0, 't', 'a', 'l', NULL, '', '', 0, 'awaiting_tools', 0, {told})")
    run(path, f"INSERT INTO toolcalls VALUES ({call})")
    run(path, f"INSERT INTO requests VALUES ('q', 'settle', 'r', 'c', 'open', 'did it?', '', '', '', '', {now}, NULL, 1)")
    run(path, f"PRAGMA application_id = {migrate.APPLICATION_ID}", "PRAGMA user_version = 1")

    migrate.prepare(tmp_path)

    assert run(path, "SELECT id, phase, tool, remind, risk FROM requests") == [("q", "open", "post", "[]", "normal")]
