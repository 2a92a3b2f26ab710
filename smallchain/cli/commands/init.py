"""`init`: a first smallchain.yaml to begin from; never over one that is there."""

from __future__ import annotations

import os
import shlex
from argparse import ArgumentParser, Namespace

from smallchain.cli.console import note, out
from smallchain.cli.session import Session
from smallchain.cli.starters import STARTERS
from smallchain.model.errors import Refused, Terminal
from smallchain.protocol.text import one_line

DESCRIPTION = "Write a commented smallchain.yaml to begin from, in this folder or another. Never replaces one.\ntemplates:\n" + "\n".join(
    f"  {name:<12}{starter.shows}" for name, starter in STARTERS.items()
)
EXAMPLES = """
smallchain init
smallchain init my-agents --template tools
smallchain init --template openai
"""
_FILE = "smallchain.yaml"


def add_arguments(parser: ArgumentParser) -> None:
    """Where, and what."""
    parser.add_argument("folder", metavar="DIR", nargs="?", default=".", help="made when it is not there; default: this folder")
    parser.add_argument("--template", choices=tuple(STARTERS), default="hello", help="what it shows (%(default)s)")


def attempted(arguments: Namespace) -> str:
    """For errors."""
    return f"write {os.path.join(arguments.folder, _FILE)!r}"


def execute(arguments: Namespace, session: Session) -> int:
    """Write the file, and say how to go on."""
    starter = STARTERS[arguments.template]
    path = os.path.normpath(os.path.join(arguments.folder, _FILE))
    try:
        os.makedirs(arguments.folder, exist_ok=True)
        _write(path, starter.text)
    except FileExistsError as error:
        raise Refused(f"{error.filename!r} is there already", hint="name another folder: `smallchain init DIR`") from error
    except OSError as error:
        raise Terminal(
            f"{error.strerror or error}: {error.filename or path!r}", hint="look at the path, its permissions, the disk"
        ) from error
    out(one_line(f"created {path}"))
    note("begin with:  " + one_line(f"smallchain apply -f {shlex.quote(path)}"))
    note("its answer:  " + one_line(f"smallchain wait {shlex.quote(starter.run)}"))
    return 0


def _write(path: str, text: str) -> None:
    """The whole file or none; raises FileExistsError for whatever has the name, be it a link that leads nowhere."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        with open(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
    except OSError:
        os.unlink(path)
        raise
