"""Ways to get past a cap, to lose what was spent or to book it twice, each tried against the loops: none of them may work."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from smallchain.engine.budget import desk as money
from smallchain.engine.budget.caps import caps_over
from smallchain.engine.run.acts import adopt, cancel
from smallchain.model.cap import Cap, Standing, Unit
from smallchain.model.delivery import Verb
from smallchain.model.errors import Refused
from smallchain.model.lifecycles import RunPhase
from smallchain.model.money import Price, Rates, Usage
from smallchain.model.run import Run
from smallchain.store import ledger, modelcalls, runs
from smallchain.store.contract import Row, Tx
from support.house import House, a_house
from support.modelserver import Answer, Asked, ModelServer, call, fails, says
from support.rows import all_runs

PRICE = Price(Rates(input=1_000_000_000, output=10_000_000_000))
"""$1 and $10 per million tokens."""
WRITTEN = {"input": "$1", "output": "$10"}
EVERYTHING = {"name": "all", "over": "everything", "limit": "$1", "per": "day"}
Words = dict[str, Any]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as opened:
        yield opened


def uses(said: Answer, prompt: Any = 100, reply: Any = 50, **more: Any) -> Answer:
    """An answer with a usage."""
    assert isinstance(said.body, dict)
    return Answer(body={**said.body, "usage": {"prompt_tokens": prompt, "completion_tokens": reply, **more}})


def adds(asked: Asked, times: int) -> Answer:
    """Asks for so many sums, one a turn, then says that it is done."""
    return says(None, call(f"c{asked.turn}", "add", a=asked.turn, b=1)) if asked.turn <= times else says("done")


def llm(server: ModelServer, name: str = "fast", **more: Any) -> Words:
    words = {"name": name, "provider": "openai", "model": "m", "base_url": server.base_url, "price": WRITTEN}
    return words | {"parameters": {"max_tokens": 100}} | more


def files(*llms: Words, names: tuple[str, ...] = ("monday",), agent: Words | None = None, **top: Any) -> str:
    clerk = {"name": "clerk", "tools": ["add"], "llm": "fast"} | (agent or {})
    words = {
        "llms": list(llms),
        "agents": [clerk],
        "tasks": [{"name": "work", "agent": clerk["name"], "user_message": "add"}],
        "runs": [{"name": name, "task": "work"} for name in names],
        "budgets": [EVERYTHING],
    }
    return json.dumps(words | top)


def _run(tx: Tx, name: str = "monday") -> Run:
    found = runs.by_name(tx, name)
    assert found is not None
    return found


async def attempts(house: House, name: str = "monday") -> list[Row]:
    return await house.database.read(lambda tx: modelcalls.of_run(tx, _run(tx, name).id))


async def standing(house: House, name: str = "monday", *, llm: str = "fast", which: Callable[[Cap], bool] = lambda cap: True) -> Standing:
    """How the one cap over a run stands, of those that are meant."""

    def look(tx: Tx) -> Standing:
        (cap,) = [each for each in caps_over(tx, _run(tx, name), llm) if which(each)]
        return ledger.look(tx, cap)

    return await house.database.read(look)


# ---- what a request may cost


@pytest.mark.parametrize("parameters", [{"n": 4}, {"n": 4.0}, {"n": 4, "max_tokens": None}, {"n": 2, "max_tokens": -1}])
async def test_every_reply_that_is_asked_for_is_held_though_nothing_bounds_one(house: House, parameters: Words) -> None:
    async with ModelServer(lambda asked: uses(says("done"))) as server:
        await house.apply(files(llm(server, parameters=parameters), budgets=[EVERYTHING | {"limit": "$0.1"}]))
        await house.run("monday", RunPhase.SUCCEEDED)
        (sent,) = [asked.json for asked in server.requests]
    (row,) = await attempts(house)

    assert sent["max_tokens"] == row["max_output"] > 0
    assert row["held_nanousd"] >= sent["max_tokens"] * sent["n"] * 10_000
    assert row["held_nanousd"] <= 100_000_000


async def test_a_bound_that_a_server_takes_for_none_is_replaced(house: House) -> None:
    async with ModelServer(lambda asked: uses(says("done"))) as server:
        parameters = {"max_tokens": 100, "max_completion_tokens": -1}
        await house.apply(files(llm(server, parameters=parameters)))
        await house.run("monday", RunPhase.SUCCEEDED)
        (sent,) = [asked.json for asked in server.requests]

    assert sent["max_tokens"] == sent["max_completion_tokens"] >= 256


async def test_a_request_in_json_mode_is_held_at_all_its_bytes_in_every_turn(house: House) -> None:
    def answer(asked: Asked) -> Answer:
        calls = [{"name": "add", "arguments": {"a": asked.turn, "b": 1}}] if asked.turn < 4 else []
        return uses(says(json.dumps({"answer": "" if calls else "done", "calls": calls})))

    async with ModelServer(answer) as server:
        await house.apply(files(llm(server, tool_mode="json")))
        await house.run("monday", RunPhase.SUCCEEDED)
        bodies = [len(asked.body) for asked in server.requests]
    rows = await attempts(house)
    prompts = [row["held_nanousd"] // 1_000 - 100 * 10 for row in rows]

    assert prompts[0] >= bodies[0]
    for before, (body, prompt) in zip(bodies, list(zip(bodies, prompts, strict=True))[1:], strict=False):
        assert prompt >= 150 + (body - before), "what the reply told, and each byte that came since"


async def test_a_picture_is_held_beside_the_bytes_of_its_address(house: House) -> None:
    parts = [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": "https://example.com/large.png"}}]
    tasks = [{"name": "work", "agent": "clerk", "context_window": [{"role": "user", "content": parts}]}]
    async with ModelServer(lambda asked: uses(says("a cat"), prompt=48_000)) as server:
        await house.apply(files(llm(server), tasks=tasks))
        await house.run("monday", RunPhase.SUCCEEDED)
    (row,) = await attempts(house)

    assert row["cost_nanousd"] <= row["held_nanousd"]


async def test_tokens_that_another_model_counted_bound_nothing(house: House) -> None:
    text = "ไ" * 2_000

    def small(asked: Asked) -> Answer:
        return uses(adds(asked, 1), prompt=20, reply=5) if asked.turn == 1 else fails(503, headers={"retry-after": "600"})

    async with ModelServer(small) as first, ModelServer(lambda asked: uses(says("done"), prompt=6_000)) as second:
        tasks = [{"name": "work", "agent": "clerk", "user_message": text}]
        await house.apply(files(llm(first, fallback="other"), llm(second, "other"), tasks=tasks))
        await house.run("monday", RunPhase.SUCCEEDED)
    *_, row = await attempts(house)

    assert row["llm"] == "other"
    assert row["cost_nanousd"] <= row["held_nanousd"]


# ---- what is known of a price


async def test_a_price_that_is_written_for_another_model_is_not_that_of_a_pinned_one(house: House) -> None:
    async with ModelServer(lambda asked: uses(adds(asked, 1), prompt=1_000), latency=0.01) as server:
        await house.apply(files(llm(server, model="large"), agent={"tools": [{"tool": "add", "approval": "required"}]}))
        request = await house.request("monday")
        cheap = llm(server, model="small", price={"input": "$0.001", "output": "$0.01"})
        await house.apply(files(cheap, agent={"tools": [{"tool": "add", "approval": "required"}]}))
        await house.say(Verb.APPROVE, request)
        await house.run("monday", RunPhase.SUCCEEDED)
        models = [asked.json["model"] for asked in server.requests]
    rows = await attempts(house)

    assert models == ["large", "large"]
    assert [row["cost_nanousd"] for row in rows] == [PRICE.cost(Usage(1_000, 50))] * 2
    assert (await standing(house)).spent == 2 * PRICE.cost(Usage(1_000, 50))


async def test_a_fallback_is_held_and_booked_at_its_own_price(house: House) -> None:
    dear = {"input": "$100", "output": "$1000"}
    async with (
        ModelServer(lambda asked: fails(503, headers={"retry-after": "600"})) as first,
        ModelServer(lambda asked: uses(says("done"))) as second,
    ):
        await house.apply(files(llm(first, fallback="other"), llm(second, "other", price=dear)))
        await house.run("monday", RunPhase.SUCCEEDED)
    failed, replied = await attempts(house)

    assert failed["cost_nanousd"] is None
    assert replied["held_nanousd"] >= 100 * 1_000_000
    assert (await standing(house)).spent == replied["cost_nanousd"] == 100 * PRICE.cost(Usage(100, 50))


# ---- what a reply says


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {"prompt_tokens": 10**30, "completion_tokens": 1},
        {"prompt_tokens": 10, "completion_tokens": 0},
    ],
)
async def test_a_usage_that_cannot_be_true_counts_as_the_worst_case(house: House, usage: Any) -> None:
    def answer(asked: Asked) -> Answer:
        said = says("a whole sentence of words")
        assert isinstance(said.body, dict)
        return Answer(body={**said.body, "usage": usage})

    async with ModelServer(answer) as server:
        await house.apply(files(llm(server)))
        run = await house.run("monday", RunPhase.SUCCEEDED)
    (row,) = await attempts(house)
    found = await standing(house)

    assert found.spent == run.cost_nanousd == row["cost_nanousd"] == row["held_nanousd"] > 0
    assert found.held == 0


async def test_more_cached_tokens_than_there_are_make_nothing_cheaper(house: House) -> None:
    price = {"input": "$1", "cached_input": "$0.1", "output": "$10"}
    async with ModelServer(lambda asked: uses(says("done"), prompt_tokens_details={"cached_tokens": 10**6})) as server:
        await house.apply(files(llm(server, price=price)))
        await house.run("monday", RunPhase.SUCCEEDED)

    assert (await standing(house)).spent == PRICE.cost(Usage(100, 50))


@pytest.mark.parametrize(
    "answer",
    [
        Answer(body={"error": {"message": "upstream broke", "code": 502}, "usage": {"prompt_tokens": 900, "completion_tokens": 90}}),
        Answer(body={"choices": [{"message": {"content": "half"}, "error": {"message": "upstream broke", "code": 502}}]}),
        fails(504),
        Answer(body="{half a rep"),
        Answer(body={"choices": []}),
        Answer(fault="reset_mid_body", body={"choices": []}),
        Answer(fault="reset"),
    ],
    ids=["error with usage", "error in a choice", "504", "half", "no choices", "reset in the body", "reset"],
)
async def test_what_may_have_been_billed_is_booked_at_the_worst_case(house: House, answer: Answer) -> None:
    async with ModelServer(lambda asked: answer) as server:
        await house.apply(files(llm(server)))
        await house.run("monday", RunPhase.BACKING_OFF)
    (row,) = await attempts(house)
    found = await standing(house)

    assert row["cost_nanousd"] == found.spent == row["held_nanousd"]
    assert found.held == 0


@pytest.mark.parametrize("status", [400, 429, 503])
async def test_what_a_provider_says_no_to_costs_nothing_and_is_held_by_nothing(house: House, status: int) -> None:
    async with ModelServer(lambda asked: fails(status)) as server:
        await house.apply(files(llm(server)))
        await house.until(lambda tx: _run(tx).phase in (RunPhase.BACKING_OFF, RunPhase.FAILED))
    found = await standing(house)

    assert (found.spent, found.held) == (0, 0)


# ---- what is written while calls are out


async def test_a_cap_that_is_written_while_a_call_is_out_counts_it(house: House) -> None:
    bell = asyncio.Event()

    class Late(ModelServer):
        async def _answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
            answer = await super()._answer(method, path, headers, body)
            if len(self.requests) == 1:
                await bell.wait()
            return answer

    async with Late(lambda asked: uses(says("done"), prompt=5_000)) as server:
        await house.apply(files(llm(server), budgets=[]))
        await server.arrived(1)
        await house.apply(files(llm(server), names=("monday", "tuesday")))
        await house.run("tuesday", RunPhase.SUCCEEDED)
        assert (await standing(house, "tuesday")).spent == PRICE.cost(Usage(5_000, 50))
        bell.set()
        await house.run("monday", RunPhase.SUCCEEDED)

    assert (await standing(house, "tuesday")).spent == 2 * PRICE.cost(Usage(5_000, 50))


async def test_a_cap_that_is_lowered_while_a_call_is_out_lets_no_more_go(house: House) -> None:
    async with ModelServer(lambda asked: uses(adds(asked, 5), prompt=500), latency=0.2) as server:
        await house.apply(files(llm(server)))
        await server.arrived(1)
        await house.apply(files(llm(server), budgets=[EVERYTHING | {"limit": "$0.0021"}]))
        await house.run("monday", RunPhase.OVER_BUDGET)
        assert len(server.requests) == 1
    assert (await standing(house)).spent == PRICE.cost(Usage(500, 50))


async def test_an_agent_that_is_renamed_takes_its_cap_from_no_run_that_goes_on(house: House) -> None:
    async with ModelServer(lambda asked: uses(adds(asked, 5))) as server:
        tools = [{"tool": "add", "approval": "required"}]
        capped = {"tools": tools, "budget": {"limit": "$0.002", "per": "day", "on_limit": "stop"}}
        await house.apply(files(llm(server), agent=capped, budgets=[]))
        request = await house.request("monday")
        await house.apply(files(llm(server), agent=capped | {"name": "scribe"}, budgets=[]))
        while True:
            await house.say(Verb.APPROVE, request)
            done = await house.until(lambda tx: _run(tx).phase is RunPhase.FAILED or tx.all("requests.newest_open", most=1))
            if done is True:
                break
            request = await house.request("monday")
        run = await house.now("monday")

    assert run.error.startswith("agent 'clerk' of $0.002 a day has no room for the next call")
    assert run.cost_nanousd <= 2_000_000


async def test_a_budget_that_is_taken_away_and_written_again_remembers(house: House) -> None:
    async with ModelServer(lambda asked: uses(says("done"))) as server:
        await house.apply(files(llm(server)))
        await house.run("monday", RunPhase.SUCCEEDED)
        await house.apply(files(llm(server), budgets=[]))
        await house.apply(files(llm(server), names=("monday", "tuesday"), budgets=[]))
        await house.run("tuesday", RunPhase.SUCCEEDED)
        await house.apply(files(llm(server), names=("monday", "tuesday", "friday")))
        await house.run("friday", RunPhase.SUCCEEDED)

    assert (await standing(house, "friday")).spent == 3 * PRICE.cost(Usage(100, 50))


# ---- who is asked


ASKS = {"limit": "$0.0025", "per": "day", "on_limit": "ask"}


async def test_a_question_about_a_cap_that_is_written_otherwise_meanwhile_raises_nothing(house: House) -> None:
    async with ModelServer(lambda asked: uses(adds(asked, 3))) as server:
        await house.apply(files(llm(server), budgets=[EVERYTHING | ASKS]))
        request = await house.request("monday", "budget")
        await house.apply(files(llm(server), budgets=[EVERYTHING | ASKS | {"per": "week"}]))
        run = await house.now("monday")
        with pytest.raises(Refused, match="no such cap any more"):
            await house.driver.transact(lambda tx: money.raise_cap(tx, run, request.digest, "$1", for_good=True))

    assert (await standing(house)).raised == 0


async def test_a_question_that_no_cap_stands_behind_any_more_is_withdrawn_for_the_one_that_does(house: House) -> None:
    async with ModelServer(lambda asked: uses(adds(asked, 3))) as server:
        await house.apply(files(llm(server), budgets=[EVERYTHING | ASKS]))
        first = await house.request("monday", "budget")
        await house.apply(files(llm(server), budgets=[EVERYTHING | ASKS | {"per": "week"}]))
        second = await house.until(lambda tx: _other(tx, first.digest))
        assert await house.asked("monday") == ["budget"]
        await house.say(Verb.APPROVE, second, edits={"by": "$1", "for_good": False})
        await house.run("monday", RunPhase.SUCCEEDED)


def _other(tx: Tx, digest: str) -> str | None:
    return next((row["id"] for row in tx.all("requests.newest_open", most=10) if row["digest"] != digest), None)


@pytest.mark.parametrize("per", ["run", "day"])
async def test_a_no_is_to_the_limit_as_it_was_written_then(house: House, per: str) -> None:
    async with ModelServer(lambda asked: uses(adds(asked, 6))) as server:
        await house.apply(files(llm(server), budgets=[EVERYTHING | ASKS | {"per": per}]))
        await house.say(Verb.DENY, await house.request("monday", "budget"))
        await house.quiet()
        assert await house.asked("monday") == []
        await house.apply(files(llm(server), budgets=[EVERYTHING | ASKS | {"per": per, "limit": "$0.0035"}]))
        request = await house.request("monday", "budget")

    assert "of $0.0035" in request.question


async def test_who_approves_twice_raises_once(house: House) -> None:
    async with ModelServer(lambda asked: uses(adds(asked, 3))) as server:
        await house.apply(files(llm(server), budgets=[EVERYTHING | ASKS]))
        request = await house.request("monday", "budget")
        first = await house.say(Verb.APPROVE, request, edits={"by": "$1", "for_good": True})
        with pytest.raises(Refused, match="already approved by ann"):
            await house.say(Verb.APPROVE, request, by="bob", edits={"by": "$1", "for_good": True})

    assert first.counted
    assert (await standing(house)).raised == 1_000_000_000


async def test_a_limit_that_is_written_anew_takes_what_was_added_to_the_old_one(house: House) -> None:
    async with ModelServer(lambda asked: uses(adds(asked, 3))) as server:
        await house.apply(files(llm(server), budgets=[EVERYTHING | ASKS]))
        request = await house.request("monday", "budget")
        await house.say(Verb.APPROVE, request, edits={"by": "$1", "for_good": True})
        await house.run("monday", RunPhase.SUCCEEDED)
        await house.apply(files(llm(server), names=("monday", "tuesday"), budgets=[EVERYTHING | ASKS | {"limit": "$0.002"}]))
        await house.run("tuesday", RunPhase.OVER_BUDGET)

    assert (await standing(house, "tuesday")).limit == 2_000_000


async def test_a_cap_is_never_raised_beyond_what_can_be_counted(house: House) -> None:
    async with ModelServer(lambda asked: uses(adds(asked, 3))) as server:
        await house.apply(files(llm(server), budgets=[EVERYTHING | ASKS]))
        request = await house.request("monday", "budget")
        with pytest.raises(Refused, match="more than any amount"):
            await house.say(Verb.APPROVE, request, edits={"by": "$999999999.999", "for_good": True})


# ---- who waits


async def test_two_runs_that_wait_for_the_same_room_both_come_to_it(house: House) -> None:
    async with ModelServer(lambda asked: uses(says("done"), prompt=500, reply=100)) as server:
        cap = EVERYTHING | {"limit": "$0.0022", "per": "hour"}
        names = ("monday", "tuesday", "friday")
        await house.apply(files(llm(server), names=names, budgets=[cap]))
        for left in (2, 1):
            waiting = await house.until(
                lambda tx, left=left: (
                    found  # type: ignore[misc]
                    if len(found := [row for row in all_runs(tx) if row["phase"] == "over_budget"]) == left
                    and not any(row["phase"] in ("ready", "calling_model") for row in all_runs(tx))
                    else None
                )
            )
            due = min(_run_due(row) for row in waiting)
            await house.wait(due - house.clock.now())
        await house.until(lambda tx: all(row["phase"] == "succeeded" for row in all_runs(tx)))
        assert len(server.requests) == 3


def _run_due(row: Row) -> Any:
    from smallchain.store.times import from_text

    return from_text(row["due_at"])


async def test_a_cap_that_stops_says_limit_usage_what_is_wanted_and_when_there_is_room(house: House) -> None:
    async with ModelServer(lambda asked: uses(adds(asked, 5))) as server:
        cap = EVERYTHING | {"limit": "$0.0025", "on_limit": "stop", "window": "calendar", "time_zone": "Europe/Berlin"}
        await house.apply(files(llm(server), budgets=[cap]))
        run = await house.run("monday", RunPhase.FAILED)

    assert run.error.startswith("budget 'all' of $0.0025 a day has no room for the next call: $0.00")
    assert "spent, and it may use $0.00" in run.error
    assert "; there is room again from 2026-01-02 23:00:00 UTC; " in run.error


async def test_the_strictest_of_two_caps_is_not_waited_out_by_the_other(house: House) -> None:
    async with ModelServer(lambda asked: uses(adds(asked, 5))) as server:
        caps = [EVERYTHING | {"name": name, "limit": "$0.0025", "on_limit": on} for name, on in (("waits", "wait"), ("stops", "stop"))]
        await house.apply(files(llm(server), budgets=caps))
        run = await house.run("monday", RunPhase.FAILED)

    assert run.error.startswith("budget 'stops' of $0.0025 a day has no room for the next call")


# ---- what is ended


async def test_a_call_that_is_cancelled_is_booked_once_though_its_reply_comes(house: House) -> None:
    async with ModelServer(lambda asked: uses(says("done")), latency=0.2) as server:
        await house.apply(files(llm(server)))
        await server.arrived(1)
        await house.driver.transact(lambda tx: cancel(tx, _run(tx), by="ann"))
        (row,) = await attempts(house)
        run = await house.now("monday")
        await house.quiet()
    found = await standing(house)

    assert (found.spent, found.held) == (row["held_nanousd"], 0)
    assert run.cost_nanousd == row["held_nanousd"]


async def test_tools_that_a_run_adopts_are_held(house: House) -> None:
    async with ModelServer(lambda asked: uses(adds(asked, 1), prompt=50)) as server:
        asks = {"tools": [{"tool": "add", "approval": "required"}]}
        await house.apply(files(llm(server), agent=asks))
        request = await house.request("monday")
        many = [{"name": f"tool_{number}", "description": "x" * 500, "executor": {"python": {"command": "true"}}} for number in range(20)]
        more = {"tools": [*asks["tools"], *[each["name"] for each in many]]}
        await house.apply(files(llm(server), agent=more, tools=many))
        await house.until(lambda tx: len(tx.all("resources.of_kind", kind="tool")) == 20)
        await house.driver.transact(lambda tx: adopt(tx, _run(tx), by="ann"))
        await house.say(Verb.APPROVE, request)
        await house.run("monday", RunPhase.SUCCEEDED)
        first, second = [len(asked.body) for asked in server.requests]
    _, row = await attempts(house)

    assert second > first + 10_000
    assert row["held_nanousd"] >= (100 + second - first) * 1_000, "the tokens of the first call, and each byte since"


async def test_summing_up_is_held_and_booked_as_every_call_is(house: House) -> None:
    def answer(asked: Asked) -> Answer:
        if "summar" in str(asked.messages[-1]["content"]).lower() or "tools" not in asked.json:
            return uses(says("what was done so far"))
        return uses(adds(asked, 100) if asked.number < 9 else says("done"))

    async with ModelServer(answer) as server:
        caps = [EVERYTHING, EVERYTHING | {"name": "of fast", "over": {"llm": "fast"}, "limit": "90000 tokens"}]
        await house.apply(files(llm(server), agent={"context": {"summarise": 2}}, budgets=caps))
        run = await house.run("monday", RunPhase.SUCCEEDED)
        bodies = [asked.body for asked in server.requests]
    rows = await attempts(house)
    in_dollars = await standing(house, which=lambda cap: cap.unit is Unit.DOLLARS)
    in_tokens = await standing(house, which=lambda cap: cap.unit is Unit.TOKENS)

    assert any(row["summarises"] for row in rows)
    assert len(rows) == len(bodies)
    assert all(row["held_nanousd"] >= row["cost_nanousd"] > 0 for row in rows)
    assert (in_dollars.spent, in_dollars.held) == (sum(row["cost_nanousd"] for row in rows), 0)
    assert in_dollars.spent == run.cost_nanousd
    assert (in_tokens.spent, in_tokens.held) == (150 * len(rows), 0)


async def test_units_do_not_mix(house: House) -> None:
    async with ModelServer(lambda asked: uses(says("done"))) as server:
        caps = [
            EVERYTHING | {"name": name, "limit": limit} for name, limit in (("money", "$1"), ("words", "90000 tokens"), ("time", "30m"))
        ]
        await house.apply(files(llm(server), budgets=caps))
        await house.run("monday", RunPhase.SUCCEEDED)
    money, words, time = [await standing(house, which=lambda cap, unit=unit: cap.unit is unit) for unit in Unit]  # type: ignore[misc]

    assert (money.spent, words.spent, time.held) == (PRICE.cost(Usage(100, 50)), 150, 0)
    assert time.spent < timedelta(minutes=10) / timedelta(milliseconds=1)


async def test_a_run_that_stood_still_while_its_model_failed_has_its_whole_time_to_fail_again(house: House) -> None:
    async with ModelServer(lambda asked: uses(adds(asked, 1), prompt=1000, reply=100) if asked.turn == 1 else fails(503, "down")) as server:
        await house.apply(files(llm(server)))
        await house.run("monday", RunPhase.BACKING_OFF)
        await house.apply(files(llm(server), budgets=[EVERYTHING | {"limit": "$0.003"}]))
        await house.wait(timedelta(seconds=1))
        await house.run("monday", RunPhase.OVER_BUDGET)
        await house.wait(timedelta(days=1))
        run = await house.until(lambda tx: (found := _run(tx)).attempts == 3 and found.phase != RunPhase.CALLING_MODEL and found)

    assert (run.phase, run.failing_since) == (RunPhase.BACKING_OFF, house.clock.now())
