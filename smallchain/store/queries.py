"""Named SQL: every statement lives in `sql/<kind>.sql` under a line `-- name: what it is for`, and is asked for as `<kind>.name`."""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

_TABLE = re.compile(r"\b(?:FROM|JOIN|INTO|UPDATE)\s+([a-z_]+)")
_TARGET = re.compile(r"\b(?:INSERT INTO|INSERT OR IGNORE INTO|DELETE FROM|UPDATE)\s+([a-z_]+)")
_VALUE = re.compile(r":([a-z_]+)")
_NUMBER = re.compile(r"\(SELECT no FROM runs WHERE id = [a-z_.:]+\)")
"""A run's number: it is in the table as soon as the run is made, and never changes."""
_HEAD = re.compile(r"^-- (?P<name>[a-z_]+): (?P<purpose>.+)$", re.MULTILINE)


@functools.cache
def load() -> dict[str, str]:
    """All statements by name; raises ValueError for a name that stands twice or a statement without a name."""
    found: dict[str, str] = {}
    for file in sorted(resources.files("smallchain.store").joinpath("sql").iterdir(), key=lambda each: each.name):
        if not file.name.endswith(".sql"):
            continue
        kind = file.name.removesuffix(".sql")
        text = file.read_text(encoding="utf-8")
        heads = list(_HEAD.finditer(text))
        if not heads or text[: heads[0].start()].strip():
            raise ValueError(f"{file.name} holds a statement without a name")
        for head, following in zip(heads, [*heads[1:], None], strict=True):
            name = f"{kind}.{head['name']}"
            if name in found:
                raise ValueError(f"{name} stands twice")
            found[name] = text[head.end() : following.start() if following else len(text)].strip().rstrip(";")
    return found


@functools.cache
def tables() -> dict[str, frozenset[str]]:
    """The tables that each statement reads or writes; the one of sequence numbers moves with that of events. To look up a run's number
    is no reading of runs: nothing that waits to be written could change it."""
    found = {name: set(_TABLE.findall(_NUMBER.sub("", text))) for name, text in load().items()}
    return {name: frozenset(each | {"events"} if "sqlite_sequence" in each else each) for name, each in found.items()}


@functools.cache
def targets() -> dict[str, str]:
    """The table that each statement writes to; empty for one that only reads."""
    return {name: found[1] if (found := _TARGET.search(text)) else "" for name, text in load().items()}


@dataclass(frozen=True, slots=True)
class ByPosition:
    """A statement that is carried out for many rows, and what puts the named values of one into its order."""

    text: str
    order: Callable[[Mapping[str, Any]], tuple[Any, ...]]


@functools.cache
def by_position(name: str) -> ByPosition:
    """A statement with places instead of names: sqlite3 looks each name up for each row, which costs more than binding the value."""
    text = load()[name]
    names = _VALUE.findall(text)
    assert len(names) > 1, "itemgetter gives no tuple for one name"
    return ByPosition(_VALUE.sub("?", text), operator.itemgetter(*names))
