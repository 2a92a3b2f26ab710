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
_PLAIN = re.compile(r"\$?\d+(?:\.\d+)?", re.ASCII)


def parse_dollars(text: str) -> int:
    """Nano-dollars of `$2.50` or `2.50`; raises BadInput for anything else (signs, currencies, exponents)."""
    match = _GRAMMAR.fullmatch(text.strip())
    if match is None:
        if _PLAIN.fullmatch(text.strip()):
            raise BadInput(f"{text[:40]!r} is out of range", hint="at most $999999999, and nine places behind the point")
        raise BadInput(f"{text[:40]!r} is not an amount of dollars", hint="write it as $2.50")
    return int(Decimal(match[1]) * NANO)


def show_dollars(nanousd: int) -> str:
    """Decimal dollars without a sign for currency, exact, at least two places: `0.00`, `1.12`, `0.0000215`."""
    whole, rest = divmod(abs(nanousd), NANO)
    places = f"{rest:09d}".rstrip("0").ljust(2, "0")
    return f"{'-' if nanousd < 0 else ''}{whole}.{places}"


@dataclass(frozen=True, slots=True)
class Rates:
    """Nano-dollars per million tokens. `cached_input` and `cache_write` None: tokens read from and written to a cache cost as input."""

    input: int
    output: int
    cached_input: int | None = None
    cache_write: int | None = None

    def cost(self, usage: Usage) -> int:
        """What a call cost, in nano-dollars, rounded up once."""
        cached = min(usage.cached_tokens, usage.input_tokens)
        written = min(usage.cache_write_tokens, usage.input_tokens - cached)
        total = (
            (usage.input_tokens - cached - written) * self.input
            + cached * (self.input if self.cached_input is None else self.cached_input)
            + written * (self.input if self.cache_write is None else self.cache_write)
            + usage.output_tokens * self.output
        )
        return min(-(-total // 1_000_000), MOST)

    @property
    def dearest_input(self) -> int:
        """What a token of the prompt costs at most."""
        return max(self.input, self.cached_input or 0, self.cache_write or 0)


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs. `longer`: above so many tokens of a prompt, ascending, the whole call has these rates instead."""

    rates: Rates
    longer: tuple[tuple[int, Rates], ...] = ()

    def cost(self, usage: Usage) -> int:
        """What a call cost, in nano-dollars, rounded up once."""
        return self._reached(usage.input_tokens)[-1].cost(usage)

    def worst(self, prompt: int, output: int) -> int:
        """What a call with at most so many tokens costs at most, in nano-dollars, rounded up once."""
        return max(-(-(prompt * each.dearest_input + output * each.output) // 1_000_000) for each in self._reached(prompt))

    def output_within(self, nanousd: int, prompt: int) -> int | None:
        """Tokens of a reply that so much pays for, after a prompt of at most so many; below 0 where it does not pay for that; None: any."""
        left = [(nanousd * 1_000_000 - prompt * each.dearest_input) // each.output for each in self._reached(prompt) if each.output > 0]
        return min(left, default=None)

    def _reached(self, prompt: int) -> list[Rates]:
        """The rates of calls with no longer a prompt; the last are those of one that has just so many tokens."""
        return [self.rates, *(rates for above, rates in self.longer if prompt > above)]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one model call, as the provider counted them; those read from and written to its cache are part of the input."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    cache_write_tokens: int = 0
