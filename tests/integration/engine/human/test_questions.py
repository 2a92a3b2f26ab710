"""Questions of models, and everything else that waits for a person, answered through the one deciding function."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from smallchain.engine.human.deciding import resume
from smallchain.model.delivery import Verb
from smallchain.model.errors import BadInput, Refused
from smallchain.model.lifecycles import CallPhase, RunPhase
from smallchain.store import runs
from support.asking import RUN, TITLE, asks, publish, text
from support.house import House, a_house, is_legal

ROOM = {"channels": [{"name": "head of marketing", "type": "terminal", "about": "knows the campaign"}]}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as opened:
        yield opened


def question(function: str, **arguments: Any) -> list[dict[str, Any]]:
    """A model that asks a person, and then is done."""
    return [{"content": "I had better ask.", "tool_calls": [{"name": function, "arguments": arguments}]}, {"content": "done"}]


async def test_a_question_reaches_a_person_and_its_answer_the_model(house: House) -> None:
    script = question("ask_head_of_marketing", question="Does it fit?", choices=["yes", "no"])
    await house.apply(text(replies=script, agent={"tools": [{"human": "head of marketing"}]}, **ROOM))
    request = await house.request(RUN, "question")
    assert (request.question, json.loads(request.choices), request.channel) == ("Does it fit?", ["yes", "no"], "head of marketing")
    assert request.why == "I had better ask."
    await house.say(Verb.ANSWER, request, text="yes, with another title")
    await house.run(RUN, RunPhase.SUCCEEDED)

    assert await house.results(RUN) == ["yes, with another title"]
    assert (await house.calls(RUN))[0].phase is CallPhase.SUCCEEDED


async def test_a_model_can_ask_whoever_is_at_the_inbox(house: House) -> None:
    await house.apply(text(replies=question("ask_human", question="Which?"), agent={"tools": ["ask_human"]}))
    await house.say(Verb.ANSWER, await house.request(RUN, "question"), text="the second")
    await house.run(RUN, RunPhase.SUCCEEDED)

    assert await house.results(RUN) == ["the second"]


async def test_a_question_without_words_is_answered_to_the_model_and_asks_nobody(house: House) -> None:
    await house.apply(text(replies=question("ask_human"), agent={"tools": ["ask_human"]}))
    await house.run(RUN, RunPhase.SUCCEEDED)

    assert "question" in (await house.results(RUN))[0]
    assert "RequestOpened" not in await house.reasons()


async def test_an_answer_needs_words_and_an_approval_is_none(house: House) -> None:
    await house.apply(text(replies=question("ask_human", question="Which?"), agent={"tools": ["ask_human"]}))
    request = await house.request(RUN, "question")
    with pytest.raises(BadInput, match="needs words"):
        await house.say(Verb.ANSWER, request, text="  \n")
    with pytest.raises(Refused, match="takes answer, not approve"):
        await house.say(Verb.APPROVE, request)

    assert (await house.request(RUN, "question")).id == request.id


async def test_what_hides_in_a_question_is_kept_as_it_is_and_nothing_of_it_is_read_as_a_template(house: House) -> None:
    hostile = "Approve \u202ethis\u202c \x1b[2J{by} {note}?"
    await house.apply(text(replies=question("ask_human", question=hostile), agent={"tools": ["ask_human"]}))
    request = await house.request(RUN, "question")
    await house.say(Verb.ANSWER, request, text="{result} {by}")
    await house.run(RUN, RunPhase.SUCCEEDED)

    assert request.question == hostile
    assert await house.results(RUN) == ["{result} {by}"]


async def test_three_are_asked_at_once_and_the_run_goes_on_with_the_last_answer_in_the_next_life(tmp_path: Path) -> None:
    names = ("marketing", "engineer", "ceo")
    calls = [{"name": f"ask_{name}", "arguments": {"question": f"{name}?"}} for name in names]
    agent = {"tools": [{"human": name} for name in names]}
    channels = [{"name": name, "type": "terminal"} for name in names]
    async with a_house(tmp_path) as first:
        await first.apply(text(replies=[{"tool_calls": calls}, {"content": "done"}], agent=agent, channels=channels))
        await first.request(RUN, "question", position=2)
        for position in (2, 0):
            request = await first.request(RUN, "question", position=position)
            await first.say(Verb.ANSWER, request, text=f"to {request.question}")
        await first.quiet()
        assert (await first.now(RUN)).attempts == 1
    async with a_house(tmp_path) as second:
        await second.say(Verb.ANSWER, await second.request(RUN, "question"), text="to the last")
        run = await second.run(RUN, RunPhase.SUCCEEDED)

        assert await second.results(RUN) == ["to marketing?", "to the last", "to ceo?"]
        assert run.attempts == 2
        assert is_legal(await second.conversation(RUN))


@pytest.mark.parametrize(
    ("function", "entry"), [("ask_head_of_marketing", {"human": "head of marketing"}), ("ask_human", {"tool": "ask_human"})]
)
async def test_a_question_that_expires_tells_the_model_so_and_the_run_goes_on(house: House, function: str, entry: dict[str, Any]) -> None:
    script = question(function, question="Does it fit?")
    await house.apply(text(replies=script, agent={"tools": [entry | {"expires": "2h", "remind": ["10m", "1h"]}]}, **ROOM))
    request = await house.request(RUN, "question")
    await house.wait(timedelta(hours=2))
    await house.run(RUN, RunPhase.SUCCEEDED)

    assert json.loads(request.remind) == [600, 3600]
    assert await house.results(RUN) == [f"Error: nobody answered {function} within 2h"]
    assert (await house.calls(RUN))[0].phase is CallPhase.FAILED
    assert is_legal(await house.conversation(RUN))
    with pytest.raises(Refused, match="expired at 2026-01-02 05:04:05 UTC: nobody had answered"):
        await house.say(Verb.ANSWER, request, text="too late")


# ---- the other kinds


async def test_a_loop_is_answered_like_everything_else(house: House) -> None:
    script = [asks(TITLE)[0]] * 6 + [{"content": "done"}]
    for _ in range(6):
        house.gate.let_through("the same")
    await house.apply(text(publish(), replies=script))
    request = await house.request(RUN, "loop")
    heard = await house.say(Verb.RESUME, request)
    await house.run(RUN, RunPhase.SUCCEEDED)

    assert heard.counted
    with pytest.raises(Refused, match="already resumed by ann"):
        await house.say(Verb.CANCEL, request, by="bob")


async def test_a_loop_can_be_ended_by_its_request(house: House) -> None:
    for _ in range(5):
        house.gate.let_through("the same")
    await house.apply(text(publish(), replies=[asks(TITLE)[0]] * 6))
    await house.say(Verb.CANCEL, await house.request(RUN, "loop"), note="enough")

    assert (await house.run(RUN, RunPhase.CANCELLED)).detail == "cancelled by ann: enough"


async def test_resuming_the_run_answers_its_request(house: House) -> None:
    for _ in range(6):
        house.gate.let_through("the same")
    await house.apply(text(publish(), replies=[*[asks(TITLE)[0]] * 6, {"content": "done"}]))
    request = await house.request(RUN, "loop")
    await house.driver.transact(lambda tx: resume(tx, runs.get(tx, request.run_id), by="bob"))
    await house.run(RUN, RunPhase.SUCCEEDED)

    with pytest.raises(Refused, match="already resumed by bob"):
        await house.say(Verb.RESUME, request)
