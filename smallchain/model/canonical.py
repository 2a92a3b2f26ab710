"""JSON in one form: sorted keys, no spaces, no NaN, no lone surrogates; what is digested, compared and stored."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from smallchain.model.errors import BadInput

JSON = dict[str, Any] | list[Any] | str | int | float | bool | None

_MAX_DEPTH = 100
_MAX_INT = 2**63 - 1


def canonical(value: JSON) -> str:
    """The canonical text of a JSON value.

    Raises BadInput for NaN, infinities, lone surrogates, and what is not JSON.
    """
    try:
        text = _ENCODER.encode(value)
        text.encode("utf-8")
    except (ValueError, TypeError, RecursionError) as error:
        raise BadInput(f"not a JSON value: {error}") from error
    return text


def parse(text: str | bytes) -> Any:
    """The value of a JSON text from outside, strictly (RFC 8259, and I-JSON's rules on duplicates and numbers).

    Raises BadInput for duplicate keys, NaN, Infinity, integers beyond 64 bits, NUL, lone surrogates, and more than 100 levels.
    """
    try:
        value = _DECODER.decode(text if isinstance(text, str) else text.decode(json.detect_encoding(text), "surrogatepass"))
    except RecursionError as error:
        raise BadInput(f"nested deeper than {_MAX_DEPTH} levels") from error
    except (ValueError, UnicodeDecodeError) as error:
        raise BadInput(f"not JSON: {error}") from error
    _check(value, 0)
    return value


def digest(value: JSON) -> str:
    """SHA-256 over the canonical text, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _whole(digits: str) -> int:
    if len(digits) > 20 or abs(int(digits)) > _MAX_INT:
        raise ValueError("an integer beyond 64 bits")
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{digits[:40]} is beyond what a number can hold")
    return number


def _check(value: Any, depth: int) -> None:
    if depth >= _MAX_DEPTH and isinstance(value, dict | list):
        raise BadInput(f"nested deeper than {_MAX_DEPTH} levels")
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, dict):
        for key, inner in value.items():
            _check_text(key)
            _check(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _check(inner, depth + 1)


def _check_text(text: str) -> None:
    if "\0" in text:
        raise BadInput("a NUL character in a text")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise BadInput("half of a surrogate pair in a text") from error


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant, parse_int=_whole, parse_float=_finite)
