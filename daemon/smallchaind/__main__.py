"""`smallchaind`: the supervisor, in the foreground; logs to standard error."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import resource
import sys

from smallchain import __version__, settings
from smallchain.model.durations import parse_duration
from smallchain.model.errors import SmallchainError
from smallchain.protocol.text import visible
from smallchaind import memory

_EPILOG = """\
examples:
  smallchaind                          watch ~/.config/smallchain, keep state in ~/.local/state/smallchain
  smallchaind --config-dir ./agents --state-dir ./state
  smallchaind --drain 5m               a stop waits up to five minutes for tools that are running

signals: SIGTERM stops gracefully, a second one at once; SIGHUP looks at the config folder now.
exit codes: 0 stopped, 65 the database can't be used, 74 the disk failed, 75 another daemon holds the folder.
"""

_FEWEST_FILES = 256


def parser() -> argparse.ArgumentParser:
    """What may stand on the command line."""
    parser = argparse.ArgumentParser(
        prog="smallchaind",
        description="The supervisor of Smallchain: runs agents, and keeps every step of them.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    settings.add_arguments(parser)
    parser.add_argument("--drain", metavar="TIME", default="60s", help="how long a stop waits for tools (default 60s)")
    parser.add_argument(
        "--callbacks", metavar="PORT", help="hear signed callbacks on this port of 127.0.0.1 (SMALLCHAIN_CALLBACKS); off by default"
    )
    parser.add_argument(
        "--callbacks-url", metavar="URL", help="how the outside reaches that port, through a proxy of yours (SMALLCHAIN_CALLBACKS_URL)"
    )
    parser.add_argument("--print-ready", action="store_true", help="write one line to standard output when connections are accepted")
    parser.add_argument(
        "--accept-rollback", action="store_true", help="go on with a database that was put back from a backup; what happened since is lost"
    )
    parser.add_argument(
        "--unfenced-as-root",
        action="store_true",
        help="as root, run tools with `isolation: none` too, with all rights on this machine (SMALLCHAIN_UNFENCED_AS_ROOT=yes)",
    )
    parser.add_argument("--fence", action="store_true", help="say as JSON which layers of the fence work on this machine, and end")
    parser.add_argument("--log-level", choices=["debug", "info", "warning", "error"], default="info", help="what is logged (default info)")
    parser.add_argument("--version", action="version", version=f"smallchaind {__version__}")
    return parser


def main() -> None:
    """Parse the flags, then serve until stopped."""
    said = parser()
    arguments = said.parse_args()
    _open_standard_files()
    if arguments.fence:
        from smallchain.services.sandbox.probe import probe

        print(json.dumps(probe().as_json()))
        return
    try:
        drain = parse_duration(arguments.drain)
        chosen = settings.Settings.of(arguments, os.environ)
        callbacks = settings.Callbacks.read(os.environ, port=arguments.callbacks, url=arguments.callbacks_url)
    except SmallchainError as error:
        said.error(str(error))
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < _FEWEST_FILES:
        said.exit(1, f"smallchaind: fewer than {_FEWEST_FILES} open files are allowed here; raise it with `ulimit -n 1024`\n")
    said_to = logging.StreamHandler()
    said_to.setFormatter(_Visible("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=arguments.log_level.upper(), handlers=[said_to])
    logging.raiseExceptions = False  # a full or closed log is no reason to stop
    for noisy in ("watchfiles", "httpx2", "httpcore2", "openai", "asyncio", "aiosqlite", "uvicorn"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    memory.settle()
    from smallchaind.lifetime import Options, serve

    options = Options(
        drain_s=drain.total_seconds(),
        print_ready=arguments.print_ready,
        accept_rollback=arguments.accept_rollback,
        callbacks=callbacks,
        unfenced_as_root=arguments.unfenced_as_root or settings.is_said("SMALLCHAIN_UNFENCED_AS_ROOT", os.environ),
    )
    sys.exit(asyncio.run(serve(chosen, options, dict(os.environ))))


class _Visible(logging.Formatter):
    """What is logged may hold what models, tools and files say; whoever reads the log may read it in a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return visible(super().format(record), multiline=True)


def _open_standard_files() -> None:
    """A daemon started with a standard file closed must not give its number to the database."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


if __name__ == "__main__":
    main()
