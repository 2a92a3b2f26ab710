"""The provider's own bill, and what every way of asking says was spent: they agree to the nano-dollar, crashes and caps included."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from smallchain.model.money import Price, Rates, Usage, parse_dollars
from support.daemon import Daemon
from support.modelserver import Answer, Asked, ModelServer, call, fails, says

SMALL = Price(Rates(input=2_500_000_000, output=10_000_000_000, cached_input=1_250_000_000))
LARGE = Price(Rates(input=15_123_456_789, output=60_000_000_007))
PRICES = {"small": SMALL, "large": LARGE}
Words = dict[str, Any]


class Bill:
    """A provider that bills what it tells, a token for four bytes and some; one call in seven it is too busy for."""

    def __init__(self, *, delay: float = 0.0) -> None:
        self.delay = delay
        self.cost: dict[str, int] = dict.fromkeys(PRICES, 0)
        self.calls = 0
        self.asked = itertools.count(1)

    def __call__(self, asked: Asked) -> Answer:
        number = next(self.asked)
        if number % 7 == 0 and not self.delay:
            return fails(503)
        model, said = asked.json["model"], self._say(asked)
        usage = Usage(len(asked.body) // 4 + number % 7, 17 + number % 5, 31 if model == "small" else 0)
        self.cost[model] += PRICES[model].cost(usage)
        self.calls += 1
        told = {"prompt_tokens": usage.input_tokens, "completion_tokens": usage.output_tokens}
        assert isinstance(said.body, dict)
        whole = {**said.body, "usage": {**told, "prompt_tokens_details": {"cached_tokens": usage.cached_tokens}}}
        return Answer(body=whole, delay=self.delay)

    def _say(self, asked: Asked) -> Answer:
        names = [tool["function"]["name"] for tool in asked.json.get("tools", ())]
        if "delegate_to_hand" in names and asked.turn == 1:
            return says(None, *[call(f"d{number}", "delegate_to_hand", message="go") for number in range(3)])
        if "add" in names and asked.turn <= 3:
            return says(None, call(f"c{asked.turn}", "add", a=asked.turn, b=1))
        return says("done")


@contextmanager
def served(bill: Bill) -> Iterator[str]:
    """The provider, in a thread of its own."""
    loop, ready, found = asyncio.new_event_loop(), threading.Event(), list[str]()
    stop = asyncio.Event()

    async def serve() -> None:
        async with ModelServer(bill) as server:
            found.append(server.base_url)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    ready.wait(10)
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


def written(base_url: str, **more: Any) -> str:
    def llm(name: str, price: Words) -> Words:
        return {"name": name, "provider": "openai", "model": name, "base_url": base_url, "price": price, "parameters": {"max_tokens": 50}}

    words = {
        "llms": [
            llm("small", {"input": "$2.50", "cached_input": "$1.25", "output": "$10"}),
            llm("large", {"input": "$15.123456789", "output": "$60.000000007"}),
        ],
        "agents": [
            {"name": "boss", "llm": "large", "tools": [{"agent": "hand"}], "budget": {"limit": "$90", "per": "week"}},
            {"name": "hand", "llm": "small", "tools": ["add"]},
        ],
        "tasks": [{"name": "work", "agent": "boss", "user_message": "go"}, {"name": "sums", "agent": "hand", "user_message": "go"}],
        "runs": [{"name": "monday", "task": "work", "budget": "$50"}, {"name": "tuesday", "task": "sums"}],
        "budgets": [
            {"name": "all", "over": "everything", "limit": "$100", "per": "month", "window": "calendar", "time_zone": "Asia/Kathmandu"},
            {"name": "dear", "over": {"llm": "large"}, "limit": "$100", "per": "day"},
        ],
    }
    return json.dumps(words | more)


def spent(daemon: Daemon, *by: str) -> dict[str, int]:
    """What was spent, by what it is told apart by."""
    flags = [word for each in by for word in ("--by", each)]
    found = daemon.ask("get", "spend", *flags, "--since", "1h")["items"]
    return {item[by[0]]: parse_dollars(item["cost_usd"]) for item in found}


def test_every_view_agrees_with_the_providers_bill_to_the_nano_dollar(daemon: Daemon) -> None:
    bill = Bill()
    with served(bill) as base_url:
        daemon.drop("team.yaml", written(base_url))
        daemon.start()
        for name in ("monday", "tuesday"):
            daemon.over(name)
        daemon.restart()
        runs = {run["name"]: run for run in daemon.items("runs")}
        budgets = {item["name"]: item for item in daemon.items("budgets")}
        described = daemon.ask("describe", "run", "monday")
        over = {item["name"]: item for item in described["related"]["budgets"]}
        total = sum(bill.cost.values())
        of_monday = parse_dollars(runs["monday"]["tree_cost_usd"])

        assert bill.calls >= 12
        assert {run["status"] for run in runs.values()} == {"Succeeded"}
        assert sum(parse_dollars(run["cost_usd"]) for run in runs.values()) == total
        assert of_monday + parse_dollars(runs["tuesday"]["tree_cost_usd"]) == total
        assert spent(daemon, "model") == spent(daemon, "llm") == bill.cost
        assert spent(daemon, "run") == {name: parse_dollars(run["cost_usd"]) for name, run in runs.items()}
        for by in ("agent", "task", "day", "hour"):
            assert sum(spent(daemon, by).values()) == total, by
        assert spent(daemon, "agent")["boss"] == bill.cost["large"] == parse_dollars(budgets["dear"]["spent"])
        assert parse_dollars(budgets["all"]["spent"]) == total
        assert parse_dollars(budgets["run/monday"]["spent"]) == of_monday == parse_dollars(budgets["agent/boss"]["spent"])
        assert {budgets[name]["held"] for name in budgets} == {"$0.00"}
        assert {name: item["spent"] for name, item in over.items()} == {name: item["spent"] for name, item in budgets.items()}
        assert parse_dollars(described["item"]["tree_cost_usd"]) == of_monday
        assert described["item"]["tree_held_usd"] == "0.00"
        assert sum(parse_dollars(each["cost_usd"] or "0") for each in described["related"]["modelcalls"]) == parse_dollars(
            runs["monday"]["cost_usd"]
        )


def test_a_daemon_that_is_killed_with_calls_out_passes_no_cap_and_forgets_no_call(daemon: Daemon) -> None:
    bill = Bill(delay=0.25)
    cap = {"name": "all", "over": "everything", "limit": "$0.07", "per": "day", "on_limit": "stop"}
    runs = [{"name": f"run-{number}", "task": "work"} for number in range(4)]
    with served(bill) as base_url:
        daemon.drop("team.yaml", written(base_url, runs=runs, budgets=[cap]))
        daemon.start()
        for _ in range(2):  # a third death within one step would ask a person
            calls = bill.calls
            daemon.until(lambda calls=calls: bill.calls >= calls + 3)
            daemon.kill()
            daemon.start()
        for run in runs:
            daemon.over(run["name"])
        (shown,) = [item for item in daemon.items("budgets") if item["name"] == "all"]
        ended = daemon.items("runs")
        cost = sum(parse_dollars(run["cost_usd"]) for run in ended)
        billed = sum(bill.cost.values())

    assert billed <= parse_dollars(shown["spent"]) <= 70_000_000, "what nobody knows the outcome of counts as its worst case"
    assert cost == parse_dollars(shown["spent"])
    assert shown["held"] == "$0.00"
    assert any("has no room for the next call" in run["error"] for run in ended), "the cap was met"
