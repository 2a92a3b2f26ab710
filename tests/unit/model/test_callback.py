"""The signature of callbacks: what it covers, when it holds, and who is known by it."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallchain.model.callback import WINDOW, Key, key_for, sign, signer

NOW = datetime(2026, 11, 23, 11, 39, 36, tzinfo=UTC)
KEY = Key(b"k" * 32, "marketing")
BODY = b'{"verb": "deny"}'


def test_it_is_the_hmac_over_id_time_and_body_that_anybody_can_compute() -> None:
    seconds = int(NOW.timestamp())

    expected = hmac.new(KEY.secret, b"the-id." + str(seconds).encode() + b"." + BODY, hashlib.sha256).hexdigest()
    assert sign(KEY.secret, "the-id", BODY, at=NOW) == f"t={seconds},v1={expected}"


def test_what_a_key_signed_is_known_to_be_its_holders() -> None:
    other = Key(b"o" * 32, "sales")

    assert signer(sign(KEY.secret, "id", BODY, at=NOW), (other, KEY), "id", BODY, now=NOW) == KEY


@given(st.binary(min_size=1, max_size=60), st.data())
def test_no_change_of_a_byte_goes_unnoticed(body: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(body) - 1))
    changed = body[:place] + bytes([body[place] ^ data.draw(st.integers(1, 255))]) + body[place + 1 :]

    assert isinstance(signer(sign(KEY.secret, "id", body, at=NOW), [KEY], "id", changed, now=NOW), str)


def test_a_signature_for_one_thing_is_none_for_another() -> None:
    assert isinstance(signer(sign(KEY.secret, "a", BODY, at=NOW), [KEY], "b", BODY, now=NOW), str)


@pytest.mark.parametrize(("late", "fits"), [(0, True), (300, True), (-300, True), (301, False), (-301, False), (10**9, False)])
def test_its_time_may_lie_five_minutes_away(late: int, fits: bool) -> None:
    header = sign(KEY.secret, "id", BODY, at=NOW)

    assert isinstance(signer(header, [KEY], "id", BODY, now=NOW + timedelta(seconds=late)), Key) is fits
    assert timedelta(seconds=300) == WINDOW


@pytest.mark.parametrize(
    "header",
    [
        "",
        "t=1",
        "v1=00",
        "t=x,v1=" + "0" * 64,
        "t=1,v1=" + "0" * 63,
        "t=-1,v1=" + "0" * 64,
        "t=9999999999999999999999,v1=" + "0" * 64,
        " t=1,v1=" + "0" * 64,
        "t=\u0661,v1=" + "0" * 64,
    ],
)
def test_what_is_not_of_the_form_is_no_signature(header: str) -> None:
    assert isinstance(signer(header, [KEY], "id", BODY, now=NOW), str)


def test_each_holder_has_a_key_of_its_own_and_none_is_printed() -> None:
    first, second = key_for(b"s" * 32, "marketing"), key_for(b"s" * 32, "sales")

    assert first.secret != second.secret
    assert first == key_for(b"s" * 32, "marketing")
    assert repr(first) == "Key(marketing)"
