"""`diff`: what a run goes on with, beside what is written now."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from smallchain.cli.console import out
from smallchain.cli.render import add_output, show_value, text_of
from smallchain.cli.session import Session
from smallchain.protocol.client import path_of
from smallchain.protocol.text import one_line

DESCRIPTION = """\
Show what a run is pinned to that is no longer what is written.
A run goes on with what was written at its start; `smallchain resume RUN --adopt` moves it to the present."""
EXAMPLES = """
smallchain diff 'my first run'
smallchain diff 'my first run' -o json
"""


def add_arguments(parser: ArgumentParser) -> None:
    """A run."""
    parser.add_argument("run", metavar="RUN", help="the run, by its name, its id, or 6 or more characters of the id's end")
    add_output(parser, formats=("text", "json", "yaml"))


def attempted(arguments: Namespace) -> str:
    """For errors."""
    return f"compare run '{arguments.run}' with what is written"


def execute(arguments: Namespace, session: Session) -> int:
    """Print each difference as lines that went (-) and came (+)."""
    answer = session.client.get(path_of("diff", arguments.run))
    if arguments.output != "text":
        show_value(answer, output=arguments.output)
        return 0
    differences = [each for each in answer.get("items") or () if isinstance(each, dict)]
    for each in differences:
        _show(each)
    if not differences:
        out(one_line(f"run '{text_of(answer.get('run'))}' goes on with what is written now"))
    return 0


def _show(difference: dict[str, Any]) -> None:
    import difflib
    import json

    def lines(spec: Any) -> list[str]:
        return [] if spec is None else json.dumps(spec, indent=2, ensure_ascii=False).split("\n")

    name = f"{text_of(difference.get('kind'))}/{text_of(difference.get('name'))}"
    pinned, current = lines(difference.get("pinned")), lines(difference.get("current"))
    gone = "" if current else " (gone)"
    for line in difflib.unified_diff(pinned, current, f"{name} pinned", f"{name} written now{gone}", lineterm="", n=2):
        out(one_line(line))
