"""`get`: lists of one kind, in the order the daemon gives them."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from smallchain.cli.commands.kinds import columns_of, kind
from smallchain.cli.console import note
from smallchain.cli.moments import since_given
from smallchain.cli.render import FORMATS, Item, add_output, show_items
from smallchain.cli.session import Session
from smallchain.model.errors import BadInput, Refused, Unknown
from smallchain.protocol.client import Client, path_of
from smallchain.protocol.text import visible

DESCRIPTION = """\
List things of one kind, all of them or those named (by name, by id, or by 6 or more characters of an id's end).
kinds: llms agents tools tasks runs toolcalls requests grants budgets spend events files mcp_servers channels
schedules artifacts templates; singular or plural."""
EXAMPLES = """
smallchain get runs
smallchain get runs -o wide --status Running
smallchain get runs --watch
smallchain get toolcalls --run 'my first run'
smallchain get run 'my first run' -o json
smallchain get artifacts --run 'my first run'
smallchain get budgets --run 'my first run' -o wide
smallchain get artifacts 9f3c21ab --save chart.png
smallchain get events --pretty
smallchain get events --follow --after 41 -o jsonl
smallchain get events --since 10m --run 'my first run'
smallchain get spend --since 24h --by hour --by llm
"""
_OF_A_RUN = ("runs", "toolcalls", "requests", "events", "spend", "budgets", "grants", "artifacts")
_EVENT_FLAGS = ("pretty", "local", "tail", "after", "follow")
_BY = ("agent", "llm", "model", "task", "run", "day", "hour")


def add_arguments(parser: ArgumentParser) -> None:
    """The flags; those of events are their own group."""
    parser.add_argument("kind", metavar="KIND", type=kind, help="what to list: runs, agents, tools, toolcalls, events, ...")
    parser.add_argument("names", metavar="NAME", nargs="*", help="only these, by name or id; default: all")
    add_output(parser, formats=FORMATS)
    parser.add_argument(
        "--run", metavar="RUN", help="only what belongs to this run (of runs: it and its descendants; of budgets: those over it)"
    )
    parser.add_argument("--status", metavar="STATUS", help="only with this status (of toolcalls and requests: phase)")
    parser.add_argument("--all", action="store_true", help="of requests: the answered ones too")
    parser.add_argument("--save", metavar="FILE", help="of one artifact: its bytes, into a new file, or - for standard output")
    parser.add_argument("-w", "--watch", action="store_true", help="go on with each row that is new or changes, until interrupted")
    parser.add_argument("--since", metavar="TIME", help="of events and spend: only since a time (RFC 3339) or within a duration (10m)")
    parser.add_argument("--by", choices=_BY, action="append", help="of spend: what it is told apart by; may be repeated (agent)")
    events = parser.add_argument_group("events")
    events.add_argument("--pretty", action="store_true", help="as lines of a log")
    events.add_argument("--local", action="store_true", help="with --pretty: local time instead of UTC")
    events.add_argument("--tail", metavar="N", type=_count, help="only the last N")
    events.add_argument("--after", metavar="SEQ", type=_count, help="only those after this number")
    events.add_argument("-f", "--follow", action="store_true", help="go on with those to come, until interrupted")
    parser.set_defaults(refuse=parser.error)


def attempted(arguments: Namespace) -> str:
    """For errors."""
    return f"get {arguments.kind}"


def execute(arguments: Namespace, session: Session) -> int:
    """Print the list; an empty one is told on standard error."""
    plural = arguments.kind
    if plural == "events":
        from smallchain.cli.commands import events

        arguments.follow = arguments.follow or arguments.watch
        return events.show(arguments, session)
    for flag in _EVENT_FLAGS:
        given = getattr(arguments, flag)
        if given is not None and given is not False:
            arguments.refuse(f"--{flag} is for events")
    if arguments.run is not None and plural not in _OF_A_RUN:
        arguments.refuse(f"--run is for {', '.join(_OF_A_RUN)}")
    if plural == "spend":
        if arguments.names or arguments.status is not None or arguments.all:
            arguments.refuse("spend is chosen by --by, --since and --run")
    elif arguments.since is not None or arguments.by:
        arguments.refuse("--since is for events and spend, --by for spend")
    if arguments.save is not None:
        if plural != "artifacts" or len(arguments.names) != 1:
            arguments.refuse("--save is for one artifact")
        return _save(session.client, arguments.names[0], arguments.save)
    if arguments.watch:
        return _watch(arguments, session)
    items = session.client.items(plural, _query(arguments))
    show = not (arguments.output in ("table", "wide", "name", "jsonl") and not items)
    if show:
        show_items(items, columns_of(plural), output=arguments.output)
    _look_for(arguments, items)
    if not show:
        note(f"No {plural} found.")
    return 0


def _save(client: Client, ref: str, path: str) -> int:
    """The bytes of an artifact are a stranger's: they go into a file that was not there, or where no terminal reads them."""
    if path == "-" and sys.stdout.isatty():
        raise Refused("an artifact's bytes don't go to a terminal", hint="name a file, or write `--save - | less`")
    data = client.download(f"{path_of('artifacts', ref.removeprefix('artifact/'))}/content")
    if path == "-":
        sys.stdout.buffer.write(data)
        return 0
    try:
        with open(path, "xb") as file:
            file.write(data)
    except FileExistsError:
        raise Refused(f"{path} is there already", hint="remove it, or choose another name") from None
    except OSError as error:
        raise BadInput(f"{path} can't be written: {error.strerror}") from error
    note(f"{len(data)} bytes in {visible(path)}")
    return 0


def _watch(arguments: Namespace, session: Session) -> int:
    from smallchain.cli.commands.watch import refuse_formats, watch

    refuse_formats(arguments)
    plural, query, client = arguments.kind, _query(arguments), session.client
    newest = client.last_seq()  # asked first: what comes meanwhile is in the list or after it
    items = client.items(plural, query)
    _look_for(arguments, items)
    if not items:
        note(f"No {plural} found; waiting for the first.")
    return watch(client, items, after=newest, plural=plural, output=arguments.output, ask=lambda: client.items(plural, query))


def _look_for(arguments: Namespace, items: Sequence[Item]) -> None:
    """Raises Unknown when something that was named is not there."""
    missing = [name for name in arguments.names if not any(_is_named(item, name) for item in items)]
    if missing:
        told = ", ".join(map(repr, missing))
        raise Unknown(f"no {arguments.kind} with the name or id {told}", hint=f"see `smallchain get {arguments.kind}`")


def _query(arguments: Namespace) -> dict[str, str | bool | list[str] | None]:
    if arguments.kind == "spend":
        return {"by": arguments.by or ["agent"], "since": since_given(arguments), "run": arguments.run}
    by_phase = arguments.kind in ("toolcalls", "requests")
    return {
        "name": arguments.names,
        "run": arguments.run,
        "status": None if by_phase else arguments.status,
        "phase": arguments.status if by_phase else None,
        "all": True if arguments.all else None,
    }


def _is_named(item: Item, name: str) -> bool:
    known = [str(item.get(key) or "") for key in ("name", "id")]
    return name in known or (len(name) >= 6 and (known[1].startswith(name) or known[1].endswith(name)))


def _count(word: str) -> int:
    from argparse import ArgumentTypeError

    if not (word.isascii() and word.isdecimal() and len(word) <= 18):
        raise ArgumentTypeError(f"'{visible(word)}' is no whole number from 0 on")
    return int(word)
