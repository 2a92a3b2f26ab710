"""`settle`: a person says what became of a tool call whose outcome nobody recorded."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from smallchain.cli.console import out
from smallchain.cli.render import add_output, show_value, text_of
from smallchain.cli.session import Session
from smallchain.protocol.client import path_of
from smallchain.protocol.text import one_line

DESCRIPTION = """\
Settle a tool call in doubt: it was executing when the daemon died, and running it twice could do harm. Look at what
it works on, then say what became of it. The id is the call's or the request's, as `smallchain inbox` prints it."""
EXAMPLES = """
smallchain settle 9f3c21ab --happened 'posted as 4711'
smallchain settle 9f3c21ab --did-not-happen
smallchain settle 9f3c21ab --run-again --note 'I removed the half-written file'
"""


def add_arguments(parser: ArgumentParser) -> None:
    """A call, and one of three answers."""
    parser.add_argument("id", metavar="ID", help="the call or its request, as `smallchain inbox` prints it")
    answer = parser.add_mutually_exclusive_group(required=True)
    answer.add_argument("--happened", metavar="RESULT", help="it was done; the model is told this result")
    answer.add_argument("--did-not-happen", action="store_true", help="it was not done; the model is told so")
    answer.add_argument("--run-again", action="store_true", help="start it again")
    parser.add_argument("--note", metavar="TEXT", help="why; it is kept")
    add_output(parser, formats=("text", "json", "yaml"))


def attempted(arguments: Namespace) -> str:
    """For errors."""
    return f"settle '{arguments.id}'"


def execute(arguments: Namespace, session: Session) -> int:
    """Send the answer."""
    body: dict[str, object] = {}
    if arguments.happened is not None:
        body["happened"] = arguments.happened
    elif arguments.did_not_happen:
        body["did_not_happen"] = True
    else:
        body["run_again"] = True
    if arguments.note:
        body["note"] = arguments.note
    answer = session.client.post(path_of("settle", arguments.id), body)
    if arguments.output != "text":
        show_value(answer, output=arguments.output)
        return 0
    call = answer.get("toolcall")
    shown = call if isinstance(call, dict) else {}
    out(one_line(f"toolcall/{text_of(shown.get('id') or arguments.id)} is {text_of(shown.get('phase')) or 'settled'}"))
    return 0
