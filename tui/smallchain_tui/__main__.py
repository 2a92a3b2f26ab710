"""`smallchain-tui`: says that the dashboard is coming, and how to look until then."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from smallchain import __version__
from smallchain.settings import add_arguments


def parser() -> argparse.ArgumentParser:
    """What may stand on the command line."""
    parser = argparse.ArgumentParser(prog="smallchain-tui", description="The terminal dashboard of Smallchain.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"smallchain-tui {__version__}")
    add_arguments(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Print the sentence; returns the exit code."""
    parser().parse_args(argv)
    print(
        "The dashboard comes with a later version; until then, `smallchain get runs` and "
        "`smallchain get events --follow --pretty` show what happens."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
