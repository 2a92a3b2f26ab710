"""The kinds that have a list of their own: what is written, and what tools left behind; the columns of each, and their texts; pure.

The one rule: a column's word is the word in the item, in the YAML and in the command's table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from smallchain.model.sizes import rough_size
from smallchain.protocol.text import width
from smallchain_tui.viewmodel import starts
from smallchain_tui.viewmodel.budgets import Budget
from smallchain_tui.viewmodel.rows import Item, moment, number, sequence, text
from smallchain_tui.viewmodel.words import age

_WIDEST = 36
_GAP = 2


class Column(NamedTuple):
    """A heading, and an item's text under it, raw. The last column of a kind takes the room that the others leave."""

    heading: str
    text: Callable[[Item, datetime], str]
    right: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """`name` is the plural, as `get` and the command line have it; `one` what `describe` calls one of them."""

    name: str
    one: str
    title: str
    columns: tuple[Column, ...]
    empty: str


def _field(heading: str, name: str, *, right: bool = False) -> Column:
    def shown(item: Item, now: datetime) -> str:
        value = item.get(name)
        return value if isinstance(value, str) else "" if value is None else str(value)

    return Column(heading, shown, right)


def _written(heading: str, name: str, otherwise: str = "") -> Column:
    def shown(item: Item, now: datetime) -> str:
        value = spec(item).get(name)
        return value if isinstance(value, str) else otherwise if value is None else str(value)

    return Column(heading, shown)


def spec(item: Item) -> Item:
    """What a person wrote about a thing."""
    found = item.get("spec")
    return found if isinstance(found, Mapping) else {}


def _way(item: Item, now: datetime) -> str:
    executor = spec(item).get("executor")
    if isinstance(executor, Mapping) and executor:
        return str(next(iter(executor)))
    return f"builtin {text(spec(item), 'builtin')}" if text(spec(item), "builtin") else ""


def _used(item: Item, now: datetime) -> str:
    limits = spec(item).get("limits")
    most = limits.get("concurrency") if isinstance(limits, Mapping) else None
    return f"{number(item, 'in_use')}/{most}" if most else str(number(item, "in_use"))


def _said_last(item: Item, now: datetime) -> str:
    lines = sequence(item, "stderr")
    return text(item, "detail") or (str(lines[-1]) if lines else "")


def _problem(item: Item, now: datetime) -> str:
    first = next((each for each in sequence(item, "problems") if isinstance(each, Mapping)), None)
    return f"{number(first, 'line')}: {text(first, 'message')}" if first is not None else ""


_NAME, _STATUS, _DETAIL = _field("NAME", "name"), _field("STATUS", "status"), _field("DETAIL", "detail")

KINDS = (
    Kind(
        "tools",
        "tool",
        "Tools",
        (_NAME, _STATUS, Column("RUNS", _way), _written("EFFECTS", "effects"), _field("FENCE", "fence"), _DETAIL),
        "no tool is written: `tools:` in YAML",
    ),
    Kind(
        "mcp_servers",
        "mcp_server",
        "MCP servers",
        (
            _NAME,
            _STATUS,
            _written("TRANSPORT", "transport", "stdio"),
            Column("TOOLS", lambda item, now: str(len(sequence(item, "tools"))), right=True),
            _field("RESTARTS", "restarts", right=True),
            Column("DETAIL, OR LAST WORDS", _said_last),
        ),
        "no MCP server is written: `mcp_servers:` in YAML",
    ),
    Kind(
        "artifacts",
        "artifact",
        "Artifacts",
        (
            _NAME,
            Column("SIZE", lambda item, now: rough_size(number(item, "size_bytes")), right=True),
            Column("AGE", lambda item, now: age(moment(item, "created_at"), now), right=True),
            _field("TOOL", "tool"),
            _field("MEDIA TYPE", "media_type"),
            Column("ID", lambda item, now: text(item, "id")[-8:]),
            _field("RUN", "run"),
        ),
        "no tool has left anything behind",
    ),
    Kind(
        "agents",
        "agent",
        "Agents",
        (
            _NAME,
            _STATUS,
            _written("LLM", "llm"),
            Column("TOOLS", lambda item, now: str(len(sequence(spec(item), "tools"))), right=True),
            _DETAIL,
        ),
        "no agent is written: `agents:` in YAML",
    ),
    Kind(
        "llms",
        "llm",
        "LLMs",
        (_NAME, _STATUS, _written("PROVIDER", "provider"), _written("MODEL", "model"), Column("IN USE", _used, right=True), _DETAIL),
        "no LLM is written: `llms:` in YAML",
    ),
    Kind(
        "channels", "channel", "Channels", (_NAME, _STATUS, _written("TYPE", "type"), _DETAIL), "no channel is written: `channels:` in YAML"
    ),
    Kind(
        "files",
        "file",
        "Files",
        (_NAME, _STATUS, Column("FIRST PROBLEM, BY ITS LINE", _problem)),
        "no file is in the watched folder, and nothing was applied",
    ),
    Kind(
        "budgets",
        "budget",
        "Budgets",
        (
            _NAME,
            _STATUS,
            Column("LIMIT", lambda item, now: Budget.of(item).limit_now, right=True),
            _field("PER", "per"),
            _field("SPENT", "spent", right=True),
            _field("HELD", "held", right=True),
            _field("LEFT", "left", right=True),
            Column("NEXT ROOM", lambda item, now: starts.cell(item, "next_room_at", now)),
            Column("STAND STILL", lambda item, now: str(number(item, "waiting") or ""), right=True),
            _field("ON LIMIT", "on_limit"),
            _field("COUNTS", "counts"),
        ),
        "no budget is written: `budgets:` in YAML, or `budget:` on an agent or a run",
    ),
    Kind(
        "schedules",
        "schedule",
        "Schedules",
        (
            _NAME,
            _STATUS,
            _written("TASK", "task"),
            Column("NEXT START", lambda item, now: starts.cell(item, "next_start_at", now)),
            Column("LAST START", lambda item, now: starts.cell(item, "last_start_at", now)),
            _field("LAST RUN", "last_run"),
            _field("SKIPPED", "skipped", right=True),
            Column("DETAIL, OR WHAT WAS SKIPPED", starts.what_about_it),
        ),
        "no schedule is written: `schedules:` in YAML",
    ),
)
"""In the order of their digits."""


def fields_of(kind: Kind, item: Item, now: datetime) -> Mapping[str, str]:
    """What a filter can name: the columns, by their headings' first words."""
    return {column.heading.partition(",")[0].lower().replace(" ", "_"): column.text(item, now) for column in kind.columns}


def widths(kind: Kind, items: list[dict[str, Any]], now: datetime, cells: int) -> list[int]:
    """How wide each column is: as wide as its texts, up to a limit; the last takes what is left, and an empty column nothing."""
    found = []
    for column in kind.columns[:-1]:
        longest = max((width(column.text(item, now)) for item in items), default=0)
        found.append(min(_WIDEST, max(longest, len(column.heading))) if longest else 0)
    room = cells - sum(each + _GAP for each in found if each)
    if room < 12 and found:  # a narrow terminal: the name gives way first
        found[0] = max(12, found[0] - (12 - room))
        room = cells - sum(each + _GAP for each in found if each)
    return [*found, max(0, room)]
