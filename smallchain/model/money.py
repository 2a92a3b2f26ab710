"""Money is an integer number of nano-dollars; it is rounded up once a model call, never in between."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from smallchain.model.errors import BadInput

NANO = 1_000_000_000
MOST = NANO * NANO
"""More nano-dollars than any amount that can be written: what a server that lies tells counts as this, so that sums can be kept."""
_GRAMMAR = re.compile(r"\$?(\d{1,9}(?:\.\d{1,9})?)", re.ASCII)


def parse_dollars(text: str) -> int:
    """Nano-dollars of `$2.50` or `2.50`; raises BadInput for anything else (signs, currencies, exponents)."""
    match = _GRAMMAR.fullmatch(text.strip())
    if match is None:
        raise BadInput(f"{text[:40]!r} is not an amount of dollars", hint="write it as $2.50")
    return int(Decimal(match[1]) * NANO)


def show_dollars(nanousd: int) -> str:
    """Decimal dollars without a sign for currency, exact, at least two places: `0.00`, `1.12`, `0.0000215`."""
    whole, rest = divmod(abs(nanousd), NANO)
    places = f"{rest:09d}".rstrip("0").ljust(2, "0")
    return f"{'-' if nanousd < 0 else ''}{whole}.{places}"


@dataclass(frozen=True, slots=True)
class Price:
    """Nano-dollars per million tokens; `cached_input` None means cached tokens cost as input."""

    input: int
    output: int
    cached_input: int | None = None

    def cost(self, usage: Usage) -> int:
        """What a call cost, in nano-dollars, rounded up once."""
        cached = min(usage.cached_tokens, usage.input_tokens)
        cached_price = self.input if self.cached_input is None else self.cached_input
        total = (usage.input_tokens - cached) * self.input + cached * cached_price + usage.output_tokens * self.output
        return min(-(-total // 1_000_000), MOST)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one model call, as the provider counted them; cached ones are part of the input."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
