"""What an HTTP error means for the run: by status, refined by the provider's words; how long to wait, in every form seen."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallchain.model.llm import FailureKind
from smallchain.services.llm.classify import classify

NOW = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)


def error(message: str, **rest: object) -> bytes:
    return json.dumps({"error": {"message": message, **rest}}).encode()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((status, FailureKind.TRANSIENT) for status in (408, 409, 425, 429, 500, 502, 503, 504, 529)),
        *((status, FailureKind.UNUSABLE) for status in (401, 402, 403, 301, 302, 307, 308)),
        *((status, FailureKind.REFUSED) for status in (400, 404, 405, 415, 422)),
    ],
)
def test_the_status_decides(status: int, kind: FailureKind) -> None:
    assert classify(status, error("no"), {}).kind is kind


@pytest.mark.parametrize(
    "body",
    [
        error("You exceeded your current quota, please check your plan", code="insufficient_quota"),
        error("no", type="insufficient_quota"),
        error("Billing hard limit has been reached"),
    ],
)
def test_an_exhausted_quota_is_unusable_and_no_rate_limit(body: bytes) -> None:
    assert classify(429, body, {}).kind is FailureKind.UNUSABLE


@pytest.mark.parametrize("words", ["Your credit balance is too low", "API key not valid. Please pass a valid API key."])
def test_money_and_keys_behind_a_400_are_unusable_too(words: str) -> None:
    assert classify(400, error(words), {}).kind is FailureKind.UNUSABLE


def test_a_rate_limit_stays_transient() -> None:
    words = "Rate limit reached for gpt-4o on tokens per min (TPM): Limit 30000, Used 29000. Please try again in 2s."

    assert classify(429, error(words, code="rate_limit_exceeded"), {}).kind is FailureKind.TRANSIENT


@pytest.mark.parametrize(
    "body",
    [
        error("This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."),
        error("no", code="context_length_exceeded"),
        error("prompt is too long: 210000 tokens > 200000 maximum"),
        error("Input is too long for requested model."),
        error("Your input exceeds the context window of this model."),
        error("the request exceeds the available context size, try increasing it", type="exceed_context_size_error"),
        error("The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."),
        b"maximum context length",
    ],
)
@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_context_that_is_too_long_overflows(status: int, body: bytes) -> None:
    assert classify(status, body, {}).kind is FailureKind.OVERFLOW


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (error("The model `x` does not exist"), "The model `x` does not exist"),
        (b'{"error": "model not loaded"}', "model not loaded"),
        (b'{"object": "error", "message": "bad\\n\\trequest"}', "bad request"),
        (b'{"detail": [{"loc": ["body"], "msg": "field required"}]}', "field required"),
        (b'[{"error": {"message": "in a list"}}]', "in a list"),
        (b"<html><style>p {}</style><h1>502 Bad Gateway</h1><p>nginx</p></html>", "502 Bad Gateway nginx"),
        (b"plain words", "plain words"),
        (b"", "HTTP 400 Bad Request"),
        (b"\xff\xfe\x00", "\ufffd"),
        (b'{"error": {"message": "a\\ud800\\u0000"}}', "a\ufffd\ufffd"),
    ],
)
def test_the_message_is_the_providers_own_words(body: bytes, words: str) -> None:
    found = classify(400, body, {})

    assert words in found.message
    assert found.status == 400
    found.message.encode()
    assert "\0" not in found.raw


def test_words_and_raw_are_bounded() -> None:
    found = classify(500, error("x" * 100_000), {})

    assert len(found.message) == 500
    assert len(found.raw) < 33_000


def test_a_redirect_says_where_to() -> None:
    found = classify(308, b"", {"Location": "https://api.example.com/v1/chat/completions?key=x"})

    assert "https://api.example.com/v1/chat/completions;" in found.message
    assert "base_url" in found.message


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "-3"}, 0),
        ({"retry-after": "999999999"}, 3600),
        ({"retry-after": "Fri, 02 Jan 2026 12:00:30 GMT"}, 30),
        ({"retry-after": "Fri, 02 Jan 2026 11:00:00 GMT"}, 0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"x-ratelimit-reset-requests": "1s"}, 1),
        ({"x-ratelimit-reset-tokens": "6m0s"}, 360),
        ({"x-ratelimit-reset-tokens": "20ms"}, 0.02),
        ({"x-ratelimit-reset-tokens": "1h2m3.5s"}, 3600),
        ({"x-ratelimit-reset-tokens": "2m3.5s"}, 123.5),
        ({"x-ratelimit-reset-tokens": "12"}, 12),
        ({"x-ratelimit-reset-requests": "9s", "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-tokens": "1s"}, 9),
        ({"x-ratelimit-reset-requests": "9s", "x-ratelimit-reset-tokens": "1s"}, 1),
    ],
)
def test_the_time_to_wait_is_read_in_every_form(headers: dict[str, str], seconds: float) -> None:
    assert classify(429, error("slow down"), headers, now=NOW).retry_after == timedelta(seconds=seconds)


@pytest.mark.parametrize("status", [429, 503, 529])
@pytest.mark.parametrize(
    "headers",
    [
        {"retry-after": "30s"},
        {"retry-after": "2026-01-02T12:00:30Z"},
        {"anthropic-ratelimit-tokens-remaining": "0", "anthropic-ratelimit-tokens-reset": "2026-01-02T12:00:30Z"},
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str((int(NOW.timestamp()) + 30) * 1000)},
    ],
)
def test_who_is_too_busy_says_until_when_in_many_ways(status: int, headers: dict[str, str]) -> None:
    assert classify(status, error("slow down"), headers, now=NOW).retry_after == timedelta(seconds=30)


@pytest.mark.parametrize(
    "headers",
    [{}, {"retry-after": "soon"}, {"retry-after": "nan"}, {"retry-after": ""}, {"x-ratelimit-reset-tokens": "never"}],
)
def test_a_time_that_cannot_be_read_is_none(headers: dict[str, str]) -> None:
    assert classify(429, error("slow down"), headers, now=NOW).retry_after is None


def test_a_refusal_is_not_waited_for() -> None:
    assert classify(400, error("no"), {"retry-after": "7"}).retry_after is None


@given(status=st.integers(300, 599), body=st.binary(max_size=100), value=st.text(max_size=20))
def test_any_answer_is_classified_without_an_exception(status: int, body: bytes, value: str) -> None:
    found = classify(status, body, {"retry-after": value, "x-ratelimit-reset-requests": value, "location": value}, now=NOW)

    assert found.message
    assert found.retry_after is None or timedelta() <= found.retry_after <= timedelta(hours=1)


@given(
    value=st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["error", "message", "code", "detail", "type"]), inner),
        max_leaves=8,
    )
)
def test_any_json_error_is_classified_without_an_exception(value: object) -> None:
    assert classify(500, json.dumps(value).encode(), {}).message


@pytest.mark.parametrize(
    ("status", "may_have_cost"), [(408, True), (499, True), (504, True), (524, True), (400, False), (429, False), (500, False)]
)
def test_who_waited_in_vain_for_a_model_does_not_know_what_it_cost(status: int, may_have_cost: bool) -> None:
    assert classify(status, b"{}", {}).may_have_cost is may_have_cost
