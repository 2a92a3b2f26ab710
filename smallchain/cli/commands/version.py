"""`version`: of this program, and of the daemon when one listens."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from contextlib import suppress

from smallchain import __version__
from smallchain.cli.console import out
from smallchain.cli.render import add_output, show_value, text_of
from smallchain.cli.session import Session
from smallchain.model.errors import SmallchainError
from smallchain.protocol.text import one_line

DESCRIPTION = "Print the versions of this program and, when one listens, of the daemon."
EXAMPLES = """
smallchain version
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Only how it is printed."""
    add_output(parser, formats=("text", "json", "yaml"))


def attempted(arguments: Namespace) -> str:
    """For errors."""
    return "print the version"


def execute(arguments: Namespace, session: Session) -> int:
    """Print them; that no daemon listens is no error."""
    versions = {"smallchain": __version__}
    with suppress(SmallchainError):
        versions["smallchaind"] = text_of(session.client.get("/v1/status").get("version"))
    if arguments.output == "text":
        for program, version in versions.items():
            out(one_line(f"{program} {version}"))
    else:
        show_value(versions, output=arguments.output)
    return 0
