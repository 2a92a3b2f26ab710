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
A run goes on with what was written at its start; `smallchain resume RUN --adopt` moves it to the present.
Without a run: every live one that differs."""
EXAMPLES = """
smallchain diff
smallchain diff 'my first run'
smallchain diff 'my first run' -o json
"""


def add_arguments(parser: ArgumentParser) -> None:
    """A run, or none."""
    parser.add_argument("run", metavar="RUN", nargs="?", help="the run, by its name, its id, or 6 or more characters of the id's end")
    add_output(parser, formats=("text", "json", "yaml"))


def attempted(arguments: Namespace) -> str:
    """For errors."""
    which = "the live runs" if arguments.run is None else f"run '{arguments.run}'"
    return f"compare {which} with what is written"


def execute(arguments: Namespace, session: Session) -> int:
    """Print each difference as lines that went (-) and came (+)."""
    if arguments.run is None:
        return _live(arguments.output, session)
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


def _live(output: str, session: Session) -> int:
    """The same for every run that is not over; children go on with what their root is pinned to."""
    live = [run for run in session.client.items("runs", {"live": True}) if not run.get("parent") and not run.get("finished_at")]
    answers = [session.client.get(path_of("diff", text_of(run.get("name")))) for run in live]
    differ = [answer for answer in answers if answer.get("items")]
    if output != "text":
        show_value({"items": differ}, output=output)
        return 0
    for answer in differ:
        out(one_line(f"run '{text_of(answer.get('run'))}'"))
        for each in answer["items"]:
            _show(each)
    if not differ:
        out(f"{len(live)} live runs, and all go on with what is written now" if live else "no live runs")
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
