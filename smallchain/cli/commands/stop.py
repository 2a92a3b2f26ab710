"""`stop`: the daemon, after what it must wait for, each of which is told."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from smallchain.cli.console import note
from smallchain.cli.daemon import await_end, sentences
from smallchain.cli.session import Session
from smallchain.model.errors import SmallchainError, Unreachable
from smallchain.protocol.text import one_line

DESCRIPTION = """\
Stop the daemon. It begins nothing new, lets tools and model calls that are out end, and says what it waits for.
Runs lose nothing: they go on where they were when it is started again."""
EXAMPLES = """
smallchain stop
smallchain stop --now
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Whether to wait."""
    parser.add_argument("--now", action="store_true", help="end what is out instead of waiting for it")


def attempted(arguments: Namespace) -> str:
    """For errors."""
    return "stop the daemon"


def execute(arguments: Namespace, session: Session) -> int:
    """Stop it, and return when it is gone."""
    stop(session, now=arguments.now)
    return 0


def stop(session: Session, *, now: bool) -> bool:
    """Stop the daemon and wait until it is gone; False when none listens."""
    client = session.client
    try:
        pid = client.get("/v1/status").get("pid")
        if not isinstance(pid, int) or pid <= 1:
            raise SmallchainError("the daemon does not tell its pid", hint="is its version that of this program?")
        waiting = sentences(client.post("/v1/stop", {"now": now}).get("waiting_for"))
    except Unreachable as error:
        note(one_line(f"smallchaind is not running: {error.message}"))
        return False
    for sentence in waiting:
        _tell(sentence)
    try:
        await_end(client, pid, tell=lambda sentence: None if sentence in waiting else _tell(sentence))
    except KeyboardInterrupt:
        note(f"smallchain: interrupted; smallchaind (pid {pid}) goes on stopping")
        raise
    note(f"stopped smallchaind (pid {pid})")
    return True


def _tell(sentence: str) -> None:
    note(one_line(f"waiting for {sentence}"))
