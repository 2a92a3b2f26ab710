"""The unit of work of one connection: a row is read once and written once, however often a transaction looks at it and moves it.

What a transaction changes of a kept kind of row (a `Shape`) stays in memory until something reads the table or the transaction
commits; the same goes for rows that are only ever appended. Rows that were clean at a COMMIT stay at hand for the next transaction:
a write names the version that was read, so one that went stale is a Conflict and never a lost change.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar, cast

from smallchain.model.errors import Conflict
from smallchain.store import queries
from smallchain.store.contract import Row, Shape, Value

V = TypeVar("V")

_MOST_CLEAN = 1024
_MOST_RECALLED = 2048


@dataclass(slots=True, eq=False)
class _Cell:
    """A row as the transaction sees it, and the mark of what the table holds (None: it holds none yet)."""

    value: Any
    written: Value
    dirty: bool = False


@dataclass(slots=True, eq=False)
class _Kept:
    """The rows of one shape that are at hand, by key; the groups that are at hand whole."""

    cells: dict[Any, _Cell] = field(default_factory=dict)
    groups: dict[Any, tuple[Any, ...]] = field(default_factory=dict)
    dirty: dict[Any, _Cell] = field(default_factory=dict)
    over: list[Any] = field(default_factory=list)
    """Rows that nobody will move any more: they are let go at the COMMIT."""


@dataclass(slots=True)
class _Part:
    """A part that can be taken back alone: where it began in the journal, and whether the connection has a savepoint for it."""

    journal: int
    late: int
    has_savepoint: bool = False


_Late = tuple[str, dict[str, Value]]
_SQL = queries.load()
_TABLES = queries.tables()
_TARGETS = queries.targets()


class Work:
    """The rows at hand of one connection. For the connection's thread only."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self._kept: defaultdict[Shape[Any], _Kept] = defaultdict(_Kept)
        self._unwritten: set[str] = set()
        """Tables of which the database does not hold everything yet."""
        self._late: list[_Late] = []
        self._journal: list[Callable[[], object]] = []
        self._parts: list[_Part] = []
        self._recalled: dict[str, dict[Any, Any]] = {}
        """What was made from each table since it was last written to."""
        self._seen = -1

    # ---- what a transaction asks for

    def one(self, query: str, /, **values: Value) -> Row | None:
        self._write_what_is_read(query)
        return cast("Row | None", self.connection.execute(_SQL[query], values).fetchone())

    def all(self, query: str, /, **values: Value) -> list[Row]:
        self._write_what_is_read(query)
        return self.connection.execute(_SQL[query], values).fetchall()

    def run(self, query: str, /, **values: Value) -> int:
        self._write_what_is_read(query)
        self._set_savepoints()
        touched = self.connection.execute(_SQL[query], values).rowcount
        if touched:
            self._changed(_TARGETS[query])
        return touched

    def later(self, query: str, /, **values: Value) -> None:
        self._late.append((query, values))
        self._wait_for(_TARGETS[query])

    def late(self, query: str, /) -> list[dict[str, Value]]:
        since = self._parts[0].late if self._parts else 0
        return [values for name, values in self._late[since:] if name == query]

    def find(self, shape: Shape[V], /, *key: Value) -> V | None:
        kept = self._kept[shape]
        cell = kept.cells.get(key)
        if cell is not None:
            found: V = cell.value
            return found
        row = self.one(shape.get, **dict(zip(shape.key_names, key, strict=True)))
        return self._keep(kept, shape, row) if row is not None else None

    def group(self, shape: Shape[V], query: str, /, **values: Value) -> list[V]:
        kept = self._kept[shape]
        name = tuple(values.values())
        keys = kept.groups.get(name)
        if keys is not None and all(key in kept.cells for key in keys):
            return [kept.cells[key].value for key in keys]
        found = [self._keep(kept, shape, row) for row in self.all(query, **values)]
        kept.groups[name] = tuple(shape.key(value) for value in found)
        return found

    def add(self, shape: Shape[V], value: V, /) -> None:
        kept, key = self._kept[shape], shape.key(value)
        if shape.told_at_once:
            self._set_savepoints()
            self.connection.execute(_SQL[shape.insert], shape.values(value))
            self._recalled.pop(shape.table, None)
            kept.cells[key] = _Cell(value, shape.mark(value))
        else:
            kept.cells[key] = kept.dirty[key] = _Cell(value, None, dirty=True)
            self._wait_for(shape.table)

        self._journal.append(partial(_take_out, kept, key))
        if shape.group is not None:
            self._add_to_group(kept, shape, value, key)

    def change(self, shape: Shape[V], before: V, after: V, /) -> None:
        kept, key = self._kept[shape], shape.key(before)
        if key not in kept.cells:
            self.find(shape, *key)
        cell = kept.cells.get(key)
        if cell is None or (cell.value is not before and shape.mark(cell.value) != shape.mark(before)):
            raise Conflict(f"{shape.word} {shape.name(before)} was changed meanwhile")
        self._journal.append(partial(_put_back, kept, key, cell, cell.value, cell.dirty))
        cell.value, cell.dirty = after, True
        kept.dirty[key] = cell
        self._wait_for(shape.table)

    def recall(self, table: str, key: Any, make: Callable[[], V], /) -> V:
        try:
            known: V = self._recalled[table][key]
        except KeyError:
            pass
        else:
            return known
        made = make()
        of_table = self._recalled.setdefault(table, {})
        if len(of_table) >= _MOST_RECALLED:
            of_table.pop(next(iter(of_table)))
        of_table[key] = made
        return made

    # ---- parts that can be taken back

    def begin_part(self) -> None:
        self._parts.append(_Part(len(self._journal), len(self._late)))

    def keep_part(self) -> None:
        part = self._parts.pop()
        if part.has_savepoint:
            self.connection.execute(f"RELEASE part_{len(self._parts)}")

    def undo_part(self) -> None:
        """Take back what the part changed; the connection must still be in its transaction."""
        part = self._parts.pop()
        while len(self._journal) > part.journal:
            self._journal.pop()()
        del self._late[part.late :]
        if part.has_savepoint:
            name = f"part_{len(self._parts)}"
            self.connection.execute(f"ROLLBACK TO {name}")
            self.connection.execute(f"RELEASE {name}")
            self._drop_clean()  # what was read within the part may have been of its making

    # ---- the transaction as a whole

    def look_for_others(self) -> None:
        """Forget what is at hand if another connection has written to the file since."""
        (seen,) = self.connection.execute("PRAGMA data_version").fetchone()
        if seen != self._seen:
            self.forget()
            self._seen = seen

    def flush(self) -> None:
        """Write everything, each row once. Raises Conflict when a row has another version than the one that was read."""
        if not self._unwritten:
            return
        self._set_savepoints()
        for shape, kept in self._kept.items():
            if kept.dirty:
                self._write(shape, kept)
        late, self._late = self._late, []
        if late and self._parts:
            self._remember_late(late)
        by_query: dict[str, list[dict[str, Value]]] = {}
        for query, values in late:
            by_query.setdefault(query, []).append(values)
        for query, rows in by_query.items():
            self._run_for_each(query, rows)
        unwritten, self._unwritten = self._unwritten, set()
        if self._parts:
            self._journal.append(lambda: self._unwritten.update(unwritten))

    def committed(self) -> None:
        """The COMMIT stands: what is over is let go, what is at hand stays."""
        self._journal.clear()
        self._parts.clear()
        for kept in self._kept.values():
            while len(kept.cells) > _MOST_CLEAN:
                del kept.cells[next(iter(kept.cells))]
            for key in kept.over:
                kept.cells.pop(key, None)
            kept.over.clear()
            if len(kept.groups) > _MOST_CLEAN:
                kept.groups.clear()

    def forget(self) -> None:
        """Keep nothing: the transaction was rolled back, or somebody else wrote."""
        self._kept.clear()
        self._late.clear()
        self._journal.clear()
        self._parts.clear()
        self._unwritten.clear()
        self._recalled.clear()

    # ---- within

    def _keep(self, kept: _Kept, shape: Shape[V], row: Row) -> V:
        value = shape.from_row(row)
        key = shape.key(value)
        known = kept.cells.get(key)
        if known is not None:
            return cast("V", known.value)
        kept.cells[key] = _Cell(value, shape.mark(value))
        if shape.is_over(value):
            kept.over.append(key)
        return value

    def _add_to_group(self, kept: _Kept, shape: Shape[V], value: V, key: Any) -> None:
        assert shape.group is not None
        name, is_first = shape.group(value)
        before = () if is_first else kept.groups.get(name)
        if before is None:
            return
        kept.groups[name] = (*before, key)
        self._journal.append(partial(kept.groups.pop, name, None))

    def _write(self, shape: Shape[Any], kept: _Kept) -> None:
        new: list[_Cell] = []
        changed: list[_Cell] = []
        for cell in kept.dirty.values():
            (new if cell.written is None else changed).append(cell)
        if new:
            self._run_for_each(shape.insert, [shape.values(cell.value) for cell in new])
        if changed:
            rows = [shape.values(cell.value) | {"read": cell.written} for cell in changed]
            if self._run_for_each(shape.save, rows) != len(rows):
                raise Conflict(f"a {shape.word} was changed meanwhile")
        written, kept.dirty = kept.dirty, {}
        if self._parts:
            before = [(cell, cell.written) for cell in written.values()]
            self._journal.append(lambda: _unwrite(kept, written, before))
        for key, cell in written.items():
            cell.written, cell.dirty = shape.mark(cell.value), False
            if shape.is_over(cell.value):
                kept.over.append(key)

    def _run_for_each(self, query: str, rows: list[dict[str, Value]]) -> int:
        statement = queries.by_position(query)
        return self.connection.executemany(statement.text, map(statement.order, rows)).rowcount

    def _remember_late(self, late: list[_Late]) -> None:
        def undo() -> None:
            self._late[:0] = late

        self._journal.append(undo)

    def _write_what_is_read(self, query: str) -> None:
        if self._unwritten and not self._unwritten.isdisjoint(_TABLES[query]):
            self.flush()

    def _set_savepoints(self) -> None:
        for depth, part in enumerate(self._parts):
            if not part.has_savepoint:
                self.connection.execute(f"SAVEPOINT part_{depth}")
                part.has_savepoint = True

    def _wait_for(self, table: str) -> None:
        self._unwritten.add(table)
        self._recalled.pop(table, None)

    def _changed(self, table: str) -> None:
        """A statement of its own wrote to a table: what is at hand of it is read again."""
        self._recalled.pop(table, None)
        for shape, kept in self._kept.items():
            if shape.table == table:
                _drop_clean(kept)

    def _drop_clean(self) -> None:
        for kept in self._kept.values():
            _drop_clean(kept)
        self._recalled.clear()


def _take_out(kept: _Kept, key: Any) -> None:
    kept.cells.pop(key, None)
    kept.dirty.pop(key, None)


def _put_back(kept: _Kept, key: Any, cell: _Cell, value: Any, dirty: bool) -> None:
    cell.value, cell.dirty = value, dirty
    if not dirty:
        kept.dirty.pop(key, None)


def _drop_clean(kept: _Kept) -> None:
    kept.cells = dict(kept.dirty)
    kept.groups.clear()


def _unwrite(kept: _Kept, written: dict[Any, _Cell], before: list[tuple[_Cell, Value]]) -> None:
    for cell, mark in before:
        cell.written, cell.dirty = mark, True
    kept.dirty |= written
    kept.cells |= written
