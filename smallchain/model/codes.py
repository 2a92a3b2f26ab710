"""A request's one-time code and the key of its callbacks, derived from one key of the house, so that nothing secret is stored.

The one rule: what is derived for one request says nothing of another's. HMAC-SHA256 (RFC 2104) over the purpose and the id.
"""

from __future__ import annotations

import hashlib
import hmac

_ALPHABET = "ABCDEFGHJKMNPQRSTVWXYZ23456789"
"""No I, L, O, U, 0, 1: what is read aloud or copied by hand is not mistaken."""
_LENGTH = 8


def code_of(key: bytes, request_id: str, /) -> str:
    """Eight characters that whoever was told of the request can repeat; it counts once, since a request is decided once."""
    number = int.from_bytes(_derived(key, "code", request_id))
    letters = []
    for _ in range(_LENGTH):
        number, letter = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[letter])
    return "".join(letters)


def callback_key_of(key: bytes, request_id: str, /) -> bytes:
    """The key that signs callbacks about a request."""
    return _derived(key, "callback", request_id)


def is_code(key: bytes, request_id: str, said: str, /) -> bool:
    """Whether somebody repeated the code, in time that does not depend on it; case and spaces don't count."""
    plain = said.replace(" ", "").replace("-", "").upper()
    return hmac.compare_digest(plain.encode(), code_of(key, request_id).encode())


def _derived(key: bytes, purpose: str, request_id: str) -> bytes:
    return hmac.new(key, f"{purpose}\0{request_id}".encode(), hashlib.sha256).digest()
