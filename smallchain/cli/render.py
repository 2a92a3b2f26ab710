"""Items as people and programs want them: tables as kubectl draws them, names, JSON, YAML.

The one rule: a column is a heading and a function of the item, and every cell is one visible line.
"""

from __future__ import annotations

import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from smallchain.cli.console import out
from smallchain.protocol.text import is_plain, one_line, pad, visible_json, width

Item = Mapping[str, Any]

FORMATS = ("table", "wide", "name", "json", "yaml", "jsonl")
GAP = "   "
NOTHING = "-"


class Column(NamedTuple):
    """A column; `wide` ones are drawn with `-o wide` only. A cell of None or of no text is a dash."""

    heading: str
    cell: Callable[[Item], object]
    wide: bool = False
    cells: int | None = None
    """The most it takes in the narrow table."""
    tail: int | None = None
    """Only so many of its last characters in the narrow table: an id's random ones, which the daemon takes for the whole."""


def add_output(parser: ArgumentParser, *, formats: Sequence[str] = FORMATS) -> None:
    """The `-o` flag; the first format is the default."""
    parser.add_argument("-o", "--output", choices=formats, default=formats[0], help="how it is printed (%(default)s)")


def table(columns: Sequence[Column], items: Iterable[Item], *, wide: bool = False) -> Iterator[str]:
    """The lines of a table, its headings first."""
    shown = [column for column in columns if wide or not column.wide]
    rows = [[column.heading for column in shown], *(row(shown, item, wide=wide) for item in items)]
    widths = fit(rows)
    for cells in rows:
        yield line(cells, widths)


def growing_table(columns: Sequence[Column], items: Iterable[Item], *, widths: Sequence[int]) -> Iterator[str]:
    """The lines of a table whose end nobody knows yet: the widths are given, a longer cell pushes its line."""
    yield line([column.heading for column in columns], widths)
    for item in items:
        yield line(row(columns, item, wide=False), widths)


def row(columns: Sequence[Column], item: Item, *, wide: bool) -> list[str]:
    """The cells of an item."""
    return [_cell(column, item, wide=wide) for column in columns]


def fit(rows: Sequence[Sequence[str]], widths: Sequence[int] = ()) -> list[int]:
    """How wide each column has to be for these rows, and no narrower than it was."""
    least = widths or [0] * len(rows[0])
    return [max(least[place], *(width(cells[place]) for cells in rows)) for place in range(len(rows[0]))]


def line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """A row as it is printed; a cell that is too wide pushes the rest."""
    *padded, last = cells
    return GAP.join([*(pad(cell, wide) for cell, wide in zip(padded, widths, strict=False)), last])


def show_items(items: Sequence[Item], columns: Sequence[Column], *, output: str) -> None:
    """Print a list in one of the formats."""
    match output:
        case "json":
            show_json({"items": items})
        case "yaml":
            show_yaml({"items": items})
        case "jsonl":
            for item in items:
                out(visible_json(item))
        case "name":
            for item in items:
                out(name_of(item))
        case _:
            for drawn in table(columns, items, wide=output == "wide"):
                out(drawn)


def show_value(value: object, *, output: str) -> None:
    """Print one value as `json` or `yaml`."""
    if output == "yaml":
        show_yaml(value)
    else:
        show_json(value)


def show_json(value: object) -> None:
    """JSON, indented."""
    out(visible_json(value, indent=2))


def show_yaml(value: object) -> None:
    """YAML that reads back unchanged; pure ASCII as soon as something in it would hide."""
    import yaml

    text = yaml.safe_dump(value, allow_unicode=True, sort_keys=False, width=120)
    if not is_plain(text):
        text = yaml.safe_dump(value, allow_unicode=False, sort_keys=False, width=120)
    out(text.rstrip("\n"))


def name_of(item: Item) -> str:
    """`run/monday`, as `-o name` and the acts print it; what has no name of its own goes by its id."""
    kind = text_of(item.get("kind"))
    kind = "request" if kind in REQUEST_KINDS and (kind != "budget" or "run" in item) else kind  # a budget is also what people write
    named = item.get("id") if kind in ("toolcall", "request", "grant", "event") else item.get("name")
    return one_line(f"{kind}/{text_of(named or item.get('id'))}")


REQUEST_KINDS = ("approval", "question", "settle", "budget", "loop", "tool_changed", "quarantine")


def text_of(value: object) -> str:
    """A value as a cell says it, not yet made visible: nothing for None, JSON for what is no text or number."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return visible_json(value)


def short_id(value: object) -> str:
    """The last 8 characters of an id: its random ones, which the daemon takes for the whole."""
    return text_of(value)[-8:]


def age(value: object, *, now: float | None = None) -> str:
    """How long ago a moment was, as kubectl says it: `5s`, `3m`, `2h`, `4d`."""
    moment = moment_of(value)
    if moment is None:
        return ""
    seconds = max(0, int((time.time() if now is None else now) - moment.timestamp()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= 2 * size or (size == 86400 and seconds >= size):
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def moment_of(value: object) -> datetime | None:
    """The moment of an RFC 3339 text; None for what is none."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def pretty_event(event: Item, *, local: bool = False) -> str:
    """An event as a line of a log: `[2024-07-28 12:00:00] [INFO] Starting Smallchain`, in UTC."""
    moment = moment_of(event.get("time"))
    shown = NOTHING if moment is None else f"{moment.astimezone(None if local else UTC):%Y-%m-%d %H:%M:%S}"
    return one_line(f"[{shown}] [{text_of(event.get('level'))}] {text_of(event.get('message'))}")


def _cell(column: Column, item: Item, *, wide: bool) -> str:
    text = text_of(column.cell(item))
    if wide:
        return one_line(text) or NOTHING
    return one_line(text[-column.tail :] if column.tail else text, cells=column.cells) or NOTHING
