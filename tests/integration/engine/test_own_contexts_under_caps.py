"""A context strategy of a person's own under caps: its request is made first, held at its own bytes, and nothing else is sent."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from smallchain.engine.budget.caps import caps_over
from smallchain.engine.run.acts import cancel
from smallchain.engine.run.compose import code_changed
from smallchain.model.cap import Standing
from smallchain.model.lifecycles import RunPhase
from smallchain.model.money import Price, Rates, Usage
from smallchain.model.run import Run
from smallchain.store import composed, ledger, modelcalls, runs
from smallchain.store.contract import Row, Tx
from support.house import House, a_house
from support.modelserver import Answer, Asked, ModelServer, call, says
from support.rows import all_runs
from support.starts import FixedClock

PRICE = Price(Rates(input=1_000_000_000, output=10_000_000_000))
WAYS = """
def short(agent, run, messages):
    return {"model": agent["model"], "messages": messages[-1:], **agent["parameters"]}

def long(agent, run, messages):
    return {"model": agent["model"], "messages": [{"role": "user", "content": "x" * 5000}], **agent["parameters"]}

def counted(agent, run, messages):
    said = f"attempt {run['attempt']} of {len(messages)} messages"
    return {"model": agent["model"], "messages": messages + [{"role": "user", "content": said}], **agent["parameters"]}

def unbounded(agent, run, messages):
    return {"model": agent["model"], "messages": messages}

def dearer(agent, run, messages):
    return {"model": "dearer", "messages": messages, **agent["parameters"]}

def text(agent, run, messages):
    return "<|user|>" + messages[-1]["content"]

def several(agent, run, messages):
    return {"model": agent["model"], "messages": messages[-1:], "n": 3, "max_tokens": 200}
"""
Words = dict[str, Any]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as opened:
        (opened.config / "ways.py").write_text(WAYS)
        yield opened


def uses(said: Answer, prompt: int = 100, reply: int = 50) -> Answer:
    assert isinstance(said.body, dict)
    return Answer(body={**said.body, "usage": {"prompt_tokens": prompt, "completion_tokens": reply}})


def files(server: ModelServer, way: str, *names: str, parameters: Words | None = None, **cap: Any) -> str:
    llm = {"name": "fast", "provider": "openai", "model": "m", "base_url": server.base_url, "price": {"input": "$1", "output": "$10"}}
    words = {
        "llms": [llm | {"parameters": parameters or {}}],
        "agents": [{"name": "clerk", "llm": "fast", "tools": ["add"], "context": f"ways:{way}"}],
        "tasks": [{"name": "work", "agent": "clerk", "user_message": "add"}],
        "runs": [{"name": name, "task": "work"} for name in names or ("monday",)],
        "budgets": [{"name": "all", "over": "everything", "limit": "$1", "per": "day"} | cap],
    }
    return json.dumps(words)


def _run(tx: Tx, name: str = "monday") -> Run:
    found = runs.by_name(tx, name)
    assert found is not None
    return found


async def attempts(house: House) -> list[Row]:
    return await house.database.read(lambda tx: modelcalls.of_run(tx, _run(tx).id))


async def standing(house: House, name: str = "monday") -> Standing:
    def look(tx: Tx) -> Standing:
        (cap,) = caps_over(tx, _run(tx, name), "fast")
        return ledger.look(tx, cap)

    return await house.database.read(look)


@pytest.mark.parametrize(("way", "output"), [("short", 100), ("long", 100), ("several", 600)])
async def test_the_request_is_held_at_its_own_bytes_and_is_what_is_sent(house: House, way: str, output: int) -> None:
    async with ModelServer(lambda asked: uses(says("done"))) as server:
        await house.apply(files(server, way, parameters={"max_tokens": 100}))
        run = await house.run("monday", RunPhase.SUCCEEDED)
        (sent,) = server.requests
    (row,) = await attempts(house)
    kept = await house.database.read(lambda tx: composed.get(tx, run.id, 1))
    found = await standing(house)

    assert row["held_nanousd"] == len(sent.body) * 1_000 + output * 10_000
    assert kept is not None
    assert kept.encode() == sent.body
    assert (found.spent, found.held) == (PRICE.cost(Usage(100, 50)), 0)


async def test_where_nothing_bounds_the_reply_the_strategy_is_told_a_bound(house: House) -> None:
    async with ModelServer(lambda asked: uses(says("done"))) as server:
        await house.apply(files(server, "short", limit="$0.01"))
        await house.run("monday", RunPhase.SUCCEEDED)
        (sent,) = [asked.json for asked in server.requests]
    (row,) = await attempts(house)

    assert 256 <= sent["max_tokens"] <= 1_000
    assert row["held_nanousd"] <= 10_000_000


@pytest.mark.parametrize(
    ("way", "why"),
    [
        ("unbounded", "ways:unbounded returned bounds no reply, which budget 'all' needs: let it send `max_tokens`"),
        ("dearer", "ways:dearer returned asks for another model than m, whose price is what budget 'all' goes by"),
        ("text", "ways:text returned is no object of JSON, so that nothing says what it may use at most"),
    ],
)
async def test_a_request_that_may_cost_anything_is_not_sent_under_a_cap(house: House, way: str, why: str) -> None:
    async with ModelServer(lambda asked: uses(says("done"))) as server:
        await house.apply(files(server, way, parameters={"max_tokens": 100}))
        run = await house.run("monday", RunPhase.BACKING_OFF)
        assert why in run.detail
        assert server.requests == []
        assert (await standing(house)).held == (await standing(house)).spent == 0
        (house.config / "ways.py").write_text(WAYS.replace(f"def {way}(", "def other(").replace("def short(", f"def {way}("))
        await house.driver.transact(code_changed)
        await house.run("monday", RunPhase.SUCCEEDED)


async def test_what_does_not_fit_is_made_and_kept_and_sent_only_when_there_is_room_anew(house: House) -> None:
    def answer(asked: Asked) -> Answer:
        return uses(says("done") if asked.number > 1 else says(None, call("c", "add", a=1, b=2)), 600, 60)

    async with ModelServer(answer) as server:
        await house.apply(files(server, "counted", parameters={"max_tokens": 60}, limit="$0.0019", per="hour"))
        run = await house.run("monday", RunPhase.OVER_BUDGET)
        kept = await house.database.read(lambda tx: composed.get(tx, run.id, 2))
        assert (run.attempts, len(server.requests)) == (1, 1)
        assert kept is not None
        assert run.due_at is not None
        await house.wait(run.due_at - house.clock.now())
        await house.run("monday", RunPhase.SUCCEEDED)
        _, second = [asked.json for asked in server.requests]

    assert "You stood still" in second["messages"][-2]["content"], "it was made anew, of all that was said meanwhile"
    assert second["messages"][-1]["content"].startswith("attempt 2 of ")
    assert (await standing(house)).spent == PRICE.cost(Usage(600, 60))


async def test_many_at_once_do_not_get_past_a_cap(house: House) -> None:
    names = [f"run-{number:02}" for number in range(20)]
    async with ModelServer(lambda asked: uses(says("done"), len(asked.body), 100)) as server:
        await house.apply(files(server, "short", *names, parameters={"max_tokens": 100}, limit="$0.008"))
        await house.until(lambda tx: all(row["phase"] in ("succeeded", "over_budget") for row in all_runs(tx)))
        bill = sum(PRICE.cost(Usage(len(asked.body), 100)) for asked in server.requests)
    found = await standing(house, "run-00")

    assert 0 < len(server.requests) < 20
    assert bill == found.spent <= 8_000_000
    assert bill > 8_000_000 * 0.8
    assert found.held == 0


async def test_a_crash_before_the_attempt_is_recorded_makes_the_request_again_and_books_nothing(tmp_path: Path) -> None:
    first = (await House.open(tmp_path, FixedClock())).start()
    (first.config / "ways.py").write_text("import time\ndef slow(agent, run, messages):\n    time.sleep(60)\n" + WAYS)
    async with ModelServer(lambda asked: uses(says("done"))) as server:
        await first.apply(files(server, "slow", parameters={"max_tokens": 100}))
        await first.until(lambda tx: _run(tx).phase is RunPhase.READY)
        second = await first.crash()
        try:
            (second.config / "ways.py").write_text(WAYS.replace("def short(", "def slow("))
            second.start()
            run = await second.run("monday", RunPhase.SUCCEEDED)
            found = await standing(second)
        finally:
            await second.close()

    assert (run.attempts, len(server.requests)) == (1, 1)
    assert (found.spent, found.held) == (PRICE.cost(Usage(100, 50)), 0)


async def test_a_run_that_is_cancelled_while_its_request_is_made_sends_nothing(house: House) -> None:
    (house.config / "ways.py").write_text("import time\ndef slow(agent, run, messages):\n    time.sleep(60)\n")
    async with ModelServer(lambda asked: uses(says("done"))) as server:
        await house.apply(files(server, "slow", parameters={"max_tokens": 100}))
        await house.run("monday", RunPhase.READY)
        await house.driver.transact(lambda tx: cancel(tx, _run(tx), by="ann"))
        await house.run("monday", RunPhase.CANCELLED)
        await house.quiet()

    assert server.requests == []
    assert await attempts(house) == []
