"""Tools as JSON in plain messages and back: nothing is lost on the way, and what is not the wanted object is not interpreted."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallchain.model import jsonmode
from smallchain.model.errors import BadInput
from smallchain.model.llm import AskedCall, Reply
from smallchain.model.templates import TEMPLATES

ADD = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "add two numbers",
        "parameters": {"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}, "required": ["a", "b"]},
    },
}
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
calls = st.lists(st.tuples(texts.filter(bool), st.dictionaries(texts, values, max_size=3)), max_size=4)


def assistant(content: str | None, *asked: tuple[str, dict[str, Any]], turn: int = 0) -> dict[str, Any]:
    tool_calls = [
        {"id": f"call_{turn}_{number}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
        for number, (name, arguments) in enumerate(asked)
    ]
    return {"role": "assistant", "content": content} | ({"tool_calls": tool_calls} if tool_calls else {})


def a_reply(content: str, *asked: AskedCall) -> Reply:
    return Reply({"role": "assistant", "content": content}, content, content, asked, "stop", None, "m")


@given(answer=texts, asked=calls)
def test_what_is_written_for_the_model_is_read_back_as_it_was(answer: str, asked: list[tuple[str, dict[str, Any]]]) -> None:
    if not asked and not answer.strip():
        return
    written = jsonmode.write(assistant(answer, *asked))

    read_answer, read_calls = jsonmode.read(written)

    assert read_answer == answer
    assert [(name, json.loads(arguments)) for name, arguments in read_calls] == asked


@given(answer=texts, asked=calls)
def test_a_reply_becomes_the_canonical_message_that_writes_it(answer: str, asked: list[tuple[str, dict[str, Any]]]) -> None:
    if not asked and not answer.strip():
        return
    written = jsonmode.write(assistant(answer, *asked))

    reply = jsonmode.as_canonical(a_reply(written), turn=4)

    assert not reply.unfit
    assert reply.content == answer
    assert json.loads(jsonmode.write(reply.message)) == json.loads(written)
    assert [call.id for call in reply.calls] == [f"call_5_{number}" for number in range(1, len(asked) + 1)]
    assert [call["id"] for call in reply.message.get("tool_calls", ())] == [call.id for call in reply.calls]


@given(turns=st.lists(st.tuples(texts, calls.filter(bool)), max_size=4), results=st.lists(texts, min_size=16, max_size=16))
def test_a_whole_conversation_is_sent_without_tools_and_keeps_every_result(
    turns: list[tuple[str, list[tuple[str, dict[str, Any]]]]], results: list[str]
) -> None:
    left = iter(results)
    messages: list[tuple[dict[str, Any], str]] = [({"role": "system", "content": "be brief"}, ""), ({"role": "user", "content": "go"}, "")]
    told: list[list[dict[str, str]]] = []
    for number, (content, asked) in enumerate(turns):
        message = assistant(content, *asked, turn=number)
        messages.append((message, ""))
        told.append([])
        for call in message["tool_calls"]:
            result = next(left)
            messages.append(({"role": "tool", "tool_call_id": call["id"], "content": result}, ""))
            told[-1].append({"name": call["function"]["name"], "result": result})

    sent = jsonmode.as_sent(messages, [ADD], {"json_results": "{results}"})

    assert [message["role"] for message in sent] == ["system", "user", *(["assistant", "user"] * len(turns))]
    assert all(set(message) == {"role", "content"} for message in sent)
    assert [json.loads(message["content"]) for message in sent[3::2]] == told
    assert sent[0]["content"].startswith("be brief\n\nYou can call functions.")
    assert '"name": "add"' in sent[0]["content"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("I will add them.", "not JSON"),
        ('```json\n{"answer": "a", "calls": []}\n```', "not JSON"),
        ('{"answer": "a", "calls": []} and more', "not JSON"),
        ('{"answer": "a", "answer": "b"}', "stands twice"),
        ('["add"]', "one object"),
        ('{"answer": "a", "calls": [], "thought": "x"}', "one object"),
        ('{"answer": "", "calls": []}', "neither an answer nor a call"),
        ('{"calls": null}', "neither an answer nor a call"),
        ('{"answer": 3}', '"answer" is not a text'),
        ('{"calls": {"name": "add", "arguments": {}}}', '"calls" is not a list'),
        ('{"calls": ["add"]}', "call 1 is not an object"),
        ('{"calls": [{"name": "add"}]}', "call 1 is not an object"),
        ('{"calls": [{"name": "", "arguments": {}}]}', "call 1 is not an object"),
        ('{"calls": [{"name": "add", "arguments": "{}"}]}', 'the "arguments" of call 1 are not an object'),
        ('{"answer": NaN}', "not JSON"),
        ("[" * 5000, "deep"),
    ],
)
def test_a_reply_that_is_not_the_wanted_object_is_not_interpreted(text: str, why: str) -> None:
    with pytest.raises(BadInput) as caught:
        jsonmode.read(text)
    assert why in str(caught.value)

    reply = jsonmode.as_canonical(a_reply(text), turn=0)

    assert why in reply.unfit
    assert (reply.content, reply.calls) == (text, ())


def test_calls_that_the_server_read_itself_stay() -> None:
    native = a_reply("", AskedCall("x", "add", "{}"))

    assert jsonmode.as_canonical(native, turn=0) is native


def test_a_reply_that_was_refused_is_sent_back_as_it_came() -> None:
    told = {"role": "user", "content": "Error: ..."}
    lines = [({"role": "user", "content": "go"}, ""), (assistant("I add."), ""), (told, jsonmode.NOT_USED), (assistant("Seven."), "")]

    sent = jsonmode.as_sent(lines, [ADD], {})

    assert [message["content"] for message in sent[2:]] == ["I add.", "Error: ...", '{"answer": "Seven.", "calls": []}']


def test_arguments_that_were_no_object_stay_the_text_they_were() -> None:
    message = assistant(None, ("add", {}))
    message["tool_calls"][0]["function"]["arguments"] = "a = 3"

    assert json.loads(jsonmode.write(message))["calls"] == [{"name": "add", "arguments": "a = 3"}]


def test_tools_are_told_in_the_one_system_message_or_in_a_new_one() -> None:
    alone = jsonmode.as_sent([({"role": "user", "content": "go"}, "")], [ADD], {"json_tools": "call: {functions}"})
    parts = jsonmode.as_sent([({"role": "system", "content": [{"type": "text", "text": "a"}]}, "")], [ADD], {"json_tools": "b"})

    assert alone[0]["role"] == "system"
    assert alone[0]["content"].startswith('call: {"name": "add"')
    assert parts == [{"role": "system", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]


def test_the_form_of_the_reply_is_a_schema_that_the_yaml_may_replace() -> None:
    form = jsonmode.parameters([ADD], {"temperature": 0})["response_format"]["json_schema"]["schema"]

    assert jsonschema_rs.is_valid(form, {"answer": "", "calls": [{"name": "add", "arguments": {"a": 1, "b": 2}}]})
    assert not jsonschema_rs.is_valid(form, {"answer": "", "calls": [{"name": "sub", "arguments": {"a": 1, "b": 2}}]})
    assert not jsonschema_rs.is_valid(form, {"answer": "", "calls": [{"name": "add", "arguments": {"a": 1}}]})
    assert jsonmode.parameters([ADD], {"response_format": {"type": "json_object"}}) == {"response_format": {"type": "json_object"}}


def test_a_schema_with_references_is_not_taken_out_of_its_place() -> None:
    function = {"type": "function", "function": {"name": "f", "parameters": {"$defs": {"n": {"type": "number"}}, "$ref": "#/$defs/n"}}}

    assert jsonschema_rs.is_valid(jsonmode.schema([function]), {"answer": "", "calls": [{"name": "f", "arguments": {"x": 1}}]})


def test_every_sentence_of_it_is_a_template() -> None:
    assert {"json_tools", "json_results", jsonmode.NOT_USED} <= set(TEMPLATES)
