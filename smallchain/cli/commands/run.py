"""`run`: another run of a task, and with `--wait` or `--follow` its end."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from typing import Any

from smallchain.cli.commands.wait import add_timeout, await_ends, report
from smallchain.cli.console import flush, note, out
from smallchain.cli.render import Item, add_output, name_of, pretty_event, show_value, text_of
from smallchain.cli.session import Session
from smallchain.model.errors import BadInput, SmallchainError
from smallchain.protocol.client import path_of
from smallchain.protocol.text import one_line

DESCRIPTION = "Start a run of a task. Starts the daemon when none listens."
EXAMPLES = """
smallchain run do_some_math
smallchain run do_some_math --message 'add 2 and 2' --wait
git diff | smallchain run review --message - --follow
"""


def add_arguments(parser: ArgumentParser) -> None:
    """A task, what to say, how to watch."""
    parser.add_argument("task", metavar="TASK", help="the task, by its name")
    parser.add_argument("--message", metavar="TEXT", help="say this instead of the task's user_message; - reads standard input")
    parser.add_argument("--name", metavar="NAME", help="the run's name; default: TASK-n")
    parser.add_argument("--priority", metavar="N", type=int, help="runs with higher ones go first; default: 0")
    parser.add_argument("--wait", action="store_true", help="until it has ended; prints its output")
    parser.add_argument("--follow", action="store_true", help="wait, and print its events as they happen")
    parser.add_argument("--no-start", action="store_true", help="start no daemon when none listens")
    add_timeout(parser)
    add_output(parser, formats=("text", "json", "yaml"))
    parser.set_defaults(refuse=parser.error)


def attempted(arguments: Namespace) -> str:
    """For errors."""
    return f"run task '{arguments.task}'"


def execute(arguments: Namespace, session: Session) -> int:
    """Start the run; watch it if asked to."""
    watched = arguments.wait or arguments.follow
    if arguments.timeout is not None and not watched:
        arguments.refuse("--timeout goes with --wait or --follow")
    body = {
        "task": arguments.task,
        "message": _message(arguments.message),
        "name": arguments.name,
        "priority": arguments.priority,
    }
    client = session.started(no_start=arguments.no_start)
    before = client.last_seq() if watched else 0
    answer = client.post(path_of("runs"), {key: value for key, value in body.items() if value is not None})
    run = run_in(answer)
    if watched:
        note(f"{name_of(run)} created")
        tell = _tell if arguments.follow else None
        id_ = text_of(run.get("id"))
        runs = await_ends(client, [id_], timeout_s=arguments.timeout, after=before, tell=tell, family=id_)
        return report(runs, output=arguments.output)
    if arguments.output == "text":
        out(f"{name_of(run)} created")
        hint(text_of(run.get("name")))
    else:
        show_value(run, output=arguments.output)
    return 0


def run_in(answer: Item) -> dict[str, Any]:
    """The run that an answer tells of; raises SmallchainError where it tells of none."""
    run = answer.get("run")
    if not isinstance(run, dict):
        raise SmallchainError("the daemon's answer holds no run", hint="is its version that of this program?")
    return run


def hint(name: str) -> None:
    """How to go on from a new run."""
    import shlex

    quoted = one_line(shlex.quote(name))
    note(f"see it work: smallchain get events --pretty --follow\nits answer:  smallchain wait {quoted}")


def _tell(event: Item) -> None:
    note(pretty_event(event))
    flush()


def _message(given: str | None) -> str | None:
    if given != "-":
        return given
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInput("the message on standard input is not UTF-8", hint="convert it with iconv") from error
