"""`revoke`: takes back an approval for the rest of a run."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from smallchain.cli.console import out
from smallchain.cli.render import add_output, short_id, show_value, text_of
from smallchain.cli.session import Session
from smallchain.protocol.client import path_of
from smallchain.protocol.text import one_line

DESCRIPTION = """\
Take back a grant (what `approve --for-run` made): the tool is asked about again from its next call on. What runs already
goes on. `smallchain get grants` lists them, with ids."""
EXAMPLES = """
smallchain get grants
smallchain revoke 9f3c21ab
"""


def add_arguments(parser: ArgumentParser) -> None:
    """A grant."""
    parser.add_argument("id", metavar="ID", help="a grant, by its id, or 6 or more characters of the id's beginning or end")
    add_output(parser, formats=("text", "json", "yaml"))


def attempted(arguments: Namespace) -> str:
    """For errors."""
    return f"revoke '{arguments.id}'"


def execute(arguments: Namespace, session: Session) -> int:
    """Take it back."""
    answer = session.client.post(path_of("revoke", arguments.id))
    if arguments.output != "text":
        show_value(answer, output=arguments.output)
        return 0
    grant = answer.get("grant")
    shown = grant if isinstance(grant, dict) else {}
    out(one_line(f"grant/{short_id(shown.get('id') or arguments.id)} revoked: {text_of(shown.get('tool'))} is asked about again"))
    return 0
