"""What an HTTP error of a model's endpoint means for the run (design rule 3): its status decides, the provider's words refine.

The words are kept as the provider's own, bounded; waiting times are read in every form seen, and bounded too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from smallchain.model.llm import Failure, FailureKind
from smallchain.services.llm import ratelimits, wordings

_LONGEST_WORDS = 500
_MOST_READ = 16_000
_SAY_WHEN = (429, 503, 529)
_GAVE_UP = (408, 499, 504, 524)
"""Who stands in front of a model tells that it waited in vain: the model may have gone on, and be billed."""

_TAG = re.compile(r"<(script|style)\b.*?</\1\s*>|<[^>]*>", re.IGNORECASE | re.DOTALL)
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def classify(status: int, body: bytes, headers: Mapping[str, str], *, now: datetime | None = None) -> Failure:
    """The failure behind an answer that is not 2xx. `now` is the moment a Retry-After given as a date counts from."""
    text = body.decode("utf-8", "replace").replace("\0", "\ufffd")
    lowered = {name.lower(): value for name, value in headers.items()}
    words, code = _words(text)
    told = wordings.wait_in(text[:_MOST_READ])
    kind = _kind(status, f"{words} {code}", told)
    message = words or f"{_phrase(status)}, without a word"
    if 300 <= status < 400:
        place = lowered.get("location", "").split("?")[0][:200]
        message = f"the endpoint redirects ({_phrase(status)}) to {place or 'nowhere'}; write the final address as `base_url`"
    wait = None
    if kind in (FailureKind.TRANSIENT, FailureKind.UNUSABLE):
        wait = _wait(status, lowered, now)
        wait = ratelimits.bounded(told) if wait is None and told is not None and status in _SAY_WHEN else wait
    return Failure(kind, message, status=status, retry_after=wait, raw=wordings.kept(text), may_have_cost=status in _GAVE_UP)


def _kind(status: int, words: str, told_s: float | None) -> FailureKind:
    if status == 403 and wordings.is_flagged(words):
        return FailureKind.REFUSED
    if status in (401, 402, 403) or 300 <= status < 400:
        return FailureKind.UNUSABLE
    if status == 429 and wordings.is_larger_than_its_rate(words):
        return FailureKind.OVERFLOW
    if status in (400, 429) and wordings.is_exhausted(words):
        # Google words its limits per minute as an exhausted quota, and says when to come again.
        return FailureKind.TRANSIENT if status == 429 and told_s is not None else FailureKind.UNUSABLE
    if status == 400 and wordings.is_bad_key(words):
        return FailureKind.UNUSABLE
    if status == 413 or (status in (400, 404, 422, 500) and wordings.is_overflow(words)):
        return FailureKind.OVERFLOW  # 500: of a local server
    if status in (408, 409, 425, 429) or status >= 500 or status < 300:
        return FailureKind.TRANSIENT
    return FailureKind.REFUSED


def _words(text: str) -> tuple[str, str]:
    """What the provider says, on one line, and its codes: `error.message`, `error`, `message`, `detail`, or a page's text."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        start = text[:_MOST_READ]
        return _line(_TAG.sub(" ", start) if start.lstrip().startswith("<") else start), ""
    if isinstance(body, list) and body:
        body = body[0]
    if not isinstance(body, dict):
        return _line(text), ""
    error = body.get("error")
    inner = error if isinstance(error, dict) else body
    code = " ".join(str(inner[key]) for key in ("code", "type", "status") if isinstance(inner.get(key), str | int))
    for said in (inner.get("message"), error, body.get("message"), body.get("detail"), body.get("title")):
        if isinstance(said, str) and said.strip():
            return _line(said + _behind(inner.get("metadata"))), code
        if said and isinstance(said, list | dict) and said is not inner:
            return _line(json.dumps(said, ensure_ascii=False)), code
    return _line(text), code


def _behind(metadata: Any) -> str:
    """What the provider behind a gateway said (OpenRouter: https://openrouter.ai/docs/api/errors), which the gateway only wraps."""
    if not isinstance(metadata, dict):
        return ""
    raw, name = metadata.get("raw"), metadata.get("provider_name")
    said = raw if isinstance(raw, str) else json.dumps(raw, ensure_ascii=False) if raw else ""
    return (f" ({name})" if isinstance(name, str) and name else "") + (f": {said[:_LONGEST_WORDS]}" if said.strip() else "")


def _line(text: str) -> str:
    line = _UNSTORABLE.sub("\ufffd", " ".join(text.split()))
    return line if len(line) <= _LONGEST_WORDS else f"{line[: _LONGEST_WORDS - 1]}…"


def _phrase(status: int) -> str:
    try:
        return f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP {status}"


def _wait(status: int, headers: Mapping[str, str], now: datetime | None) -> timedelta | None:
    millis = ratelimits.number(headers.get("retry-after-ms"))
    if millis is not None:
        return ratelimits.bounded(millis / 1000)
    seconds = ratelimits.wait_s(headers.get("retry-after", ""), now=now)
    if seconds is None and status in _SAY_WHEN:
        seconds = ratelimits.until_reset(headers, now=now)
    return None if seconds is None else ratelimits.bounded(seconds)
