"""`logs`: the log of a daemon that the command has started; works without the daemon, which may be why one looks."""

from __future__ import annotations

import os
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path

from smallchain.cli.console import flush, out
from smallchain.cli.daemon import last_lines
from smallchain.cli.session import Session
from smallchain.model.errors import Unknown
from smallchain.protocol.text import one_line

DESCRIPTION = "Show the end of the daemon's log (daemon.log in the state folder)."
EXAMPLES = """
smallchain logs
smallchain logs --tail 200
smallchain logs -f
"""
_LOOK_S = 0.2


def add_arguments(parser: ArgumentParser) -> None:
    """How much, and whether to go on."""
    parser.add_argument("--tail", metavar="N", type=int, default=50, help="how many lines (%(default)s)")
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what is written, until interrupted")


def attempted(arguments: Namespace) -> str:
    """For errors."""
    return "show the daemon's log"


def execute(arguments: Namespace, session: Session) -> int:
    """Print the log."""
    log = session.settings.daemon_log
    if not log.exists():
        raise Unknown(f"{log} is not there", hint="a daemon that something else has started (systemd) logs there; see its journal")
    size = log.stat().st_size
    for line in last_lines(log, max(0, arguments.tail)):
        out(one_line(line))
    if arguments.follow:
        flush()
        for line in _written(log, size):
            out(one_line(line))
            flush()
    return 0


def _written(log: Path, size: int) -> Iterator[str]:
    """Each line written from an offset on, for ever; a log that was replaced or cut is read from its beginning."""
    rest, inode = b"", os.stat(log).st_ino
    while True:
        try:
            found = os.stat(log)
            if found.st_ino != inode or found.st_size < size:
                rest, inode, size = b"", found.st_ino, 0
            with log.open("rb") as stream:
                stream.seek(size)
                data = stream.read()
        except FileNotFoundError:
            data = b""
        size += len(data)
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield line.decode(errors="replace")
        if not data:
            time.sleep(_LOOK_S)
