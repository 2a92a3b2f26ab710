from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from smallchain.protocol.text import width
from smallchain_tui.viewmodel import parts
from smallchain_tui.viewmodel.calls import call_line, heading
from smallchain_tui.viewmodel.glyphs import Glyphs
from smallchain_tui.viewmodel.line import text_of
from support.hostile import HOSTILE, HOSTILE_LINES, came_through
from support.tuirows import call_item
from support.tuirun import message, modelcall

NOW = datetime(2026, 11, 23, 9, 5, tzinfo=UTC)
GLYPHS = Glyphs(ascii=True)


def facts(thing: parts.Thing) -> str:
    return "\n".join(text_of(line) for line in thing.facts)


def test_a_result_that_is_json_is_read_as_such_and_kept_as_it_came() -> None:
    thing = parts.toolcall({"item": call_item("a", "r", result='{"posted":  true}')}, GLYPHS, now=NOW)
    result = thing.parts[1]

    assert (result.value, result.raw) == ({"posted": True}, '{"posted":  true}')


def test_a_call_without_a_result_says_whether_one_may_come() -> None:
    waits = parts.toolcall({"item": call_item("a", "r", result=None, finished_at=None)}, GLYPHS, now=NOW)
    over = parts.toolcall({"item": call_item("a", "r", result="")}, GLYPHS, now=NOW)

    assert [thing.parts[1].shown for thing in (waits, over)] == ["no result yet", "the result is empty"]


def test_a_message_of_a_model_has_its_request_and_reply_and_one_of_a_person_has_not() -> None:
    found = modelcall(2) | {"request": '{"model": "gpt-4o"}', "reply": "no json"}
    model = parts.message(message(3, "assistant", "hi", attempt=2), found, "r")
    person = parts.message(message(1, "user", "hi"), None, "r")

    assert [part.title for part in model.parts] == ["Said", "Request", "Reply", "All"]
    assert (model.parts[1].value, model.parts[2].value) == ({"model": "gpt-4o"}, "no json")
    assert "$0.0018" in facts(model)
    assert [part.title for part in person.parts] == ["Said", "All"]


@pytest.mark.parametrize("answer", [{}, {"item": None, "related": 5}, {"item": {"line": "x", "spec": 7, "arguments": 5}}])
def test_an_answer_of_any_form_is_a_thing(answer: dict[str, Any]) -> None:
    things = [
        parts.toolcall(answer, GLYPHS, now=NOW),
        parts.event(answer),
        parts.resource("agent", answer, GLYPHS, now=NOW),
        parts.exchange(answer),
    ]

    assert all(thing.parts and thing.facts for thing in [*things, parts.message(answer, answer, "r")])


def test_hostile_fields_are_written_out_in_the_facts() -> None:
    item = dict.fromkeys(
        ("name", "tool", "phase", "detail", "child", "run", "effects", "status", "file", "level", "reason", "id"), HOSTILE_LINES
    )
    answer = {"item": item | {"line": 1}}
    things = [
        parts.toolcall(answer, GLYPHS, now=NOW),
        parts.event(answer),
        parts.resource(HOSTILE, answer, GLYPHS, now=NOW),
        parts.exchange(item),
    ]
    things.append(parts.message(item | {"role": HOSTILE, "ours": True, "template": HOSTILE}, item, HOSTILE))

    for thing in things:
        assert came_through(facts(thing).encode()) == set()
        assert all("\n" not in text_of(line) for line in thing.facts)


@pytest.mark.parametrize("cells", [30, 58, 76, 120, 156])
def test_a_call_is_one_line_with_arguments_and_result_however_hostile(cells: int) -> None:
    plain = text_of(call_line(call_item("a", "r"), 120, GLYPHS, now=NOW))
    nasty = call_item("a", "r", tool=HOSTILE, phase=HOSTILE, arguments=HOSTILE_LINES, result=HOSTILE_LINES, child=HOSTILE)
    line = text_of(call_line(nasty, cells, GLYPHS, now=NOW))

    assert "q=ai news  -> three hits" in plain
    assert came_through(line.encode()) == set()
    assert width(line) <= max(cells, 66)
    assert width(text_of(heading(cells))) <= max(cells, 80)
