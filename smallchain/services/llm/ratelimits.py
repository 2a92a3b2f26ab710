"""How long a provider takes no further calls, from the headers of its answer; every form seen, bounded to an hour.

Two headers belong together when their names differ in `remaining` and `reset` only:
- `x-ratelimit-remaining-requests` and `-tokens` (OpenAI, https://platform.openai.com/docs/guides/rate-limits; Azure; Groq,
  https://console.groq.com/docs/rate-limits): `1s`, `6m0s`, `2m59.56s`, bare seconds.
- `x-ratelimit-remaining` (Together: seconds; OpenRouter, https://openrouter.ai/docs/api-reference/limits: milliseconds since 1970).
- `anthropic-ratelimit-requests-remaining`, `-tokens-`, `-input-tokens-`, `-output-tokens-`
  (https://docs.anthropic.com/en/api/rate-limits): RFC 3339.
- `ratelimit-remaining` (draft-ietf-httpapi-ratelimit-headers): seconds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

LONGEST_WAIT_S = 3_600.0

_NAMED = re.compile(r"(?:x-|anthropic-|^)(?:ratelimit|tokenlimit)-")
_LENGTH = re.compile("".join(rf"(?:(\d+(?:\.\d+)?){unit})?" for unit in ("d", "h", "m(?!s)", "s", "ms")))
_SIZES = (86400, 3600, 60, 1, 0.001)
_SURELY_SINCE_1970_S, _SURELY_SINCE_1970_MS = 1e9, 1e12
_MOST_HEADERS = 200


def used_up(headers: Mapping[str, str], /, *, now: datetime | None) -> timedelta | None:
    """How long until what the headers call used up is there again, the longest of all; None where nothing is used up."""
    waits = [seconds for left, seconds in _told(headers, now) if left == 0 and seconds > 0]
    return bounded(max(waits)) if waits else None


def until_reset(headers: Mapping[str, str], /, *, now: datetime | None) -> float | None:
    """Seconds until a refused call may be made again: the longest of what is used up, else the shortest that is told."""
    told = list(_told(headers, now))
    waits = [seconds for left, seconds in told if left == 0]
    return max(waits) if waits else min((seconds for _, seconds in told), default=None)


def _told(headers: Mapping[str, str], now: datetime | None) -> Iterator[tuple[float | None, float]]:
    """What is left, where that is said, and the seconds until it is renewed."""
    lowered = {name.lower(): value for name, value in list(headers.items())[:_MOST_HEADERS]}
    for name, value in lowered.items():
        if "reset" in name and _NAMED.match(name) and (seconds := wait_s(value, now=now)) is not None:
            yield number(lowered.get(name.replace("reset", "remaining"))), seconds


def wait_s(text: str, /, *, now: datetime | None) -> float | None:
    """Seconds of `12`, `1s`, `6m0s`, `20ms`, `1h2m3.5s`; of a moment (seconds or milliseconds since 1970, RFC 3339, an HTTP date), from
    now; None for what is neither."""
    text = text.strip()
    bare = number(text)
    if bare is None:
        length = length_s(text)
        return length if length is not None else _until(text, now)
    if bare < _SURELY_SINCE_1970_S:
        return bare
    moment = bare / 1000 if bare >= _SURELY_SINCE_1970_MS else bare
    return moment - now.timestamp() if now is not None else None


def length_s(text: str, /) -> float | None:
    """Seconds of `1s`, `6m0s`, `20ms`, `1h2m3.5s`, or a bare number of seconds."""
    bare = number(text)
    if bare is not None:
        return bare
    match = _LENGTH.fullmatch(text) if text and len(text) < 100 else None
    if match is None:
        return None
    return sum(float(count) * size for count, size in zip(match.groups(), _SIZES, strict=True) if count)


def _until(text: str, now: datetime | None) -> float | None:
    if now is None or len(text) > 100:
        return None
    try:
        moment = datetime.fromisoformat(text) if text[:4].isdigit() else parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now).total_seconds()


def number(text: Any, /) -> float | None:
    """A finite number, or None."""
    try:
        found = float(text)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


def bounded(seconds: float, /) -> timedelta:
    """At least nothing, at most an hour."""
    return timedelta(seconds=min(max(seconds, 0.0), LONGEST_WAIT_S))
