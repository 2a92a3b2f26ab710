"""`callback`: the result of a tool call whose work is done elsewhere, brought by hand."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from smallchain.cli.console import out
from smallchain.cli.render import add_output, show_value, text_of
from smallchain.cli.session import Session
from smallchain.model.errors import BadInput
from smallchain.protocol.client import path_of
from smallchain.protocol.text import one_line

DESCRIPTION = """\
Bring the result of a tool call that is done elsewhere (`executor: callback`), as `smallchain get toolcalls --status
awaiting_callback` lists them. It counts once: whoever brings another later is told who was first."""
EXAMPLES = """
smallchain callback 9f3c21ab --result 'the parcel is at the door'
smallchain callback 9f3c21ab --result-file report.txt
smallchain callback 9f3c21ab --error 'nobody was at home'
"""
_LARGEST = 1 << 20


def add_arguments(parser: ArgumentParser) -> None:
    """A call, and what came of it."""
    parser.add_argument("id", metavar="ID", help="the call, as `smallchain get toolcalls` prints it")
    brought = parser.add_mutually_exclusive_group(required=True)
    brought.add_argument("--result", metavar="TEXT", help="it was done; the model is told this result")
    brought.add_argument("--result-file", metavar="FILE", help="the same from a file of text, or - for standard input")
    brought.add_argument("--error", metavar="TEXT", help="it was not done; the model is told why")
    add_output(parser, formats=("text", "json", "yaml"))


def attempted(arguments: Namespace) -> str:
    """For errors."""
    return f"bring the result of '{arguments.id}'"


def execute(arguments: Namespace, session: Session) -> int:
    """Send it."""
    if arguments.error is not None:
        body = {"error": arguments.error}
    else:
        body = {"result": arguments.result if arguments.result_file is None else _read(arguments.result_file)}
    answer = session.client.post(path_of("callback", arguments.id), body)
    if arguments.output != "text":
        show_value(answer, output=arguments.output)
        return 0
    call = answer.get("toolcall")
    shown = call if isinstance(call, dict) else {}
    out(one_line(f"toolcall/{text_of(shown.get('id') or arguments.id)} is {text_of(shown.get('phase'))}"))
    return 0


def _read(path: str) -> str:
    try:
        if path == "-":
            data = sys.stdin.buffer.read(_LARGEST + 1)
        else:
            with open(path, "rb") as file:
                data = file.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise BadInput(f"{path} is longer than 1 MiB", hint="bring where it is, instead of what it is")
        return data.decode()
    except OSError as error:
        raise BadInput(f"{path} can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not UTF-8") from error
