"""`why`: one answer to "why does it not go on", down to what a person can do."""

from __future__ import annotations

import math
import shlex
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from smallchain.cli.console import out
from smallchain.cli.render import Item, add_output, age, moment_of, show_value, text_of
from smallchain.cli.session import Session
from smallchain.model.durations import show_duration
from smallchain.model.errors import SmallchainError
from smallchain.protocol.client import path_of
from smallchain.protocol.text import one_line

DESCRIPTION = """\
Say why a run does not go on: what it waits for, through its tool calls, children, people, models and timers.
What time moves has its moment beside it; what a person can move has the command below it."""
EXAMPLES = """
smallchain why 'my first run'
smallchain why 'my first run' -o json | jq -r '.. | .commands? // empty | .[] | join(" ")'
"""
_DEEPEST = 100


def add_arguments(parser: ArgumentParser) -> None:
    """A run."""
    parser.add_argument("run", metavar="RUN", help="the run, by its name, its id, or 6 or more characters of the id's end")
    add_output(parser, formats=("text", "json", "yaml"))


def attempted(arguments: Namespace) -> str:
    """For errors."""
    return f"say why run '{arguments.run}' does not go on"


def execute(arguments: Namespace, session: Session) -> int:
    """Print the chain, each link below the one that waits for it."""
    answer = session.client.get(path_of("why", arguments.run))
    if arguments.output != "text":
        show_value(answer, output=arguments.output)
        return 0
    reason = answer.get("reason")
    if not isinstance(reason, dict):
        raise SmallchainError("the daemon's answer holds no reason", hint="is its version that of this program?")
    for line in _lines(reason):
        out(line)
    return 0


def _lines(reason: Item, depth: int = 0) -> Iterator[str]:
    indent = "   " * depth
    about = f"{text_of(reason.get('kind'))} {text_of(reason.get('name'))}"
    yield indent + one_line(f"{about}: {text_of(reason.get('words'))}{_times(reason)}")
    for command in reason.get("commands") or ():
        yield f"{indent}   $ " + one_line(shlex.join(map(text_of, command)))
    for each in reason.get("because") or ():
        if isinstance(each, dict) and depth < _DEEPEST:
            yield from _lines(each, depth + 1)


def _times(reason: Item) -> str:
    parts = []
    if reason.get("since"):
        parts.append(f"since {age(reason['since'])}")
    until = moment_of(reason.get("until"))
    if until is not None:
        parts.append(f"until {until:%Y-%m-%d %H:%M:%S} UTC at the latest, {_away(until)}")
    return f" ({', '.join(parts)})" if parts else ""


def _away(moment: datetime) -> str:
    """How far away a moment is, for who does not carry UTC in their head."""
    left = (moment - datetime.now(UTC)).total_seconds()
    return f"in {show_duration(timedelta(seconds=math.ceil(left)))}" if left > 0 else "which is now"
