"""`get --watch`: the table, and after it each row that is new or has changed, until interrupted.

The one rule: it asks again only when an event came, once for all that came together, and never gives up on a daemon that is
started again.
"""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from smallchain.cli.commands.events import lost
from smallchain.cli.commands.kinds import columns_of
from smallchain.cli.console import flush, note, out
from smallchain.cli.render import Column, Item, fit, line, name_of, row
from smallchain.model.errors import Busy, Unreachable
from smallchain.protocol.client import Client
from smallchain.protocol.text import visible_json

Answer = TypeVar("Answer")

_GATHER_S = 0.1
"""So long an event waits for those that come with it."""
_BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0)
_MOVING = ("AGE", "SINCE")
"""Columns that change by themselves: not a reason to print a row again."""


def refuse_formats(arguments: Namespace) -> None:
    """YAML has no end to wait for."""
    if arguments.output == "yaml":
        arguments.refuse("--watch prints -o jsonl, not yaml")


def watch(client: Client, items: Sequence[Item], *, after: int, plural: str, output: str, ask: Callable[[], Sequence[Item]]) -> int:
    """Print what is listed, then what becomes of it; `after`: the newest event when it was listed; `ask` lists again."""
    screen = _Screen(columns_of(plural), output)
    screen.show(items)
    for listed in changes(client, after, ask):
        screen.show(listed)
    return 0


def changes(client: Client, after: int, ask: Callable[[], Sequence[Item]]) -> Iterator[Sequence[Item]]:
    """What `ask` lists, after each event that comes, for ever."""
    seen = after
    stream = client.events(after=seen, follow=True, on_lost=lost)
    while True:
        try:
            event = next(stream)
        except (Unreachable, Busy) as error:  # it could not begin: the daemon is away just now
            lost(error)
            _again(client.last_seq)
            stream = client.events(after=seen, follow=True, on_lost=lost)
            continue
        if event["seq"] > seen:  # else it came while we listed: the list has it
            time.sleep(_GATHER_S)
            seen, items = _again(lambda: (client.last_seq(), ask()))
            yield items


def _again(look: Callable[[], Answer]) -> Answer:
    """What it gives, however often the daemon has to be looked for."""
    losses = 0
    while True:
        try:
            return look()
        except (Unreachable, Busy) as error:
            if losses == 1:
                lost(error)
            time.sleep(_BACKOFF_S[min(losses, len(_BACKOFF_S) - 1)])
            losses += 1


class _Screen:
    """What was printed of each thing, and how wide."""

    def __init__(self, columns: Sequence[Column], output: str) -> None:
        self._wide = output == "wide"
        self._columns = [column for column in columns if self._wide or not column.wide]
        self._still = [place for place, column in enumerate(self._columns) if column.heading not in _MOVING]
        self._output = output
        self._widths: list[int] = []
        self._shown: dict[str, object] = {}
        self._names: dict[str, str] = {}

    def show(self, items: Sequence[Item]) -> None:
        """Print the rows that are not as they were, and tell what is listed no longer."""
        cells = {_key(item): row(self._columns, item, wide=self._wide) for item in items}
        looks = {_key(item): self._look(item, cells[_key(item)]) for item in items}
        changed = [item for item in items if self._shown.get(_key(item)) != looks[_key(item)]]
        if changed and self._output in ("table", "wide"):
            headings = [column.heading for column in self._columns]
            first = not self._widths
            self._widths = fit([headings, *(cells[_key(item)] for item in changed)], self._widths)
            if first:
                out(line(headings, self._widths))
        for item in changed:
            self._print(item, cells[_key(item)])
        for key in self._shown.keys() - looks.keys():
            note(f"{self._names[key]} is listed no longer")
        self._shown = looks
        self._names = {_key(item): name_of(item) for item in items}
        flush()

    def _look(self, item: Item, cells: Sequence[str]) -> object:
        """What is compared: all of the item where all is printed, else the cells that a person sees."""
        if self._output in ("json", "jsonl"):
            return dict(item)
        return [cells[place] for place in self._still]

    def _print(self, item: Item, cells: Sequence[str]) -> None:
        match self._output:
            case "json" | "jsonl":
                out(visible_json(item))
            case "name":
                out(name_of(item))
            case _:
                out(line(cells, self._widths))


def _key(item: Item) -> str:
    return str(item.get("id") or item.get("name"))
