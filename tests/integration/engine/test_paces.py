"""One endpoint shared between many runs: limits, fairness, holds and fallbacks, held against the model server's own log and the rows.

Nothing sleeps: time is moved (`house.wait`), and what a test waits for is a row.
"""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from smallchain.engine.pace.desk import REST
from smallchain.engine.pace.kind import standing
from smallchain.engine.run.acts import cancel, pause, resume
from smallchain.model.lifecycles import Readiness, RunPhase
from smallchain.store import modelcalls, paces, resources, runs
from smallchain.store.contract import Tx
from support.house import Gate, House, a_house
from support.modelserver import Answer, Asked, ModelServer, fails, says
from support.rows import all_runs
from support.starts import FixedClock

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
Words = dict[str, Any]
LONG: Words = {"content": "done", "delay": "1h"}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as opened:
        yield opened


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer(lambda asked: says("done")) as opened:
        yield opened


@pytest.fixture
async def lives(tmp_path: Path) -> AsyncIterator[list[House]]:
    """The lives on one folder, newest last; each is ended."""
    every = [(await House.open(tmp_path, FixedClock(), gate=Gate())).start()]
    yield every
    await every[-1].close()


async def next_life(lives: list[House]) -> House:
    """Kill the present life and begin the next; its loops stand still."""
    lives.append(await lives[-1].crash())
    return lives[-1]


def at(server: ModelServer, name: str = "fast", **words: Any) -> Words:
    """An LLM on the loopback, of which the model is its name, so that the server's log says who was meant."""
    return {"name": name, "provider": "openai", "model": name, "base_url": server.base_url} | words


def scripted(*replies: Words, name: str = "fast", **words: Any) -> Words:
    return {"name": name, "provider": "scripted", "replies": list(replies)} | words


def llms(*entries: Words) -> str:
    return json.dumps({"llms": list(entries)})


def work(*names: str, llm: str = "fast", **priorities: int) -> str:
    """Runs of one task, in the order of their names."""
    listed = [{"name": name, "task": "sums", "priority": priorities.get(name, 0)} for name in names]
    agent = {"name": "assistant", "tools": ["add"], "llm": llm}
    return json.dumps({"agents": [agent], "tasks": [{"name": "sums", "agent": "assistant", "user_message": "add"}], "runs": listed})


def numbered(count: int) -> list[str]:
    return [f"run-{number:02}" for number in range(count)]


async def phases(house: House) -> dict[str, str]:
    rows = await house.database.read(lambda tx: all_runs(tx))
    return {row["name"]: row["phase"] for row in rows}


async def calling(house: House) -> list[str]:
    """The runs whose call is out, in the order of their names."""
    return sorted(name for name, phase in (await phases(house)).items() if phase == RunPhase.CALLING_MODEL)


async def end(house: House, name: str) -> None:
    """Cancel a run, whatever it does."""
    await house.driver.transact(lambda tx: cancel(tx, found, by="ann") if (found := runs.by_name(tx, name)) else None)


async def all_over(house: House, count: int) -> None:
    await house.until(lambda tx: sum(row["phase"] == "succeeded" for row in all_runs(tx)) == count)


async def called(house: House, name: str) -> list[tuple[str, str]]:
    """The LLM and the outcome of every attempt of a run."""
    run = await house.now(name)
    return [(row["llm"], row["outcome"]) for row in await house.database.read(lambda tx: modelcalls.of_run(tx, run.id))]


async def told(house: House, *reasons: str) -> list[str]:
    return [line for line in await house.told() if line.partition(":")[0] in reasons]


# ---- calls at once


async def test_of_fifty_runs_no_more_call_at_once_than_may(house: House, server: ModelServer) -> None:
    server.latency = 0.005
    await house.apply(llms(at(server, limits={"concurrency": 3})), "llm.yaml")
    await house.apply(work(*numbered(50)))
    await all_over(house, 50)

    assert len(server.requests) == 50
    assert server.most_in_flight == 3


async def test_a_limit_is_told_once_however_many_wait_and_its_end_a_minute_after_the_last(house: House, server: ModelServer) -> None:
    await house.apply(llms(at(server, limits={"concurrency": 1})), "llm.yaml")
    await house.apply(work(*numbered(20)))
    await all_over(house, 20)
    assert len(await told(house, "LLMAtLimit")) == 1
    assert await told(house, "LLMHasRoom") == []

    await house.wait(MINUTE)
    await house.until(lambda tx: paces.spell(tx, "fast").full_since is None)
    assert await told(house, "LLMHasRoom") == ["LLMHasRoom: LLM 'fast' has had room for everybody for a minute"]


async def test_who_waits_is_a_row_that_says_what_for(house: House) -> None:
    await house.apply(llms(scripted(LONG, limits={"concurrency": 1})), "llm.yaml")
    await house.apply(work("a", "b", "c"))
    await house.until(lambda tx: paces.waits(tx, "fast") == 2)
    found = await house.database.read(lambda tx: standing(tx, "fast"))

    assert (found.out, found.waiting, found.why) == (1, 2, "1 of 1 calls out")
    assert len(house.driver.under_way()) == 1
    assert (await told(house, "LLMAtLimit"))[0].startswith("LLMAtLimit: LLM 'fast' is at its limit (1 of 1 calls out); ")


async def test_the_higher_priority_goes_first_and_a_change_of_it_counts_at_once(house: House) -> None:
    await house.apply(llms(scripted(LONG, limits={"concurrency": 1})), "llm.yaml")
    await house.apply(work("a"))
    await house.run("a", RunPhase.CALLING_MODEL)
    await house.apply(work("a", "b", "c", "d", c=5))
    await house.until(lambda tx: paces.waits(tx, "fast") == 3)
    await house.driver.transact(lambda tx: runs.save(tx, found, priority=9) if (found := runs.by_name(tx, "d")) else None)

    for name, following in (("a", "d"), ("d", "c"), ("c", "b")):
        await end(house, name)
        await house.run(following, RunPhase.CALLING_MODEL)
        assert await calling(house) == [following]


async def test_a_tree_of_many_children_does_not_hold_up_a_single_run(house: House) -> None:
    delegate = {"name": "delegate_to_operator", "arguments": {"message": "add"}}
    script = (
        {"when": {"agent": "operator"}, "reply": LONG},
        {"when": {"agent": "single"}, "reply": LONG},
        {"when": {"turn": 1}, "reply": {"tool_calls": [delegate] * 10}},
    )
    agents = [{"name": "parent", "tools": [{"agent": "operator"}]}, {"name": "operator"}, {"name": "single"}]
    tasks = [{"name": name, "agent": name, "user_message": "add"} for name in ("parent", "single")]
    text: Words = {"agents": agents, "tasks": tasks, "runs": [{"name": "tree", "task": "parent"}]}
    await house.apply(llms(scripted(*script, limits={"concurrency": 1})), "llm.yaml")
    await house.apply(json.dumps(text))
    await house.until(lambda tx: paces.waits(tx, "fast") == 9)
    text["runs"].append({"name": "alone", "task": "single"})
    await house.apply(json.dumps(text))
    await house.until(lambda tx: paces.waits(tx, "fast") == 10)

    (first,) = await calling(house)
    await end(house, first)
    second = await house.until(lambda tx: [row["name"] for row in all_runs(tx) if row["phase"] == "calling_model"])
    await end(house, second[0])
    third = await house.until(lambda tx: [row["name"] for row in all_runs(tx) if row["phase"] == "calling_model"])
    assert "alone" in (second[0], third[0])


# ---- a minute


async def test_requests_a_minute_are_kept_and_the_next_goes_at_the_very_moment(house: House, server: ModelServer) -> None:
    await house.apply(llms(at(server, limits={"requests_per_minute": 2})), "llm.yaml")
    await house.apply(work(*numbered(5)))
    await all_over(house, 2)
    await house.until(lambda tx: paces.waits(tx, "fast") == 3)
    why = (await house.database.read(lambda tx: standing(tx, "fast"))).why
    assert why == f"2 requests a minute are used up until {house.clock.moment + MINUTE:%H:%M:%S}"

    await house.wait(MINUTE - SECOND)
    await house.driver.look_at_everything()
    await house.quiet()
    assert len(server.requests) == 2

    await house.wait(SECOND)
    await all_over(house, 4)
    assert len(server.requests) == 4

    await house.wait(MINUTE)
    await all_over(house, 5)


async def test_tokens_a_minute_count_what_was_used_once_that_is_known(house: House, server: ModelServer) -> None:
    answer = says("done").body
    assert isinstance(answer, dict)
    used = answer | {"usage": {"prompt_tokens": 900, "completion_tokens": 50, "total_tokens": 950}}
    server.brain = lambda asked: Answer(body=used)
    await house.apply(llms(at(server, limits={"tokens_per_minute": 2000})), "llm.yaml")
    for count, name in enumerate(("a", "b"), 1):
        await house.apply(work(*"ab"[:count]))
        await house.run(name, RunPhase.SUCCEEDED)
    await house.apply(work("a", "b", "c"))
    await house.until(lambda tx: paces.waits(tx, "fast") == 1)
    assert (await house.database.read(lambda tx: paces.started(tx, "fast", since=tx.now - MINUTE)))[0][1] == 950

    await house.wait(MINUTE)
    await all_over(house, 3)


async def test_an_estimate_is_the_bytes_until_a_reply_tells_its_usage_and_then_that_and_the_bytes_since(
    house: House, server: ModelServer
) -> None:
    call = {"id": "one", "type": "function", "function": {"name": "add", "arguments": '{"a": 3, "b": 4}'}}
    server.brain = lambda asked: says(None, call) if asked.turn == 1 else says("done")
    await house.apply(llms(at(server, limits={"tokens_per_minute": 9999}, parameters={"max_tokens": 500})), "llm.yaml")
    await house.apply(work("monday"))
    run = await house.run("monday", RunPhase.SUCCEEDED)
    rows = await house.database.read(lambda tx: [tx.one("paces.place", run_id=run.id, attempt=attempt) for attempt in (1, 2)])
    first, second = server.requests
    usage = await house.database.read(lambda tx: modelcalls.of_run(tx, run.id)[0])
    estimates = [row["tokens"] for row in rows if row]

    assert 0 <= estimates[0] - (len(first.body) + 500) <= 20, "a token for each byte of the whole request, and the whole reply"
    since = len(json.dumps(second.json["messages"][-1], separators=(",", ":")))
    assert estimates[1] == usage["input_tokens"] + usage["output_tokens"] + since + 500


async def test_a_request_larger_than_a_whole_minute_goes_alone(house: House, server: ModelServer) -> None:
    await house.apply(llms(at(server, limits={"tokens_per_minute": 10})), "llm.yaml")
    await house.apply(work("a", "b"))
    await all_over(house, 1)
    await house.wait(MINUTE)
    await all_over(house, 2)


# ---- nothing is stuck


async def waiting_behind_a_long_call(house: House, *names: str) -> None:
    await house.apply(llms(scripted(LONG, limits={"concurrency": 1})), "llm.yaml")
    await house.apply(work("a"))
    await house.run("a", RunPhase.CALLING_MODEL)
    await house.apply(work("a", *names))
    await house.until(lambda tx: paces.waits(tx, "fast") == len(names))


async def test_a_run_that_is_cancelled_while_it_waits_leaves_the_line(house: House) -> None:
    await waiting_behind_a_long_call(house, "b", "c")
    await end(house, "b")
    await house.until(lambda tx: paces.waits(tx, "fast") == 1)
    await end(house, "a")

    await house.run("c", RunPhase.CALLING_MODEL)


async def test_a_run_that_is_paused_while_it_waits_lets_others_pass_and_asks_again_when_it_is_resumed(house: House) -> None:
    await waiting_behind_a_long_call(house, "b", "c")
    run = await house.now("b")
    await house.driver.transact(lambda tx: pause(tx, runs.get(tx, run.id), by="ann"))
    await end(house, "a")
    await house.run("c", RunPhase.CALLING_MODEL)

    await house.driver.transact(lambda tx: resume(tx, runs.get(tx, run.id), by="ann"))
    await house.until(lambda tx: paces.waits(tx, "fast") == 1)
    await end(house, "c")
    await house.run("b", RunPhase.CALLING_MODEL)


async def test_a_limit_that_is_taken_out_or_raised_lets_those_go_who_wait(house: House) -> None:
    await waiting_behind_a_long_call(house, "b", "c", "d")
    await house.apply(llms(scripted(LONG, limits={"concurrency": 2})), "llm.yaml")
    await house.until(lambda tx: paces.waits(tx, "fast") == 2)
    await house.apply(llms(scripted(LONG)), "llm.yaml")

    await house.until(lambda tx: sum(row["phase"] == "calling_model" for row in all_runs(tx)) == 4)


async def test_an_llm_that_is_deleted_lets_those_go_who_wait(house: House) -> None:
    await waiting_behind_a_long_call(house, "b")
    await house.apply(llms(scripted(LONG, name="other")), "llm.yaml")

    await house.run("b", RunPhase.CALLING_MODEL)


async def test_a_limit_that_is_written_while_calls_are_out_counts_them(house: House) -> None:
    await house.apply(llms(scripted(LONG)), "llm.yaml")
    await house.apply(work("a", "b"))
    for name in ("a", "b"):
        await house.run(name, RunPhase.CALLING_MODEL)
    await house.apply(llms(scripted(LONG, limits={"concurrency": 2})), "llm.yaml")
    await house.apply(work("a", "b", "c"))

    await house.until(lambda tx: paces.waits(tx, "fast") == 1)
    assert await calling(house) == ["a", "b"]


async def test_the_next_life_keeps_the_limits_and_nobody_waits_for_calls_of_the_last(lives: list[House]) -> None:
    await lives[0].apply(llms(scripted(LONG, limits={"concurrency": 2})), "llm.yaml")
    await lives[0].apply(work(*numbered(5)))
    await lives[0].until(lambda tx: paces.waits(tx, "fast") == 3)
    house = await next_life(lives)
    await house.apply(llms(scripted({"content": "done"}, limits={"concurrency": 2})), "llm.yaml")
    house.start()

    await all_over(house, 5)


async def test_the_window_of_a_minute_reaches_over_a_death(lives: list[House], server: ModelServer) -> None:
    await lives[0].apply(llms(at(server, limits={"requests_per_minute": 2})), "llm.yaml")
    await lives[0].apply(work("a", "b"))
    await all_over(lives[0], 2)
    house = (await next_life(lives)).start()
    await house.apply(work("a", "b", "c"))
    await house.until(lambda tx: paces.waits(tx, "fast") == 1)
    await house.quiet()
    assert len(server.requests) == 2

    await house.wait(MINUTE)
    await all_over(house, 3)


async def test_a_place_that_a_life_granted_and_did_not_use_is_granted_anew(lives: list[House]) -> None:
    await waiting_behind_a_long_call(lives[0], "b", "c")
    run = await lives[0].now("b")

    def granted_by_hand(tx: Tx) -> None:
        paces.grant(tx, run.id, 1)

    await lives[0].database.write(granted_by_hand)  # as a death between the grant and its use would leave it
    house = await next_life(lives)
    await house.apply(llms(scripted({"content": "done"}, limits={"concurrency": 1})), "llm.yaml")
    house.start()

    await all_over(house, 3)


async def test_whatever_people_do_meanwhile_no_limit_is_passed_and_every_run_ends(house: House, server: ModelServer) -> None:
    server.latency = 0.002
    chance = random.Random(11)
    names = numbered(40)
    await house.apply(llms(at(server, limits={"concurrency": 3})), "llm.yaml")
    await house.apply(work(*names))
    for _ in range(60):
        name, most = chance.choice(names), chance.randint(1, 3)
        match chance.choice(("cancel", "pause", "resume", "priority", "limit", "look")):
            case "cancel" if chance.random() < 0.3:
                await end(house, name)
            case "pause":
                await house.driver.transact(lambda tx, name=name: (run := runs.by_name(tx, name)) and pause(tx, run, by="ann"))  # type: ignore[misc]
            case "resume":
                await house.driver.transact(lambda tx, name=name: (run := runs.by_name(tx, name)) and resume(tx, run, by="ann"))  # type: ignore[misc]
            case "priority":
                change = {"priority": most}
                await house.driver.transact(
                    lambda tx, name=name, change=change: (
                        (run := runs.by_name(tx, name)) and not run.is_over and runs.save(tx, run, **change)
                    )  # type: ignore[misc]
                )
            case "limit":
                await house.apply(llms(at(server, limits={"concurrency": most})), "llm.yaml")
            case _:
                await house.driver.look_at_everything()
    for name in names:
        await house.driver.transact(lambda tx, name=name: (run := runs.by_name(tx, name)) and resume(tx, run, by="ann"))  # type: ignore[misc]

    await house.until(lambda tx: all(row["phase"] in ("succeeded", "cancelled") for row in all_runs(tx)))
    assert server.most_in_flight <= 3
    assert await house.database.read(lambda tx: paces.waits(tx, "fast")) == 0


# ---- what the provider says


async def test_one_refused_call_holds_all_runs_until_the_provider_takes_calls_again(house: House, server: ModelServer) -> None:
    await house.apply(llms(at(server)), "llm.yaml")
    server.brain = lambda asked: fails(429, "slow down", headers={"retry-after": "30"})
    await house.apply(work("first"))
    await house.run("first", RunPhase.BACKING_OFF)
    server.brain = lambda asked: says("done")
    await house.apply(work("first", *numbered(20)))
    await house.until(lambda tx: paces.waits(tx, "fast") == 20)
    await house.wait(29 * SECOND)
    await house.driver.look_at_everything()
    await house.quiet()
    assert len(server.requests) == 1
    assert len(await told(house, "LLMHeld")) == 1
    assert (await told(house, "LLMHeld"))[0].endswith("slow down")

    await house.wait(SECOND)
    await all_over(house, 21)
    assert len(server.requests) == 22


async def test_a_reply_that_says_nothing_is_left_holds_the_next_call_until_there_is(house: House, server: ModelServer) -> None:
    spent = {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "45s"}
    answer = says("done")
    server.brain = lambda asked: Answer(body=answer.body, headers=spent) if asked.number == 1 else answer
    await house.apply(llms(at(server)), "llm.yaml")
    await house.apply(work("a"))
    await house.run("a", RunPhase.SUCCEEDED)
    await house.apply(work("a", "b"))
    await house.until(lambda tx: paces.waits(tx, "fast") == 1)
    found = await house.database.read(lambda tx: standing(tx, "fast"))
    assert found.held_until == house.clock.moment + 45 * SECOND

    await house.wait(45 * SECOND)
    await all_over(house, 2)


async def test_a_hold_lasts_an_hour_at_most_survives_a_death_and_ends_with_a_change_of_the_entry(
    lives: list[House], server: ModelServer
) -> None:
    server.brain = lambda asked: fails(429, "tomorrow", headers={"retry-after": "86400"})
    await lives[0].apply(llms(at(server)), "llm.yaml")
    await lives[0].apply(work("a"))
    await lives[0].run("a", RunPhase.BACKING_OFF)
    house = (await next_life(lives)).start()
    found = await house.database.read(lambda tx: standing(tx, "fast"))
    assert found.held_until == house.clock.moment + HOUR

    server.brain = lambda asked: says("done")
    await house.apply(work("a", "b"))
    await house.until(lambda tx: paces.waits(tx, "fast") == 1)
    await house.apply(llms(at(server, parameters={"temperature": 0.5})), "llm.yaml")
    await house.run("b", RunPhase.SUCCEEDED)


# ---- another in its place


def of(model: str, broken: Answer) -> Any:
    """A brain that refuses one model and answers for the others."""
    return lambda asked: broken if asked.json["model"] == model else says(f"done by {asked.json['model']}")


def models(server: ModelServer) -> list[str]:
    return [asked.json["model"] for asked in server.requests]


async def with_fallback(house: House, server: ModelServer, *names: str, **words: Any) -> None:
    await house.apply(llms(at(server, fallback="other", **words), at(server, "other")), "llm.yaml")
    await house.apply(work(*(names or ("monday",))))


async def test_a_refused_key_sends_the_run_to_the_fallback_at_once(house: House, server: ModelServer) -> None:
    server.brain = of("fast", fails(401, "no such key"))
    server.models = lambda asked: fails(401, "no such key")  # type: ignore[method-assign]
    await with_fallback(house, server)
    run = await house.run("monday", RunPhase.SUCCEEDED)

    assert run.output == "done by other"
    assert (run.llm, await called(house, "monday")) == ("fast", [("fast", "failed"), ("other", "replied")])
    assert await told(house, "RunFellBack", "RunPending") == ["RunFellBack: Run 'monday' calls LLM 'other' instead of 'fast': no such key"]
    row = await house.database.read(lambda tx: resources.get(tx, "llm", "fast"))
    assert row is not None
    assert row.status is Readiness.ERROR

    agent = await house.until(lambda tx: (found := resources.get(tx, "agent", "assistant")) and found)
    assert agent
    assert agent.status is Readiness.READY
    await house.apply(work("monday", "tuesday"))
    assert (await house.run("tuesday", RunPhase.SUCCEEDED)).output == "done by other"
    assert models(server).count("fast") == 1


async def test_three_failures_in_a_row_send_the_run_to_the_fallback_and_it_returns_by_itself(house: House, server: ModelServer) -> None:
    server.brain = of("fast", fails(503, "down"))
    await with_fallback(house, server)
    for attempt in (1, 2):
        await house.until(lambda tx, attempt=attempt: (run := runs.by_name(tx, "monday")) and run.failures == attempt)  # type: ignore[misc]
        await house.wait(5 * SECOND)
    assert (await house.run("monday", RunPhase.SUCCEEDED)).output == "done by other"
    assert models(server) == ["fast", "fast", "fast", "other"]

    await house.apply(work("monday", "tuesday"))
    assert (await house.run("tuesday", RunPhase.SUCCEEDED)).output == "done by other"
    server.brain = lambda asked: says(f"done by {asked.json['model']}")
    await house.wait(REST)
    await house.apply(work("monday", "tuesday", "wednesday"))
    assert (await house.run("wednesday", RunPhase.SUCCEEDED)).output == "done by fast"


async def test_a_run_goes_back_to_its_own_llm_at_the_turn_in_which_that_can_be_used(house: House, server: ModelServer) -> None:
    def brain(asked: Asked) -> Answer:
        if asked.json["model"] == "fast" and len(server.requests) == 1:
            return fails(429, "slow down", headers={"retry-after": "30"})
        if asked.turn == 1:
            house.clock.moment += 30 * SECOND
            call = {"id": "one", "type": "function", "function": {"name": "add", "arguments": '{"a": 3, "b": 4}'}}
            return says(None, call)
        return says(f"done by {asked.json['model']}")

    server.brain = brain
    await with_fallback(house, server)

    assert (await house.run("monday", RunPhase.SUCCEEDED)).output == "done by fast"
    assert models(server) == ["fast", "other", "fast"]
    assert [line.partition(":")[0] for line in await told(house, "RunFellBack", "RunReturned")] == ["RunFellBack", "RunReturned"]


async def test_a_long_hold_sends_those_who_wait_to_the_fallback_and_a_short_one_is_waited_for(house: House, server: ModelServer) -> None:
    server.brain = of("fast", fails(429, "slow down", headers={"retry-after": "8"}))
    await with_fallback(house, server)
    await house.run("monday", RunPhase.BACKING_OFF)
    await house.apply(work("monday", "tuesday"))
    await house.until(lambda tx: paces.waits(tx, "fast") == 1)
    assert models(server) == ["fast"]

    server.brain = of("fast", fails(429, "slow down", headers={"retry-after": "600"}))
    await house.wait(8 * SECOND)
    for name in ("monday", "tuesday"):
        assert (await house.run(name, RunPhase.SUCCEEDED)).output == "done by other"


async def test_a_chain_is_followed_to_the_first_that_can_be_called(house: House, server: ModelServer) -> None:
    server.brain = lambda asked: says("done") if asked.json["model"] == "third" else fails(401, "no such key")
    server.models = lambda asked: fails(401, "no such key")  # type: ignore[method-assign]
    chain = (at(server, fallback="second"), at(server, "second", fallback="third"), at(server, "third"))
    await house.apply(llms(*chain), "llm.yaml")
    await house.apply(work("monday"))
    await house.run("monday", RunPhase.SUCCEEDED)

    assert models(server) == ["fast", "second", "third"]


async def test_when_no_llm_of_a_chain_can_be_used_the_run_waits_and_says_both(house: House, server: ModelServer) -> None:
    server.brain = lambda asked: fails(401, f"no key for {asked.json['model']}")
    server.models = lambda asked: fails(401, "no such key")  # type: ignore[method-assign]
    await with_fallback(house, server)
    run = await house.until(lambda tx: (run := runs.by_name(tx, "monday")) and run.attempts == 2 and run.phase == "pending" and run)
    assert run
    await house.quiet()
    detail = (await house.now("monday")).detail
    assert "no key for fast" in detail
    assert "no key for other" in detail

    server.brain = lambda asked: says(f"done by {asked.json['model']}")
    del server.models
    await house.wait(5 * MINUTE)
    await house.run("monday", RunPhase.SUCCEEDED)


async def test_a_refused_key_of_an_llm_that_was_deleted_is_tried_again_with_growing_waits(house: House, server: ModelServer) -> None:
    await house.apply(llms(at(server)), "llm.yaml")
    server.brain = lambda asked: fails(503, "down")
    await house.apply(work("monday"))
    await house.run("monday", RunPhase.BACKING_OFF)
    server.brain = lambda asked: fails(401, "no such key")
    await house.apply(llms(at(server, "other")), "llm.yaml")
    await house.wait(5 * SECOND)
    await house.until(lambda tx: (run := runs.by_name(tx, "monday")) and run.failures == 2)
    await house.quiet()

    assert len(server.requests) == 2


async def test_a_refused_request_does_not_go_to_the_fallback(house: House, server: ModelServer) -> None:
    server.brain = of("fast", fails(400, "no such parameter"))
    await with_fallback(house, server)

    assert "no such parameter" in (await house.run("monday", RunPhase.FAILED)).error
    assert models(server) == ["fast"]


async def test_the_fallback_is_pinned_with_the_run(house: House, server: ModelServer) -> None:
    server.brain = of("fast", fails(429, "slow down", headers={"retry-after": "30"}))
    await house.apply(llms(at(server, fallback="other"), at(server, "other", limits={"requests_per_minute": 1})), "llm.yaml")
    await house.apply(work("first"))
    await house.run("first", RunPhase.SUCCEEDED)
    await house.apply(work("first", "monday"))
    await house.until(lambda tx: paces.waits(tx, "other") == 1)
    await house.apply(llms(at(server, fallback="other"), at(server, "other", model="newer")), "llm.yaml")
    await house.run("monday", RunPhase.SUCCEEDED)

    assert models(server)[-1] == "other"


async def test_a_fallback_that_is_written_while_the_run_lives_is_pinned_by_its_first_use(house: House, server: ModelServer) -> None:
    server.brain = of("fast", fails(503, "down"))
    await house.apply(llms(at(server)), "llm.yaml")
    await house.apply(work("monday"))
    await house.run("monday", RunPhase.BACKING_OFF)
    await house.apply(llms(at(server, fallback="other"), at(server, "other")), "llm.yaml")
    for attempt in (1, 2):
        await house.until(lambda tx, attempt=attempt: (run := runs.by_name(tx, "monday")) and run.failures == attempt)  # type: ignore[misc]
        await house.wait(5 * SECOND)

    assert (await house.run("monday", RunPhase.SUCCEEDED)).output == "done by other"


async def test_a_fallback_that_is_missing_keeps_the_agent_pending_with_a_hint(house: House, server: ModelServer) -> None:
    await house.apply(llms(at(server, fallback="othr"), at(server, "other")), "llm.yaml")
    await house.apply(work("monday"))
    run = await house.until(lambda tx: (run := runs.by_name(tx, "monday")) and "othr" in run.detail and run)

    assert run
    assert run.detail == "LLM 'othr' does not exist; did you mean 'other'? (the fallback of LLM 'fast')"
