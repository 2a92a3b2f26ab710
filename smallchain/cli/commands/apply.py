"""`apply`: hands YAML to the daemon, which keeps one file a source and answers once it is committed."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from smallchain.cli.commands.run import hint
from smallchain.cli.console import note, out
from smallchain.cli.render import Item, add_output, name_of, show_value, text_of
from smallchain.cli.session import Session
from smallchain.cli.sources import add_files, read_sources, usage_fault
from smallchain.protocol.client import path_of
from smallchain.protocol.faults import problems_from_wire
from smallchain.protocol.text import visible

DESCRIPTION = """\
Apply YAML: all sources at once, or nothing. What was in a source before and no longer is goes. Starts the daemon
when none listens."""
EXAMPLES = """
smallchain apply -f smallchain.yaml
smallchain apply -f agents/ -f tools/ --dry-run
generate-agents | smallchain apply -f - --name generated
smallchain apply -f smallchain.yaml --prune
smallchain apply --accept-deletes
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Sources, and what may go."""
    add_files(parser, required=False)
    parser.add_argument("--prune", action="store_true", help="remove even what cancels a live run")
    parser.add_argument("--accept-deletes", action="store_true", help="do the deletions that the daemon holds back")
    parser.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")
    parser.add_argument("--no-start", action="store_true", help="start no daemon when none listens")
    add_output(parser, formats=("text", "json", "yaml"))


def attempted(arguments: Namespace) -> str:
    """For errors."""
    return f"apply {', '.join(arguments.files)}" if arguments.files else "apply --accept-deletes"


def execute(arguments: Namespace, session: Session) -> int:
    """Apply, and tell what changed."""
    if not arguments.files and not arguments.accept_deletes:
        arguments.refuse("nothing to apply: name it with -f FILE, -f DIR, or -f - --name NAME")
    if arguments.dry_run and not arguments.files:
        arguments.refuse("--dry-run goes with -f")
    fault = usage_fault(arguments.files, arguments.name)
    if fault is not None:
        arguments.refuse(visible(fault))
    sources = [source.to_wire() for source in read_sources(arguments.files, arguments.name)]
    client = session.started(no_start=arguments.no_start)
    if sources:
        body = {
            "sources": sources,
            "prune": arguments.prune,
            "accept_deletes": arguments.accept_deletes,
            "dry_run": arguments.dry_run,
        }
        answer = client.post(path_of("apply"), body)
    else:
        answer = client.post(path_of("accept-deletes"))
    report(answer, output=arguments.output, dry_run=arguments.dry_run)
    return 0


def report(answer: Item, *, output: str, dry_run: bool = False) -> None:
    """Print what an apply did: warnings beside it, one line a thing, and how to go on from new runs."""
    for warning in problems_from_wire(answer.get("warnings")):
        note(visible(f"{warning.place}: warning: {warning.message}" + (f"; {warning.hint}" if warning.hint else "")))
    if output != "text":
        show_value(answer, output=output)
        return
    lines = [f"{name_of(thing)} {what}" for what in ("created", "changed", "removed", "unchanged") for thing in _of(answer, what)]
    for line in lines or ["nothing changed"]:
        out(line + (" (dry run)" if dry_run else ""))
    runs = _of(answer, "runs")
    if runs and not dry_run:
        hint(text_of(runs[0].get("name")))


def _of(answer: Item, what: str) -> list[dict[str, Any]]:
    found = answer.get(what)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
