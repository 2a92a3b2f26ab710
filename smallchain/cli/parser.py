"""The parser of a command's words: argparse, whose complaints name the nearest word and hold nothing that hides.

The one rule: what a person typed is told back to them through `protocol.text`, as all else is.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from smallchain.protocol.text import visible


class Parser(argparse.ArgumentParser):
    """Parses the words of one command."""

    def __init__(self, **named: Any) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **named)

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """The arguments, flags and names mixed as they come; ends with exit code 2 and the nearest flag where one is wrong."""
        self._refuse_unknown_flags(words)  # first: a wrong flag is a likelier mistake than all that seems missing because of it
        arguments, unknown = self.parse_known_intermixed_args(words)
        if unknown:
            self._refuse_unknown_flags(unknown, short=True)
            self.error(f"'{unknown[0]}' is one word too many (`{self.prog} --help` shows how it goes)")
        return arguments

    def error(self, message: str) -> NoReturn:
        """Usage and message on standard error, exit code 2."""
        told, missing, names = message.partition("required: ")
        if missing:  # argparse, mixing flags and names, also lists those that may be left out
            optional = {action.metavar for action in self._actions if action.nargs in ("*", "?")}
            message = told + missing + ", ".join(name for name in names.split(", ") if name not in optional)
        super().error(visible(message))

    def _refuse_unknown_flags(self, words: Sequence[str], *, short: bool = False) -> None:
        flags = [flag for action in self._actions for flag in action.option_strings]
        for word in words:
            flag = word.partition("=")[0]
            if flag == "--":
                return
            if flag.startswith("-" if short else "--") and flag != "-" and flag not in flags:
                near = _near(flag[2:], [known[2:] for known in flags if known.startswith("--")]).replace("'", "'--", 1)
                self.error(f"there is no flag '{flag}'{near} (`{self.prog} --help` lists them)")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Argparse asks here whether a word is one of the choices; ours names the nearest. Raises ArgumentError."""
        if action.choices is not None and value not in action.choices:
            choices = [str(choice) for choice in action.choices]
            told = f"'{value}' is none of {', '.join(choices)}{_near(str(value), choices)}"
            raise argparse.ArgumentError(action, told)


def _near(wrong: str, words: Iterable[str]) -> str:
    from smallchain.model.ids import did_you_mean

    near = did_you_mean(wrong, words)
    return f"; {near}" if near else ""
