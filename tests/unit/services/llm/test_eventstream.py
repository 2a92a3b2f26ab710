"""A reply that came as a stream: put together when it is whole, no reply when it was cut."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallchain.model.llm import Failure, FailureKind, Reply
from smallchain.model.money import Usage
from smallchain.services.llm.translate import translate


def stream(*chunks: Any, done: bool = True, end: str = "\n") -> str:
    lines = [f"data: {json.dumps(chunk)}{end}{end}" for chunk in chunks]
    return "".join(lines) + (f"data: [DONE]{end}{end}" if done else "")


def delta(reason: str | None = None, **part: Any) -> dict[str, Any]:
    return {"id": "x", "model": "gpt-4o", "choices": [{"index": 0, "delta": part, "finish_reason": reason}]}


def call(index: int | None, arguments: str = "", **rest: Any) -> dict[str, Any]:
    function = {"arguments": arguments} | ({"name": rest.pop("name")} if "name" in rest else {})
    return ({} if index is None else {"index": index}) | {"function": function, **rest}


def read(text: str) -> Reply:
    found = translate(text)
    assert isinstance(found, Reply), found
    return found


USAGE = {"id": "x", "choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 3}}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_pieces_of_a_text_are_joined(end: str) -> None:
    text = stream(delta(role="assistant", content=""), delta(content="fif"), delta("stop", content="teen"), USAGE, end=end)
    found = read(": OPENROUTER PROCESSING\n\n" + text)

    assert (found.content, found.finish_reason, found.usage, found.model) == ("fifteen", "stop", Usage(12, 3), "gpt-4o")
    assert found.raw.startswith(": OPENROUTER")
    assert len(found.notes) == 1


def test_the_pieces_of_calls_are_joined_by_their_index_whatever_its_gaps() -> None:
    found = read(
        stream(
            delta(tool_calls=[call(1, id="a", name="add")]),
            delta(tool_calls=[call(4, '{"b"', id="b", name="sub"), call(1, '{"a"')]),
            delta(tool_calls=[call(1, ": 1}"), call(4, ": 2}")]),
            delta("tool_calls"),
        )
    )

    assert [(each.id, each.name, each.arguments) for each in found.calls] == [("a", "add", '{"a": 1}'), ("b", "sub", '{"b": 2}')]


def test_whole_calls_under_one_index_are_told_apart_by_their_ids() -> None:
    found = read(stream(delta(tool_calls=[call(0, "{}", id="a", name="x")]), delta("stop", tool_calls=[call(0, "{}", id="b", name="y")])))

    assert [each.name for each in found.calls] == ["x", "y"]


def test_pieces_without_an_index_belong_to_the_last_call() -> None:
    found = read(stream(delta(tool_calls=[call(None, id="a", name="x")]), delta("stop", tool_calls=[call(None, "{}")])))

    assert [(each.name, each.arguments) for each in found.calls] == [("x", "{}")]


def test_a_whole_message_in_one_event_is_taken() -> None:
    assert read(stream({"choices": [{"message": {"content": "15"}, "finish_reason": "stop"}]})).content == "15"


def test_reasoning_is_joined_and_kept_with_calls() -> None:
    found = read(stream(delta(reasoning_content="a"), delta(reasoning_content="b"), delta("stop", tool_calls=[call(0, id="1", name="x")])))

    assert found.message["reasoning_content"] == "ab"


@pytest.mark.parametrize(
    "text",
    [
        stream(delta(content="half"), done=False),
        stream(delta(content="half"), done=False) + 'data: {"choices": [{"del',
        'data: {"choices": [{"del',
        "data:",
    ],
)
def test_a_stream_that_was_cut_is_a_transient_failure(text: str) -> None:
    found = translate(text)

    assert isinstance(found, Failure)
    assert (found.kind, found.raw) == (FailureKind.TRANSIENT, text)
    assert "cut off" in found.message


def test_an_end_without_the_last_empty_line_is_an_end() -> None:
    assert read(stream(delta(content="15"), done=False) + "data: [DONE]").content == "15"


@pytest.mark.parametrize(
    "chunk",
    [
        {"error": {"message": "overloaded", "code": 503}},
        {"choices": [{"delta": {}, "finish_reason": "error", "error": {"message": "overloaded"}}]},
    ],
)
def test_an_error_within_the_stream_is_the_answer(chunk: dict[str, Any]) -> None:
    found = translate(stream(delta(content="half"), chunk))

    assert isinstance(found, Failure)
    assert found.message == "overloaded"
    assert "half" in found.raw


@given(
    pieces=st.lists(
        st.recursive(
            st.none() | st.integers(0, 3) | st.text(max_size=4),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["choices", "delta", "tool_calls", "index", "id", "function", "name", "arguments"]), inner
                )
            ),
            max_leaves=12,
        ),
        max_size=4,
    )
)
def test_any_chunks_are_read_without_an_exception(pieces: list[Any]) -> None:
    assert isinstance(translate(stream(*pieces)), Reply | Failure)
    assert isinstance(translate(stream(*({"choices": [{"delta": {"tool_calls": piece}}]} for piece in pieces))), Reply | Failure)
