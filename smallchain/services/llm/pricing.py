"""What models cost, from the data that `genai-prices` bundles: no price is better than a wrong one.

The first look-up imports the data (half a second): ask in a thread.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

from smallchain.model.money import NANO, Price, Rates

OPENAI = "https://api.openai.com/v1"

_RATES = ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok")
_FEES = ("requests_kcount", "output_reasoning_mtok", "output_citation_mtok")
"""What makes a price no plain one per token: a fee for each request, or parts of the reply that have prices of their own."""


def price_of(provider: str, model: str, *, base_url: str | None = None) -> Price | None:
    """The price of a model today; None when it is unknown, or not one per token.

    Of prices that depend on the time of day, each rate is the dearest: what is held before a call may be settled in another hour.
    """
    if provider != "openai" or (base_url is not None and _is_near(base_url)):
        return None
    from genai_prices import Usage, calc_price

    one = Usage(input_tokens=1, output_tokens=1)
    address = base_url or OPENAI
    now = datetime.now(UTC)
    try:
        found = calc_price(one, model, provider_api_url=address, genai_request_timestamp=now)
        prices = [found.model_price]
        if isinstance(found.model.prices, list):
            hours = (now.replace(hour=hour, minute=minute) for hour in range(24) for minute in (0, 30))
            prices = [calc_price(one, model, provider_api_url=address, genai_request_timestamp=at).model_price for at in hours]
    except (LookupError, ValueError):
        return None
    if any(getattr(each, fee, None) for each in prices for fee in _FEES):
        return None
    starts = sorted({tier.start for each in prices for name in _RATES for tier in getattr(getattr(each, name, None), "tiers", ())})
    by_length = [_dearest([_rates(each, above) for each in prices]) for above in (0, *starts)]
    known = [each for each in by_length if each is not None]
    return Price(known[0], tuple(zip(starts, known[1:], strict=True))) if len(known) == len(by_length) else None


def _rates(price: Any, above: int) -> Rates | None:
    """The rates of a prompt with more tokens than so many; None where prompt or reply has none."""

    def rate(name: str) -> int | None:
        found = getattr(price, name, None)
        if found is None or isinstance(found, Decimal):
            return None if found is None else _nano(found)
        return _nano(([found.base] + [tier.price for tier in found.tiers if above >= tier.start])[-1])

    read, written, cached, cache_write = map(rate, _RATES)
    return None if read is None or written is None else Rates(read, written, cached, cache_write)


def _dearest(rates: Sequence[Rates | None]) -> Rates | None:
    """Each rate at its dearest; None where one of them has none."""
    known = [each for each in rates if each is not None]
    if len(known) < len(rates):
        return None
    cached = [each.cached_input for each in known if each.cached_input is not None]
    written = [each.input if each.cache_write is None else each.cache_write for each in known]
    return Rates(
        max(each.input for each in known),
        max(each.output for each in known),
        max(cached) if len(cached) == len(known) else None,
        max(written) if any(each.cache_write is not None for each in known) else None,
    )


@functools.cache
def data_version() -> str:
    """Which data the prices come from."""
    return f"genai-prices {version('genai-prices')}"


def _nano(dollars: object) -> int:
    return int((Decimal(str(dollars)) * NANO).to_integral_value(ROUND_CEILING))


def _is_near(base_url: str) -> bool:
    """Whether an address is of this machine or its own network, where no price list applies."""
    try:
        host = (urlsplit(base_url).hostname or "").rstrip(".")
    except ValueError:
        return True
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith((".localhost", ".local", ".internal", ".lan", ".home.arpa"))
