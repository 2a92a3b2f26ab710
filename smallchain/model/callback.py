"""The signature of callbacks and webhooks: `t=SECONDS,v1=HEX`, an HMAC-SHA256 (RFC 2104) over `id.t.body`.

The one rule: what is signed are the bytes as they travel, never a value that was read and written again.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

HEADER = "Smallchain-Signature"
WINDOW = timedelta(seconds=300)
"""How far the time of a signature may lie from now, either way."""

_WRITTEN = re.compile(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Key:
    """A secret that signs callbacks about one thing, and who was given it: whoever signs with it speaks as them."""

    secret: bytes
    holder: str

    def __repr__(self) -> str:
        return f"Key({self.holder})"


@dataclass(frozen=True, slots=True)
class Reply:
    """What the sender of a callback is answered: an HTTP status, and a JSON object."""

    status: int
    body: dict[str, Any]


def key_for(secret: bytes, holder: str, /) -> Key:
    """The holder's own key, made from the secret of the thing it is about: no holder can speak as another."""
    return Key(hmac.digest(secret, b"smallchain callback\0" + holder.encode("utf-8", "surrogatepass"), "sha256"), holder)


def sign(secret: bytes, about: str, body: bytes, /, *, at: datetime) -> str:
    """The value of the header for a body about something (its id), sent at a moment."""
    seconds = int(at.timestamp())
    return f"t={seconds},v1={_mac(secret, about, seconds, body)}"


def signer(header: str, keys: Sequence[Key], about: str, body: bytes, /, *, now: datetime) -> Key | str:
    """Which of the keys signed the body, else a sentence on why none did. Each key is tried, whichever fits."""
    found = _WRITTEN.fullmatch(header)
    if found is None:
        return f"{HEADER} is not of the form t=SECONDS,v1=HEX"
    seconds = int(found[1])
    if abs(seconds - now.astimezone(UTC).timestamp()) > WINDOW.total_seconds():
        return f"the signature's time is more than {WINDOW.seconds} s away from ours"
    right = [key for key in keys if hmac.compare_digest(_mac(key.secret, about, seconds, body), found[2])]
    return right[0] if right else "the signature does not fit"


def _mac(secret: bytes, about: str, seconds: int, body: bytes) -> str:
    return hmac.new(secret, f"{about}.{seconds}.".encode() + body, hashlib.sha256).hexdigest()
