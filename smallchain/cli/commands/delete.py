"""`delete`: takes back what was applied from a source; the file itself stays where it is, or may be gone."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace

from smallchain.cli.commands.apply import report
from smallchain.cli.render import add_output
from smallchain.cli.session import Session
from smallchain.cli.sources import add_files, identity, paths_under, usage_fault
from smallchain.protocol.client import path_of
from smallchain.protocol.text import visible

DESCRIPTION = "Take back what was applied from these sources. It is gone for new runs; live ones go on with what they began with."
EXAMPLES = """
smallchain delete -f smallchain.yaml
smallchain delete -f agents/ --prune
smallchain delete -f - --name generated
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Sources."""
    add_files(parser, required=True)
    parser.add_argument("--prune", action="store_true", help="even what cancels a live run")
    add_output(parser, formats=("text", "json", "yaml"))


def attempted(arguments: Namespace) -> str:
    """For errors."""
    return f"delete {', '.join(arguments.files)}"


def execute(arguments: Namespace, session: Session) -> int:
    """Take them back."""
    fault = usage_fault(arguments.files, arguments.name)
    if fault is not None:
        arguments.refuse(visible(fault))
    sources: list[str] = []
    for file in arguments.files:
        if file == "-":
            sources.append(arguments.name)
        elif os.path.isdir(file):
            sources += map(identity, paths_under(file))
        else:
            sources.append(identity(file))
    answer = session.client.post(path_of("delete"), {"sources": list(dict.fromkeys(sources)), "prune": arguments.prune})
    report(answer, output=arguments.output)
    return 0
