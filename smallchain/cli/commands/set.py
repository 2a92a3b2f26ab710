"""`set`: changes one property of a run that is always current."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from smallchain.cli.console import out
from smallchain.cli.render import add_output, name_of, show_value
from smallchain.cli.session import Session
from smallchain.protocol.client import path_of

DESCRIPTION = "Change the priority of a run: of those that wait for a turn, the highest goes first."
EXAMPLES = """
smallchain set priority 'my first run' 10
"""


def add_arguments(parser: ArgumentParser) -> None:
    """What, of which run, to what."""
    parser.add_argument("property", metavar="priority", choices=("priority",), help="what is set")
    parser.add_argument("run", metavar="RUN", help="the run, by its name, its id, or 6 or more characters of the id's end")
    parser.add_argument("priority", metavar="N", type=int, help="runs with higher ones go first; negative ones last")
    add_output(parser, formats=("text", "json", "yaml"))


def attempted(arguments: Namespace) -> str:
    """For errors."""
    return f"set the priority of run '{arguments.run}'"


def execute(arguments: Namespace, session: Session) -> int:
    """Change it."""
    answer = session.client.post(path_of("priority", arguments.run), {"priority": arguments.priority})
    runs = [run for run in answer.get("runs") or () if isinstance(run, dict)]
    if arguments.output == "text":
        for run in runs:
            out(f"{name_of(run)} has priority {arguments.priority}")
    else:
        show_value({"items": runs}, output=arguments.output)
    return 0
