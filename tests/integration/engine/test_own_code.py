"""A person's own code in the loops: what it makes is what is sent and what is kept, its faults are told and heal, and nothing else stops."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from smallchain.engine.run.again import fork, retry
from smallchain.engine.run.compose import code_changed
from smallchain.engine.run.execute import body_of
from smallchain.engine.specs import pins_of
from smallchain.model.lifecycles import Readiness, RunPhase
from smallchain.store import composed, messages, modelcalls, resources
from smallchain.store.contract import Tx
from support.house import House, a_house, is_legal
from support.modelserver import Answer, Asked, ModelServer, says

RUN = "monday"
Words = dict[str, Any]

ODD = """
import random

def window(agent, run, messages):
    return {
        "model": agent["model"],
        "messages": [messages[0], {"role": "user", "content": f"{len(messages)} messages, lucky number {random.random()}"}],
        "seed": run["turn"],
        **agent["parameters"],
    }

def raises(agent, run, messages):
    raise KeyError("nothing here")

def nothing(agent, run, messages):
    return None

def text(agent, run, messages):
    return "<|user|>" + messages[-1]["content"]

def given(agent, run, messages):
    return {"agent": agent, "run": run, "messages": messages}
"""
MODEL = """
class Later(Exception):
    retry_after = 90

class No(Exception):
    status = 400

def echo(request, endpoint):
    return request if isinstance(request, str) else request["messages"][-1]["content"]

def adds(request, endpoint):
    if request["messages"][-1]["role"] == "tool":
        return {"content": "It is " + request["messages"][-1]["content"]}
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 3, "b": 4}'}}
    return {"choices": [{"message": {"content": None, "tool_calls": [call]}, "finish_reason": "tool_calls"}],
            "usage": {"prompt_tokens": 7, "completion_tokens": 3}}

def facts(request, endpoint):
    import json
    return json.dumps(endpoint | {"api_key": (endpoint["api_key"] or "")[::-1]})

def later(request, endpoint):
    raise Later(f"busy, said {endpoint['api_key']}")

def no(request, endpoint):
    raise No("I do not take this")

def number(request, endpoint):
    return 7
"""


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as opened:
        write(opened, "odd.py", ODD)
        write(opened, "model.py", MODEL)
        yield opened


def write(house: House, name: str, text: str) -> None:
    (house.config / name).write_text(text)


def manifest(llm: Words, *, context: str = "full", uses: tuple[str, ...] = (), **more: Any) -> str:
    agent = {"name": "assistant", "system_prompt": "be brief", "context": context, "tools": list(uses)}
    task = {"name": "sums", "agent": "assistant", "user_message": "add 3 and 4"}
    return json.dumps({"llms": [{"name": "own"} | llm], "agents": [agent], "tasks": [task], "runs": [{"name": RUN, "task": "sums"}]} | more)


def python(name: str, **more: Any) -> Words:
    return {"provider": "python", "model": f"model:{name}"} | more


def openai(server: ModelServer, **more: Any) -> Words:
    return {"provider": "openai", "model": "m", "base_url": server.base_url} | more


async def kept(house: House, attempt: int) -> str | None:
    run = await house.now(RUN)
    return await house.database.read(lambda tx: composed.get(tx, run.id, attempt))


async def error_of(house: House, kind: str, name: str) -> str:
    """What is wrong with a resource, once it is in Error."""

    def look(tx: Tx) -> str:
        row = resources.get(tx, kind, name)
        return row.detail if row is not None and row.status is Readiness.ERROR else ""

    return await house.until(look)


async def look_again(house: House) -> None:
    """What the watch on people's code does when a file changed."""
    await house.driver.transact(code_changed)


# ---- context strategies


async def test_what_a_strategy_made_is_what_is_sent_and_what_is_kept_byte_for_byte(house: House) -> None:
    answers = [Answer(200, says(None, {"id": "c", "type": "function", "function": {"name": "add", "arguments": '{"a":3,"b":4}'}}).body)]
    bodies: list[bytes] = []

    def brain(asked: Asked) -> Answer:
        bodies.append(asked.body)
        return answers.pop() if answers else says("7")

    async with ModelServer(brain) as server:
        await house.apply(manifest(openai(server, parameters={"temperature": 0.5}), context="odd:window", uses=("add",)))
        await house.run(RUN, RunPhase.SUCCEEDED)

    assert [(await kept(house, attempt) or "").encode() for attempt in (1, 2)] == bodies
    first, second = (json.loads(body) for body in bodies)
    assert list(first) == ["model", "messages", "seed", "temperature"], "in the order the function gave"
    assert (first["seed"], second["seed"]) == (1, 2)
    assert "lucky number" in first["messages"][1]["content"]
    assert is_legal(await house.conversation(RUN))


async def test_a_strategy_is_given_the_agent_the_run_and_the_messages(house: House) -> None:
    await house.apply(manifest(python("facts", parameters={"top_k": 3}), context="odd:given", uses=("add",)))
    await house.run(RUN, RunPhase.SUCCEEDED)

    given = json.loads(await kept(house, 1) or "")

    assert given["messages"] == [{"role": "system", "content": "be brief"}, {"role": "user", "content": "add 3 and 4"}]
    assert given["agent"]["system_prompt"] == "be brief"
    assert given["agent"]["parameters"] == {"top_k": 3}
    assert [tool["function"]["name"] for tool in given["agent"]["tools"]] == ["add"]
    assert {name: given["run"][name] for name in ("name", "task", "depth", "turn", "attempt")} == {
        "name": RUN,
        "task": "sums",
        "depth": 0,
        "turn": 1,
        "attempt": 1,
    }


async def test_a_strategy_may_leave_chat_completions(house: House) -> None:
    await house.apply(manifest(python("echo"), context="odd:text"))

    run = await house.run(RUN, RunPhase.SUCCEEDED)

    assert run.output == await kept(house, 1) == "<|user|>add 3 and 4"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("raises", "the context strategy odd:raises failed: KeyError: 'nothing here'"),
        ("nothing", "what the context strategy odd:nothing returned is neither an object nor a text that can be sent"),
    ],
)
async def test_a_strategy_that_fails_holds_its_run_up_and_a_better_one_lets_it_go_on(house: House, name: str, said: str) -> None:
    await house.apply(manifest(python("echo"), context=f"odd:{name}"))

    run = await house.run(RUN, RunPhase.BACKING_OFF)

    assert run.detail.startswith(said)
    assert await kept(house, 1) is None
    write(house, "odd.py", ODD + f"\n{name} = text\n")
    await look_again(house)
    assert (await house.run(RUN, RunPhase.SUCCEEDED)).output == "<|user|>add 3 and 4"


async def test_an_agent_whose_strategy_cannot_be_loaded_is_in_error_with_its_line_and_heals(house: House) -> None:
    write(house, "broken.py", "import odd\n\ndef f(agent, run, messages)\n    return 'x'\n")

    await house.apply(manifest(python("echo"), context="broken:f"))

    detail = await error_of(house, "agent", "assistant")
    assert detail == f"broken:f can't be loaded: SyntaxError: expected ':' ({house.config}/broken.py:3)"
    assert (await house.now(RUN)).phase is RunPhase.PENDING
    write(house, "broken.py", "def f(agent, run, messages):\n    return 'x'\n")
    await look_again(house)
    assert (await house.run(RUN, RunPhase.SUCCEEDED)).output == "x"


async def test_an_agent_that_delegates_to_a_broken_one_says_so(house: House) -> None:
    boss = {"name": "boss", "tools": [{"agent": "assistant"}]}
    agents = [{"name": "assistant", "context": "nowhere:f"}, boss]

    await house.apply(manifest(python("echo"), agents=agents))

    assert "agent 'assistant' can't be used: nowhere:f can't be loaded: ModuleNotFoundError" in await error_of(house, "agent", "boss")


async def test_a_crash_after_the_request_was_kept_calls_again_with_a_request_of_its_own(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        write(house, "odd.py", ODD)
        write(house, "model.py", "import time\ndef waits(request, endpoint):\n    time.sleep(1000)\n")
        await house.apply(manifest({"provider": "python", "model": "model:waits"}, context="odd:text"))
        run = await house.run(RUN, RunPhase.CALLING_MODEL)
        await house.until(lambda tx: composed.get(tx, run.id, 1))

        again = await house.crash()
        write(again, "model.py", MODEL.replace("echo", "waits"))
        again.start()

        assert (await again.run(RUN, RunPhase.SUCCEEDED)).output == "<|user|>add 3 and 4"
        rows = await again.database.read(lambda tx: modelcalls.of_run(tx, run.id))
        assert [row["outcome"] for row in rows] == ["interrupted", "replied"]
        await again.close()


# ---- provider: python


async def test_a_provider_of_ones_own_calls_tools_and_answers(house: House) -> None:
    await house.apply(manifest(python("adds", price={"input": "$1", "output": "$2"}), uses=("add",)))

    run = await house.run(RUN, RunPhase.SUCCEEDED)

    assert run.output == "It is 7"
    assert run.cost_nanousd == 7 * 1000 + 3 * 2000


async def test_a_provider_is_told_of_its_endpoint_and_gets_the_key_the_yaml_names(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("open sesame")
    (tmp_path / "key").chmod(0o600)
    async with a_house(tmp_path) as house:
        write(house, "model.py", MODEL)
        llm = python("facts", base_url="http://127.0.0.1:1/x", parameters={"n_predict": 5}, timeout="9s")
        await house.apply(manifest(llm | {"api_key": {"file": str(tmp_path / "key")}}))
        told = json.loads((await house.run(RUN, RunPhase.SUCCEEDED)).output)

    assert told["base_url"] == "http://127.0.0.1:1/x"
    assert told["api_key"] == "emases nepo", "turned round: as it is, it would be taken out of the reply"
    assert told["parameters"] == {"n_predict": 5}
    assert (told["timeout_s"], told["agent"], told["turn"], told["attempt"]) == (9.0, "assistant", 1, 1)


async def test_a_provider_may_ask_for_time_and_the_key_is_not_in_its_words(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("open sesame")
    (tmp_path / "key").chmod(0o600)
    async with a_house(tmp_path) as house:
        write(house, "model.py", MODEL)
        await house.apply(manifest(python("later", api_key={"file": str(tmp_path / "key")})))
        run = await house.run(RUN, RunPhase.BACKING_OFF)

        assert run.due_at is not None
        assert run.due_at - house.clock.now() == timedelta(seconds=90)
        assert run.detail.startswith("model:later failed: model.Later: busy, said [secret] (")


async def test_a_status_that_says_no_fails_the_run(house: House) -> None:
    await house.apply(manifest(python("no")))

    run = await house.run(RUN, RunPhase.FAILED)

    assert run.error.startswith("the model refused the request: model:no failed: model.No: I do not take this (")


async def test_a_reply_of_no_known_form_is_not_interpreted(house: House) -> None:
    await house.apply(manifest(python("number")))

    run = await house.run(RUN, RunPhase.BACKING_OFF)

    assert run.detail == "model:number returned neither a chat completion, nor a message, nor a text"


async def test_an_llm_whose_module_cannot_be_loaded_is_in_error_and_heals(house: House) -> None:
    await house.apply(manifest({"provider": "python", "model": "later_on:answer"}))

    assert "later_on:answer can't be loaded: ModuleNotFoundError: No module named 'later_on'" in await error_of(house, "llm", "own")
    write(house, "later_on.py", "def answer(request, endpoint):\n    return 'here'\n")
    await look_again(house)
    assert (await house.run(RUN, RunPhase.SUCCEEDED)).output == "here"


async def test_a_module_that_breaks_while_a_run_is_live_makes_it_wait(house: House) -> None:
    await house.apply(manifest(python("adds"), uses=("add", "subtract")))
    await house.run(RUN, RunPhase.SUCCEEDED)
    write(house, "model.py", "raise RuntimeError('under construction')")

    await look_again(house)

    assert "RuntimeError: under construction" in await error_of(house, "llm", "own")


async def test_a_provider_or_strategy_that_no_package_brings_is_said(house: House) -> None:
    await house.apply(manifest({"provider": "grok", "model": "m"}, context="chatml"))

    assert "no entry point 'grok' of smallchain.providers is installed" in await error_of(house, "llm", "own")
    assert "no entry point 'chatml' of smallchain.contexts is installed" in await error_of(house, "agent", "assistant")


# ---- tools that are functions

TOOLS = """
import os

def shout(arguments, call):
    return arguments["text"].upper() + call["options"]["mark"] + call["env"]["TONE"]

def count(arguments, call):
    return {"words": len(arguments["text"].split())}

def fails(arguments, call):
    raise RuntimeError("the printer is on fire")

def hangs(arguments, call):
    while True:
        pass

def nothing(arguments, call):
    pass
"""


def functions(*names: str, **more: Any) -> list[Words]:
    parameters = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
    executors = [{"function": {"call": f"mine:{name}", "options": {"mark": "!"}}} for name in names]
    env = {"TONE": "?"}
    return [
        {"name": name, "parameters": parameters, "executor": executor, "env": env} | more
        for name, executor in zip(names, executors, strict=True)
    ]


async def used(house: House, *names: str, **more: Any) -> list[str]:
    """What a run is told by the tools, asked for all at once."""
    write(house, "mine.py", TOOLS)
    calls = [{"name": name, "arguments": {"text": "good day"}} for name in names]
    llm = {"provider": "scripted", "replies": [{"tool_calls": calls}, {"content": "done"}]}
    await house.apply(manifest(llm, uses=names, tools=functions(*names, **more)))
    await house.run(RUN, RunPhase.SUCCEEDED)
    return await house.results(RUN)


async def test_a_function_of_ones_own_is_a_tool(house: House) -> None:
    results = await used(house, "shout", "count", "nothing", "fails")

    assert results[:3] == ["GOOD DAY!?", '{"words": 2}', "(no output)"]
    assert results[3].startswith("Error: mine:fails failed: RuntimeError: the printer is on fire (")


async def test_a_function_that_hangs_is_timed_out_and_one_that_is_not_there_did_not_start(house: House) -> None:
    hung, missing = await used(house, "hangs", "missing", timeout="300ms")

    assert hung == "Error: mine:hangs gave no answer within 300ms, and was ended"
    assert missing.startswith("Error: mine:missing can't be loaded: AttributeError")


# ---- tool_mode: json


def in_json(answer: str = "", *calls: tuple[str, Words]) -> Answer:
    return says(json.dumps({"answer": answer, "calls": [{"name": name, "arguments": arguments} for name, arguments in calls]}))


async def test_a_model_without_tools_uses_them_in_json_and_what_is_kept_is_canonical(house: House) -> None:
    answers = [in_json("I add.", ("add", {"a": 3, "b": 4}), ("add", {"a": 1, "b": 1})), in_json("7 and 2")]
    async with ModelServer(lambda asked: answers.pop(0)) as server:
        await house.apply(manifest(openai(server, tool_mode="json"), uses=("add",)))
        run = await house.run(RUN, RunPhase.SUCCEEDED)
        bodies = [asked.json for asked in server.requests]

    assert run.output == "7 and 2"
    conversation = await house.conversation(RUN)
    assert is_legal(conversation)
    assert [message["role"] for message in conversation] == ["system", "user", "assistant", "tool", "tool", "assistant"]
    assert all("tools" not in body for body in bodies)
    assert bodies[0]["response_format"]["type"] == "json_schema"
    assert "You can call functions." in bodies[0]["messages"][0]["content"]
    assert [message["role"] for message in bodies[1]["messages"]] == ["system", "user", "assistant", "user"]
    assert json.loads(bodies[1]["messages"][3]["content"].partition("\n")[2]) == [
        {"name": "add", "result": "7"},
        {"name": "add", "result": "2"},
    ]
    sent = [asked.body for asked in server.requests]

    def computed(tx: Tx) -> list[bytes]:
        return [body_of(tx, run, pins_of(tx, run.root_id), modelcalls.from_row(row)) for row in modelcalls.of_run(tx, run.id)]

    assert await house.database.read(computed) == sent, "computed from what is recorded: the same bytes at any time"


async def test_a_reply_that_is_not_the_wanted_json_is_answered_and_counted(house: House) -> None:
    answers = [says("I will add them."), in_json("", ("add", {"a": 3, "b": 4})), says("7!"), says("7."), in_json("7")]
    async with ModelServer(lambda asked: answers.pop(0)) as server:
        defaults = {"templates": {"reply_not_json": "JSON please: {detail}"}}
        await house.apply(manifest(openai(server, tool_mode="json"), uses=("add",), defaults=defaults))
        run = await house.run(RUN, RunPhase.SUCCEEDED)
        last = server.requests[1].json["messages"]

    assert (run.output, run.turns) == ("7", 5)
    assert last[2] == {"role": "assistant", "content": "I will add them."}, "as it came"
    assert last[3]["role"] == "user"
    assert last[3]["content"].startswith("JSON please: not JSON")
    rows = await house.database.read(lambda tx: messages.of_run(tx, run.id))
    assert [row["template"] for row in rows if row["template"]] == ["reply_not_json"] * 3
    assert (await house.reasons()).count("ReplyUnfit") == 3


async def test_a_model_that_never_answers_in_json_fails_its_run(house: House) -> None:
    async with ModelServer(lambda asked: says("No.")) as server:
        await house.apply(manifest(openai(server, tool_mode="json"), uses=("add",)))
        run = await house.run(RUN, RunPhase.FAILED)

    assert run.error.startswith("the model did not answer in the wanted JSON, 3 times in a row: not JSON")
    assert run.attempts == 3


async def test_without_tools_json_mode_asks_for_nothing(house: House) -> None:
    async with ModelServer(lambda asked: says("Plain.")) as server:
        await house.apply(manifest(openai(server, tool_mode="json")))
        run = await house.run(RUN, RunPhase.SUCCEEDED)

    assert run.output == "Plain."
    assert "response_format" not in server.requests[0].json


async def test_a_strategy_over_json_mode_gets_the_messages_in_that_form(house: House) -> None:
    answers = [in_json("", ("add", {"a": 3, "b": 4})), in_json("7")]
    async with ModelServer(lambda asked: answers.pop(0)) as server:
        await house.apply(manifest(openai(server, tool_mode="json"), context="odd:given", uses=("add",)))
        await house.run(RUN, RunPhase.SUCCEEDED)

    given = json.loads(await kept(house, 2) or "")
    assert given["agent"]["tools"] == []
    assert given["agent"]["parameters"]["response_format"]["type"] == "json_schema"
    assert [message["role"] for message in given["messages"]] == ["system", "user", "assistant", "user"]


# ---- going on


@pytest.mark.parametrize("again", ["fork", "retry"])
async def test_a_copy_of_a_conversation_keeps_what_is_marked_as_ours(house: House, again: str) -> None:
    answers = [says("No."), in_json("", ("add", {"a": 3, "b": 4}))]
    async with ModelServer(lambda asked: answers.pop(0) if answers else says("No.")) as server:
        await house.apply(manifest(openai(server, tool_mode="json"), uses=("add",)))
        run = await house.run(RUN, RunPhase.FAILED)

        def go_on(tx: Tx) -> str:
            return (fork(tx, run, at=4, by="ada") if again == "fork" else retry(tx, run, by="ada")).id

        copy = await house.driver.transact(go_on)
        rows = await house.database.read(lambda tx: messages.of_run(tx, copy))

    assert rows[3]["template"] == "reply_not_json"
