"""The loops at work on a real database, with scripted and loopback models and tools: every promise of design section 5, in one process.

Nothing sleeps: time is moved (`house.wait`), and what a test waits for is a row.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from smallchain.engine.human.deciding import resume
from smallchain.engine.run.acts import cancel, pause
from smallchain.model.delivery import Verb
from smallchain.model.errors import Refused
from smallchain.model.human import RequestKind
from smallchain.model.lifecycles import CallPhase, Readiness, RunPhase
from smallchain.model.toolcall import OutcomeKind
from smallchain.store import modelcalls, requests, resources, runs, toolcalls
from support.house import Gate, House, a_house, is_legal
from support.lifelines import Lifeline
from support.modelserver import Answer, ModelServer, fails, says
from support.starts import FixedClock

SECOND = timedelta(seconds=1)
RUN = "monday"
Words = dict[str, Any]


def asks(*calls: tuple[str, Words]) -> Words:
    """A reply that asks for tools."""
    return {"tool_calls": [{"name": name, "arguments": arguments} for name, arguments in calls]}


def llm(*replies: Words, **words: Any) -> str:
    """A file with a scripted model."""
    return json.dumps({"llms": [{"name": "fast", "provider": "scripted", "replies": list(replies)} | words]})


def work(*tools: Words, agents: tuple[Words, ...] = (), runs: tuple[str, ...] = (RUN,), **words: Any) -> str:
    """A file with an agent that uses tools, a task and runs of it; `words` are of the agent."""
    agent: Words = {"name": "assistant", "tools": ["add", *(tool["name"] for tool in tools)]} | words
    task = {"name": "sums", "agent": "assistant", "user_message": "add"}
    listed = [{"name": name, "task": "sums"} for name in runs]
    return json.dumps({"agents": [agent, *agents], "tools": list(tools), "tasks": [task], "runs": listed})


def tool(name: str, **words: Any) -> Words:
    """A tool that the gate carries out."""
    return {"name": name, "executor": {"python": {"command": "unused"}}} | words


ADD = ("add", {"a": 3, "b": 4})
PUBLISH = asks(("publish", {}))


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as opened:
        yield opened


async def begin(house: House, text: str, *replies: Words) -> None:
    await house.apply(llm(*replies), "llm.yaml")
    await house.apply(text)


# ---- to the end


async def test_a_run_goes_to_its_end_and_tells_every_step(house: House) -> None:
    await begin(house, work(), asks(ADD), {"content": "it is 7"})
    run = await house.run(RUN, RunPhase.SUCCEEDED)

    assert run.output == "it is 7"
    assert await house.results(RUN) == ["7"]
    assert [message["role"] for message in await house.conversation(RUN)] == ["user", "assistant", "tool", "assistant"]
    about_resources = {"ResourceReady", "ResourcePending", "ConfigApplied", "ToolUnfenced", "RunPending"}
    assert [reason for reason in await house.reasons() if reason not in about_resources] == [
        "RunStarted",
        "AgentStarted",
        "ToolCallStarted",
        "ToolCallSucceeded",
        "AgentCompleted",
        "TaskCompleted",
        "RunOutput",
        "RunSucceeded",
    ]


async def test_results_go_back_in_the_order_the_model_asked_whichever_ends_first(house: House) -> None:
    slow = tool("slow", effects="none")
    await begin(house, work(slow), asks(("slow", {}), ADD), {"content": "done"})
    await house.call(RUN, CallPhase.SUCCEEDED, position=1)
    house.gate.let_through("late")
    await house.run(RUN, RunPhase.SUCCEEDED)

    assert await house.results(RUN) == ["late", "7"]
    assert is_legal(await house.conversation(RUN))


async def test_a_delegate_answers_with_its_output(house: House) -> None:
    agents = ({"name": "operator", "tools": ["add"]},)
    script = (
        {"when": {"agent": "operator", "turn": 1}, "reply": asks(ADD)},
        {"when": {"agent": "operator"}, "reply": {"content": "7"}},
        {"when": {"turn": 1}, "reply": asks(("delegate_to_operator", {"message": "add 3 and 4"}))},
        {"when": {}, "reply": {"content": "it is 7"}},
    )
    await begin(house, work(agents=agents, tools=[{"agent": "operator"}]), *script)
    await house.run(RUN, RunPhase.SUCCEEDED)
    child = await house.now(f"{RUN}/operator-1")

    assert (child.phase, child.depth, child.root_id) == (RunPhase.SUCCEEDED, 1, (await house.now(RUN)).id)
    assert await house.results(RUN) == ["7"]
    assert (await house.conversation(child.name))[0] == {"role": "user", "content": "add 3 and 4"}


async def test_what_is_missing_is_waited_for_and_heals_when_it_appears(house: House) -> None:
    await house.apply(work())
    run = await house.run(RUN, RunPhase.PENDING)
    await house.apply(llm({"content": "done"}), "llm.yaml")

    assert run.started_at is None
    assert (await house.run(RUN, RunPhase.SUCCEEDED)).output == "done"


async def test_nothing_moves_any_more_once_all_is_over(house: House) -> None:
    await begin(house, work(), asks(ADD), {"content": "done"})
    await house.run(RUN, RunPhase.SUCCEEDED)
    before = await house.told()
    await house.driver.look_at_everything()
    await house.quiet()

    assert await house.told() == before
    assert house.driver.under_way() == []


# ---- what the model gets wrong


async def test_a_function_that_does_not_exist_is_answered_with_those_that_do(house: House) -> None:
    await begin(house, work(tool("publish")), asks(("fly", {})), {"content": "done"})
    await house.run(RUN, RunPhase.SUCCEEDED)

    assert await house.results(RUN) == ["Error: there is no function named fly. The functions are: add, publish"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [("[1", "not JSON"), ("[1]", "not a list"), ('{"title": 5}', "title"), ("{}", "title"), ("", "title")],
    ids=["cut", "list", "type", "none", "empty"],
)
async def test_arguments_that_do_not_fit_are_answered_with_what_is_wrong_and_nothing_runs(house: House, arguments: str, words: str) -> None:
    parameters = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
    script = ({"tool_calls": [{"name": "publish", "arguments": arguments}]}, {"content": "done"})
    await begin(house, work(tool("publish", parameters=parameters)), *script)
    await house.run(RUN, RunPhase.SUCCEEDED)
    (result,) = await house.results(RUN)

    assert result.startswith("Error: the arguments don't fit publish: ")
    assert words in result
    assert house.gate.starts == []


async def test_of_more_than_32_calls_the_first_32_are_carried_out_and_every_one_is_answered(house: House) -> None:
    calls = [("add", {"a": number, "b": 0}) for number in range(35)]
    await begin(house, work(), asks(*calls), {"content": "done"})
    await house.run(RUN, RunPhase.SUCCEEDED)
    results = await house.results(RUN)

    assert results[:32] == [str(number) for number in range(32)]
    assert len(results) == 35
    assert all("32 calls in one reply are the most" in result for result in results[32:])
    assert is_legal(await house.conversation(RUN))


async def test_a_tool_that_fails_is_a_result_the_model_can_act_on(house: House) -> None:
    await begin(house, work(tool("publish")), PUBLISH, {"content": "never mind"})
    house.gate.let_through("exit code 1", OutcomeKind.FAILED)
    await house.run(RUN, RunPhase.SUCCEEDED)

    assert await house.results(RUN) == ["Error: exit code 1"]


async def test_a_tool_that_may_be_repeated_is_tried_again_after_a_while(house: House) -> None:
    await begin(house, work(tool("publish", effects="idempotent", retries=1)), PUBLISH, {"content": "done"})
    house.gate.let_through("exit code 1", OutcomeKind.FAILED)
    await house.call(RUN, CallPhase.READY)
    await house.quiet()
    assert len(house.gate.starts) == 1

    await house.wait(SECOND)
    house.gate.let_through("published")
    await house.run(RUN, RunPhase.SUCCEEDED)
    first, second = house.gate.starts
    assert (first.attempt, second.attempt) == (1, 2)
    assert first.idempotency_key == second.idempotency_key
    assert await house.results(RUN) == ["published"]


async def test_a_person_says_what_became_of_a_call_of_which_its_executor_does_not_know(house: House) -> None:
    await begin(house, work(tool("publish", retries=3)), PUBLISH, {"content": "done"})
    house.gate.let_through("the line went dead after the request was sent", OutcomeKind.UNKNOWN)
    call = await house.call(RUN, CallPhase.IN_DOUBT)
    (request,) = await house.database.read(lambda tx: requests.newest_open(tx, 9))

    assert (request.kind, request.call_id) == (RequestKind.SETTLE, call.id)
    assert "the line went dead after the request was sent; did it happen?" in request.question
    assert call.crashes == 0
    assert len(house.gate.starts) == 1


async def test_what_is_not_known_of_a_tool_that_may_be_repeated_is_tried_again(house: House) -> None:
    await begin(house, work(tool("publish", effects="idempotent", retries=1)), PUBLISH, {"content": "done"})
    house.gate.let_through("no answer", OutcomeKind.UNKNOWN)
    await house.call(RUN, CallPhase.READY)
    await house.wait(SECOND)
    house.gate.let_through("published")
    await house.run(RUN, RunPhase.SUCCEEDED)

    assert await house.results(RUN) == ["published"]


async def test_a_tool_of_which_nothing_ran_is_started_again_even_when_it_must_not_be_doubled(house: House) -> None:
    await begin(house, work(tool("publish", retries=1)), PUBLISH, {"content": "done"})
    house.gate.let_through("no room for a process", OutcomeKind.NOT_STARTED)
    await house.call(RUN, CallPhase.READY)
    await house.wait(SECOND)
    house.gate.let_through("out of memory", OutcomeKind.OUT_OF_MEMORY)
    await house.run(RUN, RunPhase.SUCCEEDED)

    assert [start.attempt for start in house.gate.starts] == [1, 2]
    assert await house.results(RUN) == ["Error: out of memory"]


async def test_a_model_that_says_nothing_three_times_fails_the_run(house: House) -> None:
    await begin(house, work(), {"content": ""})
    for failures in (1, 2):
        run = await house.run(RUN, RunPhase.BACKING_OFF)
        assert run.failures == failures
        await house.wait(10 * SECOND)
        await house.until(lambda tx, failures=failures: (found := runs.by_name(tx, RUN)) and found.attempts > failures)  # type: ignore[misc]

    assert "answered with nothing" in (await house.run(RUN, RunPhase.FAILED)).error


async def test_faults_before_a_silence_are_not_counted_as_silence(house: House) -> None:
    fault, silence = {"error": {"status": 500, "message": "down"}}, {"content": ""}
    by_attempt = iter([fault, fault, silence, silence, {"content": "done"}])
    async with ModelServer(lambda asked: _played(next(by_attempt))) as server:
        await house.apply(at(server), "llm.yaml")
        await house.apply(work())
        for attempt in range(1, 5):
            await house.until(lambda tx, attempt=attempt: (run := runs.by_name(tx, RUN)) and run.attempts >= attempt)  # type: ignore[misc]
            await house.run(RUN, RunPhase.BACKING_OFF)
            await house.wait(timedelta(minutes=5))

        assert (await house.run(RUN, RunPhase.SUCCEEDED)).output == "done"


def _played(entry: Words) -> Answer:
    return fails(entry["error"]["status"], entry["error"]["message"]) if "error" in entry else says(entry["content"])


async def test_the_raw_answer_of_every_attempt_is_kept(house: House) -> None:
    answers = [
        Answer(500, "<html>nginx</html>"),
        Answer(body='{"choices": ['),
        Answer(body="x" * 2000, fault="half_body"),
        Answer(body='data: {"choices": [{"del'),
        says("done"),
    ]
    async with ModelServer(lambda asked: answers[asked.number - 1]) as server:
        await house.apply(at(server), "llm.yaml")
        await house.apply(work())
        for attempt in range(1, len(answers)):
            await house.until(lambda tx, attempt=attempt: (run := runs.by_name(tx, RUN)) and run.attempts >= attempt)  # type: ignore[misc]
            await house.run(RUN, RunPhase.BACKING_OFF)
            await house.wait(timedelta(minutes=5))
        run = await house.run(RUN, RunPhase.SUCCEEDED)

    kept = [row["raw"] for row in await house.database.read(lambda tx: modelcalls.of_run(tx, run.id))]
    assert kept[:2] == ["<html>nginx</html>", '{"choices": [']
    assert kept[2].startswith("xxx")
    assert kept[3].startswith("data: ")
    assert '"done"' in kept[4]


# ---- limits


async def test_five_equal_calls_pause_the_run_and_it_goes_on_when_a_person_says_so(house: House) -> None:
    await begin(house, work(), *[asks(ADD)] * 7, {"content": "done"})
    paused = await house.until(lambda tx: (run := runs.by_name(tx, RUN)) and run.paused and run)
    await house.quiet()

    assert (await house.now(RUN)).turns == 5
    assert await house.asked(RUN) == ["loop"]
    assert "add was called 5 times" in paused.detail

    await house.driver.transact(lambda tx: resume(tx, runs.get(tx, paused.id), by="ann"))
    run = await house.run(RUN, RunPhase.SUCCEEDED)
    assert (run.turns, run.output) == (8, "done")
    assert await house.asked(RUN) == []


async def test_calls_that_differ_are_no_loop(house: House) -> None:
    calls = [asks(("add", {"a": number % 4, "b": 1})) for number in range(12)]
    await begin(house, work(), *calls, {"content": "done"})

    assert (await house.run(RUN, RunPhase.SUCCEEDED)).turns == 13


async def test_a_run_ends_at_its_limit_of_turns(house: House) -> None:
    await begin(house, work(limits={"turns": 2}), {"when": {}, "reply": asks(ADD)})
    run = await house.run(RUN, RunPhase.FAILED)

    again = f"raise it, then `smallchain retry {RUN}`"
    assert (run.turns, run.error) == (2, f"the limit `turns: 2` of agent 'assistant' is reached; {again}")
    assert is_legal(await house.conversation(RUN))


async def test_delegation_ends_at_its_limit_of_depth(house: House) -> None:
    script = (
        {"when": {"last": "do this part yourself"}, "reply": {"content": "then I do it"}},
        {"when": {"turn": 1}, "reply": asks(("delegate_to_assistant", {"message": "go on"}))},
        {"when": {}, "reply": {"content": "done"}},
    )
    await begin(house, work(tools=[{"agent": "assistant"}], limits={"depth": 2}), *script)
    await house.run(RUN, RunPhase.SUCCEEDED)
    deepest = f"{RUN}/assistant-1/assistant-1"

    assert (await house.now(deepest)).depth == 2
    limit = "the limit `depth: 2` of agent 'assistant' is reached"
    assert await house.results(deepest) == [f"Error: delegate_to_assistant was not carried out: {limit}; do this part yourself"]
    assert await house.database.read(lambda tx: runs.by_name(tx, f"{deepest}/assistant-1")) is None


async def test_delegation_ends_at_its_limit_of_children(house: House) -> None:
    agents = ({"name": "operator"},)
    delegate = ("delegate_to_operator", {"message": "add"})
    script = (
        {"when": {"agent": "operator"}, "reply": {"content": "7"}},
        {"when": {"turn": 1}, "reply": asks(delegate, delegate, delegate)},
        {"when": {}, "reply": {"content": "done"}},
    )
    await begin(house, work(agents=agents, tools=[{"agent": "operator"}], limits={"children": 2}), *script)
    await house.run(RUN, RunPhase.SUCCEEDED)

    limit = "the limit `children: 2` of agent 'assistant' is reached"
    refused = f"Error: delegate_to_operator was not carried out: {limit}; do this part yourself"
    assert await house.results(RUN) == ["7", "7", refused]


# ---- cancel and pause


async def test_cancelling_kills_what_executes_and_leaves_a_legal_history(house: House, tmp_path: Path) -> None:
    async with Lifeline(tmp_path) as lifeline:
        stuck = {
            "name": "stuck",
            "executor": {"local_bash": {"command": f"{lifeline.hold}; sleep 600"}},
            "timeout": "1h",
            "isolation": "none",
        }
        await begin(house, work(stuck), asks(("stuck", {}), ADD))
        await lifeline.started()
        run = await house.now(RUN)
        await house.driver.transact(lambda tx: cancel(tx, runs.get(tx, run.id), by="ann", note="enough"))
        await lifeline.ended()
    run = await house.run(RUN, RunPhase.CANCELLED)
    stopped = (await house.calls(RUN))[0]
    attempt = await house.database.read(lambda tx: toolcalls.attempt_of(tx, stopped))

    assert run.detail == "cancelled by ann: enough"
    assert await house.results(RUN) == ["Error: the call was cancelled while it ran; whether it happened is not known", "7"]
    assert is_legal(await house.conversation(RUN))
    assert attempt is not None
    assert attempt.outcome == "unknown"


async def test_a_result_that_committed_first_stands(house: House) -> None:
    await begin(house, work(), {"content": "done"})
    run = await house.run(RUN, RunPhase.SUCCEEDED)

    assert await house.driver.transact(lambda tx: cancel(tx, runs.get(tx, run.id), by="ann")) == []
    assert (await house.now(RUN)).phase is RunPhase.SUCCEEDED


async def test_a_run_cancelled_while_its_model_is_called_ends_and_the_call_is_stopped(house: House) -> None:
    await begin(house, work(), {"content": "too late", "delay": "1h"})
    run = await house.run(RUN, RunPhase.CALLING_MODEL)
    await house.driver.transact(lambda tx: cancel(tx, runs.get(tx, run.id), by="ann"))
    await house.quiet()
    await house.idle()

    assert (await house.now(RUN)).phase is RunPhase.CANCELLED
    assert [row["outcome"] for row in await house.database.read(lambda tx: modelcalls.of_run(tx, run.id))] == ["abandoned"]


async def delegated(house: House) -> str:
    """A run whose child carries out a tool that waits; the child's name."""
    agents = ({"name": "operator", "tools": ["publish"]},)
    script = (
        {"when": {"agent": "operator", "turn": 1}, "reply": PUBLISH},
        {"when": {"agent": "operator"}, "reply": {"content": "published"}},
        {"when": {"turn": 1}, "reply": asks(("delegate_to_operator", {"message": "publish"}))},
        {"when": {}, "reply": {"content": "done"}},
    )
    text = json.loads(work(agents=agents, tools=[{"agent": "operator"}])) | {"tools": [tool("publish")]}
    await begin(house, json.dumps(text), *script)
    await house.gate.came(1)
    return f"{RUN}/operator-1"


async def test_a_parent_is_told_who_cancelled_its_delegate_and_why(house: House) -> None:
    name = await delegated(house)
    child = await house.now(name)
    await house.driver.transact(lambda tx: cancel(tx, runs.get(tx, child.id), by="ann", note="enough"))
    await house.run(RUN, RunPhase.SUCCEEDED)

    assert await house.results(RUN) == ["Error: operator was cancelled by ann: enough"]
    assert is_legal(await house.conversation(name))


async def test_cancelling_a_run_cancels_its_delegates(house: House) -> None:
    name = await delegated(house)
    run = await house.now(RUN)
    await house.driver.transact(lambda tx: cancel(tx, runs.get(tx, run.id), by="ann"))
    await house.run(name, RunPhase.CANCELLED)
    await house.idle()

    assert (await house.now(RUN)).phase is RunPhase.CANCELLED
    assert len(house.gate.ended) == 1
    assert is_legal(await house.conversation(RUN))


async def test_pausing_lets_what_is_out_finish_and_begins_nothing_new(house: House) -> None:
    await begin(house, work(tool("publish")), PUBLISH, {"content": "done"})
    await house.gate.came(1)
    run = await house.now(RUN)
    await house.driver.transact(lambda tx: pause(tx, runs.get(tx, run.id), by="ann"))
    house.gate.let_through("published")
    await house.run(RUN, RunPhase.READY)
    await house.quiet()

    assert await house.results(RUN) == ["published"]
    assert (await house.now(RUN)).attempts == 1

    await house.driver.transact(lambda tx: resume(tx, runs.get(tx, run.id), by="ann"))
    assert (await house.run(RUN, RunPhase.SUCCEEDED)).attempts == 2


async def test_a_reply_that_comes_while_paused_is_kept_and_its_calls_wait(house: House) -> None:
    await begin(house, work(tool("publish")), PUBLISH | {"delay": "100ms"}, {"content": "done"})
    run = await house.run(RUN, RunPhase.CALLING_MODEL)
    await house.driver.transact(lambda tx: pause(tx, runs.get(tx, run.id), by="ann"))
    await house.call(RUN, CallPhase.READY)
    await house.quiet()
    assert house.gate.starts == []

    await house.driver.transact(lambda tx: resume(tx, runs.get(tx, run.id), by="ann"))
    house.gate.let_through()
    await house.run(RUN, RunPhase.SUCCEEDED)


async def test_pausing_a_run_pauses_its_delegates_and_only_it_when_asked(house: House) -> None:
    name = await delegated(house)
    run = await house.now(RUN)
    await house.driver.transact(lambda tx: pause(tx, runs.get(tx, run.id), by="ann", only=True))
    assert not (await house.now(name)).paused

    await house.driver.transact(lambda tx: pause(tx, runs.get(tx, run.id), by="ann"))
    assert (await house.now(name)).paused
    house.gate.let_through()
    await house.run(name, RunPhase.READY)


# ---- models that fail


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer(lambda asked: says("done")) as opened:
        yield opened


def at(server: ModelServer, **words: Any) -> str:
    entry = {"name": "fast", "provider": "openai", "model": "loopback", "base_url": server.base_url} | words
    return json.dumps({"llms": [entry]})


async def readiness(house: House, status: Readiness) -> resources.Written:
    found = await house.until(lambda tx: (row := resources.get(tx, "llm", "fast")) and row.status is status and row)
    assert found
    return found


async def test_a_refused_key_puts_the_model_in_error_and_its_runs_go_on_once_it_is_taken(house: House, server: ModelServer) -> None:
    server.brain = lambda asked: fails(401, "your key was revoked")
    server.models = lambda asked: fails(401, "your key was revoked")  # type: ignore[method-assign]
    await house.apply(at(server), "llm.yaml")
    await house.apply(work(runs=("monday", "tuesday")))
    row = await readiness(house, Readiness.ERROR)
    waiting = [await house.run(name, RunPhase.PENDING) for name in ("monday", "tuesday")]
    assert "your key was revoked" in row.detail
    await house.quiet()
    asked = len(server.requests)
    assert asked <= 2
    assert any("your key was revoked" in run.detail for run in waiting)

    await house.wait(10 * SECOND)
    await house.until(lambda tx: (found := resources.get(tx, "llm", "fast")) and found.failures > row.failures)
    assert len(server.requests) == asked, "a check costs nothing"

    server.brain = lambda asked: says("done")
    del server.models
    await house.wait(timedelta(minutes=5))
    for name in ("monday", "tuesday"):
        assert (await house.run(name, RunPhase.SUCCEEDED)).output == "done"
    await readiness(house, Readiness.READY)


async def test_a_model_in_error_is_looked_at_at_once_when_its_entry_changes(house: House, server: ModelServer) -> None:
    server.brain = lambda asked: says("done") if asked.headers.get("authorization") == "Bearer good" else fails(401, "no")
    (house.config / "key").write_text("bad")
    (house.config / "key").chmod(0o600)
    (house.config / "better").write_text("good")
    (house.config / "better").chmod(0o600)
    await house.apply(at(server, api_key={"file": str(house.config / "key")}), "llm.yaml")
    await house.apply(work())
    await readiness(house, Readiness.ERROR)
    await house.apply(at(server, api_key={"file": str(house.config / "better")}), "llm.yaml")

    assert (await house.run(RUN, RunPhase.SUCCEEDED)).output == "done"


async def test_an_entry_that_changes_while_it_is_checked_is_checked_again(house: House, server: ModelServer, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "vault")
    key = {"command": ["cat", str(tmp_path / "vault")]}
    await house.apply(at(server, api_key=key), "llm.yaml")
    vault = await asyncio.to_thread(os.open, tmp_path / "vault", os.O_WRONLY)  # returns once the check asks for the key
    await house.apply(at(server, api_key=key, parameters={"temperature": 0.5}), "llm.yaml")
    os.write(vault, b"the key\n")
    os.close(vault)

    await readiness(house, Readiness.READY)


async def test_a_model_that_is_too_busy_is_called_again_when_it_says_so_and_not_before(house: House, server: ModelServer) -> None:
    server.brain = lambda asked: fails(429, "slow down", headers={"retry-after": "60"}) if asked.number == 1 else says("done")
    await house.apply(at(server), "llm.yaml")
    await house.apply(work())
    run = await house.run(RUN, RunPhase.BACKING_OFF)
    assert run.due_at == house.clock.moment + 60 * SECOND
    assert "slow down" in run.detail

    await house.wait(59 * SECOND)
    await house.quiet()
    assert len(server.requests) == 1

    await house.wait(SECOND)
    assert (await house.run(RUN, RunPhase.SUCCEEDED)).attempts == 2
    assert (await readiness(house, Readiness.READY)).failures == 0


async def test_a_model_that_cannot_be_reached_is_given_up_after_the_time_it_says(house: House, server: ModelServer) -> None:
    server.brain = lambda asked: fails(503, "down")
    await house.apply(at(server, retry_for="1h"), "llm.yaml")
    await house.apply(work())
    await house.run(RUN, RunPhase.BACKING_OFF)
    await house.wait(timedelta(hours=2))

    assert "down" in (await house.run(RUN, RunPhase.FAILED)).error
    assert len(server.requests) == 2


async def test_a_run_that_was_paused_has_its_whole_time_to_fail_again(house: House, server: ModelServer) -> None:
    server.brain = lambda asked: fails(503, "down")
    await house.apply(at(server, retry_for="1h"), "llm.yaml")
    await house.apply(work())
    run = await house.run(RUN, RunPhase.BACKING_OFF)
    await house.driver.transact(lambda tx: pause(tx, runs.get(tx, run.id), by="ann"))
    await house.wait(timedelta(hours=2))
    await house.driver.transact(lambda tx: resume(tx, runs.get(tx, run.id), by="ann"))
    again = await house.until(lambda tx: (found := runs.get(tx, run.id)).attempts == 2 and found.phase != RunPhase.CALLING_MODEL and found)

    assert (again.phase, again.failing_since) == (RunPhase.BACKING_OFF, house.clock.now())


async def test_a_run_whose_model_could_not_be_used_has_its_whole_time_to_fail_again(house: House, server: ModelServer) -> None:
    server.brain = lambda asked: fails(503, "down") if len(server.requests) == 1 else fails(401, "no such key")
    server.models = lambda asked: fails(401, "no such key")  # type: ignore[method-assign]
    await house.apply(at(server, retry_for="1h"), "llm.yaml")
    await house.apply(work())
    await house.run(RUN, RunPhase.BACKING_OFF)
    await house.wait(SECOND)
    await house.run(RUN, RunPhase.PENDING)
    server.brain = lambda asked: fails(503, "down")
    del server.models
    await house.wait(timedelta(hours=2))
    again = await house.until(
        lambda tx: (found := runs.by_name(tx, RUN)) and found.attempts == 3 and found.phase != RunPhase.CALLING_MODEL and found
    )

    assert again
    assert (again.phase, again.failing_since) == (RunPhase.BACKING_OFF, house.clock.now())


async def test_a_request_that_is_refused_fails_the_run_with_the_words(house: House, server: ModelServer) -> None:
    server.brain = lambda asked: fails(400, "no such parameter")
    await house.apply(at(server), "llm.yaml")
    await house.apply(work())

    assert "no such parameter" in (await house.run(RUN, RunPhase.FAILED)).error


# ---- the next life


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


async def test_a_predecessor_records_nothing_any_more(lives: list[House]) -> None:
    first = lives[0]
    await begin(first, work(tool("publish")), PUBLISH, {"content": "done"})
    await first.gate.came(1)
    second = await next_life(lives)
    first.gate.let_through("too late")

    assert (await second.call(RUN, CallPhase.EXECUTING)).result == ""
    assert second.database.epoch == first.database.epoch + 1


async def test_a_model_call_that_was_out_is_made_again_and_both_are_kept(lives: list[House]) -> None:
    await begin(lives[0], work(), {"content": "done", "delay": "1h"})
    await lives[0].run(RUN, RunPhase.CALLING_MODEL)
    house = await next_life(lives)
    await house.apply(llm({"content": "done"}), "llm.yaml")
    run = await house.start().run(RUN, RunPhase.SUCCEEDED)

    assert [row["outcome"] for row in await house.database.read(lambda tx: modelcalls.of_run(tx, run.id))] == ["interrupted", "replied"]
    assert "ModelCallInterrupted" in await house.reasons()


@pytest.mark.parametrize("effects", ["none", "idempotent"])
async def test_a_call_that_may_be_doubled_runs_again_under_the_same_key(lives: list[House], effects: str) -> None:
    await begin(lives[0], work(tool("look", effects=effects)), asks(("look", {})), {"content": "done"})
    (first,) = await lives[0].gate.came(1)
    house = (await next_life(lives)).start()
    (second,) = await house.gate.came(1)
    house.gate.let_through("found")
    await house.run(RUN, RunPhase.SUCCEEDED)

    assert (first.attempt, second.attempt) == (1, 2)
    assert (first.call_id, first.idempotency_key) == (second.call_id, second.idempotency_key)
    assert await house.results(RUN) == ["found"]


async def in_doubt(lives: list[House]) -> House:
    """A house with a call in doubt."""
    await begin(lives[0], work(tool("publish")), PUBLISH, {"content": "done"})
    await lives[0].gate.came(1)
    house = (await next_life(lives)).start()
    await house.call(RUN, CallPhase.IN_DOUBT)
    return house


async def settled(house: House, verb: Verb = Verb.DID_NOT_HAPPEN, *, by: str = "ann", name: str = RUN, **words: Any) -> None:
    run = await house.now(name)
    call = (await house.calls(name))[-1]
    found = await house.database.read(lambda tx: requests.of_call(tx, call.id))
    assert found is not None, run
    await house.say(verb, found, by=by, **words)


async def test_a_call_that_must_not_be_doubled_waits_for_a_person(lives: list[House]) -> None:
    house = await in_doubt(lives)
    await house.driver.look_at_everything()
    await house.quiet()

    assert house.gate.starts == []
    assert await house.asked(RUN) == ["settle"]


async def test_a_call_in_doubt_stays_in_doubt_through_more_deaths_and_asks_once(lives: list[House]) -> None:
    await in_doubt(lives)
    house = (await next_life(lives)).start()
    await house.quiet()

    assert await house.asked(RUN) == ["settle"]
    assert house.gate.starts == []


async def test_a_person_says_that_it_happened_and_with_what_result(lives: list[House]) -> None:
    house = await in_doubt(lives)
    await settled(house, Verb.HAPPENED, text="post 7")
    await house.run(RUN, RunPhase.SUCCEEDED)

    assert await house.results(RUN) == ["post 7"]
    assert house.gate.starts == []


async def test_a_person_says_that_it_did_not_happen(lives: list[House]) -> None:
    house = await in_doubt(lives)
    await settled(house, note="the site was down")
    await house.run(RUN, RunPhase.SUCCEEDED)

    assert await house.results(RUN) == ["Error: publish was interrupted and did not happen: the site was down"]
    assert house.gate.starts == []


async def test_a_person_says_run_it_again_and_it_runs_under_a_new_key(lives: list[House]) -> None:
    house = await in_doubt(lives)
    await settled(house, Verb.RUN_AGAIN)
    (again,) = await house.gate.came(1)
    house.gate.let_through("published")
    await house.run(RUN, RunPhase.SUCCEEDED)

    assert again.idempotency_key != lives[0].gate.starts[0].idempotency_key
    assert await house.results(RUN) == ["published"]


async def test_a_second_answer_is_refused_and_names_the_first(lives: list[House]) -> None:
    house = await in_doubt(lives)
    await settled(house, Verb.HAPPENED, text="post 7")

    with pytest.raises(Refused, match="already settled by ann"):
        await settled(house, Verb.RUN_AGAIN, by="bob")
    await house.run(RUN, RunPhase.SUCCEEDED)
    assert await house.results(RUN) == ["post 7"]


async def test_a_run_within_which_the_daemon_dies_three_times_is_paused_and_asked_about(lives: list[House]) -> None:
    await begin(lives[0], work(), {"content": "done", "delay": "1h"})
    for attempt in (1, 2, 3):
        await lives[-1].until(lambda tx, attempt=attempt: (found := runs.by_name(tx, RUN)) and found.attempts == attempt)  # type: ignore[misc]
        (await next_life(lives)).start()
    house = lives[-1]
    run = await house.until(lambda tx: (found := runs.by_name(tx, RUN)) and found.paused and found)
    await house.quiet()
    assert await house.asked(RUN) == ["quarantine"]
    assert (await house.now(RUN)).attempts == 3

    await house.apply(llm({"content": "done"}), "llm.yaml")
    await house.driver.transact(lambda tx: resume(tx, runs.get(tx, run.id), by="ann"))
    assert (await house.run(RUN, RunPhase.SUCCEEDED)).crashes == 0


async def test_a_run_that_backs_off_goes_on_at_its_moment_in_the_next_life(lives: list[House]) -> None:
    await begin(lives[0], work(), {"error": {"status": 429, "retry_after": "10m"}})
    await lives[0].run(RUN, RunPhase.BACKING_OFF)
    house = await next_life(lives)
    await house.apply(llm({"content": "done"}), "llm.yaml")
    house.start()
    await house.quiet()
    assert (await house.now(RUN)).phase is RunPhase.BACKING_OFF

    await house.wait(timedelta(minutes=10))
    await house.run(RUN, RunPhase.SUCCEEDED)


async def test_a_paused_run_stays_paused_in_the_next_life_and_starts_nothing(lives: list[House]) -> None:
    await begin(lives[0], work(tool("look", effects="none")), asks(("look", {})), {"content": "done"})
    await lives[0].gate.came(1)
    run = await lives[0].now(RUN)
    await lives[0].driver.transact(lambda tx: pause(tx, runs.get(tx, run.id), by="ann"))
    house = (await next_life(lives)).start()
    await house.call(RUN, CallPhase.READY)
    await house.quiet()
    assert house.gate.starts == []

    await house.driver.transact(lambda tx: resume(tx, runs.get(tx, run.id), by="ann"))
    house.gate.let_through()
    await house.run(RUN, RunPhase.SUCCEEDED)


async def test_a_delegate_and_its_parent_both_go_on_in_the_next_life(lives: list[House]) -> None:
    name = await delegated(lives[0])
    house = (await next_life(lives)).start()
    await house.call(name, CallPhase.IN_DOUBT)
    await settled(house, Verb.HAPPENED, name=name, text="post 7")
    await house.run(RUN, RunPhase.SUCCEEDED)
    assert await house.results(name) == ["post 7"]
    assert await house.results(RUN) == ["published"]
