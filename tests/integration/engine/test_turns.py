"""What a turn costs and what it sends: one commit where a tool is instant, and the very bytes that are recorded, in every life."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from smallchain.engine.kind import Step, Transact
from smallchain.engine.loop import Driver
from smallchain.engine.run.execute import body_of
from smallchain.engine.specs import pins_of
from smallchain.engine.timekeeper import Timekeeper
from smallchain.model.decision import Effect
from smallchain.model.lifecycles import CallPhase, RunPhase
from smallchain.store import meta, modelcalls, runs
from smallchain.store.contract import Tx
from smallchain.store.database import Database
from smallchain.store.transaction import SqliteTx
from support.house import House, a_house
from support.modelserver import Answer, Asked, ModelServer, call, says
from support.starts import FixedClock

RUN = "monday"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as opened:
        yield opened


def three_turns(asked: Asked) -> Answer:
    """A slow and an instant tool in one reply, an instant one alone, and an answer."""
    if asked.turn == 1:
        return says("both", call("slow", "slow"), call("first", "add", a=1, b=2))
    return says(None, call("second", "add", a=3, b="4")) if asked.turn == 2 else says("7 \N{SNOWMAN}")


def scene(server: ModelServer) -> str:
    """An agent with both tools, and its run."""
    return json.dumps(
        {
            "llms": [{"name": "fast", "provider": "openai", "model": "loopback", "base_url": server.base_url}],
            "tools": [{"name": "slow", "effects": "none", "executor": {"python": {"command": "unused"}}}],
            "agents": [{"name": "assistant", "system_prompt": "count \u00fc", "tools": ["add", "slow"]}],
            "tasks": [{"name": "sums", "agent": "assistant", "user_message": "add"}],
            "runs": [{"name": RUN, "task": "sums"}],
        }
    )


async def recorded(house: House) -> list[bytes]:
    """The request of each attempt, made again from what is recorded."""

    def look(tx: Tx) -> list[bytes]:
        run = runs.by_name(tx, RUN)
        assert run is not None
        return [body_of(tx, run, pins_of(tx, run.root_id), modelcalls.from_row(row)) for row in modelcalls.of_run(tx, run.id)]

    return await house.database.read(look)


async def test_each_request_is_sent_in_the_bytes_that_are_recorded(house: House) -> None:
    async with ModelServer(three_turns) as server:
        await house.apply(scene(server))
        house.gate.let_through("late")
        await house.run(RUN, RunPhase.SUCCEEDED)

    assert [asked.body for asked in server.requests] == await recorded(house)
    assert len(server.requests) == 3
    assert len(house.caller.conversations) == 0, "a run that is over keeps nothing in memory"


async def test_a_request_after_a_crash_is_sent_in_the_bytes_that_are_recorded(tmp_path: Path) -> None:
    async with ModelServer(three_turns) as server:
        house = (await House.open(tmp_path, FixedClock())).start()
        await house.apply(scene(server))
        await house.call(RUN, CallPhase.EXECUTING)
        house = (await house.crash()).start()
        house.gate.let_through("in the next life")
        await house.run(RUN, RunPhase.SUCCEEDED)

        assert [asked.body for asked in server.requests] == await recorded(house)
        assert b"in the next life" in server.requests[-1].body
        await house.close()


async def statements_of_three_turns(house: House, **more: Any) -> list[str]:
    """Every statement on the writer's connection from an agent's file to its answer, with three instant calls before it."""
    said: list[str] = []
    await house.database.write(lambda tx: cast("SqliteTx", tx).connection.set_trace_callback(said.append))
    replies: list[dict[str, Any]] = [{"tool_calls": [{"name": "add", "arguments": {"a": n, "b": 1}}]} for n in range(3)]
    script = [{"name": "fast", "provider": "scripted", "replies": [*replies, {"content": "done"}]}]
    task = {"name": "sums", "agent": "assistant", "user_message": "add"}
    agents = [{"name": "assistant", "tools": ["add"], **more}]
    await house.apply(json.dumps({"llms": script, "agents": agents, "tasks": [task], "runs": [{"name": RUN, "task": "sums"}]}))
    await house.run(RUN, RunPhase.SUCCEEDED)
    await house.database.write(lambda tx: cast("SqliteTx", tx).connection.set_trace_callback(None))
    return said


async def test_an_instant_tool_is_recorded_as_started_and_ended_in_one_write(house: House) -> None:
    said = await statements_of_three_turns(house)
    written = [line.split()[0] for line in said if " toolattempts " in line.split("(")[0] + " " and not line.startswith("SELECT")]
    calls = [line.split()[0] for line in said if " toolcalls " in line.split("(")[0] + " " and not line.startswith("SELECT")]

    assert written == ["INSERT"] * 3
    assert calls == ["INSERT"] * 3
    assert await house.results(RUN) == ["1", "2", "3"]


async def test_a_turn_under_no_cap_asks_nothing_about_money(house: House) -> None:
    said = await statements_of_three_turns(house)

    assert [line for line in said if {"charges", "raises"} & set(line.split())] == []
    assert len([line for line in said if "accounts" in line.split()]) == 1, "that there is no account is looked up once"


async def test_a_turn_under_a_cap_reads_back_nothing_that_it_is_about_to_write(house: House) -> None:
    said = await statements_of_three_turns(house, budget={"limit": "100000 tokens", "per": "run"})
    read = [set(line.split()) for line in said if line.startswith("SELECT")]

    assert len([words for words in read if "messages" in words]) == 1, "the opening, before a reply has told its tokens"
    assert [words for words in read if {"waits_for_room", "JOIN"} <= words] == []
    assert len([line for line in said if line.startswith("INSERT INTO charges")]) == 4


# ---- a fault in what is done at once


class Faulty:
    """A kind of which what is done at once fails."""

    name = "faulty"

    def step(self, tx: Tx, key: str, /) -> Step:
        def work() -> None:
            meta.put(tx, "half", "done")
            raise ZeroDivisionError

        return Step(effects=(Effect("faulty", "divide", key),), at_once=work)

    async def perform(self, effect: Effect, transact: Transact, /) -> None:
        raise AssertionError("what is done at once is not performed")

    def lost(self, tx: Tx, effect: Effect, error: str, /) -> None:
        meta.put(tx, effect.target, error)

    def keys(self, tx: Tx, /) -> list[str]:
        return []


async def test_a_fault_in_what_is_done_at_once_is_recorded_and_takes_back_what_it_did(tmp_path: Path) -> None:
    database = await Database.open(tmp_path, now=FixedClock().now)
    driver = Driver(database, {"faulty": Faulty()}, Timekeeper(FixedClock()))
    await driver.transact(lambda tx: tx.wake("faulty", "it"))

    assert (await database.read(lambda tx: meta.get(tx, "it"))).startswith("a fault of smallchain: ZeroDivisionError")
    assert await database.read(lambda tx: meta.get(tx, "half")) == ""
    assert driver.under_way() == []
    await database.close()


# ---- a row that was taken as far as it goes


class Settling:
    """A kind that wakes its own row and another at each look."""

    name = "settling"

    def __init__(self, *, has_settled: bool) -> None:
        self.has_settled = has_settled
        self.looked_at: list[str] = []

    def step(self, tx: Tx, key: str, /) -> Step:
        self.looked_at.append(key)
        if self.looked_at.count(key) == 1:
            tx.wake(self.name, key)
            tx.wake(self.name, "the other")
        return Step(has_settled=self.has_settled)

    async def perform(self, effect: Effect, transact: Transact, /) -> None:
        raise AssertionError("nothing is to be done")

    def lost(self, tx: Tx, effect: Effect, error: str, /) -> None:
        raise AssertionError("nothing is lost")

    def keys(self, tx: Tx, /) -> list[str]:
        return []


class Circling(Settling):
    """A kind whose rows wake each other at each look, without end."""

    name = "circling"

    def step(self, tx: Tx, key: str, /) -> Step:
        self.looked_at.append(key)
        tx.wake("circling", "one" if key == "other" else "other")
        return Step()


async def test_rows_that_wake_each_other_without_end_are_left_alone_for_a_while_and_hold_nobody_up(tmp_path: Path) -> None:
    database = await Database.open(tmp_path, now=FixedClock().now)
    circling, settling = Circling(has_settled=False), Settling(has_settled=True)
    driver = Driver(database, {"circling": circling, "settling": settling}, Timekeeper(FixedClock()))
    database.on_commit = driver.heard

    def both(tx: Tx) -> None:
        tx.wake("circling", "one")
        tx.wake("settling", "it")

    await driver.transact(both)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await driver.queue.take(1)
    driver.queue.close()

    assert set(circling.looked_at) == {"one", "other"}
    assert sorted(settling.looked_at) == ["it", "the other"]
    await database.close()


@pytest.mark.parametrize(("has_settled", "looks"), [(True, ["it", "the other"]), (False, ["it", "it", "the other", "the other"])])
async def test_a_row_that_was_taken_as_far_as_it_goes_is_not_looked_at_for_its_own_wake(
    tmp_path: Path, has_settled: bool, looks: list[str]
) -> None:
    database = await Database.open(tmp_path, now=FixedClock().now)
    kind = Settling(has_settled=has_settled)
    await Driver(database, {"settling": kind}, Timekeeper(FixedClock())).transact(lambda tx: tx.wake("settling", "it"))

    assert sorted(kind.looked_at) == looks
    await database.close()
