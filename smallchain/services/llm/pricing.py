"""What models cost, from the data that `genai-prices` bundles: no price is better than a wrong one.

The first look-up imports the data (half a second): ask in a thread.
"""

from __future__ import annotations

import functools
import ipaddress
from decimal import ROUND_CEILING, Decimal
from importlib.metadata import version
from urllib.parse import urlsplit

from smallchain.model.money import NANO, Price

OPENAI = "https://api.openai.com/v1"

_PER_REQUEST = "requests_kcount"


def price_of(provider: str, model: str, *, base_url: str | None = None) -> Price | None:
    """The price of a model today; None when it is unknown, or not a plain price per token (tiers, fees per request)."""
    if provider != "openai" or (base_url is not None and _is_near(base_url)):
        return None
    from genai_prices import Usage, calc_price

    one = Usage(input_tokens=1, output_tokens=1)
    try:
        found = calc_price(one, model, provider_api_url=base_url or OPENAI)
    except (LookupError, ValueError):
        return None
    prices = found.model_price
    plain = (prices.input_mtok, prices.output_mtok)
    if not all(isinstance(price, Decimal) for price in plain) or getattr(prices, _PER_REQUEST, None):
        return None
    cached = prices.cache_read_mtok
    if cached is not None and not isinstance(cached, Decimal):
        return None
    return Price(_nano(prices.input_mtok), _nano(prices.output_mtok), None if cached is None else _nano(cached))


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
