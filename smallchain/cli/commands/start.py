"""`start`: the daemon, unless one listens already."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

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
smallchain start --accept-rollback
"""


def add_arguments(parser: ArgumentParser) -> None:
    """The one flag of the daemon that is wanted once."""
    parser.add_argument(
        "--accept-rollback",
        action="store_true",
        help="go on with a database that was put back from a backup, although what happened since is lost",
    )


def attempted(arguments: Namespace) -> str:
    """For errors."""
    return "start the daemon"


def execute(arguments: Namespace, session: Session) -> int:
    """Start it; one that listens already is as good."""
    return begin(session, flags=["--accept-rollback"] if arguments.accept_rollback else [])


def begin(session: Session, *, flags: Sequence[str] = ()) -> int:
    """Start it with flags of its own, unless one listens already."""
    if session.client.listening():
        pid = text_of(session.client.get("/v1/status").get("pid"))
        note(one_line(f"smallchaind is running already (pid {pid})"))
        return 0
    from smallchain.cli.daemon import start

    if start(session.settings, session.environ, flags=flags) == 0:
        note("smallchaind is running already: another start was faster")
    return 0
