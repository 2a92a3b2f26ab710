"""The request that goes to a model: exactly what is kept, growing by appending."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from smallchain.model.canonical import canonical
from smallchain.model.context import body, envelope

SYSTEM = {"role": "system", "content": "You add."}
USER = {"role": "user", "content": "3 + 4 — “please”\n"}
ADD = {"type": "function", "function": {"name": "add", "description": "adds", "parameters": {"type": "object"}}}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
).filter(lambda value: _is_text(json.dumps(value, ensure_ascii=False)))
messages = st.lists(
    st.fixed_dictionaries({"role": st.just("user"), "content": st.text(st.characters(codec="utf-8"), max_size=30)}), max_size=6
)


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def sent(*conversation: dict[str, Any], parameters: dict[str, Any] | None = None, tools: tuple[dict[str, Any], ...] = ()) -> bytes:
    return body(envelope("gpt-4o-mini", parameters or {}, tools), [canonical(message) for message in conversation])


def test_a_request_is_model_messages_functions_and_parameters_and_no_hidden_word() -> None:
    request = json.loads(sent(SYSTEM, USER, parameters={"temperature": 0.0, "max_tokens": 500}, tools=(ADD,)))

    assert request == {"model": "gpt-4o-mini", "messages": [SYSTEM, USER], "tools": [ADD], "temperature": 0.0, "max_tokens": 500}


def test_an_agent_without_functions_sends_no_empty_list_of_them() -> None:
    assert "tools" not in json.loads(sent(USER))


def test_parameters_are_sent_in_the_order_they_are_written() -> None:
    request = json.loads(sent(USER, parameters={"top_p": 1, "a": {"z": 1, "b": 2}}))

    assert list(request) == ["model", "messages", "top_p", "a"]


def test_the_same_conversation_is_the_same_bytes() -> None:
    assert sent(SYSTEM, USER, tools=(ADD,)) == sent(dict(reversed(SYSTEM.items())), dict(reversed(USER.items())), tools=(ADD,))


def test_a_longer_conversation_begins_with_the_very_bytes_of_the_shorter() -> None:
    shorter, longer = sent(SYSTEM), sent(SYSTEM, USER)

    assert longer.startswith(shorter.removesuffix(b"]}"))


def test_text_is_sent_as_utf_8_and_not_escaped() -> None:
    assert "— “please”\\n".encode() in sent(USER)


@given(conversation=messages, parameters=st.dictionaries(st.sampled_from(["temperature", "seed", "stop", "x"]), json_values, max_size=3))
def test_whatever_is_said_the_request_says_it_again(conversation: list[dict[str, Any]], parameters: dict[str, Any]) -> None:
    request = json.loads(sent(*conversation, parameters=parameters))

    assert request == {"model": "gpt-4o-mini", "messages": conversation, **parameters}
