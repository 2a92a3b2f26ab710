"""What providers mean by their words: no two say "too long", "no money" or "come back later" alike, and statuses do not tell them apart.

Every wording that was seen stands in `tests/unit/services/llm/test_wordings.py` with the server that says it. The one rule: a wrong
yes costs more than a wrong no, so a pattern holds words that are said for one reason only.
"""

from __future__ import annotations

import re

LONGEST_RAW = 32_000
"""Characters of a failed answer that are kept."""

_OVERFLOW = re.compile(
    r"maximum (?:context|prompt|model) length|maximum allowed input length|context[_ ]?length[_ ]exceeded|context[_ -]?window"
    r"|exceed_context_size|(?:available|configured) context size|context size has been exceeded|exceeds? (?:the )?context limit"
    r"|(?:greater|longer) than the (?:model'?s )?context length|exceeded (?:max )?context length|input length exceeds"
    r"|prompt (?:is )?too long|input is too long|too many input tokens|too many total text bytes"
    r"|reduce the length of (?:the|your) (?:messages|input|prompt)|input token count .{0,40}exceeds|input length .{0,40}exceed"
    r"|prompt token count of [\d,]+ exceeds|model_max_prompt_tokens|exceeded model token limit|prompt exceeds max length"
    r"|range of input length should be|`inputs` (?:tokens \+|must have less than)|tokens in the prompt cannot exceed"
    r"|request_too_large|(?:string|array)_above_max_length|message size \d+ exceeds",
    re.IGNORECASE,
)
_LARGER_THAN_ITS_RATE = re.compile(r"request too large for|tokens must be reduced|reduce your message size", re.IGNORECASE)
_EXHAUSTED = re.compile(
    r"insufficient[_ ](?:quota|balance|credits?|funds)|exceeded(?: your |_)current(?: token |_| )quota|requires more credits"
    r"|billing[_ ](?:hard[_ ]limit|not[_ ]active)|check your billing details|credit balance is too low|credit[_ ]limit"
    r"|out of credits|credits are depleted|used all available credits|included credits|api usage limits|spend(?:ing)?[_ ]limit"
    r"|no resource package|arrearage",
    re.IGNORECASE,
)
_BAD_KEY = re.compile(r"api[_ ]key[_ ](?:not valid|invalid)|(?:incorrect|invalid)[_ ]api[_ ]key", re.IGNORECASE)
_FLAGGED = re.compile(r"flagged|moderation|guardrail|content[_ ](?:policy|management|filter)|safety", re.IGNORECASE)

_SIZES = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_LENGTH = r"(?:\d{1,9}(?:\.\d{1,12})? ?(?:milliseconds?|ms|days?|d|hours?|h|minutes?|mins?|m|seconds?|secs?|s)(?![a-z])[ ,]*)+"
_AGAIN = re.compile(rf'(?:try again|retry|wait)(?: in| after| for|ing)? ({_LENGTH})|"retryDelay": ?"({_LENGTH})"', re.IGNORECASE)
_PART = re.compile(r"(\d+(?:\.\d+)?) ?([a-z]+)", re.IGNORECASE)


def is_overflow(words: str) -> bool:
    """Whether they say that the request is longer than the model takes."""
    return _OVERFLOW.search(words) is not None


def is_larger_than_its_rate(words: str) -> bool:
    """Whether a rate limit says that this request alone is above it, so that no waiting helps."""
    return _LARGER_THAN_ITS_RATE.search(words) is not None


def is_exhausted(words: str) -> bool:
    """Whether they say that money or quota is gone. A rate limit that only links to a billing page says nothing of the kind."""
    return _EXHAUSTED.search(words) is not None


def is_bad_key(words: str) -> bool:
    """Whether they say that the key is wrong."""
    return _BAD_KEY.search(words) is not None


def is_flagged(words: str) -> bool:
    """Whether they say that what was asked is not to be answered, whoever asks."""
    return _FLAGGED.search(words) is not None


def wait_in(text: str) -> float | None:
    """The seconds after which a text says to come again (`try again in 5m49.488s`, `retry after 6 seconds`, Google's `retryDelay`)."""
    found = _AGAIN.search(text)
    if found is None:
        return None
    total = 0.0
    for count, unit in _PART.findall(found[1] or found[2]):
        short = unit.lower()
        total += float(count) * _SIZES["ms" if short.startswith(("ms", "milli")) else short[0]]
    return total


def kept(text: str) -> str:
    """A failed answer as it is kept: whole, or its beginning and a word on how much came."""
    if len(text) <= LONGEST_RAW:
        return text
    return f"{text[:LONGEST_RAW]}\n[cut here: {len(text)} characters came, {LONGEST_RAW} are kept]"
