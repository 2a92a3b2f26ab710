from __future__ import annotations

from typing import Any

import pytest

from smallchain.protocol.text import width
from smallchain_tui.viewmodel.conversation import Conversation, body, conversation, exact_dollars, head
from smallchain_tui.viewmodel.glyphs import Glyphs
from smallchain_tui.viewmodel.line import text_of
from support.hostile import HOSTILE, HOSTILE_LINES, came_through
from support.tuirows import call_item

GLYPHS = Glyphs(ascii=True)


def message(seq: int, role: str, content: Any, **fields: Any) -> dict[str, Any]:
    """A message of a transcript."""
    item = {"seq": seq, "time": "2026-11-23T09:00:02.000000Z", "role": role, "content": content, "tool_calls": [], "tool_call_id": None}
    nothing = dict.fromkeys(("tool", "template", "finish_reason", "llm", "model", "cost_usd", "attempt"))
    return item | nothing | {"ours": False} | fields


def talk(*messages: dict[str, Any], **related: Any) -> Conversation:
    return conversation({"messages": list(messages)}, related)


ASKS = message(
    3, "assistant", None, attempt=1, model="gpt-4o", cost_usd="0.0018", finish_reason="tool_calls",
    tool_calls=[{"id": "call_a", "name": "search", "arguments": '{"q": "ai news"}'}, {"id": "call_b", "name": "delegate_to_writer", "arguments": "{}"}],
)  # fmt: skip
MODEL_CALL = {
    "attempt": 1, "cost_usd": "0.0018", "input_tokens": 600, "output_tokens": 11,
    "started_at": "2026-11-23T09:00:01.000000Z", "finished_at": "2026-11-23T09:00:03.900000Z",
}  # fmt: skip


def test_each_call_of_a_reply_is_a_row_of_its_own_with_what_became_of_it() -> None:
    calls = [
        call_item("a", "blog-7", asked_id="call_a"),
        call_item("b", "blog-7", asked_id="call_b", phase="delegated", child="blog-7/writer-1"),
    ]
    found = talk(ASKS, toolcalls=calls, modelcalls=[MODEL_CALL])

    assert [(row.kind, row.key, row.phase) for row in found.rows] == [
        ("llm", "3", ""),
        ("call", "3/0", "succeeded"),
        ("call", "3/1", "delegated"),
    ]
    assert "search  q=ai news" in text_of(head(found.rows[1], 120, GLYPHS))
    assert "-> blog-7/writer-1" in text_of(head(found.rows[2], 120, GLYPHS))


def test_a_turn_says_its_model_time_tokens_and_cost() -> None:
    line = text_of(head(talk(ASKS, modelcalls=[MODEL_CALL]).rows[0], 120, GLYPHS))

    assert all(words in line for words in ("gpt-4o", "2.9s", "611 tok", "$0.0018", "asks for search, delegate_to_writer"))


def test_what_the_run_came_to_is_the_sum_of_its_model_calls() -> None:
    found = talk(ASKS, modelcalls=[MODEL_CALL, MODEL_CALL | {"attempt": 2}])

    assert found.total() == "3 rows  2 model calls  1,200 tokens in, 22 out  $0.0036"


def test_a_sentence_of_ours_is_marked_with_its_template_and_a_message_that_claims_it_is_not() -> None:
    ours, theirs = talk(
        message(1, "user", "You have 3 turns left", ours=True, template="turns_left"), message(2, "user", "ours: template turns_left")
    ).rows

    assert "ours: template turns_left" in text_of(head(ours, 120, GLYPHS))
    assert text_of(head(ours, 120, GLYPHS)).split()[2] == "ours"
    assert text_of(head(theirs, 120, GLYPHS)).split()[2] == "user"
    assert not theirs.template


def test_the_result_names_its_tool_and_counts_the_lines_that_are_not_shown() -> None:
    row = talk(message(4, "tool", "three hits\nA\nB", tool="search", tool_call_id="call_a")).rows[0]

    assert (row.kind, row.who) == ("result", "search")
    assert "search: three hits  (+2 lines)" in text_of(head(row, 120, GLYPHS))


@pytest.mark.parametrize("cells", [24, 58, 76, 100, 156])
def test_hostile_words_stay_on_their_line_and_it_says_how_many_are_hidden(cells: int) -> None:
    row = talk(message(4, "tool", HOSTILE_LINES, tool=HOSTILE)).rows[0]
    line = text_of(head(row, cells, GLYPHS))

    assert came_through(line.encode()) == set()
    assert "\n" not in line
    assert "sanitised: " in line or cells < 76
    assert width(line) <= max(cells, 45)
    assert came_through("\n".join(text_of(each) for each in body(row, cells)).encode()) == set()


@pytest.mark.parametrize("content", [None, "", [{"type": "text", "text": "hi"}, {"type": "image_url"}], {"odd": 1}, 15])
def test_content_of_any_form_is_a_row(content: Any) -> None:
    assert len(talk(message(1, "assistant", content)).rows) == 1


@pytest.mark.parametrize("answer", [{}, {"messages": None}, {"messages": ["x", 1]}, {"messages": [{}]}])
def test_an_answer_that_holds_no_conversation_is_no_error(answer: dict[str, Any]) -> None:
    assert conversation(answer, {"toolcalls": 1, "modelcalls": [None]}).calls == 0


def test_money_of_single_calls_is_never_shown_as_nothing() -> None:
    shown = [exact_dollars(nano) for nano in (0, 21_500, 1_800_000, 112_000_000, 1_500_000_000_000)]

    assert shown == ["$0.00", "$0.000022", "$0.0018", "$0.11", "$1,500.00"]
