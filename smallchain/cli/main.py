"""`smallchain`: finds the command, imports its module and no other, and turns what happens into an exit code.

The one rule: flags for paths may stand before or after the command, and mean the same.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn, Protocol, cast

from smallchain import __version__
from smallchain.cli.console import complain, flush, nobody_reads, note, out, speak_utf8
from smallchain.cli.parser import Parser
from smallchain.cli.session import Session
from smallchain.model.errors import SmallchainError
from smallchain.protocol.faults import EXIT_BROKEN_PIPE, EXIT_INTERRUPTED, EXIT_USAGE, exit_code
from smallchain.protocol.text import visible
from smallchain.settings import Settings, add_arguments


class Command(Protocol):
    """What a module in `commands` has."""

    DESCRIPTION: str
    EXAMPLES: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...
    def attempted(self, arguments: argparse.Namespace) -> str: ...
    def execute(self, arguments: argparse.Namespace, session: Session) -> int: ...


COMMANDS: dict[str, tuple[str, str]] = {
    # command: (module, what it does)
    "apply": ("apply", "hand YAML to the daemon, which keeps it"),
    "delete": ("delete", "take back what was applied"),
    "validate": ("validate", "check YAML without a daemon"),
    "schema": ("schema", "print the JSON Schema of the YAML, for editors"),
    "run": ("run", "start a task"),
    "wait": ("wait", "wait until runs have ended"),
    "cancel": ("acts", "end runs and what they started"),
    "pause": ("acts", "let runs rest"),
    "resume": ("acts", "let paused runs go on"),
    "diff": ("diff", "what a run is pinned to that is no longer what is written"),
    "retry": ("again", "go on where a failed or cancelled run ended"),
    "fork": ("again", "go on from a message of a run"),
    "set": ("set", "change a run's priority"),
    "get": ("get", "list things"),
    "describe": ("describe", "show all about one thing"),
    "why": ("why", "say why a run does not go on, and what would move it"),
    "transcript": ("transcript", "show what was said in a run"),
    "inbox": ("inbox", "list what waits for a person"),
    "approve": ("decide", "let a tool run that waits for a person"),
    "deny": ("decide", "keep a tool from running"),
    "answer": ("decide", "answer what a model asks"),
    "revoke": ("revoke", "take back an approval for the rest of a run"),
    "settle": ("settle", "say what became of a tool call in doubt"),
    "callback": ("callback", "bring the result of a tool call that is done elsewhere"),
    "start": ("start", "start the daemon"),
    "stop": ("stop", "stop the daemon"),
    "restart": ("restart", "stop the daemon and start it"),
    "status": ("status", "show how the daemon does"),
    "logs": ("logs", "show the daemon's log"),
    "init": ("init", "write a first smallchain.yaml"),
    "doctor": ("doctor", "look at what is on this machine, and say what to do"),
    "demo": ("demo", "see it all work, offline, in a minute"),
    "completion": ("completion", "print what a shell needs to complete words"),
    "version": ("version", "print the versions"),
}
VALUED = ("--socket", "--config-dir", "--state-dir")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    speak_utf8()
    try:
        try:
            code = _run(list(sys.argv[1:] if argv is None else argv))
        except SystemExit as ended:  # how argparse says that all is said
            code = ended.code if isinstance(ended.code, int) else 0
        flush()
    except BrokenPipeError:
        nobody_reads()
        return EXIT_BROKEN_PIPE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return code


def _run(argv: list[str]) -> int:
    for argument in argv:
        if not _is_utf8(argument):
            _refuse(f"the argument {visible(argument)} is not UTF-8")
    if argv[:1] == ["__complete"]:  # asked by what `completion` prints, word for word, before anything reads flags
        from smallchain.cli.complete import complete

        return complete(argv[1:])
    before, name, after = split(argv)
    if name is None or name == "help":
        return _help(before, after)
    if name not in COMMANDS:
        _refuse(f"'{visible(name)}' is no command; {_nearest(name, COMMANDS)}`smallchain --help` lists them")
    command, parser = parser_of(name)
    arguments = parser.parse([*before, *after])
    try:
        return command.execute(arguments, Session(Settings.of(arguments, os.environ), os.environ))
    except SmallchainError as error:
        flush()
        complain(command.attempted(arguments), error)
        return exit_code(error)


def parser_of(name: str) -> tuple[Command, Parser]:
    """A command's module, and the parser of its words."""
    command = cast(Command, import_module(f"smallchain.cli.commands.{COMMANDS[name][0]}"))
    examples = [line for line in command.EXAMPLES.strip().splitlines() if name in line.split() or not line.startswith("smallchain ")]
    parser = Parser(
        prog=f"smallchain {name}",
        description=command.DESCRIPTION,
        epilog="examples:\n" + "\n".join(f"  {line}" for line in examples),
    )
    parser.set_defaults(command=name)
    command.add_arguments(parser)
    add_arguments(parser)
    return command, parser


def split(argv: list[str]) -> tuple[list[str], str | None, list[str]]:
    """What stands before the command, the command, and what follows it."""
    place = 0
    while place < len(argv) and argv[place].startswith("-"):
        place += 2 if argv[place] in VALUED else 1
    if place >= len(argv):
        return argv, None, []
    return argv[:place], argv[place], argv[place + 1 :]


def _help(before: list[str], after: list[str]) -> int:
    if after:
        return _run([after[0], "--help"])  # which is told the nearest where it is no command
    if "--version" in before:
        out(f"smallchain {__version__}")
        return 0
    parser = Parser(prog="smallchain", add_help=False)
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("--version", action="store_true")
    add_arguments(parser)
    asked = parser.parse(before).help or not before
    if not asked:
        _refuse("no command; `smallchain --help` lists them")
    out("smallchain: a supervisor for AI agents that work while nobody watches\n")
    out("usage: smallchain COMMAND [...] [--socket PATH] [--config-dir PATH] [--state-dir PATH]\n")
    for name, (_, what) in COMMANDS.items():
        out(f"  {name:<12}{what}")
    out("\n`smallchain COMMAND --help` shows a command's flags with examples; `smallchain demo` is a good beginning.")
    return 0


def _refuse(message: str) -> NoReturn:
    note(f"smallchain: {message}")
    raise SystemExit(EXIT_USAGE)


def _nearest(wrong: str, names: dict[str, tuple[str, str]]) -> str:
    from smallchain.model.ids import did_you_mean

    near = did_you_mean(wrong, names)
    return f"{near} " if near else ""


def _is_utf8(argument: str) -> bool:
    try:
        argument.encode()
    except UnicodeEncodeError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
