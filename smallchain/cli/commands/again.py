"""`retry` and `fork`: a new run that goes on from the conversation of another. Calls that were made are never made again."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from smallchain.cli.commands.run import run_in
from smallchain.cli.console import out
from smallchain.cli.render import add_output, name_of, show_value
from smallchain.cli.session import Session
from smallchain.protocol.client import path_of

DESCRIPTION = """\
Go on from a run that is recorded, as a new run.
retry goes on where a failed or cancelled run ended, with all its results, or repeats it from the start;
fork goes on from any message of a run."""
EXAMPLES = """
smallchain retry 'my first run'
smallchain retry 'my first run' --from-start
smallchain fork 'my first run' --at 5        # `smallchain transcript` numbers the messages
"""


def add_arguments(parser: ArgumentParser) -> None:
    """A run, and from where."""
    parser.add_argument("run", metavar="RUN", help="the run, by its name, its id, or 6 or more characters of the id's end")
    if parser.prog.endswith("fork"):
        parser.add_argument("--at", metavar="SEQ", type=int, required=True, help="the last message that is kept")
    else:
        parser.add_argument("--from-start", action="store_true", help="repeat all of it")
        parser.add_argument("--yes", action="store_true", help="with --from-start: also calls that succeeded and are not to be made twice")
    add_output(parser, formats=("text", "json", "yaml"))


def attempted(arguments: Namespace) -> str:
    """For errors."""
    return f"{arguments.command} run '{arguments.run}'"


def execute(arguments: Namespace, session: Session) -> int:
    """Begin the new run."""
    if arguments.command == "fork":
        body: dict[str, Any] = {"at": arguments.at}
    else:
        body = {"from_start": arguments.from_start, "confirmed": arguments.yes}
    run = run_in(session.client.post(path_of(arguments.command, arguments.run), body))
    if arguments.output == "text":
        out(f"{name_of(run)} created")
    else:
        show_value(run, output=arguments.output)
    return 0
