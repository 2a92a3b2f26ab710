"""`why`, for every phase in which a run waits: what it says, when it goes on by itself, and which command moves it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from smallchain.engine.run.acts import pause
from smallchain.engine.run.why import why
from smallchain.model.lifecycles import CallPhase, RunPhase
from smallchain.model.reason import Reason
from smallchain.store import runs
from smallchain.store.contract import Tx
from support.asking import RUN, TITLE, asks, publish, text
from support.house import House, a_house
from support.rows import put_call, put_run


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as opened:
        yield opened


async def reason(house: House, run: str = RUN) -> Reason:
    def look(tx: Tx) -> Reason:
        found = runs.by_name(tx, run)
        assert found is not None
        return why(tx, found)

    return await house.database.read(look)


def chain(found: Reason) -> list[str]:
    """The links of a reason, each `kind: words`, outermost first."""
    return [f"{found.kind}: {found.words}", *(line for each in found.because for line in chain(each))]


def commands(found: Reason) -> Iterator[tuple[str, ...]]:
    yield from found.commands
    for each in found.because:
        yield from commands(each)


async def test_an_approval_is_named_with_its_question_and_both_ways_to_decide_it(house: House) -> None:
    await house.apply(text(publish(approval="required"), replies=asks(TITLE)))
    request = await house.request(RUN)
    found = await reason(house)
    id = request.id[-8:]

    assert chain(found) == [
        "run: it waits for a tool call",
        "toolcall: it waits for a person",
        f"request: a person has to decide (approval): {request.question}",
    ]
    assert list(commands(found)) == [("approve", id), ("deny", id)]


async def test_an_approval_that_expires_says_when(house: House) -> None:
    await house.apply(text(publish(approval={"expires": "2h"}), replies=asks(TITLE)))
    request = await house.request(RUN)
    (call,) = (await reason(house)).because

    assert call.because[0].until == request.expires_at == request.created_at + timedelta(hours=2)


async def test_a_question_of_the_model_is_shown_in_its_words(house: House) -> None:
    replies = [{"tool_calls": [{"name": "ask_human", "arguments": {"question": "Which region?"}}]}, {"content": "done"}]
    await house.apply(text(replies=replies, agent={"tools": ["ask_human"]}))
    request = await house.request(RUN, "question")
    found = await reason(house)

    assert chain(found)[-1] == "request: a person has to decide (question): Which region?"
    assert list(commands(found)) == [("answer", request.id[-8:], "TEXT")]


async def test_a_parent_waits_for_what_its_child_waits_for(house: House) -> None:
    scripts = {
        "boss": [{"tool_calls": [{"name": "delegate_to_clerk", "arguments": {"message": "go"}}]}, {"content": "done"}],
        "clerk": asks(TITLE),
    }
    llms = [{"name": name, "provider": "scripted", "replies": replies} for name, replies in scripts.items()]
    agents = [{"name": "boss", "llm": "boss", "tools": [{"agent": "clerk"}]}, {"name": "clerk", "llm": "clerk", "tools": ["publish"]}]
    tasks = [{"name": "write", "agent": "boss", "user_message": "go"}]
    await house.apply(text(publish(approval="required"), replies=[], llms=llms, agents=agents, tasks=tasks))
    await house.call("monday/clerk-1", CallPhase.AWAITING_APPROVAL)
    found = await reason(house)

    assert [line.partition(":")[0] for line in chain(found)] == ["run", "toolcall", "run", "toolcall", "request"]
    assert found.because[0].because[0].name == "monday/clerk-1"
    assert [words[0] for words in commands(found)] == ["approve", "deny"]


async def test_each_of_several_calls_has_its_own_reason(house: House) -> None:
    await house.apply(text(publish(approval="required"), replies=asks(TITLE, {"title": "Tools"})))
    await house.call(RUN, CallPhase.AWAITING_APPROVAL, position=1)
    found = await reason(house)

    assert found.words == "it waits for 2 tool calls"
    assert len(found.because) == 2
    assert len(set(commands(found))) == 4


async def test_a_tool_that_runs_says_since_when_and_until_when_at_the_latest(house: House) -> None:
    await house.apply(text(publish(timeout="90s"), replies=asks(TITLE)))
    await house.gate.came(1)
    (call,) = (await reason(house)).because

    assert (call.words, call.commands) == ("it runs", ())
    assert call.since is not None
    assert call.until == call.since + timedelta(seconds=90)


async def test_a_paused_run_names_who_paused_it_and_how_it_goes_on(house: House) -> None:
    await house.apply(text(publish(), replies=asks(TITLE)))
    await house.gate.came(1)
    await house.driver.transact(lambda tx: pause(tx, _run(tx), by="ann"))
    found = await reason(house)

    assert found.words == "it is paused by ann"
    assert found.commands == (("resume", RUN), ("cancel", RUN))


async def test_a_run_that_lacks_something_says_what(house: House) -> None:
    await house.apply(text(replies=[{"content": "hi"}], agent={"tools": ["sumarise"]}))
    await house.run(RUN, RunPhase.PENDING)
    found = await house.until(lambda tx: found if "sumarise" in (found := why(tx, _run(tx))).words else None)

    assert "it needs what is not there" in found.words
    assert found.commands == ()


async def test_a_run_that_is_over_says_how_it_ended_and_what_goes_on_from_there(house: House) -> None:
    await house.apply(text(replies=[{"error": {"status": 400, "message": "no such model"}}]))
    await house.run(RUN, RunPhase.FAILED)
    found = await reason(house)

    assert found.words.startswith("it is over: failed")
    assert "no such model" in found.words
    assert found.commands == (("retry", RUN),)


async def test_a_run_that_backs_off_says_after_what_and_until_when(house: House) -> None:
    await house.apply(text(replies=[{"error": {"status": 503, "message": "overloaded"}}]))
    run = await house.run(RUN, RunPhase.BACKING_OFF)
    found = await reason(house)

    assert "after a failure" in found.words
    assert "overloaded" in found.words
    assert found.until == run.due_at


async def test_a_run_in_line_says_what_fills_the_llm(house: House) -> None:
    llm = {"name": "fast", "provider": "scripted", "replies": [{"content": "hi", "delay": "1h"}], "limits": {"concurrency": 1}}
    entries = [{"name": name, "task": "write"} for name in (RUN, "tuesday")]
    await house.apply(text(replies=[], llms=[llm], runs=entries))
    waiting = await house.until(lambda tx: next((run for run in _both(tx) if run.phase is RunPhase.READY), None))
    found = await house.until(lambda tx: found if (found := why(tx, runs.get(tx, waiting.id))).because else None)
    calling = next(run for run in await house.database.read(_both) if run.id != waiting.id)
    busy = await reason(house, calling.name)

    assert chain(found)[0] == "run: it waits for a place at LLM 'fast'"
    assert "1 in line" in chain(found)[1]
    assert busy.words == "LLM 'fast' was called and has not replied yet"
    assert busy.since is not None
    assert busy.until == busy.since + timedelta(minutes=10)


def _run(tx: Tx) -> Any:
    run = runs.by_name(tx, RUN)
    assert run is not None
    return run


def _both(tx: Tx) -> list[Any]:
    return [found for name in (RUN, "tuesday") if (found := runs.by_name(tx, name)) is not None]


@pytest.mark.parametrize("phase", list(RunPhase))
async def test_every_phase_of_a_run_has_an_answer(house: House, phase: RunPhase) -> None:
    def look(tx: Tx) -> Reason:
        return why(tx, runs.save(tx, put_run(tx), phase=phase))

    assert (await house.database.write(look)).words


@pytest.mark.parametrize("phase", [each for each in CallPhase if each not in {"succeeded", "failed", "rejected", "cancelled", "timed_out"}])
async def test_every_phase_of_an_open_call_has_an_answer(house: House, phase: CallPhase) -> None:
    def look(tx: Tx) -> Reason:
        run = runs.save(tx, put_run(tx), phase=RunPhase.AWAITING_TOOLS)
        put_call(tx, run, phase=phase)
        return why(tx, run)

    (call,) = (await house.database.write(look)).because
    assert call.words
