"""What a run sends when not all of its conversation is to go, or can: windows, and requests that are longer than the model takes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from smallchain.engine.run.acts import adopt
from smallchain.engine.run.execute import body_of
from smallchain.engine.specs import pins_of
from smallchain.model.lifecycles import RunPhase
from smallchain.store import messages, modelcalls, runs
from smallchain.store.contract import Row, Tx
from support.house import House, a_house, is_legal
from support.modelserver import Answer, Asked, ModelServer, call, fails, says
from support.starts import FixedClock

RUN = "monday"
TOO_LONG = "this model's maximum context length is 10 tokens"
Message = dict[str, Any]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as opened:
        yield opened


def counts_to(turns: int) -> Callable[[Asked], Answer]:
    """Adds in each turn what tells the turns apart, and answers once it has been told the last sum."""

    def brain(asked: Asked) -> Answer:
        last = asked.messages[-1]
        number = int(last["content"]) if last["role"] == "tool" else 0
        return says(f"{turns}") if number == turns else says(None, call(f"c{number}", "add", a=number, b=1))

    return brain


def takes(most: int, brain: Callable[[Asked], Answer]) -> Callable[[Asked], Answer]:
    """A model that takes so many messages at most."""
    return lambda asked: fails(400, TOO_LONG, code="context_length_exceeded") if len(asked.messages) > most else brain(asked)


def scene(server: ModelServer, written: Any = "full", **llm: Any) -> str:
    return json.dumps(
        {
            "llms": [{"name": "fast", "provider": "openai", "model": "loopback", "base_url": server.base_url, **llm}],
            "agents": [{"name": "counter", "system_prompt": "count", "tools": ["add"], "context": written}],
            "tasks": [{"name": "count", "agent": "counter", "user_message": "up"}],
            "runs": [{"name": RUN, "task": "count"}],
        }
    )


async def attempts(house: House) -> list[tuple[Row, bytes]]:
    """Each attempt and its request, made again from what is recorded."""

    def look(tx: Tx) -> list[tuple[Row, bytes]]:
        run = runs.by_name(tx, RUN)
        assert run is not None
        return [(row, body_of(tx, run, pins_of(tx, run.root_id), modelcalls.from_row(row))) for row in modelcalls.of_run(tx, run.id)]

    return await house.database.read(look)


async def is_as_recorded(house: House, server: ModelServer) -> bool:
    """Whether every request that went out is what the record says, and legal."""
    return [asked.body for asked in server.requests] == [body for _, body in await attempts(house)] and all(
        is_legal(asked.messages) for asked in server.requests
    )


def results(messages: list[Message]) -> list[str]:
    return [message["content"] for message in messages if message["role"] == "tool"]


# ---- windows


@pytest.mark.parametrize("tool_mode", ["native", "json"])
async def test_a_window_sends_the_head_and_the_newest_turns(house: House, tool_mode: str) -> None:
    async with ModelServer(counts_to(5) if tool_mode == "native" else in_json(5)) as server:
        await house.apply(scene(server, {"window": 2}, tool_mode=tool_mode))
        run = await house.run(RUN, RunPhase.SUCCEEDED)

        assert await is_as_recorded(house, server)
    assert [len(asked.messages) for asked in server.requests] == [2, 4, 6, 6, 6, 6]
    assert all([message["role"] for message in asked.messages[:2]] == ["system", "user"] for asked in server.requests)
    assert results(await house.conversation(RUN)) == ["1", "2", "3", "4", "5"], "all of it is kept"
    assert run.output == "5"


def in_json(turns: int) -> Callable[[Asked], Answer]:
    """The same for `tool_mode: json`."""

    def brain(asked: Asked) -> Answer:
        results = json.loads(asked.messages[-1]["content"].partition("\n")[2] or "[]")
        number = int(results[0]["result"]) if results else 0
        calls = [] if number == turns else [{"name": "add", "arguments": {"a": number, "b": 1}}]
        return says(json.dumps({"answer": "" if calls else f"{turns}", "calls": calls}))

    return brain


async def test_a_model_that_counts_its_calls_anew_gives_no_id_of_a_call_that_it_is_not_shown(house: House) -> None:
    def brain(asked: Asked) -> Answer:
        last = asked.messages[-1]
        number = int(last["content"]) if last["role"] == "tool" else 0
        return says("5") if number == 5 else says(None, call(f"call_{asked.turn}", "add", a=number, b=1))

    async with ModelServer(brain) as server:
        await house.apply(scene(server, {"window": 1}))
        await house.run(RUN, RunPhase.SUCCEEDED)

        assert await is_as_recorded(house, server)
    said = await house.conversation(RUN)
    ids = [each["id"] for message in said for each in message.get("tool_calls") or ()]
    assert is_legal(said)
    assert len(ids) == len(set(ids)) == 5


async def test_the_window_that_is_not_written_out_is_twenty_turns(house: House) -> None:
    async with ModelServer(counts_to(22)) as server:
        await house.apply(scene(server, "window"))
        await house.run(RUN, RunPhase.SUCCEEDED)

    assert [len(asked.messages) for asked in server.requests[-3:]] == [42, 42, 42]


# ---- longer than the model takes


@pytest.mark.parametrize("written", ["full", {"window": 9}])
async def test_a_request_that_is_too_long_goes_out_again_without_its_older_half(house: House, written: Any) -> None:
    async with ModelServer(takes(9, counts_to(5))) as server:
        await house.apply(scene(server, written))
        run = await house.run(RUN, RunPhase.SUCCEEDED)

        assert await is_as_recorded(house, server)
    assert [len(asked.messages) for asked in server.requests] == [2, 4, 6, 8, 10, 6, 8]
    assert results(server.requests[5].messages) == ["3", "4"]
    assert results(server.requests[6].messages) == ["3", "4", "5"], "what was left out stays out"
    assert (run.output, run.turns) == ("5", 6)
    assert (await house.reasons()).count("ContextShortened") == 1
    assert results(await house.conversation(RUN)) == ["1", "2", "3", "4", "5"]


async def test_each_turn_may_be_too_long_once(house: House) -> None:
    async with ModelServer(takes(7, counts_to(6))) as server:
        await house.apply(scene(server))
        await house.run(RUN, RunPhase.SUCCEEDED)

        assert await is_as_recorded(house, server)
    assert [len(asked.messages) for asked in server.requests] == [2, 4, 6, 8, 4, 6, 8, 4, 6]


async def test_a_request_that_is_still_too_long_fails_the_run_and_says_what_to_do(house: House) -> None:
    async with ModelServer(takes(3, counts_to(9))) as server:
        server.brain = lambda asked: takes(10 if len(server.requests) < 6 else 3, counts_to(9))(asked)
        await house.apply(scene(server))
        run = await house.run(RUN, RunPhase.FAILED)

    assert [len(asked.messages) for asked in server.requests] == [2, 4, 6, 8, 10, 12, 6]
    assert run.error.startswith("the conversation is longer than the model takes, and its older half was left out already")
    assert "`context: {window: N}` with fewer turns" in run.error
    assert TOO_LONG in run.error


async def test_one_turn_that_is_too_long_fails_the_run_at_once(house: House) -> None:
    async with ModelServer(takes(3, counts_to(5))) as server:
        await house.apply(scene(server))
        run = await house.run(RUN, RunPhase.FAILED)

    assert len(server.requests) == 2
    assert "there are no turns that could be left out" in run.error


async def test_a_shorter_request_is_sent_again_as_it_was_after_a_crash(tmp_path: Path) -> None:
    silent = True

    def brain(asked: Asked) -> Answer:
        if silent and len(asked.messages) == 6 and len(results(asked.messages)) == 2 and results(asked.messages)[0] == "3":
            return Answer(fault="silence")
        return takes(9, counts_to(5))(asked)

    async with ModelServer(brain) as server:
        house = (await House.open(tmp_path, FixedClock())).start()
        await house.apply(scene(server))
        await server.arrived(6)
        house = await house.crash()
        silent = False
        house.start()
        run = await house.run(RUN, RunPhase.SUCCEEDED)

        assert await is_as_recorded(house, server)
        assert server.requests[5].body == server.requests[6].body
        assert [row["outcome"] for row, _ in await attempts(house)][4:] == ["failed", "interrupted", "replied", "replied"]
        assert (run.output, len(await house.calls(RUN))) == ("5", 5), "no call is made twice"
        await house.close()


async def test_a_crash_while_a_request_that_is_too_long_is_out_loses_nothing(tmp_path: Path) -> None:
    silent = True

    def brain(asked: Asked) -> Answer:
        return Answer(fault="silence") if silent and len(asked.messages) > 9 else takes(9, counts_to(5))(asked)

    async with ModelServer(brain) as server:
        house = (await House.open(tmp_path, FixedClock())).start()
        await house.apply(scene(server))
        await server.arrived(5)
        house = await house.crash()
        silent = False
        house.start()
        run = await house.run(RUN, RunPhase.SUCCEEDED)

        assert await is_as_recorded(house, server)
        assert [len(asked.messages) for asked in server.requests] == [2, 4, 6, 8, 10, 10, 6, 8]
        assert (run.output, len(await house.calls(RUN))) == ("5", 5)
        await house.close()


async def test_what_was_left_out_stays_out_when_the_strategy_is_another(house: House) -> None:
    async with ModelServer(counts_to(6)) as server:
        server.brain = lambda asked: fails(503) if len(server.requests) == 5 else counts_to(6)(asked)
        await house.apply(scene(server, {"window": 2}))
        run = await house.run(RUN, RunPhase.BACKING_OFF)
        await house.apply(scene(server, "full"))
        await house.driver.transact(lambda tx: adopt(tx, runs.get(tx, run.id), by="ann"))
        assert run.due_at is not None
        await house.wait(run.due_at - house.clock.now())
        await house.run(RUN, RunPhase.SUCCEEDED)

    assert [len(asked.messages) for asked in server.requests] == [2, 4, 6, 6, 6, 6, 8, 10]


# ---- summaries


def sums_up(turns: int, *, most: int = 99) -> Callable[[Asked], Answer]:
    """Counts, and says what it was told to sum up when it is asked to."""

    def brain(asked: Asked) -> Answer:
        if is_wish(asked):
            said = asked.messages[2:-1]
            earlier = [message["content"] for message in said if message["role"] == "user"]
            return says(" ".join(["I counted:", *earlier, *results(said)]))
        last = asked.messages[-1]
        if last["role"] == "user" and "summary of the work" in last["content"]:
            raise AssertionError("a summary stands behind the head, and the newest turns behind it")
        return counts_to(turns)(asked)

    return takes(most, brain)


def is_wish(asked: Asked) -> bool:
    return "Sum up the conversation" in str(asked.messages[-1]["content"])


def wishes(server: ModelServer) -> list[int]:
    return [number for number, asked in enumerate(server.requests) if is_wish(asked)]


async def test_the_older_half_is_summed_up_when_there_are_too_many_turns(house: House) -> None:
    async with ModelServer(sums_up(8)) as server:
        await house.apply(scene(server, {"summarise": 4}, price={"input": "$1", "output": "$10"}))
        run = await house.run(RUN, RunPhase.SUCCEEDED)

        assert await is_as_recorded(house, server)
    assert wishes(server) == [5, 9]
    assert results(server.requests[5].messages) == ["1", "2", "3"]
    after = server.requests[6].messages
    assert [message["role"] for message in after[:4]] == ["system", "user", "user", "assistant"]
    assert after[2]["content"] == "[summary of the work so far]\nI counted: 1 2 3"
    assert results(after) == ["4", "5"]
    assert "I counted: [summary of the work so far]\nI counted: 1 2 3 4 5 6" in server.requests[10].messages[2]["content"]
    assert sum("summary of the work" in str(message["content"]) for message in server.requests[10].messages) == 1, (
        "the newest stands for all"
    )
    assert (run.output, run.turns) == ("8", 9), "a summary is no turn"
    assert results(await house.conversation(RUN)) == ["1", "2", "3", "4", "5", "6", "7", "8"]
    assert (await house.reasons()).count("ContextSummarised") == 2


async def test_a_summary_is_recorded_and_priced_like_any_attempt(house: House) -> None:
    async with ModelServer(sums_up(3)) as server:
        await house.apply(scene(server, {"summarise": 2}, price={"input": "$1", "output": "$10"}))
        run = await house.run(RUN, RunPhase.SUCCEEDED)
        rows = [row for row, _ in await attempts(house)]

    asked = [row for row in rows if row["summarises"]]
    assert len(asked) == len(wishes(server)) == 1
    assert (asked[0]["outcome"], asked[0]["input_tokens"]) == ("replied", 10)
    assert asked[0]["cost_nanousd"] > 0
    assert run.cost_nanousd == sum(row["cost_nanousd"] for row in rows)


async def test_a_summary_stands_in_the_conversation_as_ours(house: House) -> None:
    async with ModelServer(sums_up(3)) as server:
        await house.apply(scene(server, {"summarise": 2}))
        run = await house.run(RUN, RunPhase.SUCCEEDED)
    rows = await house.database.read(lambda tx: messages.of_run(tx, run.id))

    assert [(row["role"], row["template"]) for row in rows if row["template"]] == [("user", "summary")]


async def test_in_json_a_summary_is_the_answer_of_the_reply(house: House) -> None:
    def brain(asked: Asked) -> Answer:
        return says(json.dumps({"answer": "some counting", "calls": []})) if is_wish(asked) else in_json(4)(asked)

    async with ModelServer(brain) as server:
        await house.apply(scene(server, {"summarise": 2}, tool_mode="json"))
        run = await house.run(RUN, RunPhase.SUCCEEDED)

        assert [asked.body for asked in server.requests] == [body for _, body in await attempts(house)]
    assert wishes(server)
    assert "some counting" in server.requests[-1].messages[2]["content"]
    assert run.output == "4"


async def test_a_request_that_is_too_long_goes_on_with_a_summary_of_its_older_half(house: House) -> None:
    async with ModelServer(sums_up(5, most=9)) as server:
        await house.apply(scene(server, "summarise"))
        run = await house.run(RUN, RunPhase.SUCCEEDED)

        assert await is_as_recorded(house, server)
    assert [len(asked.messages) for asked in server.requests] == [2, 4, 6, 8, 10, 7, 7, 9]
    assert wishes(server) == [5]
    assert results(server.requests[6].messages) == ["3", "4"]
    assert run.output == "5"


async def test_a_summary_that_does_not_help_fails_the_run(house: House) -> None:
    async with ModelServer(sums_up(9)) as server:
        server.brain = lambda asked: sums_up(9, most=5 if len(asked.messages) > 9 or wishes(server) else 99)(asked)
        await house.apply(scene(server, "summarise"))
        run = await house.run(RUN, RunPhase.FAILED)

    assert "so is its older half, which was to be summed up" in run.error
    assert "`context: {window: N}`" in run.error


@pytest.mark.parametrize("said", [says(""), says(None, call("x", "add", a=1, b=1))])
async def test_a_model_that_sums_up_nothing_is_asked_again_and_then_fails_the_run(house: House, said: Answer) -> None:
    async with ModelServer(lambda asked: said if is_wish(asked) else counts_to(9)(asked)) as server:
        await house.apply(scene(server, {"summarise": 2}))
        for _ in range(2):
            run = await house.run(RUN, RunPhase.BACKING_OFF)
            assert run.due_at is not None
            await house.wait(run.due_at - house.clock.now())
            await server.arrived(len(server.requests) + 1)
        run = await house.run(RUN, RunPhase.FAILED)

    assert len(wishes(server)) == 3
    assert run.error.startswith("the model did not sum up the conversation")
    assert len(await house.calls(RUN)) == 3, "what it calls meanwhile is not done"


async def test_a_crash_while_a_summary_is_made_loses_nothing_and_repeats_no_call(tmp_path: Path) -> None:
    silent = True

    def brain(asked: Asked) -> Answer:
        return Answer(fault="silence") if silent and is_wish(asked) else sums_up(5)(asked)

    async with ModelServer(brain) as server:
        house = (await House.open(tmp_path, FixedClock())).start()
        await house.apply(scene(server, {"summarise": 4}))
        await server.arrived(6)
        house = await house.crash()
        silent = False
        house.start()
        run = await house.run(RUN, RunPhase.SUCCEEDED)

        assert await is_as_recorded(house, server)
        assert wishes(server) == [5, 6]
        assert server.requests[5].body == server.requests[6].body
        assert (run.output, len(await house.calls(RUN))) == ("5", 5)
        await house.close()


async def test_a_crash_between_an_overflow_and_its_summary_goes_on_with_the_summary(tmp_path: Path) -> None:
    silent = True

    def brain(asked: Asked) -> Answer:
        return Answer(fault="silence") if silent and is_wish(asked) else sums_up(5, most=9)(asked)

    async with ModelServer(brain) as server:
        house = (await House.open(tmp_path, FixedClock())).start()
        await house.apply(scene(server, "summarise"))
        await server.arrived(6)
        house = await house.crash()
        silent = False
        house.start()
        run = await house.run(RUN, RunPhase.SUCCEEDED)

        assert await is_as_recorded(house, server)
        assert [len(asked.messages) for asked in server.requests] == [2, 4, 6, 8, 10, 7, 7, 7, 9]
        assert (run.output, len(await house.calls(RUN))) == ("5", 5)
        await house.close()


async def test_under_a_cap_a_summary_holds_what_it_may_use_and_the_run_goes_on(house: House) -> None:
    async with ModelServer(sums_up(5)) as server:
        text = json.loads(scene(server, {"summarise": 4}, price={"input": "$1", "output": "$10"}, parameters={"max_tokens": 50}))
        text["budgets"] = [{"name": "all-of-it", "over": "everything", "limit": "$9", "per": "day"}]
        await house.apply(json.dumps(text))
        await house.run(RUN, RunPhase.SUCCEEDED)
        rows = await attempts(house)

        assert await is_as_recorded(house, server)
    held = [row["held_nanousd"] for row, _ in rows if row["summarises"]]
    asked = len("Sum up the conversation above")
    assert len(held) == 1
    assert held[0] > 50 * 10_000 + 1_000 * asked, "the words that ask for it are counted"
    assert all(row["held_nanousd"] >= row["cost_nanousd"] for row, _ in rows)
