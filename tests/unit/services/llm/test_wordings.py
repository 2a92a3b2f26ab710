"""What providers say, as they say it: each wording that was seen, with the server that says it and where, and what it means for a run."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallchain.model.llm import FailureKind
from smallchain.services.llm import wordings
from smallchain.services.llm.classify import classify

NOW = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)


def error(message: str, **rest: Any) -> bytes:
    return json.dumps({"error": {"message": message, **rest}}).encode()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        # OpenAI: https://github.com/AsyncFuncAI/deepwiki-open/issues/144
        (
            400,
            error(
                "This model's maximum context length is 128000 tokens. However, your messages resulted in 173172 tokens. Please reduce the length of the messages.",
                code="context_length_exceeded",
            ),
        ),
        # OpenAI, newer models
        (400, error("Your input exceeds the context window of this model. Please adjust your input and try again.")),
        # OpenAI, one text or one list that is too long
        (
            400,
            error(
                "Invalid 'messages[1].content': string too long. Expected a string with maximum length 1048576",
                code="string_above_max_length",
            ),
        ),
        (400, error("Invalid 'messages': array too long. Expected an array with maximum length 2048", code="array_above_max_length")),
        # OpenAI, a request above the limit per minute by itself: waiting never helps
        (
            429,
            error(
                "Request too large for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Requested 50000. The input or output tokens must be reduced in order to run successfully.",
                code="rate_limit_exceeded",
            ),
        ),
        # vLLM: https://github.com/vllm-project/vllm/issues/20409
        (
            400,
            b'{"object":"error","message":"This model\'s maximum context length is 16384 tokens. However, you requested 122946 tokens (112946 in the messages, 10000 in the completion). Please reduce the length of the messages or completion.","type":"BadRequestError","code":400}',
        ),
        (400, error("The decoder prompt (length 88049) is longer than the maximum model length of 32768.")),
        # SGLang and Together
        (400, error("The input (516368 tokens) is longer than the model's context length (262144 tokens).")),
        # Text Generation Inference and Together
        (
            422,
            b'{"error":"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4000 `inputs` tokens and 512 `max_new_tokens`","error_type":"validation"}',
        ),
        (422, b'{"error":"Input validation error: `inputs` must have less than 4096 tokens. Given: 5000","error_type":"validation"}'),
        # llama.cpp: https://github.com/ggml-org/llama.cpp/pull/15780 (with 500), https://github.com/oobabooga/textgen/issues/7257
        (
            500,
            error(
                "the request exceeds the available context size. try increasing the context size or enable context shift",
                code=500,
                type="exceed_context_size_error",
                n_ctx=256,
            ),
        ),
        (400, error("request (14429 tokens) exceeds the available context size (8192 tokens), try increasing it")),
        (500, error("Context size has been exceeded.")),
        # llama-cpp-python: https://github.com/abetlen/llama-cpp-python/issues/416
        (500, error("Requested tokens (2285) exceed context window of 2048")),
        # LM Studio
        (400, b'{"error":"The number of tokens to keep from the initial prompt is greater than the context length"}'),
        # Ollama
        (400, error("prompt too long; exceeded max context length by 4 tokens")),
        (500, b'{"error":"the input length exceeds the context length"}'),
        # Groq: https://github.com/OpenHands/OpenHands/issues/1902
        (400, error("Please reduce the length of the messages or completion.", param="messages", code="context_length_exceeded")),
        (
            413,
            error(
                "Request too large for model `llama-3.3-70b-versatile` on tokens per minute (TPM): Limit 12000, Requested 12910, please reduce your message size and try again. Need more tokens? Upgrade to Dev Tier today at https://console.groq.com/settings/billing",
                code="rate_limit_exceeded",
            ),
        ),
        # Cerebras: https://github.com/cline/cline/issues/5140; and with no word at all
        (400, error("Please reduce the length of the messages or completion. Current length is 42328 while limit is 40000")),
        (413, b""),
        # Anthropic: https://github.com/docker/docker-agent/issues/569, https://github.com/anthropics/claude-code/issues/12186
        (
            400,
            b'{"type":"error","error":{"type":"invalid_request_error","message":"input length and `max_tokens` exceed context limit: 178959 + 64000 > 200000, decrease input length or `max_tokens` and try again"}}',
        ),
        (400, error("prompt is too long: 208310 tokens > 200000 maximum", type="invalid_request_error")),
        (413, error("Request exceeds the maximum allowed number of bytes.", type="request_too_large")),
        # Gemini
        (
            400,
            b'[{"error":{"code":400,"message":"The input token count (1196265) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}]',
        ),
        # Bedrock
        (400, error("Input is too long for requested model.")),
        # xAI: https://github.com/chenyme/grok2api/issues/693
        (400, error("This model's maximum prompt length is 500000 but the request contains 907154 tokens.")),
        # OpenRouter, in its own words and in those of the provider behind it
        (400, error("This endpoint's maximum context length is 32768 tokens. However, you requested about 40000 tokens.", code=400)),
        (
            400,
            error(
                "Provider returned error",
                code=400,
                metadata={
                    "raw": '{"error":{"message":"prompt is too long: 208310 tokens > 200000 maximum"}}',
                    "provider_name": "Anthropic",
                },
            ),
        ),
        # Mistral
        (400, error("Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length")),
        # LiteLLM
        (400, error("litellm.ContextWindowExceededError: the model's context window is exceeded")),
        # Copilot, Kimi, MiniMax, DashScope, Z.ai, Cohere
        (400, error("prompt token count of 100000 exceeds the limit of 65536", code="model_max_prompt_tokens_exceeded")),
        (400, error("Invalid request: Your request exceeded model token limit: 262144 (requested: 306631)")),
        (400, error("invalid params, context window exceeds limit (2013)")),
        (400, error("Range of input length should be [1, 129024]")),
        (400, error("Prompt exceeds max length", code="1261")),
        (400, error("too many tokens: total number of tokens in the prompt cannot exceed 4081")),
    ],
)
def test_every_wording_of_an_overflow_is_one(status: int, body: bytes) -> None:
    assert classify(status, body, {}, now=NOW).kind is FailureKind.OVERFLOW


@pytest.mark.parametrize(
    ("status", "body"),
    [
        # OpenAI: https://github.com/simonw/llm/issues/494
        (
            429,
            error(
                "You exceeded your current quota, please check your plan and billing details. For more information on this error, read the docs",
                type="insufficient_quota",
                code="insufficient_quota",
            ),
        ),
        (400, error("Billing hard limit has been reached", code="billing_hard_limit_reached")),
        (429, error("Your account is not active, please check your billing details on our website.", code="billing_not_active")),
        # Anthropic answers 400
        (
            400,
            error(
                "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits.",
                type="invalid_request_error",
            ),
        ),
        (400, error("You have reached your specified API usage limits. You will regain access on 2026-09-01 at 00:00 UTC.")),
        # OpenRouter, DeepSeek (https://github.com/continuedev/continue/issues/9375), Together
        (402, error("Insufficient credits. Add more using https://openrouter.ai/settings/credits", code=402)),
        (402, error("This request requires more credits, or fewer max_tokens.", code=402)),
        (402, error("Insufficient Balance")),
        (402, error("Credit limit exceeded, please [add credits](https://api.together.ai/settings/billing).", type="credit_limit")),
        # Moonshot: a 429 without a time
        (
            429,
            error(
                "You exceeded your current token quota: <org-1> 0, please check your account balance", type="exceeded_current_quota_error"
            ),
        ),
        # Z.ai, DashScope, xAI, Hugging Face
        (429, error("Insufficient balance or no resource package. Please recharge.", code="1113")),
        (400, error("Access denied, please make sure your account is in good standing.", code="Arrearage")),
        (429, error("Your team has either used all available credits or reached its monthly spending limit.")),
        (402, b'{"error":"You have exceeded your monthly included credits for Inference Providers."}'),
        # keys behind other statuses than 401
        (400, error("API key not valid. Please pass a valid API key.", status="INVALID_ARGUMENT")),
        (400, error("Incorrect API key provided: sk-x. You can find your API key at ...", code="invalid_api_key")),
    ],
)
def test_every_wording_of_an_empty_account_makes_the_model_unusable(status: int, body: bytes) -> None:
    assert classify(status, body, {}, now=NOW).kind is FailureKind.UNUSABLE


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        # OpenAI and Groq link to a billing page from an ordinary rate limit
        (
            error(
                "Rate limit reached for gpt-4o-mini in organization org-x on requests per min. Limit: 3 / min. Please try again in 20s. Visit https://platform.openai.com/account/billing to add a payment method."
            ),
            20,
        ),
        (
            error(
                "Rate limit reached for gpt-4o on tokens per min (TPM): Limit 200000, Used 199000, Requested 2000. Please try again in 300ms."
            ),
            0.3,
        ),
        (
            error(
                "Rate limit reached for model `openai/gpt-oss-20b` on tokens per day (TPD): Limit 200000, Used 199984, Requested 825. Please try again in 5m49.488s. Need more tokens? Upgrade to Dev Tier today at https://console.groq.com/settings/billing"
            ),
            349.488,
        ),
        # Azure links to a page named quotaincrease
        (
            error(
                "Requests to the ChatCompletions_Create Operation under Azure OpenAI API have exceeded token rate limit of your current OpenAI S0 pricing tier. Please retry after 6 seconds. Please go here: https://aka.ms/oai/quotaincrease",
                code="429",
            ),
            6,
        ),
        # GitHub Models
        (
            error(
                "Rate limit of 15 per 60s exceeded for UserByModelByMinute. Please wait 25 seconds before retrying.",
                code="RateLimitReached",
            ),
            25,
        ),
        # Gemini words its limits per minute like an empty account, and says when
        (
            json.dumps(
                [
                    {
                        "error": {
                            "code": 429,
                            "message": "You exceeded your current quota, please check your plan and billing details. Please retry in 34.074824224s.",
                            "status": "RESOURCE_EXHAUSTED",
                            "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34s"}],
                        }
                    }
                ]
            ).encode(),
            34.074824,
        ),
        (
            error("You exceeded your current quota", details=[{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "58s"}]),
            58,
        ),
        (error("Your account org-1 request reached max concurrency: 1, please try again after 1 seconds"), 1),
        (error("try again in 1h2m3s"), 3600),
        # no time
        (error("Resource has been exhausted (e.g. check quota).", status="RESOURCE_EXHAUSTED"), None),
        (error("The engine is currently overloaded, please try again later", type="engine_overloaded_error"), None),
        (error("This request would exceed your organization's rate limit of 40,000 input tokens per minute."), None),
        (b"", None),
    ],
)
def test_a_rate_limit_waits_as_long_as_it_says(body: bytes, seconds: float | None) -> None:
    found = classify(429, body, {}, now=NOW)

    assert found.kind is FailureKind.TRANSIENT
    assert found.retry_after == (None if seconds is None else timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("after", "seconds"),
    [
        ("Fri, 02 Jan 2026 12:00:30 GMT", 30),  # RFC 9110, section 10.2.3: IMF-fixdate
        ("Friday, 02-Jan-26 12:00:30 GMT", 30),  # RFC 850
        ("Fri Jan  2 12:00:30 2026", 30),  # asctime
        ("2026-01-02T12:00:30Z", 30),  # gateways
        ("10s", 10),
        ("1m30s", 90),
        ("1767355230", 30),  # a moment in seconds since 1970
    ],
)
def test_retry_after_is_read_in_every_form(after: str, seconds: float) -> None:
    assert classify(429, b"", {"retry-after": after}, now=NOW).retry_after == timedelta(seconds=seconds)


def test_a_header_comes_before_the_words() -> None:
    assert classify(429, error("try again in 20s"), {"retry-after": "3"}, now=NOW).retry_after == timedelta(seconds=3)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        # the request's own maximum, which no shorter conversation heals
        (400, error("max_tokens is too large: 32000. This model supports at most 16384 completion tokens, whereas you provided 32000.")),
        (400, error("max_tokens: 32000 > 8192, which is the maximum allowed number of output tokens for claude-x")),
        (404, error("The model `gpt-9` does not exist or you do not have access to it.", code="model_not_found")),
        (404, error("model 'llama9' not found, try pulling it first")),
        # Azure and OpenRouter refuse words, not keys: another try of the same words, or another key, changes nothing
        (
            400,
            error(
                "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.", code="content_filter"
            ),
        ),
        (
            403,
            error("x requires moderation on Anthropic. Your input was flagged for violence.", code=403, metadata={"reasons": ["violence"]}),
        ),
    ],
)
def test_what_no_waiting_and_no_money_heals_is_refused(status: int, body: bytes) -> None:
    assert classify(status, body, {}, now=NOW).kind is FailureKind.REFUSED


def test_what_the_provider_behind_a_gateway_said_is_told() -> None:
    body = error("Provider returned error", code=502, metadata={"raw": "upstream connect error", "provider_name": "Venice"})

    assert classify(502, body, {}).message == "Provider returned error (Venice): upstream connect error"


def test_a_failed_answer_is_kept_and_says_where_it_was_cut() -> None:
    whole, long = error("x" * 30_000), error("x" * 100_000)

    assert classify(500, whole, {}).raw == whole.decode()
    assert classify(500, long, {}).raw.endswith(f"[cut here: {len(long)} characters came, {wordings.LONGEST_RAW} are kept]")


@given(text=st.text(st.sampled_from("try again in 0123456789.smhd ,retry after wait")))
def test_any_words_say_when_or_not(text: str) -> None:
    found = wordings.wait_in(text)

    assert found is None or found >= 0
