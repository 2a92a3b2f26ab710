"""`status`: how the daemon does, its config, its runs."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from smallchain.cli.console import note, out
from smallchain.cli.daemon import sentences
from smallchain.cli.render import add_output, age, show_value, text_of
from smallchain.cli.session import Session
from smallchain.model.sizes import rough_size
from smallchain.protocol.faults import problems_from_wire
from smallchain.protocol.text import one_line, visible

DESCRIPTION = "Show how the daemon does; exits 69 when none listens."
EXAMPLES = """
smallchain status
smallchain status -o json
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Only how it is printed."""
    add_output(parser, formats=("text", "json", "yaml"))


def attempted(arguments: Namespace) -> str:
    """For errors."""
    return "ask the daemon how it does"


def execute(arguments: Namespace, session: Session) -> int:
    """Print the status."""
    status = session.client.get("/v1/status")
    if arguments.output != "text":
        show_value(status, output=arguments.output)
        return 0
    config, runs = _dict(status.get("config")), _dict(status.get("runs"))
    how = "stopping" if status.get("stopping") else "running"
    told = [
        ("daemon", f"{how}, pid {text_of(status.get('pid'))}, since {age(status.get('started_at'))}"),
        ("version", text_of(status.get("version"))),
        ("socket", text_of(status.get("socket"))),
        ("config", f"{text_of(config.get('status'))}, {text_of(status.get('config_dir'))}"),
        ("state", text_of(status.get("state_dir"))),
        ("disk", _disk(_dict(status.get("disk")))),
        ("runs", ", ".join(f"{text_of(count)} {word}" for word, count in runs.items()) or "none"),
    ]
    if inbox := status.get("inbox"):
        told.append(("inbox", f"{text_of(inbox)} {'waits' if inbox == 1 else 'wait'} for a person: `smallchain inbox`"))
    for name, value in told:
        out(one_line(f"{name:<9}{value}"))
    for sentence in sentences(status.get("waiting_for")):
        out(one_line(f"{'waits':<9}for {sentence}"))
    for problem in problems_from_wire(config.get("problems")):
        note(visible(str(problem)))
    return 0


def _disk(disk: dict[str, Any]) -> str:
    free = disk.get("free_bytes")
    room = f"{rough_size(free)} free" if isinstance(free, int) else "room unknown"
    if disk.get("full_since"):
        return f"FULL since {age(disk['full_since'])}, {room}: make room, and what waits to be written goes on by itself"
    return room


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
