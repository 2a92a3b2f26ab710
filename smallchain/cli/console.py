"""What the command says: results on standard output, all else on standard error, always UTF-8, nothing hidden.

The one rule: a text that is not ours goes through `protocol.text` on its way here.
"""

from __future__ import annotations

import os
import sys

from smallchain.model.errors import BadInput, SmallchainError
from smallchain.protocol.text import visible


def speak_utf8() -> None:
    """UTF-8 whatever the locale says, and an escape instead of a failure for what it cannot hold."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]


def out(text: str) -> None:
    """A line of the result."""
    print(text)


def note(text: str) -> None:
    """A line for the person beside the result, after what the result has so far, also where both go to one file."""
    flush()
    if sys.stderr is not None:
        print(text, file=sys.stderr, flush=True)


def complain(attempt: str, error: SmallchainError) -> None:
    """An error: where it is, what was attempted, what was found, what to do."""
    found = visible(error.message)
    problems = error.problems if isinstance(error, BadInput) else ()
    for problem in problems:
        note(visible(str(problem)))
    if problems and error.message.startswith(str(problems[0])):  # said already
        found = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    told = f"could not {visible(attempt)}: {found}" if attempt else found
    note(f"smallchain: {told}" + (f"; {visible(error.hint)}" if error.hint else ""))


def flush() -> None:
    """Everything said so far is out; raises BrokenPipeError when nobody reads it."""
    if sys.stdout is not None:
        sys.stdout.flush()


def nobody_reads() -> None:
    """Standard output is a broken pipe: what is left goes nowhere, and the interpreter's own flush at exit stays quiet."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
