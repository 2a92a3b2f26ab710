"""Replies from a script: in order or by what is asked, the same each time, failing as HTTP would."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from smallchain.model.llm import Endpoint, Failure, FailureKind, ModelRequest, Reply
from smallchain.services.llm.scripted import ScriptedProvider

MESSAGES = [{"role": "system", "content": "you add"}, {"role": "user", "content": "add 3 and 4"}]


def ask(
    script: list[dict[str, Any]], *, turn: int = 0, agent: str = "assistant", messages: Any = MESSAGES, timeout: float = 60
) -> Reply | Failure:
    endpoint = Endpoint("scripted", "offline", None, None, timedelta(seconds=timeout), tuple(script))
    body = json.dumps({"model": "offline", "messages": messages}).encode()
    return asyncio.run(ScriptedProvider().complete(endpoint, ModelRequest(body, "run", agent, turn, 1)))


def reply(*args: Any, **rest: Any) -> Reply:
    found = ask(*args, **rest)
    assert isinstance(found, Reply)
    return found


def failure(*args: Any, **rest: Any) -> Failure:
    found = ask(*args, **rest)
    assert isinstance(found, Failure)
    return found


def test_replies_are_taken_in_order() -> None:
    script = [{"content": "one"}, {"content": "two"}]

    assert [reply(script, turn=turn).content for turn in (0, 1, 0)] == ["one", "two", "one"]


@pytest.mark.parametrize(("count", "words"), [(0, "0 replies"), (1, "1 reply"), (2, "2 replies")])
def test_a_call_past_the_end_is_refused_and_counted(count: int, words: str) -> None:
    found = failure([{"content": "x"}] * count, turn=count)

    assert found.kind is FailureKind.REFUSED
    assert found.message == f"the script has {words} and this is call {count + 1}"


def test_tool_calls_get_ids_by_turn_and_place_unless_they_have_one() -> None:
    calls = [{"name": "add", "arguments": {"a": 3}}, {"name": "add", "arguments": "{oops"}, {"name": "now", "id": "mine"}]
    found = reply([{}, {"content": "both", "tool_calls": calls}], turn=1)

    assert [(each.id, each.name, each.arguments) for each in found.calls] == [
        ("call_2_1", "add", '{"a": 3}'),
        ("call_2_2", "add", "{oops"),
        ("mine", "now", "{}"),
    ]
    assert (found.content, found.finish_reason, found.notes) == ("both", "tool_calls", ())


def test_tokens_are_words() -> None:
    found = reply([{"content": "it is 7"}])

    assert found.usage is not None
    assert (found.usage.input_tokens, found.usage.output_tokens) == (6, 3)


def test_the_first_rule_that_matches_answers() -> None:
    script = [
        {"when": {"agent": "writer"}, "reply": {"content": "a"}},
        {"when": {"last": r"(?i)ADD \d and 4$", "turn": 2}, "reply": {"content": "b"}},
        {"when": {"any": "you add"}, "reply": {"content": "c"}},
        {"when": {}, "reply": {"content": "d"}},
    ]

    assert reply(script, agent="writer").content == "a"
    assert reply(script, turn=1).content == "b"
    assert reply(script).content == "c"
    assert reply(script, messages=[{"role": "user", "content": [{"type": "text", "text": "x"}]}]).content == "d"


def test_a_script_without_a_matching_rule_is_refused_with_the_last_message() -> None:
    found = failure([{"when": {"last": "tea"}, "reply": {"content": "x"}}])

    assert found.kind is FailureKind.REFUSED
    assert "'assistant', turn 1" in found.message
    assert found.message.endswith("the last message is: add 3 and 4")


@pytest.mark.parametrize(
    ("error", "kind", "after"),
    [
        ("boom", FailureKind.TRANSIENT, None),
        ({"status": 429, "message": "boom", "retry_after": 7}, FailureKind.TRANSIENT, 7),
        ({"status": 429, "message": "boom", "retry_after": "2m"}, FailureKind.TRANSIENT, 120),
        ({"status": 401, "message": "boom"}, FailureKind.UNUSABLE, None),
        ({"status": 400, "message": "boom: maximum context length"}, FailureKind.OVERFLOW, None),
        ({"status": 422, "message": "boom"}, FailureKind.REFUSED, None),
    ],
)
def test_an_error_is_classified_as_http_would_be(error: Any, kind: FailureKind, after: float | None) -> None:
    found = failure([{"error": error}])

    assert found.kind is kind
    assert found.message.startswith("boom")
    assert found.retry_after == (None if after is None else timedelta(seconds=after))


@pytest.mark.parametrize(
    "entry", [{"delay": "soon"}, {"error": {"status": 200}}, {"error": {"retry_after": "x"}}, {"when": {"any": "("}, "reply": {}}]
)
def test_a_script_that_cannot_be_followed_is_refused(entry: dict[str, Any]) -> None:
    found = failure([entry])

    assert found.kind is FailureKind.REFUSED
    assert "cannot be followed" in found.message


def test_a_delay_holds_the_reply_back() -> None:
    async def race() -> bool:
        endpoint = Endpoint("scripted", "x", None, None, timedelta(minutes=1), ({"content": "x", "delay": "20ms"},))
        asked = asyncio.create_task(ScriptedProvider().complete(endpoint, ModelRequest(b"{}", "run", "a", 0, 1)))
        await asyncio.sleep(0)
        waited = not asked.done()
        return waited and isinstance(await asked, Reply)

    assert asyncio.run(race())


def test_a_delay_beyond_the_time_out_is_a_transient_failure() -> None:
    found = failure([{"content": "x", "delay": "1h"}], timeout=0.01)

    assert found.kind is FailureKind.TRANSIENT
    assert found.message == "no reply from the script within 10ms"


@pytest.mark.parametrize("body", [b"no json", b"[]", b'{"prompt": "x"}', b'{"messages": 3}'])
def test_a_request_of_another_form_is_answered_too(body: bytes) -> None:
    endpoint = Endpoint("scripted", "x", None, None, timedelta(seconds=1), ({"content": "x"},))

    assert isinstance(asyncio.run(ScriptedProvider().complete(endpoint, ModelRequest(body, "run", "a", 0, 1))), Reply)
