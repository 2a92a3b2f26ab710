"""After a crash, an executor that knows what came of an attempt is asked before anybody guesses, repeats or asks a person."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from smallchain.engine.run.acts import cancel
from smallchain.model.lifecycles import CallPhase, RunPhase
from smallchain.model.toolcall import Outcome, OutcomeKind
from smallchain.store import runs
from support.house import House
from support.starts import FixedClock

RUN = "monday"


def files(**words: Any) -> str:
    call = {"tool_calls": [{"name": "publish", "arguments": {"title": "a"}}]}
    publish = {"name": "publish", "executor": {"docker": {"image": "press", "command": ["publish"]}}, "timeout": "60s"} | words
    return json.dumps(
        {
            "llms": [{"name": "fast", "provider": "scripted", "replies": [call, {"content": "done"}]}],
            "agents": [{"name": "assistant", "tools": ["publish"]}],
            "tools": [publish],
            "tasks": [{"name": "sums", "agent": "assistant", "user_message": "go"}],
            "runs": [{"name": RUN, "task": "sums"}],
        }
    )


@pytest.fixture
async def lives(tmp_path: Path) -> AsyncIterator[list[House]]:
    """The lives on one folder, newest last; each is ended."""
    every = [(await House.open(tmp_path, FixedClock())).start()]
    yield every
    await every[-1].close()


async def killed(lives: list[House], **words: Any) -> House:
    """The life after one that was killed while a container ran."""
    await lives[-1].apply(files(**words))
    await lives[-1].boxes.came(1)
    lives.append(await lives[-1].crash())
    return lives[-1]


async def test_what_came_of_it_is_its_result_and_nothing_runs_twice(lives: list[House]) -> None:
    house = (await killed(lives)).start()
    house.boxes.say(Outcome(OutcomeKind.SUCCEEDED, "post 7"))
    await house.run(RUN, RunPhase.SUCCEEDED)
    await house.idle()

    (call,) = [call for call in await house.calls(RUN)]
    assert await house.results(RUN) == ["post 7"]
    assert len(house.boxes.starts) == 1
    assert house.boxes.let_gone == [(call.id, 1)], "only after it was recorded"
    assert [reason for reason in await house.reasons() if reason.startswith("ToolCall")] == [
        "ToolCallStarted",
        "ToolCallLookedUp",
        "ToolCallSucceeded",
    ]


async def test_it_is_looked_up_with_what_is_left_of_its_time(lives: list[House]) -> None:
    house = await killed(lives)
    house.clock.moment += timedelta(seconds=45)
    house.start()
    house.boxes.say(Outcome(OutcomeKind.SUCCEEDED, "post 7"))
    await house.run(RUN, RunPhase.SUCCEEDED)

    (start,) = house.boxes.looked_up
    assert (start.attempt, start.timeout) == (1, timedelta(seconds=15))


async def test_it_is_looked_up_again_after_another_death(lives: list[House]) -> None:
    house = (await killed(lives)).start()
    await house.until(lambda tx: house.boxes.looked_up)
    lives.append(await house.crash())
    lives[-1].start()
    lives[-1].boxes.say(Outcome(OutcomeKind.SUCCEEDED, "post 7"))
    await lives[-1].run(RUN, RunPhase.SUCCEEDED)

    assert [start.attempt for start in lives[-1].boxes.looked_up] == [1, 1]
    assert len(lives[-1].boxes.starts) == 1


@pytest.mark.parametrize("effects", ["once", "none"])
async def test_what_certainly_did_not_run_runs_now_whatever_its_effects(lives: list[House], effects: str) -> None:
    house = (await killed(lives, effects=effects)).start()
    house.boxes.say(Outcome(OutcomeKind.NOT_STARTED, "there is no container"))
    first, second = await house.boxes.came(2)
    house.boxes.let_through("post 7")
    await house.run(RUN, RunPhase.SUCCEEDED)

    assert (first.attempt, second.attempt) == (1, 2)
    assert first.idempotency_key == second.idempotency_key
    assert await house.results(RUN) == ["post 7"]


@pytest.mark.parametrize("known", [None, Outcome(OutcomeKind.UNKNOWN, "its container is gone")])
async def test_what_nobody_knows_of_a_call_that_must_not_be_doubled_is_asked(lives: list[House], known: Outcome | None) -> None:
    house = (await killed(lives)).start()
    house.boxes.say(known)
    await house.call(RUN, CallPhase.IN_DOUBT)

    assert await house.asked(RUN) == ["settle"]
    assert len(house.boxes.starts) == 1


async def test_what_nobody_knows_of_a_harmless_call_runs_again(lives: list[House]) -> None:
    house = (await killed(lives, effects="none")).start()
    house.boxes.say(None)
    await house.boxes.came(2)
    house.boxes.let_through("post 7")
    await house.run(RUN, RunPhase.SUCCEEDED)


async def test_a_failure_that_was_looked_up_is_tried_again_as_one_that_was_seen(lives: list[House]) -> None:
    house = (await killed(lives, effects="idempotent", retries=1)).start()
    house.boxes.say(Outcome(OutcomeKind.FAILED, "exit code 1"))
    await house.call(RUN, CallPhase.READY)
    await house.wait(timedelta(minutes=5))
    await house.boxes.came(2)
    house.boxes.let_through("post 7")
    await house.run(RUN, RunPhase.SUCCEEDED)


async def test_a_run_that_is_cancelled_while_its_call_is_looked_up_lets_it_go(lives: list[House]) -> None:
    house = (await killed(lives)).start()
    await house.until(lambda tx: house.boxes.looked_up)
    await house.driver.transact(lambda tx: cancel(tx, runs.get(tx, runs.by_name(tx, RUN).id), by="ann", note=""))  # type: ignore[union-attr]
    await house.run(RUN, RunPhase.CANCELLED)
    await house.idle()

    (start,) = house.boxes.looked_up
    assert house.boxes.let_gone == [(start.call_id, 1)]


async def test_a_daemon_that_stops_lets_nothing_go_that_will_be_looked_up(lives: list[House]) -> None:
    house = await killed(lives)

    assert house.boxes.ended == [house.boxes.starts[0].call_id], "the attempt was stopped"
    assert house.boxes.let_gone == []
