"""`smallchain-tui`: the arguments, and which way to show things: screens, or lines for terminals and readers without them."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Mapping, Sequence

from smallchain import __version__
from smallchain.settings import Settings, add_arguments

_GARBAGE = 20_000
"""So many more objects are made than gone before the youngest are looked through (Python: 700)."""


def parser() -> argparse.ArgumentParser:
    """What may stand on the command line."""
    parser = argparse.ArgumentParser(prog="smallchain-tui", description="The terminal dashboard of Smallchain.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"smallchain-tui {__version__}")
    parser.add_argument("--read-only", action="store_true", help="change nothing: no approvals, no acts")
    parser.add_argument("--ascii", action="store_true", help="draw with ASCII alone")
    parser.add_argument("--keys", action="store_true", help="print the key map, as tui.toml in the config folder has it moved, and end")
    parser.add_argument("--log", action="store_true", help="write what the dashboard itself does to tui.log in the state folder")
    add_arguments(parser)
    return parser


def linear(environ: Mapping[str, str]) -> bool:
    """Whether lines are wanted, not screens: a terminal that cannot move its cursor, or a person who asks for it."""
    return environ.get("TERM", "dumb") in ("dumb", "") or environ.get("SMALLCHAIN_ACCESSIBLE", "") not in ("", "0")


def main(argv: Sequence[str] | None = None) -> int:
    """Show the dashboard; returns the exit code."""
    from smallchain_tui.options import Options

    arguments = parser().parse_args(argv)
    settings = Settings.of(arguments, os.environ)
    options = Options.read(settings.config_dir, os.environ, read_only=arguments.read_only, ascii=arguments.ascii)
    if arguments.keys:
        from smallchain_tui.keymap import printed

        print(printed(options.keys))
        for fault in options.faults:
            print(f"smallchain-tui: {fault}", file=sys.stderr)
        return 65 if options.faults else 0

    from smallchain.protocol.client import Client
    from smallchain.protocol.faults import EXIT_USAGE

    if arguments.log:
        from smallchain_tui.log import to_file

        try:
            to_file(settings.state_dir)
        except OSError as error:
            print(f"smallchain-tui: no log: {error}", file=sys.stderr)
            return 73  # EX_CANTCREAT (sysexits.h)
    client = Client(settings, timeout_s=10.0, via="dashboard")
    if linear(os.environ):
        from smallchain_tui.linear import sit

        return sit(client, read_only=options.read_only)
    if not (sys.stdin.isatty() and sys.stderr.isatty()):  # what Textual reads from, and draws on
        told = "`smallchain inbox` and `smallchain get runs` print, and TERM=dumb reads the inbox in lines"
        print(f"smallchain-tui: this is no terminal; {told}", file=sys.stderr)
        return EXIT_USAGE
    from smallchain_tui.app import Dashboard
    from smallchain_tui.desk import Desk

    app = Dashboard(client, options, desk=Desk.of(settings.state_dir))
    # What is there now stays. To look through it for garbage, again and again, is what a key waited for at a thousand events a second.
    gc.freeze()
    gc.set_threshold(_GARBAGE, 20, 20)
    app.run(mouse=options.mouse)
    return app.return_code or 0


if __name__ == "__main__":
    sys.exit(main())
