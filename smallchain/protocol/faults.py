"""Errors on their way: the one table from an error's code to its class, its HTTP status and the command's exit code.

The one rule: both ends read this table, so an error that the daemon raises is the same error in the command.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from smallchain.model.errors import (
    BadInput,
    Busy,
    Conflict,
    Damaged,
    Place,
    Problem,
    Refused,
    SmallchainError,
    Unconfirmed,
    Unknown,
    Unreachable,
)

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_CANCELLED = 3
EXIT_BAD_INPUT = 65
EXIT_NO_DAEMON = 69
EXIT_TRY_AGAIN = 75
EXIT_TIMED_OUT = 124
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141


class Fault(NamedTuple):
    """One kind of error, at each of the places it passes."""

    code: str
    error: type[SmallchainError]
    status: int
    exit_code: int


FAULTS = (
    Fault("bad_input", BadInput, 400, EXIT_BAD_INPUT),
    Fault("unconfirmed", Unconfirmed, 409, EXIT_BAD_INPUT),
    Fault("unknown", Unknown, 404, EXIT_FAILED),
    Fault("refused", Refused, 409, EXIT_FAILED),
    Fault("conflict", Conflict, 409, EXIT_TRY_AGAIN),
    Fault("busy", Busy, 503, EXIT_TRY_AGAIN),
    Fault("damaged", Damaged, 500, EXIT_BAD_INPUT),
    Fault("unreachable", Unreachable, 503, EXIT_NO_DAEMON),
)
_BY_CODE = {fault.code: fault for fault in FAULTS}
_MOST_PROBLEMS = 10_000


def http_status(error: SmallchainError) -> int:
    """The status of the answer that carries this error; 500 for a code that the table does not have."""
    fault = _BY_CODE.get(error.code)
    return fault.status if fault else 500


def exit_code(error: SmallchainError) -> int:
    """What the command exits with on this error."""
    fault = _BY_CODE.get(error.code)
    return fault.exit_code if fault else EXIT_FAILED


def to_wire(error: SmallchainError) -> dict[str, Any]:
    """The body of the answer that carries this error."""
    problems = [problem_to_wire(problem) for problem in getattr(error, "problems", ())]
    return {"error": {"code": error.code, "message": error.message, "hint": error.hint, "problems": problems}}


def problem_to_wire(problem: Problem) -> dict[str, Any]:
    """A problem (an error or a warning in what a person wrote) as it travels."""
    place = problem.place
    return {
        "file": place.file,
        "line": place.line,
        "column": place.column,
        "message": problem.message,
        "hint": problem.hint,
    }


def from_wire(status: int, body: Any) -> SmallchainError:
    """The error of an answer, whatever the body holds: an unknown code, or none, is the tree's plain root."""
    told = body.get("error") if isinstance(body, Mapping) else None
    if not isinstance(told, Mapping):
        return SmallchainError(f"the daemon answered with HTTP status {status} and no error that this program knows")
    message = _text(told.get("message")) or f"the daemon answered with HTTP status {status}"
    hint, code = _text(told.get("hint")), _text(told.get("code"))
    fault = _BY_CODE.get(code)
    if fault is None:
        plain = SmallchainError(message, hint)
        plain.code = code or plain.code
        return plain
    error = fault.error(message, hint)
    if isinstance(error, BadInput):
        error.problems = problems_from_wire(told.get("problems"))
    return error


def problems_from_wire(told: Any) -> tuple[Problem, ...]:
    """Problems as they came, those that are none left out."""
    if not isinstance(told, list):
        return ()
    return tuple(
        Problem(
            Place(_text(one.get("file")), _number(one.get("line")), _number(one.get("column"))),
            _text(one.get("message")),
            _text(one.get("hint")),
        )
        for one in told[:_MOST_PROBLEMS]
        if isinstance(one, Mapping)
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0
