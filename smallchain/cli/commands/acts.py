"""`cancel`, `pause`, `resume`: acts on runs and what they started."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from smallchain.cli.console import complain, flush, out
from smallchain.cli.render import add_output, name_of, show_value
from smallchain.cli.session import Session
from smallchain.model.errors import SmallchainError
from smallchain.protocol.client import path_of
from smallchain.protocol.faults import exit_code

DESCRIPTION = """\
Act on runs, and on their descendants unless --only is given.
cancel ends them, kills what executes, and withdraws what they ask; pause lets them rest, while what is out
finishes and is kept; resume lets them go on."""
EXAMPLES = """
smallchain cancel 'my first run' --note 'wrong numbers'
smallchain pause monday tuesday
smallchain resume monday --only
smallchain resume monday --adopt      # with what is written now; `smallchain diff monday` shows what that changes
"""
_DONE = {"cancel": "cancelled", "pause": "paused", "resume": "resumed"}


def add_arguments(parser: ArgumentParser) -> None:
    """Runs, and how far it reaches."""
    parser.add_argument("runs", metavar="RUN", nargs="+", help="a run, by its name, its id, or 6 or more characters of the id's end")
    parser.add_argument("--note", metavar="TEXT", help="why; it is kept, and whoever waits for the run is told")
    parser.add_argument("--only", action="store_true", help="leave descendants as they are")
    if parser.prog.endswith("resume"):
        parser.add_argument("--adopt", action="store_true", help="go on with what is written now, not with what was at the run's start")
    add_output(parser, formats=("text", "json", "yaml"))


def attempted(arguments: Namespace) -> str:
    """For errors."""
    return f"{arguments.command} run {', '.join(map(repr, arguments.runs))}"


def execute(arguments: Namespace, session: Session) -> int:
    """Act on each run; one that cannot be does not keep the others."""
    client, code, acted = session.client, 0, []
    body = {"only": arguments.only} | ({"note": arguments.note} if arguments.note else {})
    if getattr(arguments, "adopt", False):
        body["adopt"] = True
    for ref in arguments.runs:
        try:
            answer = client.post(path_of(arguments.command, ref), body)
        except SmallchainError as error:
            flush()
            complain(f"{arguments.command} run '{ref}'", error)
            code = max(code, exit_code(error))
            continue
        acted += [run for run in answer.get("runs") or () if isinstance(run, dict)]
    if arguments.output == "text":
        for run in acted:
            out(f"{name_of(run)} {_DONE[arguments.command]}")
    else:
        show_value({"items": acted}, output=arguments.output)
    return code
