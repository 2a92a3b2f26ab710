"""`get events`: what happened, oldest first, and with `--follow` what happens; each event once, whatever breaks in between."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator

from smallchain.cli.commands.kinds import EVENTS
from smallchain.cli.console import flush, note, out
from smallchain.cli.moments import since_given
from smallchain.cli.render import Item, growing_table, pretty_event, show_items
from smallchain.cli.session import Session
from smallchain.model.errors import SmallchainError
from smallchain.protocol.client import Client
from smallchain.protocol.text import visible, visible_json

_WIDTHS = (6, 20, 7, 22, 20)


def show(arguments: Namespace, session: Session) -> int:
    """Print the events that `get events` asks for."""
    if arguments.names or arguments.status is not None or arguments.all:
        arguments.refuse("events are chosen by --run, --since, --after and --tail")
    if arguments.local and not arguments.pretty:
        arguments.refuse("--local goes with --pretty")
    if arguments.pretty and arguments.output != "table":
        arguments.refuse("--pretty and -o are two ways to print")
    since = since_given(arguments)
    client = session.client
    if arguments.follow:
        return _follow(arguments, client, since)
    events = _kept(arguments, client, since)
    if arguments.pretty:
        for event in events:
            out(pretty_event(event, local=arguments.local))
    elif arguments.output == "jsonl":
        for event in events:
            out(visible_json(event))
    else:
        listed = list(events)
        if not listed and arguments.output in ("table", "wide", "name"):
            note("No events found.")
        else:
            show_items(listed, EVENTS, output=arguments.output)
    return 0


def lost(error: SmallchainError) -> None:
    """Tell that a stream broke and is looked for again."""
    note(f"smallchain: {visible(error.message)}; waiting for it to come back")


def _kept(arguments: Namespace, client: Client, since: str | None) -> Iterator[Item]:
    if arguments.tail is None and since is None:
        yield from client.events(after=arguments.after or 0, run=arguments.run)
        return
    query = {"tail": arguments.tail, "since": since, "run": arguments.run, "after": arguments.after}
    yield from client.items("events", query)


def _follow(arguments: Namespace, client: Client, since: str | None) -> int:
    lines = _lines(arguments, _followed(arguments, client, since))
    for line in lines:
        out(line)
        flush()
    return 0


def _followed(arguments: Namespace, client: Client, since: str | None) -> Iterator[Item]:
    after = arguments.after or 0
    if arguments.tail is not None or since is not None:
        newest = client.last_seq()  # asked first: what comes meanwhile is in the list or after it
        for event in _kept(arguments, client, since):
            after = max(after, event["seq"])
            yield event
        after = max(after, newest)
    yield from client.events(after=after, run=arguments.run, follow=True, on_lost=lost)


def _lines(arguments: Namespace, events: Iterator[Item]) -> Iterator[str]:
    match arguments.output:
        case "json" | "jsonl":
            yield from map(visible_json, events)
        case "yaml":
            arguments.refuse("--follow prints -o jsonl, not yaml")
        case "name":
            yield from (f"event/{event['seq']}" for event in events)
        case _ if arguments.pretty:
            yield from (pretty_event(event, local=arguments.local) for event in events)
        case _:
            columns = [column for column in EVENTS if arguments.output == "wide" or not column.wide]
            yield from growing_table(columns, events, widths=_WIDTHS)
