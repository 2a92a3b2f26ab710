"""What an HTTP error of a model's endpoint means for the run (design rule 3): its status decides, the provider's words refine.

The words are kept as the provider's own, bounded; waiting times are read in every form seen, and bounded too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from http import HTTPStatus

from smallchain.model.llm import Failure, FailureKind
from smallchain.services.llm import ratelimits

_LONGEST_WORDS = 500
_LONGEST_RAW = 4_000
_SAY_WHEN = (429, 503, 529)

_OVERFLOW = re.compile(
    r"maximum context length|maximum prompt length|context[_ ]length[_ ]exceeded|context[_ -]window|exceed_context_size"
    r"|exceeds the available context|prompt is too long|input is too long|input length .{0,40}exceed|too many input tokens"
    r"|reduce the length of the messages|input token count .{0,40}exceeds",
    re.IGNORECASE,
)
_EXHAUSTED = re.compile(
    r"insufficient[_ ](?:quota|balance|credits?|funds)|exceeded your current quota|billing|credit balance is too low"
    r"|out of credits",
    re.IGNORECASE,
)
_BAD_KEY = re.compile(r"api key not valid|(?:incorrect|invalid)[_ ]api[_ ]key", re.IGNORECASE)
_TAG = re.compile(r"<(script|style)\b.*?</\1\s*>|<[^>]*>", re.IGNORECASE | re.DOTALL)
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def classify(status: int, body: bytes, headers: Mapping[str, str], *, now: datetime | None = None) -> Failure:
    """The failure behind an answer that is not 2xx. `now` is the moment a Retry-After given as a date counts from."""
    text = body[: 4 * _LONGEST_RAW].decode("utf-8", "replace").replace("\0", "\ufffd")
    lowered = {name.lower(): value for name, value in headers.items()}
    words, code = _words(text)
    kind = _kind(status, f"{words} {code}")
    message = words or f"{_phrase(status)}, without a word"
    if 300 <= status < 400:
        place = lowered.get("location", "").split("?")[0][:200]
        message = f"the endpoint redirects ({_phrase(status)}) to {place or 'nowhere'}; write the final address as `base_url`"
    wait = _wait(status, lowered, now) if kind in (FailureKind.TRANSIENT, FailureKind.UNUSABLE) else None
    return Failure(kind, message, status=status, retry_after=wait, raw=text[:_LONGEST_RAW])


def _kind(status: int, words: str) -> FailureKind:
    if status in (401, 402, 403) or 300 <= status < 400:
        return FailureKind.UNUSABLE
    if status in (400, 429) and _EXHAUSTED.search(words):
        return FailureKind.UNUSABLE
    if status in (408, 409, 425, 429) or status >= 500 or status < 300:
        return FailureKind.TRANSIENT
    if status == 400 and _BAD_KEY.search(words):
        return FailureKind.UNUSABLE
    if status in (400, 404, 413, 422) and _OVERFLOW.search(words):
        return FailureKind.OVERFLOW
    return FailureKind.REFUSED


def _words(text: str) -> tuple[str, str]:
    """What the provider says, on one line, and its codes: `error.message`, `error`, `message`, `detail`, or a page's text."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return _line(_TAG.sub(" ", text) if text.lstrip().startswith("<") else text), ""
    if isinstance(body, list) and body:
        body = body[0]
    if not isinstance(body, dict):
        return _line(text), ""
    error = body.get("error")
    inner = error if isinstance(error, dict) else body
    code = " ".join(str(inner[key]) for key in ("code", "type", "status") if isinstance(inner.get(key), str | int))
    for said in (inner.get("message"), error, body.get("message"), body.get("detail"), body.get("title")):
        if isinstance(said, str) and said.strip():
            return _line(said), code
        if said and isinstance(said, list | dict) and said is not inner:
            return _line(json.dumps(said, ensure_ascii=False)), code
    return _line(text), code


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
