"""`restart`: stop and start, with this shell's environment from then on."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from smallchain.cli.commands import start
from smallchain.cli.commands.stop import stop
from smallchain.cli.session import Session

DESCRIPTION = "Stop the daemon, if one runs, and start it with this shell's environment. Runs go on where they were."
EXAMPLES = """
smallchain restart
smallchain restart --now
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Whether to wait."""
    parser.add_argument("--now", action="store_true", help="end what is out instead of waiting for it")


def attempted(arguments: Namespace) -> str:
    """For errors."""
    return "restart the daemon"


def execute(arguments: Namespace, session: Session) -> int:
    """Stop, then start."""
    stop(session, now=arguments.now)
    return start.begin(session)
