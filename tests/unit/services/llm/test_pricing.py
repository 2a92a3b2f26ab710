"""Prices come from the bundled data, or not at all."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from decimal import ROUND_CEILING

import pytest

from smallchain.model.llm import Reply
from smallchain.model.money import NANO, Price, Rates, Usage, parse_dollars
from smallchain.services.llm.pricing import data_version, price_of
from smallchain.services.llm.translate import translate


def test_a_plain_price_is_given_per_million_tokens() -> None:
    assert price_of("openai", "gpt-4o") == Price(Rates(5 * NANO // 2, 10 * NANO, 5 * NANO // 4))


def test_the_same_model_at_its_own_address_has_the_same_price() -> None:
    assert price_of("openai", "gpt-4o", base_url="https://api.openai.com/v1") == price_of("openai", "gpt-4o")


@pytest.mark.parametrize(
    "base_url",
    ["http://127.0.0.1:8000/v1", "http://localhost:8000/v1", "http://[::1]/v1", "http://10.0.0.8/v1", "http://gpu/v1", "http://gpu.local/v1",
     "http://[::1", "https://llm.example.com/v1"],
)  # fmt: skip
def test_a_model_of_ones_own_has_no_price_whatever_its_name(base_url: str) -> None:
    assert price_of("openai", "gpt-4o", base_url=base_url) is None


def test_an_unknown_model_has_no_price() -> None:
    assert price_of("openai", "no-such-model") is None


GEMINI = "https://generativelanguage.googleapis.com/v1beta/openai"


def test_a_longer_prompt_has_rates_of_its_own_for_the_whole_call() -> None:
    price = price_of("openai", "gemini-2.5-pro", base_url=GEMINI)  # ai.google.dev/gemini-api/docs/pricing, read 2026-11-25

    assert price is not None
    assert price.cost(Usage(200_000, 1_000)) == (200_000 * 125 * NANO // 100 + 1_000 * 10 * NANO) // 10**6
    assert price.cost(Usage(200_001, 1_000)) == (200_001 * 250 * NANO // 100 + 1_000 * 15 * NANO) // 10**6


@pytest.mark.parametrize(
    ("model", "base_url"),
    [("gpt-4o", None), ("gpt-5.4", None), ("gpt-5.6-sol", None), ("gemini-2.5-pro", GEMINI), ("claude-sonnet-4-5", "https://api.anthropic.com/v1"),
     ("grok-4.5", "https://api.x.ai/v1"), ("mistral-large-latest", "https://api.mistral.ai/v1"), ("deepseek-chat", "https://api.deepseek.com/v1")],
)  # fmt: skip
def test_a_price_is_that_of_the_list_for_prompts_of_every_length(model: str, base_url: str | None) -> None:
    from genai_prices import Usage as Listed
    from genai_prices import calc_price

    price = price_of("openai", model, base_url=base_url)

    assert price is not None
    for prompt, cached in ((1, 0), (100_000, 50_000), (200_000, 0), (200_001, 1_000), (272_001, 0), (900_000, 100_000)):
        listed = calc_price(
            Listed(input_tokens=prompt, output_tokens=1_000, cache_read_tokens=cached), model, provider_api_url=base_url or "https://api.openai.com/v1",
            genai_request_timestamp=datetime.now(UTC).replace(hour=2),
        )  # fmt: skip
        assert price.cost(Usage(prompt, 1_000, cached)) == (listed.total_price * NANO).to_integral_value(ROUND_CEILING)


def test_a_price_that_depends_on_the_hour_is_the_dearest_of_the_day() -> None:
    price = price_of(
        "openai", "deepseek-chat", base_url="https://api.deepseek.com/v1"
    )  # api-docs.deepseek.com, the hours of the full price

    assert price == Price(Rates(27 * NANO // 100, 11 * NANO // 10, 7 * NANO // 100))


def test_a_fee_for_each_request_is_no_price_per_token() -> None:
    assert price_of("openai", "sonar-pro", base_url="https://api.perplexity.ai") is None


def test_a_script_costs_nothing_that_is_listed() -> None:
    assert price_of("scripted", "gpt-4o") is None


def test_the_data_has_a_version() -> None:
    assert data_version().startswith("genai-prices ")


def test_importing_the_services_imports_no_package_that_is_slow_to_import() -> None:
    modules = ("openai", "scripted", "pricing", "translate", "classify")
    line = "; ".join(f"import smallchain.services.llm.{name}" for name in modules)
    slow = "{'openai', 'httpx2', 'genai_prices', 'pydantic'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", f"import sys; {line}; print({slow})"], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"


# ---- prices as the providers' own pages give them, written by hand: dollars per million tokens, and the day since when they are charged

OPENAI_PAGE = "https://platform.openai.com/docs/pricing"
ANTHROPIC, ANTHROPIC_PAGE = "https://api.anthropic.com/v1", "https://platform.claude.com/docs/en/about-claude/pricing"
GROQ, GROQ_PAGE = "https://api.groq.com/openai/v1", "https://groq.com/pricing"
GEMINI_PAGE = "https://ai.google.dev/gemini-api/docs/pricing"
BY_HAND = [
    (None, "gpt-4o", "2.50", "1.25", "10.00", OPENAI_PAGE, "2024-10-01"),
    (None, "gpt-4o-mini", "0.15", "0.075", "0.60", OPENAI_PAGE, "2024-10-01"),
    (None, "gpt-4.1", "2.00", "0.50", "8.00", OPENAI_PAGE, "2025-04-14"),
    (None, "gpt-4.1-mini", "0.40", "0.10", "1.60", OPENAI_PAGE, "2025-04-14"),
    (None, "o4-mini", "1.10", "0.275", "4.40", OPENAI_PAGE, "2025-04-16"),
    (None, "o3", "2.00", "0.50", "8.00", OPENAI_PAGE, "2025-06-10"),
    (None, "gpt-5", "1.25", "0.125", "10.00", OPENAI_PAGE, "2025-08-07"),
    (ANTHROPIC, "claude-sonnet-4-20250514", "3.00", "0.30", "15.00", ANTHROPIC_PAGE, "2025-05-22"),
    (ANTHROPIC, "claude-haiku-4-5", "1.00", "0.10", "5.00", ANTHROPIC_PAGE, "2025-10-15"),
    (ANTHROPIC, "claude-opus-4-5", "5.00", "0.50", "25.00", ANTHROPIC_PAGE, "2025-11-24"),
    (GROQ, "llama-3.3-70b-versatile", "0.59", None, "0.79", GROQ_PAGE, "2024-12-06"),
    (GEMINI, "gemini-2.5-flash-lite", "0.10", "0.01", "0.40", GEMINI_PAGE, "2025-07-22"),
]
"""Where it is called, the model, its prompt, what of the prompt was cached (None: as the prompt), its reply, the page, the day."""


@pytest.mark.parametrize(("base_url", "model", "read", "cached", "written", "page", "since"), BY_HAND, ids=[row[1] for row in BY_HAND])
def test_a_well_known_price_is_that_of_the_providers_page(
    base_url: str | None, model: str, read: str, cached: str | None, written: str, page: str, since: str
) -> None:
    found = price_of("openai", model, base_url=base_url)

    assert found is not None, (page, since)
    rates = Rates(parse_dollars(read), parse_dollars(written), parse_dollars(cached) if cached else None)
    assert (found.rates.input, found.rates.output, found.rates.cached_input) == (rates.input, rates.output, rates.cached_input), (
        page,
        since,
    )


@pytest.mark.parametrize(
    ("model", "prompt", "cached", "reply", "nanousd"),
    [
        # gpt-4o: 1,000 of 2,500 and 200 of 10,000 nano-dollars each
        ("gpt-4o", 1_000, 0, 200, 2_500_000 + 2_000_000),
        # the same with 768 of the prompt at 1,250: 232 x 2,500 + 768 x 1,250 + 200 x 10,000
        ("gpt-4o", 1_000, 768, 200, 580_000 + 960_000 + 2_000_000),
        # o3, reasoning is part of the reply: 50 x 2,000 + 1,200 x 8,000, of which 1,150 thought
        ("o3", 50, 0, 1_200, 100_000 + 9_600_000),
        # gpt-5 with all but 24 of 1,024 cached: 24 x 1,250 + 1,000 x 125 + 1 x 10,000
        ("gpt-5", 1_024, 1_000, 1, 30_000 + 125_000 + 10_000),
        # gpt-4o-mini: one token each, 150 and 600
        ("gpt-4o-mini", 1, 0, 1, 750),
        # o4-mini, 3 of 7 cached: 4 x 1,100 + 3 x 275 + 2 x 4,400
        ("o4-mini", 7, 3, 2, 4_400 + 825 + 8_800),
    ],
)
def test_cached_and_reasoning_tokens_are_booked_to_the_nano_dollar(model: str, prompt: int, cached: int, reply: int, nanousd: int) -> None:
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": reply,
        "total_tokens": prompt + reply,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": max(0, reply - 50)},
    }
    body = {"choices": [{"message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}], "usage": usage}
    said = translate(json.dumps(body))
    price = price_of("openai", model)

    assert isinstance(said, Reply)
    assert said.usage is not None
    assert price is not None
    assert price.cost(said.usage) == nanousd
