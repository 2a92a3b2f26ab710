"""Prices come from the bundled data, or not at all."""

from __future__ import annotations

import subprocess
import sys

import pytest

from smallchain.model.money import NANO, Price
from smallchain.services.llm.pricing import data_version, price_of


def test_a_plain_price_is_given_per_million_tokens() -> None:
    assert price_of("openai", "gpt-4o") == Price(5 * NANO // 2, 10 * NANO, 5 * NANO // 4)


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


def test_a_price_that_depends_on_the_length_is_no_plain_price() -> None:
    assert price_of("openai", "gemini-2.5-pro", base_url="https://generativelanguage.googleapis.com/v1beta/openai") is None


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
