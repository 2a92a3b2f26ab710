"""What `add`, `subtract`, `multiply` and `divide` answer: exact decimal arithmetic over numbers as models write them.

The one rule: an answer is a text that the model can read, never an exception. Only a division that does not end is rounded.
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from typing import Any, NamedTuple

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,6})?")
_MOST_DIGITS = 1000
_MOST_BITS = 3400
"""Every integer of at most a thousand digits has fewer bits; longer ones are refused before they are converted."""
_DIVISION_DIGITS = 28
_PLAIN_LENGTH = 24
_TRAPS = [DivisionByZero, InvalidOperation, Overflow]
_EXACT = Context(prec=5 * _MOST_DIGITS, Emin=-999_999, Emax=999_999, traps=_TRAPS)
"""Wide enough that a sum, difference or product of two admitted numbers is never rounded."""

_SIGNS: dict[str, str] = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}
OPERATIONS = tuple(_SIGNS)


class Computed(NamedTuple):
    """An answer: the number's shortest exact form, or (not `ok`) why there is none."""

    ok: bool
    text: str


def compute(name: str, a: Any, b: Any) -> Computed:
    """The answer of one of OPERATIONS over two numbers or numeric texts."""
    numbers: list[Decimal] = []
    for letter, value in (("a", a), ("b", b)):
        number = _number(value)
        if isinstance(number, str):
            return Computed(False, f"{letter} {number}")
        numbers.append(number)
    first, second = numbers
    match name:
        case "add":
            return Computed(True, show_number(_EXACT.add(first, second)))
        case "subtract":
            return Computed(True, show_number(_EXACT.subtract(first, second)))
        case "multiply":
            return Computed(True, show_number(_EXACT.multiply(first, second)))
        case "divide" if second.is_zero():
            return Computed(False, f"division by zero: {show_number(first)} / 0 has no answer")
        case "divide":
            return Computed(True, show_number(_quotient(first, second)))
    return Computed(False, f"there is no operation {name!r}; there are {', '.join(OPERATIONS)}")


def show_number(number: Decimal) -> str:
    """The shortest exact text of a finite number: `7`, `0.3`, `1e300`; integers and small fractions without an exponent."""
    if number.is_zero():
        return "0"
    sign, digits, exponent = _shortest(number)
    plain = _plain(digits, exponent)
    mantissa = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
    scientific = f"{mantissa}e{exponent + len(digits) - 1}"
    return sign + (plain if len(plain) <= max(_PLAIN_LENGTH, len(scientific)) else scientific)


def _number(value: Any) -> Decimal | str:
    """The number, or the rest of a sentence that says why it is none."""
    if value is None:
        return "is missing: give a number"
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return f"must be a number, not {_KINDS.get(type(value), 'that')}"
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        return f"is too large: at most {_MOST_DIGITS} digits"
    text = str(value).strip()
    if len(text) > 2 * _MOST_DIGITS:
        return f"is too long: at most {_MOST_DIGITS} digits"
    if _NUMBER.fullmatch(text) is None:
        return f"must be a number such as 7, -2.5 or 1e6, not {text[:40]!r}"
    number = Decimal(text)
    if not number.is_zero() and (len(number.as_tuple().digits) > _MOST_DIGITS or abs(number.adjusted()) > _MOST_DIGITS):
        return f"is out of range: at most {_MOST_DIGITS} digits, and an exponent between -{_MOST_DIGITS} and {_MOST_DIGITS}"
    return Decimal(0) if number.is_zero() else number


_KINDS: dict[type, str] = {bool: "true or false", list: "a list", dict: "an object"}


def _quotient(first: Decimal, second: Decimal) -> Decimal:
    """Exact when it ends within as many digits as the operands have (at least 28), else rounded there, half to even."""
    digits = max(_DIVISION_DIGITS, len(_shortest(first)[1]), len(_shortest(second)[1]))
    return Context(prec=digits, rounding=ROUND_HALF_EVEN, Emin=-999_999, Emax=999_999, traps=_TRAPS).divide(first, second)


def _shortest(number: Decimal) -> tuple[str, str, int]:
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int), "finite numbers have a number as exponent"
    written = "".join(map(str, digits))
    bare = written.rstrip("0")
    return "-" if sign else "", bare, exponent + len(written) - len(bare)


def _plain(digits: str, exponent: int) -> str:
    if exponent >= 0:
        return digits + "0" * exponent
    point = len(digits) + exponent
    return f"{digits[:point]}.{digits[point:]}" if point > 0 else "0." + "0" * -point + digits
