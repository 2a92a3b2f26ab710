"""`start`: the daemon, unless one listens already."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from smallchain.cli.console import note
from smallchain.cli.render import text_of
from smallchain.cli.session import Session
from smallchain.protocol.text import one_line

DESCRIPTION = """\
Start the daemon in the background, with this shell's environment, and wait until it is ready. Its log is daemon.log
in the state folder. To have it in the foreground, run `smallchaind` itself."""
EXAMPLES = """
smallchain start
smallchain start --config-dir ./agents --state-dir ./state
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Nothing but the paths."""


def attempted(arguments: Namespace) -> str:
    """For errors."""
    return "start the daemon"


def execute(arguments: Namespace, session: Session) -> int:
    """Start it; one that listens already is as good."""
    if session.client.listening():
        pid = text_of(session.client.get("/v1/status").get("pid"))
        note(one_line(f"smallchaind is running already (pid {pid})"))
        return 0
    from smallchain.cli.daemon import start

    if start(session.settings, session.environ) == 0:
        note("smallchaind is running already: another start was faster")
    return 0
