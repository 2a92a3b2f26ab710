"""Prices come from the bundled data, or not at all."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from decimal import ROUND_CEILING

import pytest

from smallchain.model.money import NANO, Price, Rates, Usage
from smallchain.services.llm.pricing import data_version, price_of


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
