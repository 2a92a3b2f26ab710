"""Budgets: no call goes out that may pass a cap, what waits for room knows when it comes, and what is spent is what the server bills."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from smallchain.engine.budget.caps import caps_over
from smallchain.engine.run.acts import cancel
from smallchain.engine.run.execute import body_of
from smallchain.engine.run.why import why
from smallchain.engine.specs import pins_of
from smallchain.model.cap import Standing
from smallchain.model.delivery import Verb
from smallchain.model.errors import BadInput
from smallchain.model.lifecycles import RunPhase
from smallchain.model.money import Price, Rates, Usage
from smallchain.model.run import Run
from smallchain.store import ledger, modelcalls, runs
from smallchain.store.contract import Tx
from support.house import House, a_house, is_legal
from support.modelserver import Answer, Asked, ModelServer, call, fails, says
from support.rows import all_runs
from support.starts import FixedClock

PRICE = Price(Rates(input=1_000_000_000, output=10_000_000_000))
"""$1 and $10 per million tokens: a token of the prompt is a micro-dollar, one of the reply ten."""
WRITTEN = {"input": "$1", "output": "$10"}
HOUR = timedelta(hours=1)
Words = dict[str, Any]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as opened:
        yield opened


class Biller:
    """Answers each call with a usage, and keeps the bill; `held` keeps replies back until they are let go."""

    def __init__(self, *, prompt: int = 100, reply: int = 50, calls: int = 0) -> None:
        self.usage = Usage(prompt, reply)
        self.calls = calls
        self.bill = 0
        self.asked: list[Words] = []

    def __call__(self, asked: Asked) -> Answer:
        body = asked.json
        self.asked.append(body)
        turn = sum(message["role"] == "assistant" for message in body["messages"])
        said = says(None, call(f"c{turn}", "add", a=turn, b=1)) if turn < self.calls else says("done")
        return self.billed(said, self.usage)

    def billed(self, said: Answer, usage: Usage) -> Answer:
        self.bill += PRICE.cost(usage)
        assert isinstance(said.body, dict)
        return Answer(body={**said.body, "usage": {"prompt_tokens": usage.input_tokens, "completion_tokens": usage.output_tokens}})


@pytest.fixture
async def biller() -> Biller:
    return Biller()


@pytest.fixture
async def server(biller: Biller) -> AsyncIterator[ModelServer]:
    async with ModelServer(biller) as opened:
        yield opened


def files(server: ModelServer, *names: str, budget: Any = None, llm: Words | None = None, tools: Any = ("add",), **top: Any) -> str:
    """An agent on a priced LLM, and runs of its task."""
    fast = {
        "name": "fast",
        "provider": "openai",
        "model": "m",
        "base_url": server.base_url,
        "price": WRITTEN,
        "parameters": {"max_tokens": 100},
    }
    agent = {"name": "clerk", "tools": list(tools), "llm": "fast"} | ({"budget": budget} if budget is not None else {})
    return json.dumps(
        {
            "llms": [{name: word for name, word in (fast | (llm or {})).items() if word is not None}],
            "agents": [agent],
            "tasks": [{"name": "work", "agent": "clerk", "user_message": "add"}],
            "runs": [{"name": name, "task": "work"} for name in names or ("monday",)],
        }
        | top
    )


def _run(tx: Tx, name: str = "monday") -> Run:
    run = runs.by_name(tx, name)
    assert run is not None
    return run


async def standing(house: House, name: str = "monday") -> Standing:
    """How the one cap over a run stands."""

    def look(tx: Tx) -> Standing:
        (cap,) = caps_over(tx, _run(tx, name), "fast")
        return ledger.look(tx, cap)

    return await house.database.read(look)


async def all_over(house: House, count: int) -> None:
    await house.until(lambda tx: sum(row["phase"] in ("succeeded", "failed") for row in all_runs(tx)) == count)


# ---- what fits


async def test_a_call_holds_its_worst_case_while_it_is_out_and_is_booked_at_what_it_used(house: House, server: ModelServer) -> None:
    await house.apply(files(server, budget="$1/day"))
    run = await house.run("monday", RunPhase.SUCCEEDED)
    found = await standing(house)
    (row,) = await house.database.read(lambda tx: modelcalls.of_run(tx, run.id))
    (sent,) = server.requests

    assert (found.spent, found.held) == (PRICE.cost(Usage(100, 50)), 0)
    assert run.cost_nanousd == found.spent
    assert row["held_nanousd"] >= len(sent.body) * 1_000 + 100 * 10_000, "a token for each byte of the prompt, and the whole reply"


async def test_fifty_runs_at_once_do_not_get_past_a_cap(house: House) -> None:
    chance = random.Random(7)
    limit = 10_000_000  # $0.01

    class Random(Biller):
        most = 0

        def __call__(self, asked: Asked) -> Answer:
            answer = self.billed(says("done"), Usage(chance.randint(20, 120), chance.randint(1, 100)))
            assert self.bill <= limit
            self.most = max(self.most, self.bill)
            return answer

    biller = Random()
    async with ModelServer(biller) as server:
        names = [f"run-{number:02}" for number in range(50)]
        await house.apply(files(server, *names, budgets=[{"name": "all", "over": "everything", "limit": "$0.01", "per": "day"}]))
        await house.until(lambda tx: all(row["phase"] in ("succeeded", "over_budget") for row in all_runs(tx)))
        parked = await house.database.read(lambda tx: sum(row["phase"] == "over_budget" for row in all_runs(tx)))
        found = await standing(house, "run-00")
        held = await house.database.read(lambda tx: sum(ledger.held_by_tree(tx, row["id"]) for row in all_runs(tx)))

    assert 0 < parked < 50
    assert (found.spent, found.held, held) == (biller.bill, 0, 0)
    assert found.spent > limit * 0.8, "others' holds are no limit: what is left is used"


# ---- what does not fit


async def test_a_run_over_its_cap_knows_when_there_is_room_and_goes_on_by_itself(house: House, server: ModelServer, biller: Biller) -> None:
    biller.calls = 5
    biller.usage = Usage(100, 90)
    await house.apply(files(server, budget={"limit": "$0.002", "per": "hour"}))
    run = await house.run("monday", RunPhase.OVER_BUDGET)
    spent = (await standing(house)).spent
    found = await house.database.read(lambda tx: why(tx, _run(tx)))
    assert "agent 'clerk' of $0.002 an hour has no room for the next call" in run.detail
    assert 0 < spent <= 2_000_000
    assert run.due_at is not None
    assert run.due_at <= house.clock.now() + HOUR
    assert found.until == run.due_at
    count = len(biller.asked)
    await house.wait(run.due_at - house.clock.now() - timedelta(seconds=1))
    await house.quiet()
    assert len(biller.asked) == count
    await house.wait(timedelta(seconds=2))
    await house.until(lambda tx: _run(tx).attempts > run.attempts)
    told = [message for message in await house.conversation("monday") if message["role"] == "user"]

    assert "You stood still until" in told[-1]["content"]
    assert "RunOverBudget" in await house.reasons()


@pytest.mark.parametrize("window", ["rolling", "calendar"])
async def test_a_clock_that_went_back_makes_no_wait_for_room_longer(house: House, server: ModelServer, biller: Biller, window: str) -> None:
    biller.calls = 5
    biller.usage = Usage(100, 90)
    await house.apply(files(server, budget={"limit": "$0.002", "per": "hour", "window": window}))
    run = await house.run("monday", RunPhase.OVER_BUDGET)
    assert run.due_at is not None
    await house.wait(-8 * HOUR)
    found = await house.until(lambda tx: found if (found := _run(tx)).due_at != run.due_at else None)
    assert found.phase is RunPhase.OVER_BUDGET, "what was spent is not forgotten"
    assert found.due_at is not None
    assert found.due_at <= house.clock.now() + HOUR
    await house.wait(HOUR)

    await house.until(lambda tx: _run(tx).attempts > run.attempts)


async def test_a_raised_cap_wakes_what_it_held_at_once(house: House, server: ModelServer, biller: Biller) -> None:
    biller.calls = 3
    await house.apply(files(server, budget={"limit": "$0.0025", "per": "run"}))
    run = await house.run("monday", RunPhase.OVER_BUDGET)
    assert run.due_at is None
    await house.apply(files(server, budget={"limit": "$1", "per": "run"}))
    await house.run("monday", RunPhase.SUCCEEDED)


async def test_a_cap_that_stops_fails_the_run_with_limit_and_usage(house: House, server: ModelServer, biller: Biller) -> None:
    biller.calls = 3
    await house.apply(files(server, budget={"limit": "$0.0025", "per": "run", "on_limit": "stop"}))
    run = await house.run("monday", RunPhase.FAILED)

    assert "agent 'clerk' of $0.0025 a run has no room for the next call: $0.00" in run.error
    assert "it may use $0.00" in run.error


async def test_a_call_beyond_the_whole_cap_fails_at_once_with_both_figures(house: House, server: ModelServer, biller: Biller) -> None:
    await house.apply(files(server, budget="$0.0001/day"))
    run = await house.run("monday", RunPhase.FAILED)

    assert run.error.startswith("one call may use $0.00")
    assert "more than agent 'clerk' of $0.0001 a day allows" in run.error
    assert biller.asked == []


async def test_a_person_may_raise_the_cap_once(house: House, server: ModelServer, biller: Biller) -> None:
    biller.calls = 3
    await house.apply(files(server, budget={"limit": "$0.0025", "per": "run", "on_limit": "ask"}))
    request = await house.request("monday", "budget")
    assert "May it be raised by $0.0025?" in request.question
    heard = await house.say(Verb.APPROVE, request, edits={"by": "$1", "for_good": False})
    assert heard.counted, heard.sentence
    await house.run("monday", RunPhase.SUCCEEDED)

    assert (await standing(house)).raised == 1_000_000_000


@pytest.mark.parametrize("edits", [{"by": "5"}, {"by": "200 tokens"}, {"for_good": "yes"}, {"limit": "$5"}, {"by": "-$1"}])
async def test_what_raises_no_cap_is_refused_and_the_request_stays(house: House, server: ModelServer, biller: Biller, edits: Words) -> None:
    biller.calls = 3
    await house.apply(files(server, budget={"limit": "$0.0025", "per": "run", "on_limit": "ask"}))
    request = await house.request("monday", "budget")
    with pytest.raises(BadInput):
        await house.say(Verb.APPROVE, request, edits=edits)

    assert (await house.request("monday", "budget")).id == request.id


async def test_who_is_told_no_is_not_asked_again(house: House, server: ModelServer, biller: Biller) -> None:
    biller.calls = 3
    await house.apply(files(server, budget={"limit": "$0.0025", "per": "run", "on_limit": "ask"}))
    request = await house.request("monday", "budget")
    heard = await house.say(Verb.DENY, request)
    assert heard.counted, heard.sentence
    await house.driver.transact(lambda tx: tx.wake("run", _run(tx).id))
    await house.quiet()

    assert (await house.now("monday")).phase is RunPhase.OVER_BUDGET
    assert await house.database.read(lambda tx: len(tx.all("requests.open_of_run", run_id=_run(tx).id))) == 0


async def test_many_runs_over_one_cap_ask_one_question(house: House, server: ModelServer, biller: Biller) -> None:
    names = [f"run-{number}" for number in range(6)]
    cap = {"name": "all", "over": "everything", "limit": "$0.002", "per": "day", "on_limit": "ask"}
    await house.apply(files(server, *names, budgets=[cap]))
    await house.until(lambda tx: all(row["phase"] in ("succeeded", "over_budget") for row in all_runs(tx)))
    open_requests = await house.database.read(lambda tx: tx.all("requests.page_open", after="", most=10))
    assert len(open_requests) == 1
    heard = await house.say(Verb.APPROVE, open_requests[0]["id"], edits={"by": "$1", "for_good": True})
    assert heard.counted, heard.sentence
    await all_over(house, 6)


async def test_the_request_of_a_run_that_is_cancelled_is_asked_by_the_next(house: House, server: ModelServer, biller: Biller) -> None:
    cap = {"name": "all", "over": "everything", "limit": "$0.001", "per": "day", "on_limit": "ask"}
    biller.usage = Usage(100, 30)
    await house.apply(files(server, "one", "two", "three", llm={"parameters": {"max_tokens": 30}}, budgets=[cap]))
    await house.until(lambda tx: all(row["phase"] in ("succeeded", "over_budget") for row in all_runs(tx)))
    (first,) = await house.database.read(lambda tx: tx.all("requests.newest_open", most=10))
    await house.driver.transact(lambda tx: cancel(tx, runs.get(tx, first["run_id"]), by="ann"))
    await house.wait(timedelta(seconds=1))
    second = await house.until(lambda tx: tx.all("requests.newest_open", most=10))

    assert second[0]["run_id"] != first["run_id"]


# ---- whose money it is


async def test_children_spend_from_their_ancestors_and_a_cap_stops_the_run_that_owns_it(house: House) -> None:
    def answer(asked: Asked) -> Answer:
        body = asked.json
        names = [tool["function"]["name"] for tool in body.get("tools", ())]
        turn = sum(message["role"] == "assistant" for message in body["messages"])
        if "delegate_to_clerk" in names and turn == 0:
            said = says(None, call("d", "delegate_to_clerk", message="go"))
        else:
            said = says(None, call(f"c{turn}", "add", a=turn, b=2))
        assert isinstance(said.body, dict)
        return Answer(body={**said.body, "usage": {"prompt_tokens": 100, "completion_tokens": 50}})

    async with ModelServer(answer) as server:
        boss = {"name": "boss", "llm": "fast", "tools": [{"agent": "clerk"}]}
        clerk = {"name": "clerk", "llm": "fast", "tools": ["add"]}
        entry = {"name": "monday", "task": "work", "budget": {"limit": "$0.006", "on_limit": "stop"}}
        tasks = [{"name": "work", "agent": "boss", "user_message": "go"}]
        await house.apply(files(server, agents=[boss, clerk], tasks=tasks, runs=[entry]))
        run = await house.run("monday", RunPhase.FAILED)
        child = await house.run("monday/clerk-1")

    assert "run 'monday' of $0.006 has no room for the next call" in run.error
    assert child.phase is RunPhase.CANCELLED
    assert (await standing(house)).spent <= 6_000_000
    assert is_legal(await house.conversation("monday"))
    assert run.messages == len(await house.conversation("monday"))
    assert all(call.is_over for call in await house.calls("monday"))


async def test_work_in_the_background_spends_from_its_caller_which_a_cap_stops(house: House) -> None:
    def answer(asked: Asked) -> Answer:
        body = asked.json
        names = [tool["function"]["name"] for tool in body.get("tools", ())]
        turn = sum(message["role"] == "assistant" for message in body["messages"])
        if "delegate_to_clerk" not in names:
            said = says(None, call(f"c{turn}", "add", a=turn, b=2))
        else:
            said = says("begun") if turn else says(None, call("d", "delegate_to_clerk", message="go", detach=True))
        assert isinstance(said.body, dict)
        return Answer(body={**said.body, "usage": {"prompt_tokens": 100, "completion_tokens": 50}})

    async with ModelServer(answer) as server:
        boss = {"name": "boss", "llm": "fast", "tools": [{"agent": "clerk", "detach": "allowed"}]}
        clerk = {"name": "clerk", "llm": "fast", "tools": ["add"]}
        entry = {"name": "monday", "task": "work", "budget": {"limit": "$0.006", "on_limit": "stop"}}
        tasks = [{"name": "work", "agent": "boss", "user_message": "go"}]
        await house.apply(files(server, agents=[boss, clerk], tasks=tasks, runs=[entry]))
        run = await house.run("monday", RunPhase.FAILED)
        child = await house.run("monday/clerk-1")

    assert "run 'monday' of $0.006 has no room for the next call" in run.error
    assert child.phase is RunPhase.CANCELLED
    assert (await standing(house)).spent <= 6_000_000


async def test_each_run_of_an_agent_has_its_own_cap_where_it_is_one_a_run(house: House, server: ModelServer) -> None:
    await house.apply(files(server, "one", "two", budget={"limit": "$0.0025", "per": "run"}))
    await all_over(house, 2)
    one, two = await standing(house, "one"), await standing(house, "two")

    assert one.spent == two.spent == PRICE.cost(Usage(100, 50))


async def test_a_cap_written_later_counts_what_was_spent_before(house: House, server: ModelServer, biller: Biller) -> None:
    await house.apply(files(server, "one", "two"))
    await all_over(house, 2)
    cap = {"name": "all", "over": {"agent": "clerk"}, "limit": "$1", "per": "day"}
    await house.apply(files(server, "one", "two", "three", budgets=[cap]))
    await all_over(house, 3)

    assert (await standing(house, "three")).spent == biller.bill


# ---- what is not known


async def test_a_reply_without_usage_counts_as_its_worst_case_and_says_so(house: House) -> None:
    def answer(asked: Asked) -> Answer:
        said = says("done")
        assert isinstance(said.body, dict)
        return Answer(body={name: value for name, value in said.body.items() if name != "usage"})

    async with ModelServer(answer) as server:
        await house.apply(files(server, budget="$1/day"))
        run = await house.run("monday", RunPhase.SUCCEEDED)
    (row,) = await house.database.read(lambda tx: modelcalls.of_run(tx, run.id))

    assert row["cost_nanousd"] == row["held_nanousd"] == run.cost_nanousd == (await standing(house)).spent > 0
    assert row["priced_by"] == "the worst case"
    assert "CostAtWorst" in await house.reasons()


async def test_a_call_that_the_daemon_did_not_live_to_see_counts_as_its_worst_case(tmp_path: Path, biller: Biller) -> None:
    async with ModelServer(lambda asked: says("done", delay=600.0)) as slow, ModelServer(biller) as server:
        first = (await House.open(tmp_path, FixedClock())).start()
        await first.apply(files(slow, budget="$1/day"))
        run = await first.run("monday", RunPhase.CALLING_MODEL)
        (row,) = await first.database.read(lambda tx: modelcalls.of_run(tx, run.id))
        second = await first.crash()
        try:
            await second.apply(files(server, budget="$1/day"))
            second.start()
            await second.run("monday", RunPhase.SUCCEEDED)
            found = await standing(second)
            ended = await second.now("monday")
        finally:
            await second.close()

    assert found.held == 0
    assert found.spent == row["held_nanousd"] + biller.bill == ended.cost_nanousd


async def test_what_the_provider_refused_costs_nothing(house: House, biller: Biller) -> None:
    answers = iter([fails(503), fails(429)])
    async with ModelServer(lambda asked: next(answers, None) or biller(asked)) as server:
        await house.apply(files(server, budget="$1/day"))
        for _ in range(2):
            run = await house.run("monday", RunPhase.BACKING_OFF)
            assert run.due_at is not None
            await house.wait(run.due_at - house.clock.now() + timedelta(seconds=1))
            await house.until(lambda tx, attempts=run.attempts: _run(tx).attempts > attempts)  # type: ignore[misc]
        await house.run("monday", RunPhase.SUCCEEDED)

    assert (await standing(house)).spent == biller.bill


async def test_an_llm_without_a_price_waits_under_a_cap_of_dollars_and_names_the_field(house: House, server: ModelServer) -> None:
    await house.apply(files(server, llm={"price": None}, budget="$1/day"))
    run = await house.until(lambda tx: run if "price" in (run := _run(tx)).detail else None)
    assert run.phase is RunPhase.PENDING
    assert "write `price: {input: $..., output: $...}`" in run.detail
    await house.apply(files(server, llm={"price": "unknown_ok"}, budget="$1/day"))
    await house.run("monday", RunPhase.SUCCEEDED)


# ---- what is sent


async def test_where_nothing_bounds_the_reply_the_cap_does_and_the_transcript_says_so(
    house: House, server: ModelServer, biller: Biller
) -> None:
    await house.apply(files(server, llm={"parameters": {}}, budget="$0.01/day"))
    run = await house.run("monday", RunPhase.SUCCEEDED)
    (row,) = await house.database.read(lambda tx: modelcalls.of_run(tx, run.id))
    body = await house.database.read(lambda tx: body_of(tx, runs.get(tx, run.id), pins_of(tx, run.root_id), modelcalls.from_row(row)))
    (sent,) = biller.asked

    assert sent["max_tokens"] == row["max_output"]
    assert 256 <= row["max_output"] < 1000, "a cent buys a thousand tokens, less what the prompt may cost"
    assert json.loads(body) == sent


async def test_tokens_and_time_are_capped_as_dollars_are(house: House, server: ModelServer, biller: Biller) -> None:
    biller.calls = 4
    budgets = [{"name": "words", "over": {"llm": "fast"}, "limit": "700 tokens", "per": "day", "on_limit": "stop"}]
    await house.apply(files(server, llm={"price": None}, budgets=budgets))
    run = await house.run("monday", RunPhase.FAILED)

    assert "budget 'words' of 700 tokens a day has no room for the next call" in run.error


# ---- agents that know what they spend


async def test_an_agent_is_told_what_it_spent_and_what_is_left(house: House) -> None:
    def answer(asked: Asked) -> Answer:
        calls = [
            call("one", "check_budget"),
            call("two", "check_current_spend_since", since="1h"),
            call("three", "check_current_spend_since", since="yesterday"),
            call("four", "check_current_spend_since", scope="moon"),
        ]
        said = says("done") if asked.turn > 1 else says(None, *calls)
        assert isinstance(said.body, dict)
        return Answer(body={**said.body, "usage": {"prompt_tokens": 100, "completion_tokens": 50}})

    async with ModelServer(answer) as server:
        await house.apply(files(server, budget="$1/day", tools=("check_budget", "check_current_spend_since")))
        await house.run("monday", RunPhase.SUCCEEDED)
    budget, spent, no_moment, no_scope = await house.results("monday")

    assert budget.startswith("agent 'clerk' of $1.00 a day: $0.9994 left, $0.0006 spent, $0.00 held")
    assert spent.startswith("$0.0006 spent since 2026-01-02")
    assert spent.endswith("(run): 1 model calls, 150 tokens")
    assert no_moment.startswith("Error: 'yesterday' is neither a duration nor a moment")
    assert no_scope == "Error: `scope` is one of run, tree, agent, everything"


async def test_an_agent_under_no_cap_is_told_so(house: House) -> None:
    async with ModelServer(lambda asked: says("done") if asked.turn > 1 else says(None, call("one", "check_budget"))) as server:
        await house.apply(files(server, tools=("check_budget",)))
        await house.run("monday", RunPhase.SUCCEEDED)

    assert await house.results("monday") == ["no cap is over this run"]
