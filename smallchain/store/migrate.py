"""Bring a database file to this program's schema, or refuse it: never created over a lost one, never touched when not ours."""

from __future__ import annotations

import os
import re
import sqlite3
from contextlib import closing
from importlib import resources
from pathlib import Path

from smallchain.model.errors import Busy, Damaged
from smallchain.store import soundness

APPLICATION_ID = 0x534D_4C43  # "SMLC"
FILE = "smallchain.db"
_MARKER = "database-was-created"
_LEAST_FREE = 1 << 20
_NAME = re.compile(r"(?P<number>\d{4})_[a-z0-9_]+\.sql")


def migrations() -> list[tuple[int, str]]:
    """Number and text of every migration, in order, without gaps from 1."""
    found = sorted(
        (int(match["number"]), file.read_text(encoding="utf-8"))
        for file in resources.files("smallchain.store").joinpath("migrations").iterdir()
        if (match := _NAME.fullmatch(file.name))
    )
    if [number for number, _ in found] != list(range(1, len(found) + 1)):
        raise ValueError("the migrations are not numbered from 1 without gaps")
    return found


def prepare(state_dir: Path) -> Path:
    """Check and migrate the database of a state folder (made when the folder never had one); its path.

    Raises Damaged when it is missing although it once was there, damaged, another program's, changed, or newer; Busy when the disk is full.
    """
    path = state_dir / FILE
    marker = state_dir / _MARKER
    if not path.exists() and marker.exists():
        raise Damaged(
            f"the database {path} is gone",
            hint=f"put it back from a backup; or, to begin with nothing, remove {marker}",
        )
    if path.exists() and path.stat().st_size == 0 and marker.exists():
        raise Damaged(f"the database {path} is empty", hint="put it back from a backup")
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            os.chmod(path, 0o600)
            _migrate(connection, path)
    except sqlite3.DatabaseError as error:
        free = os.statvfs(state_dir)
        if free.f_bavail * free.f_frsize < _LEAST_FREE:
            raise Busy(
                f"the disk of {state_dir} is full: the database can't be opened ({error})", hint="make room, then start again"
            ) from error
        if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
            raise Damaged(f"the database {path} is locked by another program", hint="close that program") from error
        raise Damaged(
            f"the database {path} can't be used: {error}", hint="put it back from a backup (backups/ in the state folder)"
        ) from error
    if not marker.exists():
        marker.write_text("The database of this folder was created; if it is missing, it was lost.\n", encoding="utf-8")
    return path


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    wanted = migrations()
    newest = wanted[-1][0]
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application != APPLICATION_ID and (application or tables):
        raise Damaged(f"{path} is another program's database", hint="give smallchaind another --state-dir")
    if version > newest:
        raise Damaged(
            f"{path} was written by a newer smallchain (schema {version}; this one knows {newest})",
            hint="upgrade smallchain, or restore the backup made before the upgrade",
        )
    if soundness.is_small(path) or version < newest:
        soundness.check(connection, path)
    triggers = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'")]
    if triggers:
        raise Damaged(f"{path} holds a trigger that is not ours: {triggers[0]}", hint="remove it with sqlite3")
    connection.execute("PRAGMA journal_mode = WAL")
    if version == newest:
        return
    connection.execute("PRAGMA synchronous = FULL")
    if version:
        _back_up(connection, path, version)
    connection.execute("BEGIN EXCLUSIVE")
    for number, text in wanted:
        if number > version:
            for statement in _statements(text):
                connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {newest}")
    connection.execute("COMMIT")


def _back_up(connection: sqlite3.Connection, path: Path, version: int) -> None:
    folder = path.parent / "backups"
    folder.mkdir(mode=0o700, exist_ok=True)
    target = folder / f"before-schema-{version + 1}.db"
    target.unlink(missing_ok=True)
    connection.execute("VACUUM INTO ?", (str(target),))
    os.chmod(target, 0o600)


def _statements(text: str) -> list[str]:
    found, current = [], ""
    for line in text.splitlines(keepends=True):
        current += line
        if sqlite3.complete_statement(current):
            found.append(current)
            current = ""
    if current.strip():
        raise ValueError("a migration ends within a statement")
    return found
