"""Files of the config folder: what became of each, since when, and what is wrong with it."""

from __future__ import annotations

from smallchain.model.canonical import canonical
from smallchain.model.errors import Problem
from smallchain.store.contract import Row, Tx
from smallchain.store.times import to_text


def put(tx: Tx, path: str, /, *, source: str, digest: str, status: str, problems: tuple[Problem, ...] = ()) -> None:
    """Record a file as `Applied`, `Held` (good, but another is not) or `Rejected`; `since` moves only with status or content."""
    listed = [
        {
            "file": each.place.file,
            "line": each.place.line,
            "column": each.place.column,
            "message": each.message,
            "hint": each.hint,
        }
        for each in problems
    ]
    tx.run("files.put", path=path, source=source, digest=digest, status=status, problems=canonical(listed), since=to_text(tx.now))


def delete(tx: Tx, path: str, /) -> None:
    """Forget a file that is gone."""
    tx.run("files.delete", path=path)


def everything(tx: Tx, /) -> list[Row]:
    """All files, by path."""
    return tx.all("files.all")
