"""The built-in tools and the registry that finds them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from smallchain.model.toolcall import Outcome, OutcomeKind, Start
from smallchain.services.tools.builtin import BuiltinExecutor
from smallchain.services.tools.registry import Tools
from support.starts import FixedClock, a_start


async def answer(name: str, arguments: dict[str, Any]) -> Outcome:
    return await BuiltinExecutor(clock=FixedClock()).execute(a_start({"builtin": name}, arguments))


async def test_add_takes_numbers_and_numeric_texts() -> None:
    assert await answer("add", {"a": 3, "b": "4"}) == Outcome(OutcomeKind.SUCCEEDED, "7")


async def test_division_by_zero_is_a_failure_that_the_model_can_read() -> None:
    outcome = await answer("divide", {"a": 1, "b": 0})

    assert outcome.kind is OutcomeKind.FAILED
    assert "division by zero" in outcome.text


async def test_a_missing_argument_is_told_by_its_name() -> None:
    assert (await answer("add", {"a": 1})).text.startswith("b is missing")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, "2026-01-02T03:04:05Z"),
        ({"time_zone": ""}, "2026-01-02T03:04:05Z"),
        ({"time_zone": "Asia/Kolkata"}, "2026-01-02T08:34:05+05:30"),
    ],
)
async def test_now_is_the_clocks_moment_in_the_zone_asked_for(arguments: dict[str, Any], text: str) -> None:
    assert await answer("now", arguments) == Outcome(OutcomeKind.SUCCEEDED, text)


@pytest.mark.parametrize("zone", ["Europe/Berln", "Europe", "../etc/passwd", "/etc/localtime", "nowhere\0", 5, ["UTC"], "x" * 5000])
async def test_an_unknown_time_zone_is_a_readable_failure(zone: Any) -> None:
    outcome = await answer("now", {"time_zone": zone})

    assert outcome.kind is OutcomeKind.FAILED
    assert "there is no time zone" in outcome.text
    assert len(outcome.text) < 300


async def test_a_misspelt_time_zone_is_answered_with_the_near_one() -> None:
    assert "did you mean 'Europe/Berlin'?" in (await answer("now", {"time_zone": "Europe/Berln"})).text


async def test_an_unknown_builtin_starts_nothing_and_lists_those_there_are() -> None:
    outcome = await answer("power", {})

    assert outcome.kind is OutcomeKind.NOT_STARTED
    assert "subtract" in outcome.text


class Counting:
    """An executor that counts how many attempts are in it at once."""

    def __init__(self) -> None:
        self.inside = self.most = 0

    async def execute(self, start: Start, /) -> Outcome:
        self.inside += 1
        self.most = max(self.most, self.inside)
        await asyncio.sleep(0)
        self.inside -= 1
        return Outcome(OutcomeKind.SUCCEEDED, start.tool)


async def test_the_single_key_of_the_executor_picks_who_runs_it() -> None:
    tools = Tools(in_process={"builtin": BuiltinExecutor(clock=FixedClock())}, processes={"python": Counting()})

    assert (await tools.execute(a_start({"builtin": "add"}, {"a": 1, "b": 1}))).text == "2"
    assert (await tools.execute(a_start({"python": {}}))).text == "tested"


@pytest.mark.parametrize(("executor", "told"), [({"pyton": {}}, "did you mean 'python'?"), ({}, "0 executors"), ({"a": 1, "b": 2}, "2")])
async def test_an_unknown_executor_starts_nothing_and_says_so(executor: dict[str, Any], told: str) -> None:
    outcome = await Tools(in_process={}, processes={"python": Counting()}).execute(a_start(executor))

    assert outcome.kind is OutcomeKind.NOT_STARTED
    assert told in outcome.text
    assert "nothing ran" in outcome.text


async def test_processes_are_bounded_and_what_runs_in_process_is_not() -> None:
    bounded, free = Counting(), Counting()
    tools = Tools(in_process={"builtin": free}, processes={"python": bounded}, at_most=2)

    await asyncio.gather(*(tools.execute(a_start({name: {}})) for name in ["python", "builtin"] * 10))

    assert bounded.most == 2
    assert free.most == 10
