"""How long a provider wants no calls, in the form each writes it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallchain.services.llm.ratelimits import until_reset, used_up, wait_s

NOW = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)
EPOCH_S = int(NOW.timestamp())

USED_UP = {
    "openai, requests": ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "8.64s"}, 8.64),
    "openai, tokens": ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s"}, 360),
    "openai, both: the longer": (
        {
            "X-RateLimit-Remaining-Requests": "0",
            "X-RateLimit-Reset-Requests": "1s",
            "X-RateLimit-Remaining-Tokens": "0",
            "X-RateLimit-Reset-Tokens": "20s",
        },
        20,
    ),
    "openai, one of two": (
        {
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": "120ms",
            "x-ratelimit-remaining-tokens": "9000",
            "x-ratelimit-reset-tokens": "20s",
        },
        0.12,
    ),
    "azure": ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "22"}, 22),
    "groq": ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "2m59.56s"}, 179.56),
    "together": ({"x-ratelimit-limit": "10", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1"}, 1),
    "together, tokens": ({"x-tokenlimit-remaining": "0.0", "x-tokenlimit-reset": "5"}, 5),
    "openrouter": ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str((EPOCH_S + 30) * 1000)}, 30),
    "seconds since 1970": ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(EPOCH_S + 30)}, 30),
    "anthropic": ({"anthropic-ratelimit-requests-remaining": "0", "anthropic-ratelimit-requests-reset": "2026-01-02T12:00:45Z"}, 45),
    "anthropic, input tokens": (
        {"anthropic-ratelimit-input-tokens-remaining": "0", "anthropic-ratelimit-input-tokens-reset": "2026-01-02T12:01:00+00:00"},
        60,
    ),
    "the draft": ({"ratelimit-remaining": "0", "ratelimit-reset": "50"}, 50),
    "a day": ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1d"}, 3600),
}
NOT_USED_UP: dict[str, dict[str, str]] = {
    "nothing": {},
    "some left": {"x-ratelimit-remaining-requests": "1", "x-ratelimit-reset-requests": "8s"},
    "not said how much": {"x-ratelimit-reset-requests": "8s"},
    "not said when": {"x-ratelimit-remaining-requests": "0"},
    "over already": {"anthropic-ratelimit-requests-remaining": "0", "anthropic-ratelimit-requests-reset": "2026-01-02T11:59:00Z"},
    "no time": {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "soon"},
    "another's header": {"x-password-remaining": "0", "x-password-reset": "9"},
}


@pytest.mark.parametrize("provider", USED_UP)
def test_what_is_used_up_is_read_as_each_provider_writes_it(provider: str) -> None:
    headers, seconds = USED_UP[provider]

    assert used_up(headers, now=NOW) == timedelta(seconds=seconds)


@pytest.mark.parametrize("case", NOT_USED_UP)
def test_what_is_not_used_up_holds_nothing(case: str) -> None:
    assert used_up(NOT_USED_UP[case], now=NOW) is None


def test_a_refused_call_waits_for_what_is_used_up_else_for_what_comes_first() -> None:
    told = {"x-ratelimit-reset-requests": "9s", "x-ratelimit-reset-tokens": "1s"}

    assert until_reset(told, now=NOW) == 1
    assert until_reset(told | {"x-ratelimit-remaining-requests": "0"}, now=NOW) == 9


@given(
    names=st.lists(st.sampled_from([*(name for headers, _ in USED_UP.values() for name in headers), "ratelimit-reset"])), value=st.text()
)
def test_any_header_is_read_without_an_exception_and_within_an_hour(names: list[str], value: str) -> None:
    found = used_up(dict.fromkeys(names, value) | {"x-ratelimit-remaining": "0", "x-ratelimit-reset": value}, now=NOW)

    assert found is None or timedelta() < found <= timedelta(hours=1)
    wait_s(value, now=None)
