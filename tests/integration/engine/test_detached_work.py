"""Work beside its caller: begun at once, told once in the order it ends, waited for, cancelled, and never left behind."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from smallchain.engine.run.acts import cancel, pause, resume
from smallchain.engine.run.why import why
from smallchain.model.lifecycles import RunPhase
from smallchain.model.run import Run
from smallchain.store import messages, runs
from smallchain.store.contract import Tx
from support.house import House, a_house

BOSS = "monday"
FIRST, SECOND = f"{BOSS}/helper-1", f"{BOSS}/helper-2"
Words = dict[str, Any]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as opened:
        yield opened


def calls(*named: tuple[str, Words]) -> Words:
    """A reply that asks for calls."""
    return {"tool_calls": [{"name": name, "arguments": arguments} for name, arguments in named]}


def begins(*messages: str) -> Words:
    """A reply that begins work, a piece for each message."""
    return calls(*(("delegate_to_helper", {"message": message, "detach": True}) for message in messages))


def team(*replies: Words, entry: Words | None = None, limits: Words | None = None) -> str:
    """A boss with these replies, and a helper whose only tool ends when the test lets it."""
    work = {"name": "work", "effects": "none", "executor": {"python": {"command": "unused"}}}
    helper = [{"when": {"turn": 1}, "reply": calls(("work", {}))}, {"when": {"turn": 2}, "reply": {"content": "it is done"}}]
    boss_tools = ["list_work", "cancel_work", "set_priority", "wait_for_work", {"agent": "helper", "detach": "allowed"} | (entry or {})]
    return json.dumps(
        {
            "llms": [
                {"name": "boss-llm", "provider": "scripted", "replies": list(replies)},
                {"name": "helper-llm", "provider": "scripted", "replies": helper},
            ],
            "agents": [
                {"name": "boss", "llm": "boss-llm", "tools": boss_tools} | ({"limits": limits} if limits else {}),
                {"name": "helper", "llm": "helper-llm", "tools": ["work"]},
            ],
            "tools": [work],
            "tasks": [{"name": "lead", "agent": "boss", "user_message": "go"}],
            "runs": [{"name": BOSS, "task": "lead"}],
        }
    )


def named(tx: Tx, name: str) -> Run:
    run = runs.by_name(tx, name)
    assert run is not None, name
    return run


async def told(house: House, name: str = BOSS) -> list[str]:
    """What was told of detached work, a message each."""

    def look(tx: Tx) -> list[str]:
        rows = messages.of_run(tx, named(tx, name).id)
        return [json.loads(row["wire"])["content"] for row in rows if row["template"] == "work_finished"]

    return await house.database.read(look)


DONE = {"content": "all done"}


async def test_a_caller_goes_on_at_once_and_answers_again_when_its_work_has_ended(house: House) -> None:
    await house.apply(team(begins("dig"), {"content": "begun"}, DONE))
    boss = await house.run(BOSS, RunPhase.AWAITING_WORK)

    assert await house.results(BOSS) == ["work-1-1 has begun in the background; what comes of it will be told to you between your turns."]
    assert boss.output == ""
    house.gate.let_through()
    boss = await house.run(BOSS, RunPhase.SUCCEEDED)
    assert boss.output == "all done"
    assert await told(house) == ["[work-1-1, helper, succeeded]\nit is done"]


async def test_a_run_that_waits_for_work_says_for_which_and_why_leads_into_it(house: House) -> None:
    await house.apply(team(begins("dig", "fill"), {"content": "begun"}, DONE))
    await house.run(BOSS, RunPhase.AWAITING_WORK)
    await house.gate.came(2)
    await house.quiet()
    boss = await house.run(BOSS, RunPhase.AWAITING_WORK)
    reason = await house.database.read(lambda tx: why(tx, named(tx, BOSS)))

    assert boss.detail == "for work-1-1 (helper), work-1-2 (helper)"
    assert [each.name for each in reason.because] == [FIRST, SECOND]
    assert all(each.because[0].words == "it runs" for each in reason.because)


async def test_any_goes_on_with_the_first_that_ends_and_all_with_the_last(house: House) -> None:
    waits = (calls(("wait_for_work", {"mode": "any"})), calls(("wait_for_work", {"mode": "all"})))
    await house.apply(team(begins("dig", "fill"), *waits, DONE))
    await house.gate.came(2)
    await house.run(BOSS, RunPhase.AWAITING_WORK)
    house.gate.let_through()
    await house.until(lambda tx: named(tx, BOSS).turns == 3 and named(tx, BOSS).phase is RunPhase.AWAITING_WORK)
    assert len(await told(house)) == 1
    house.gate.let_through()
    await house.run(BOSS, RunPhase.SUCCEEDED)

    assert sorted(await told(house)) == [f"[work-1-{number}, helper, succeeded]\nit is done" for number in (1, 2)]
    assert (await house.results(BOSS))[2] == "You wait for any of work-1-1, work-1-2; what came of it follows."


async def test_work_can_be_listed_made_urgent_and_cancelled(house: House) -> None:
    acts = calls(("set_priority", {"id": "work-1-1", "priority": 7}), ("cancel_work", {"id": "work-1-2", "note": "no need"}))
    await house.apply(team(begins("dig", "fill"), acts, calls(("list_work", {})), {"content": "begun"}, DONE))
    await house.run(BOSS, RunPhase.AWAITING_WORK)
    second = await house.run(SECOND, RunPhase.CANCELLED)
    said = await house.results(BOSS)

    assert second.error == f"cancelled by run '{BOSS}': no need"
    assert said[2:4] == ["The priority of work-1-1 is 7.", "work-1-2 was cancelled."]
    assert said[4].splitlines()[0].endswith("priority 7: dig")
    assert said[4].splitlines()[1] == "work-1-2: helper, cancelled, priority 0: fill"
    house.gate.let_through()
    await house.run(BOSS, RunPhase.SUCCEEDED)
    assert await told(house) == ["[work-1-1, helper, succeeded]\nit is done"], "what the agent cancelled itself it knows already"


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        (("cancel_work", {"id": "work-9-9"}), "Error: you have no work 'work-9-9'; there is work-1-1"),
        (("wait_for_work", {"ids": ["work-9-9"]}), "Error: you have no work 'work-9-9'; there is work-1-1"),
        (("wait_for_work", {"mode": "some"}), "Error: `mode` is any or all"),
        (("set_priority", {"id": "work-1-1", "priority": 10**9}), "Error: `priority` is a whole number from -1000 to 1000"),
        (("set_priority", {"id": {"a": 1}}), "Error: you have no work \"{'a': 1}\"; there is work-1-1"),
    ],
)
async def test_what_names_no_work_of_ones_own_changes_nothing(house: House, call: tuple[str, Words], answer: str) -> None:
    await house.apply(team(begins("dig"), calls(call), {"content": "begun"}, DONE))
    await house.run(BOSS, RunPhase.AWAITING_WORK)

    assert (await house.results(BOSS))[1] == answer


async def test_waiting_for_one_piece_after_another_is_no_loop_and_waiting_for_nothing_is(house: House) -> None:
    waits = [calls(("wait_for_work", {"mode": "any"}))] * 12
    await house.apply(team(begins(*"abcdef"), *waits, DONE))
    await house.gate.came(6)
    for count in range(1, 7):
        house.gate.let_through()
        await house.until(
            lambda tx, count=count: sum(1 for row in messages.of_run(tx, named(tx, BOSS).id) if row["template"] == "work_finished") == count
        )  # type: ignore[misc]
    paused = await house.until(lambda tx: named(tx, BOSS) if named(tx, BOSS).paused else None)

    assert paused.detail.startswith("The loop guard has stopped the run: wait_for_work was called 5 times in a row")
    assert (await house.results(BOSS))[-5:] == ["Error: there is nothing to wait for: you were told what came of all your work"] * 5


async def test_with_on_finish_cancel_the_answer_is_the_last_and_what_goes_on_is_cancelled(house: House) -> None:
    await house.apply(team(begins("dig"), DONE, entry={"on_finish": "cancel"}))
    await house.run(BOSS, RunPhase.SUCCEEDED)
    first = await house.run(FIRST, RunPhase.CANCELLED)

    assert first.error == f"cancelled by run '{BOSS}': it has ended"


async def test_a_run_that_fails_leaves_no_work_behind(house: House) -> None:
    await house.apply(team(begins("dig"), calls(("list_work", {})), DONE, limits={"turns": 2}))
    await house.run(BOSS, RunPhase.FAILED)

    await house.run(FIRST, RunPhase.CANCELLED)


async def test_an_agent_may_not_detach_what_its_entry_does_not_allow(house: House) -> None:
    await house.apply(team(begins("dig"), DONE, entry={"detach": "never"}))
    await house.gate.came(1)
    assert (await house.run(BOSS, RunPhase.AWAITING_TOOLS)).phase is RunPhase.AWAITING_TOOLS
    house.gate.let_through()
    await house.run(BOSS, RunPhase.SUCCEEDED)

    assert await house.results(BOSS) == ["it is done"]


async def test_detached_work_counts_as_children(house: House) -> None:
    await house.apply(team(begins("dig", "fill"), {"content": "begun"}, DONE, limits={"children": 1}))
    await house.run(BOSS, RunPhase.AWAITING_WORK)

    assert "the limit `children: 1` of agent 'boss' is reached" in (await house.results(BOSS))[1]


async def test_pausing_and_cancelling_reach_work_and_a_cancelled_piece_is_told(house: House) -> None:
    await house.apply(team(begins("dig", "fill"), {"content": "begun"}, DONE))
    await house.run(BOSS, RunPhase.AWAITING_WORK)
    await house.gate.came(2)
    await house.driver.transact(lambda tx: pause(tx, named(tx, BOSS), by="ann"))
    await house.driver.transact(lambda tx: cancel(tx, named(tx, SECOND), by="ann", note="no"))
    house.gate.let_through()
    await house.quiet()
    assert (await house.run(BOSS, RunPhase.AWAITING_WORK)).paused
    await house.driver.transact(lambda tx: resume(tx, named(tx, BOSS), by="ann"))
    await house.run(BOSS, RunPhase.SUCCEEDED)

    assert await told(house) == [
        "[work-1-2, helper, cancelled]\nError: helper was cancelled by ann: no\n\n[work-1-1, helper, succeeded]\nit is done"
    ]


async def test_cancelling_the_caller_cancels_its_work(house: House) -> None:
    await house.apply(team(begins("dig"), {"content": "begun"}, DONE))
    await house.run(BOSS, RunPhase.AWAITING_WORK)
    await house.driver.transact(lambda tx: cancel(tx, named(tx, BOSS), by="ann"))

    await house.run(FIRST, RunPhase.CANCELLED)
    assert await told(house) == []


async def test_a_crash_while_work_is_waited_for_tells_it_once(house: House) -> None:
    await house.apply(team(begins("dig"), {"content": "begun"}, DONE))
    await house.run(BOSS, RunPhase.AWAITING_WORK)
    await house.gate.came(1)
    again = (await house.crash()).start()
    try:
        await again.gate.came(1)
        again.gate.let_through()
        await again.run(BOSS, RunPhase.SUCCEEDED)

        assert await told(again) == ["[work-1-1, helper, succeeded]\nit is done"]
    finally:
        await again.close()
