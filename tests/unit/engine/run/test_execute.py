"""What a model call sends besides what its YAML says."""

from __future__ import annotations

import pytest

from smallchain.engine.run.execute import bounding
from smallchain.model.llmspec import LLMSpec


@pytest.mark.parametrize(
    ("base_url", "name"),
    [
        (None, "max_completion_tokens"),
        ("https://api.openai.com/v1", "max_completion_tokens"),
        ("https://mine.openai.azure.com/openai/v1", "max_completion_tokens"),
        ("https://api.x.ai/v1", "max_completion_tokens"),
        ("http://127.0.0.1:11434/v1", "max_tokens"),
        ("http://localhost/api.openai.com/v1", "max_tokens"),
        ("https://notapi.x.ai.example.com/v1", "max_tokens"),
        ("https://fakeapi.openai.com/v1", "max_tokens"),
    ],
)
def test_a_reply_is_bounded_by_the_name_that_its_server_knows(base_url: str | None, name: str) -> None:
    assert bounding(LLMSpec(name="x", provider="openai", model="x", **({"base_url": base_url} if base_url else {}))) == name
