"""The border where replies are translated: whatever a provider sends, it becomes a legal history or a failure in words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallchain.model.llm import Failure, FailureKind, Reply
from smallchain.model.money import Usage
from smallchain.services.llm.translate import translate

USAGE = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}


def call(name: str = "add", arguments: Any = '{"a": 1}', **rest: Any) -> dict[str, Any]:
    return {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}, **rest}


def body(message: Any, **rest: Any) -> bytes:
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return json.dumps({"id": "x", "model": "gpt-4o", "choices": [choice], "usage": USAGE, **rest}).encode()


def reply(message: Any, **rest: Any) -> Reply:
    found = translate(body(message, **rest))
    assert isinstance(found, Reply)
    return found


def failure(raw: bytes | str) -> Failure:
    found = translate(raw)
    assert isinstance(found, Failure)
    return found


def test_a_plain_answer_keeps_its_words_usage_and_reason() -> None:
    found = reply({"role": "assistant", "content": "15", "refusal": None, "annotations": []})

    assert found.content == "15"
    assert found.message == {"role": "assistant", "content": "15"}
    assert (found.finish_reason, found.model, found.usage, found.notes) == ("stop", "gpt-4o", Usage(12, 3), ())
    assert json.loads(found.raw)["id"] == "x"


def test_parallel_calls_keep_their_order_and_the_text_beside_them() -> None:
    found = reply({"content": "both at once", "tool_calls": [call("a", id="1"), call("b", id="2")]})

    assert [(each.id, each.name, each.arguments) for each in found.calls] == [("1", "a", '{"a": 1}'), ("2", "b", '{"a": 1}')]
    assert found.content == "both at once"
    assert found.message["content"] == "both at once"
    assert found.message["tool_calls"][1] == {"id": "2", "type": "function", "function": {"name": "b", "arguments": '{"a": 1}'}}


def test_calls_without_text_are_sent_back_with_null() -> None:
    found = reply({"content": "", "tool_calls": [call()]})

    assert found.content == ""
    assert found.message["content"] is None


def test_all_calls_of_a_message_are_kept_however_many() -> None:
    found = reply({"content": None, "tool_calls": [call(id=str(number)) for number in range(500)]})

    assert len(found.calls) == 500


def test_an_empty_message_is_an_empty_reply() -> None:
    found = reply({"role": "assistant", "content": None})

    assert (found.content, found.calls, found.message) == ("", (), {"role": "assistant", "content": ""})


def test_the_parts_of_a_content_are_joined_and_what_is_no_text_is_noted() -> None:
    parts = [{"type": "text", "text": "a"}, "b", {"type": "image_url"}, {"type": "thinking", "text": "hidden"}]
    found = reply({"content": parts})

    assert found.content == "ab"
    assert len(found.notes) == 2


def test_a_refusal_stands_as_the_content() -> None:
    found = reply({"content": None, "refusal": "I will not"})

    assert found.message == {"role": "assistant", "content": "I will not"}
    assert found.notes


def test_reasoning_is_kept_raw_and_never_sent_back() -> None:
    found = reply({"content": "15", "reasoning_content": "7 + 8 ...", "reasoning": "x"})

    assert "7 + 8 ..." in found.raw
    assert set(found.message) == {"role", "content"}


@pytest.mark.parametrize("given_id", ["", " ", None, 7, "call_1"])
def test_missing_and_repeated_ids_are_made_unique_and_noted(given_id: Any) -> None:
    found = reply({"tool_calls": [call("a"), call("b", id=given_id), call("c", id=given_id)]})

    ids = [each.id for each in found.calls]
    assert ids[0] == "call_1"
    assert len(set(ids)) == 3
    assert all(each.strip() for each in ids)
    assert len(found.notes) == 2
    assert [each["id"] for each in found.message["tool_calls"]] == ids


def test_mended_ids_are_the_same_each_time_and_differ_between_replies() -> None:
    one, again = reply({"tool_calls": [call(id="")]}), reply({"tool_calls": [call(id="")]})
    other = reply({"content": "x", "tool_calls": [call(id="")]})

    assert one.calls == again.calls
    assert one.calls[0].id != other.calls[0].id


@pytest.mark.parametrize(
    ("arguments", "text"),
    [(None, "{}"), ("", "{}"), ("  ", "{}"), ({"a": "ü"}, '{"a": "ü"}'), ([1], "[1]"), ("{broken", "{broken"), ('"{}"', '"{}"')],
)
def test_arguments_are_always_a_text_and_broken_ones_stay_as_they_came(arguments: Any, text: str) -> None:
    assert reply({"tool_calls": [call(arguments=arguments)]}).calls[0].arguments == text


@pytest.mark.parametrize("entry", [{}, None, "x", {"id": "1", "function": None}, call(name=""), {"id": "1", "type": "custom"}])
def test_a_call_without_a_function_is_left_out_and_noted(entry: Any) -> None:
    found = reply({"content": "x", "tool_calls": [entry, call("add")]})

    assert [each.name for each in found.calls] == ["add"]
    assert found.notes == ("tool call 1 names no function; it is left out",)


def test_an_illegal_function_name_is_asked_as_it_is_and_legal_in_the_history() -> None:
    found = reply({"tool_calls": [call("add two numbers!")]})

    assert found.calls[0].name == "add two numbers!"
    assert found.message["tool_calls"][0]["function"]["name"] == "add_two_numbers_"


def test_the_old_function_call_is_read_as_a_tool_call() -> None:
    found = reply({"content": None, "function_call": {"name": "add", "arguments": "{}"}})

    assert found.calls[0].name == "add"


@pytest.mark.parametrize("tool_calls", ["x", 3, True])
def test_tool_calls_that_are_no_list_are_left_out_and_noted(tool_calls: Any) -> None:
    found = reply({"content": "x", "tool_calls": tool_calls})

    assert found.calls == ()
    assert found.notes


def test_cached_tokens_are_counted() -> None:
    found = reply({"content": "x"}, usage={**USAGE, "prompt_tokens_details": {"cached_tokens": 8}})

    assert found.usage == Usage(12, 3, 8)


def test_tokens_written_to_a_cache_are_counted() -> None:
    found = reply({"content": "x"}, usage={**USAGE, "prompt_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 4}})

    assert found.usage == Usage(12, 3, 8, 4)


@pytest.mark.parametrize(
    "usage",
    [  # xAI, https://docs.x.ai/docs/key-information/consumption-and-rate-limits; Gemini behind another server
        {
            "prompt_tokens": 10_120,
            "completion_tokens": 1_499,
            "total_tokens": 14_428,
            "completion_tokens_details": {"reasoning_tokens": 2_809},
        },
        {"prompt_tokens": 10_120, "completion_tokens": 0, "total_tokens": 14_428},
    ],
)
def test_reasoning_that_is_counted_in_the_total_alone_is_the_replys(usage: dict[str, Any]) -> None:
    found = reply({"content": "x"}, usage=usage)

    assert found.usage == Usage(10_120, 4_308)
    assert any("of the total" in note for note in found.notes)


@pytest.mark.parametrize("total", [0, 14, -1, "99", 2**70, None, True])
def test_a_total_that_cannot_be_true_changes_nothing(total: Any) -> None:
    assert reply({"content": "x"}, usage={**USAGE, "total_tokens": total}).usage == Usage(12, 3)


@pytest.mark.parametrize(
    "usage",
    [
        None,
        [],
        {},
        {"prompt_tokens": -1, "completion_tokens": 1},
        {"prompt_tokens": "12", "completion_tokens": 1},
        {"prompt_tokens": 12, "completion_tokens": True},
        {"prompt_tokens": 12, "completion_tokens": 2**70},
        {"prompt_tokens": 12, "completion_tokens": 1.5},
        {"prompt_tokens": 0, "completion_tokens": 1},
    ],
)
def test_a_usage_that_cannot_be_true_is_none_with_a_note(usage: Any) -> None:
    found = reply({"content": "x"}, usage=usage)

    assert found.usage is None
    assert len(found.notes) == 1


def test_an_endless_integer_in_the_usage_harms_nothing() -> None:
    raw = body({"content": "x"}).replace(b'"prompt_tokens": 12', b'"prompt_tokens": ' + b"9" * 5000)
    found = translate(raw)

    assert isinstance(found, Reply)
    assert found.usage is None


@pytest.mark.parametrize("cached", [-1, 99, "8", True])
def test_cached_tokens_that_cannot_be_true_count_as_none(cached: Any) -> None:
    found = reply({"content": "x"}, usage={**USAGE, "prompt_tokens_details": {"cached_tokens": cached}})

    assert found.usage == Usage(12, 3, 0)
    assert found.notes


@pytest.mark.parametrize("written", [-1, 5, "4", True])
def test_tokens_written_to_a_cache_that_cannot_be_true_count_as_none(written: Any) -> None:
    found = reply({"content": "x"}, usage={**USAGE, "prompt_tokens_details": {"cached_tokens": 8, "cache_write_tokens": written}})

    assert found.usage == Usage(12, 3, 8)
    assert found.notes


@pytest.mark.parametrize("reason", ["stop", "tool_calls", "length", "content_filter", "eos", None, 3, ""])
def test_any_finish_reason_is_taken(reason: Any) -> None:
    raw = json.dumps({"choices": [{"message": {"content": "x"}, "finish_reason": reason}], "usage": USAGE})
    found = translate(raw)

    assert isinstance(found, Reply)
    assert found.finish_reason == (reason if isinstance(reason, str) and reason else None)


def test_half_surrogates_and_nuls_are_replaced_everywhere_and_noted() -> None:
    function = {"name": "f\ud800", "arguments": "\ud800"}
    found = reply({"content": "a\ud800b\0", "tool_calls": [{"id": "\udfff", "function": function}]})

    assert found.content == "a\ufffdb\ufffd"
    json.dumps(found.message, ensure_ascii=False).encode()
    assert "\0" not in json.dumps(found.message, ensure_ascii=False)
    assert any("cannot be stored" in note for note in found.notes)


def test_invalid_utf8_is_replaced() -> None:
    found = translate(body({"content": "xx"}).replace(b"xx", b"\xff\xfe"))

    assert isinstance(found, Reply)
    assert found.content == "\ufffd\ufffd"


@pytest.mark.parametrize("choices", [None, [], {}, "x", [None], [{}], [{"message": None}], [{"message": "x"}]])
def test_choices_that_hold_no_message_are_a_transient_failure(choices: Any) -> None:
    assert failure(json.dumps({"choices": choices})).kind is FailureKind.TRANSIENT


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"<!DOCTYPE html><html><body>Welcome</body></html>", "HTML page"),
        (b"\xef\xbb\xbf\n <html>", "HTML page"),
        (b"", "empty body"),
        (b"  \n", "empty body"),
        (b"not json", "is not JSON"),
        (b'{"choices": [{"message": {"content": "hel', "cut off"),
        (b'{"choices": [', "cut off"),
        (b"[1, 2]", "a list instead of an object"),
        (b"null", "null instead of an object"),
        (b"[" * 200_000, "nested too deeply"),
    ],
)
def test_what_cannot_be_read_is_a_transient_failure_with_a_clear_sentence(raw: bytes, words: str) -> None:
    found = failure(raw)

    assert found.kind is FailureKind.TRANSIENT
    assert words in found.message
    assert found.raw.startswith(raw[:100].decode().replace("\0", "\ufffd"))
    assert len(found.raw) < 33_000


def test_what_stands_behind_a_reply_is_noted_and_kept_raw() -> None:
    found = translate(body({"content": "15"}) + b"\n\ndata: [DONE]")

    assert isinstance(found, Reply)
    assert found.content == "15"
    assert found.raw.endswith("[DONE]")
    assert len(found.notes) == 1


def test_the_first_of_several_choices_that_holds_a_message_is_taken() -> None:
    choices = [{"index": 0}, {"index": 1, "message": {"content": "15"}}]
    found = translate(json.dumps({"choices": choices, "usage": USAGE}))

    assert isinstance(found, Reply)
    assert found.content == "15"
    assert found.notes == ("the reply holds 2 choices; the first is taken",)


def test_an_id_that_stands_in_the_conversation_is_not_given_again() -> None:
    asked = json.dumps({"messages": [{"role": "tool", "tool_call_id": "call_1", "content": '"call_2"'}]}).encode()
    first = translate(body({"tool_calls": [call(), call(id="call_2")]}), asked=asked)
    later = translate(body({"tool_calls": [call(), call(id="call_2")]}), asked=asked + b" ")

    assert isinstance(first, Reply)
    assert isinstance(later, Reply)
    assert first.calls[0].id != "call_1"
    assert first.calls[1].id == "call_2"
    assert first.message["tool_calls"][0]["id"] == first.calls[0].id
    assert later.calls[0].id != first.calls[0].id


def test_an_id_longer_than_any_server_takes_is_replaced() -> None:
    found = reply({"tool_calls": [call(id="x" * 5000)]})

    assert len(found.calls[0].id) < 64
    assert found.notes == (f"tool call 1 had an id of 5000 characters; it is {found.calls[0].id} here",)


@pytest.mark.parametrize(
    ("arguments", "in_history"),
    [
        ('{"a": 1}', '{"a": 1}'),
        ('"{\\"a\\": 1}"', '{"a": 1}'),
        ('{"a": ', '{"unreadable": "{\\"a\\": "}'),
        ("[1]", '{"unreadable": "[1]"}'),
        ("add(1)", '{"unreadable": "add(1)"}'),
        ('{"a": NaN}', '{"unreadable": "{\\"a\\": NaN}"}'),
    ],
)
def test_arguments_in_the_history_are_an_object_that_every_server_can_read(arguments: str, in_history: str) -> None:
    found = reply({"tool_calls": [call(arguments=arguments)]})

    assert found.message["tool_calls"][0]["function"]["arguments"] == in_history
    assert found.calls[0].arguments == arguments


def test_a_reply_with_calls_takes_along_what_its_endpoint_wants_back() -> None:
    signed = {**call(), "extra_content": {"google": {"thought_signature": "xyz"}}}
    found = reply({"content": None, "reasoning_content": "7 + 8", "reasoning": "x", "tool_calls": [signed]})

    assert found.message["reasoning_content"] == "7 + 8"
    assert "reasoning" not in found.message
    assert found.message["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": "xyz"}}


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_a_reply_that_was_cut_says_so(reason: str) -> None:
    raw = json.dumps({"choices": [{"message": {"content": "half a sen"}, "finish_reason": reason}], "usage": USAGE})
    found = translate(raw)

    assert isinstance(found, Reply)
    assert len(found.notes) == 1
    assert "cut" in found.notes[0]


def test_a_call_that_was_cut_before_its_arguments_is_not_one_without_arguments() -> None:
    message = {"tool_calls": [call("a", "", id="1"), call("delete_all", "", id="2")]}
    found = translate(json.dumps({"choices": [{"message": message, "finish_reason": "length"}], "usage": USAGE}))

    assert isinstance(found, Reply)
    assert [each.arguments for each in found.calls] == ["{}", "{"]
    json.loads(found.message["tool_calls"][1]["function"]["arguments"])


@pytest.mark.parametrize(
    "usage", [{"input_tokens": 12, "output_tokens": 3}, {**USAGE, "prompt_cache_hit_tokens": 0}, {**USAGE, "cached_tokens": 0}]
)
def test_usage_is_read_under_the_names_of_other_servers(usage: dict[str, int]) -> None:
    assert reply({"content": "x"}, usage=usage).usage == Usage(12, 3, 0)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"message": "upstream is busy", "code": 429}, FailureKind.TRANSIENT),
        ({"message": "no credits", "code": 402}, FailureKind.UNUSABLE),
        ({"message": "what?", "code": "odd"}, FailureKind.TRANSIENT),
        ("oh no", FailureKind.TRANSIENT),
        ({"message": "slow", "code": "429"}, FailureKind.TRANSIENT),
        ({"message": "prompt is too long", "status": 400}, FailureKind.OVERFLOW),
    ],
)
@pytest.mark.parametrize("beside", [{}, {"choices": [{"message": {"content": "half"}}]}])
def test_an_error_inside_a_200_is_classified_by_its_own_status(error: Any, kind: FailureKind, beside: dict[str, Any]) -> None:
    found = failure(json.dumps({"error": error, **beside}))

    assert found.raw == json.dumps({"error": error, **beside})

    assert found.kind is kind
    assert (error["message"] if isinstance(error, dict) else error) in found.message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["id", "function", "name", "arguments", "content", "tool_calls", "text", "type"]), inner)
    ),
    max_leaves=12,
)


@given(message=st.dictionaries(st.sampled_from(["content", "tool_calls", "refusal", "function_call", "role"]), JSON), usage=JSON)
def test_any_message_becomes_legal_history(message: Any, usage: Any) -> None:
    found = translate(json.dumps({"choices": [{"message": message}], "usage": usage}))

    assert isinstance(found, Reply)
    ids = [each.id for each in found.calls]
    assert len(set(ids)) == len(ids)
    assert all(ids)
    assert all(isinstance(each.arguments, str) for each in found.calls)
    assert all(isinstance(json.loads(each["function"]["arguments"]), dict) for each in found.message.get("tool_calls", ()))
    json.dumps(found.message, ensure_ascii=False).encode()
    found.raw.encode()


@given(raw=st.binary(max_size=200))
def test_any_bytes_are_read_without_an_exception(raw: bytes) -> None:
    assert isinstance(translate(raw), Reply | Failure)


@given(value=JSON)
def test_any_json_is_read_without_an_exception(value: Any) -> None:
    assert isinstance(translate(json.dumps(value)), Reply | Failure)
    assert isinstance(translate(json.dumps({"choices": value, "error": value})), Reply | Failure)


@pytest.mark.parametrize(
    ("body", "may_have_cost"),
    [
        ({"error": {"message": "slow down", "code": 429}}, False),
        ({"error": {"message": "upstream broke", "code": 502}}, False),
        ({"error": {"message": "upstream gave up", "code": 504}}, True),
        ({"error": {"message": "upstream broke", "code": 502}, "usage": USAGE}, True),
        ({"choices": [{"message": {"content": "half"}, "error": {"message": "upstream broke", "code": 502}}]}, True),
        ({"choices": []}, True),
    ],
)
def test_an_error_behind_which_a_model_may_have_written_may_have_cost(body: dict[str, Any], may_have_cost: bool) -> None:
    found = translate(json.dumps(body))

    assert isinstance(found, Failure)
    assert found.may_have_cost is may_have_cost
