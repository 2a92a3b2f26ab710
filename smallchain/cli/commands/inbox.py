"""`inbox`: all that waits for a person, each with the command that answers it."""

from __future__ import annotations

import shlex
from argparse import ArgumentParser, Namespace

from smallchain.cli.commands.kinds import columns_of
from smallchain.cli.console import note, out
from smallchain.cli.render import FORMATS, Item, add_output, age, short_id, show_items, text_of
from smallchain.cli.session import Session
from smallchain.protocol.text import one_line, sanitised, visible

DESCRIPTION = "List the requests that wait for a person, oldest first, each with the command that answers it."
EXAMPLES = """
smallchain inbox
smallchain inbox -o json
"""
_NOT_SHOWN = ("table", "wide", "name", "jsonl")


def add_arguments(parser: ArgumentParser) -> None:
    """Only how it is printed."""
    add_output(parser, formats=("text", *FORMATS))


def attempted(arguments: Namespace) -> str:
    """For errors."""
    return "list the inbox"


def execute(arguments: Namespace, session: Session) -> int:
    """Print the open requests."""
    requests = session.client.items("requests")
    if not requests and arguments.output in ("text", *_NOT_SHOWN):
        note("Nothing waits for a person.")
    elif arguments.output == "text":
        for request in requests:
            _show(request)
    else:
        show_items(requests, columns_of("requests"), output=arguments.output)
    return 0


def _show(request: Item) -> None:
    about = [short_id(request.get("id")), text_of(request.get("kind")), f"run '{text_of(request.get('run'))}'"]
    if request.get("tool"):
        about.append(f"tool {text_of(request['tool'])}")
    about.append(f"since {age(request.get('created_at'))}")
    arguments = request.get("arguments")
    named = {name: text_of(value) for name, value in (arguments if isinstance(arguments, dict) else {}).items()}
    if hidden := sum(map(sanitised, (text_of(request.get("question")), *named, *named.values()))):
        about.append(f"sanitised: {hidden}")
    out(one_line("  ".join(about)))
    for line in visible(text_of(request.get("question")), multiline=True).split("\n"):
        out(f"  | {line}")
    for name, value in named.items():
        out(one_line(f"  | {name}: {value}"))
    for command in _answers(request):
        out(one_line(f"  {command}"))
    out("")


def _answers(request: Item) -> list[str]:
    """The commands that answer a request, ready to be pasted into a shell."""
    id_, run = shlex.quote(short_id(request.get("id"))), shlex.quote(text_of(request.get("run")))
    match request.get("kind"):
        case "settle":
            return [f"smallchain settle {id_} {way}" for way in ("--happened RESULT", "--did-not-happen", "--run-again")]
        case "loop" | "quarantine":
            return [f"smallchain resume {run}", f"smallchain cancel {run}"]
        case _:
            return [f"smallchain describe request {id_}"]
