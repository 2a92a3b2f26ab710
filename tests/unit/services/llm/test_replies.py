"""What real servers answer, as files that fuzzing begins from too: each is read as a person would read it."""

from __future__ import annotations

import json

import pytest

from smallchain.model.canonical import canonical
from smallchain.model.llm import Failure, FailureKind, Reply
from smallchain.services.llm.classify import classify
from smallchain.services.llm.translate import translate
from support.daemon import DATA

REPLIES = DATA / "replies"
ADD = ("add", {"a": 3, "b": 4})


@pytest.mark.parametrize(
    ("file", "content", "calls", "notes"),
    [
        ("openai-parallel-calls.json", "I add both.", [ADD, ("add", {"a": 5, "b": 3})], 0),
        ("openai-refusal.json", "I'm sorry, I can't help with that.", [], 1),
        ("azure-filtered.json", "half of a", [], 1),
        ("vllm-reasoning.json", "", [("add", {"a": 7, "b": 8})], 0),
        ("ollama-object-arguments.json", "", [ADD], 1),
        ("llamacpp.json", "15", [], 0),
        ("openrouter-reasoning-details.json", "", [ADD], 0),
        ("groq-reasoning.json", "15", [], 0),
        ("together-cut-arguments.json", "", [("write", {"unreadable": '{"text": "Once upon a ti'})], 1),
        ("gemini-empty-ids.json", "", [ADD, ("add", {"a": 5, "b": 3})], 2),
        ("gemini-signature.json", "", [ADD], 0),
        ("gemini-nothing.json", "", [], 0),
        ("anthropic-compatible.json", "I'll add them.", [ADD], 0),
        ("deepseek-thinking.json", "", [ADD], 0),
        ("mistral-parts.json", "15", [], 1),
        ("legacy-function-call.json", "", [ADD], 2),
        ("double-encoded-arguments.json", "", [ADD], 0),
        ("several-choices.json", "15", [], 1),
        ("proxy-stream.txt", "", [ADD], 1),
    ],
)
def test_a_reply_of_each_server_is_legal_in_the_history(file: str, content: str, calls: list[tuple[str, object]], notes: int) -> None:
    found = translate((REPLIES / file).read_bytes())

    assert isinstance(found, Reply)
    functions = [call["function"] for call in found.message.get("tool_calls", ())]
    assert (found.content, [(each["name"], json.loads(each["arguments"])) for each in functions]) == (content, calls)
    assert len(found.notes) == notes, found.notes
    assert found.usage is not None
    canonical(found.message)


@pytest.mark.parametrize("file", ["openrouter-error-in-200.json", "proxy-stream-cut.txt", "captive-portal.html"])
def test_what_is_no_reply_is_asked_for_again(file: str) -> None:
    found = translate((REPLIES / file).read_bytes())

    assert isinstance(found, Failure)
    assert found.kind is FailureKind.TRANSIENT
    assert found.raw == (REPLIES / file).read_text()


@pytest.mark.parametrize(
    ("file", "status", "kind"),
    [("gemini-429.json", 429, FailureKind.TRANSIENT), ("anthropic-overflow.json", 400, FailureKind.OVERFLOW)],
)
def test_a_refusal_of_each_server_is_sorted(file: str, status: int, kind: FailureKind) -> None:
    assert classify(status, (REPLIES / file).read_bytes(), {}).kind is kind
