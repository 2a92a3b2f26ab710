"""Going on from what is recorded: retry, fork, the pins of a live run, and any exchange with the model."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from support.daemon import Daemon, Models, Pipe

FAILS_ONCE = """
llms:
- {name: m, provider: scripted, replies: [
    {when: {turn: 1}, reply: {tool_calls: [{name: append, arguments: {line: x}}]}},
    {when: {turn: 2, any: "fixed prompt"}, reply: {content: done}},
    {when: {turn: 2}, reply: {error: {status: 400, message: no such thing}}}]}
agents:
- {name: a, system_prompt: broken prompt, tools: [append]}
tools:
- name: append
  parameters: {type: object, properties: {line: {type: string}}, required: [line]}
  isolation: none
  executor: {local_bash: {command: 'echo "$line" >> effects.txt; echo appended'}}
tasks:
- {name: t, agent: a, user_message: go}
runs:
- {name: first, task: t}
"""


def effects(daemon: Daemon) -> int:
    """How often the tool has written."""
    path = daemon.config / "effects.txt"
    return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.fixture
def failed(daemon: Daemon) -> Daemon:
    """A daemon whose run `first` has called a `once` tool and then failed."""
    daemon.drop("a.yaml", FAILS_ONCE)
    daemon.start()
    assert daemon.over("first")["error"] == "the model refused the request: no such thing"
    return daemon


def test_retry_goes_on_with_every_result_and_repeats_no_call(failed: Daemon) -> None:
    script = FAILS_ONCE.replace('{when: {turn: 2, any: "fixed prompt"}', '{when: {turn: 2, any: "appended"}')
    newest = failed.client().last_seq()
    failed.drop("a.yaml", script)
    failed.event("ConfigApplied", after=newest)

    new = failed.ask("retry", "first")

    assert new["name"] == "first-1"
    assert failed.over("first-1")["output"] == "done"
    assert effects(failed) == 1
    assert [message["role"] for message in failed.messages("first-1")] == ["system", "user", "assistant", "tool", "assistant"]


def test_retry_from_the_start_names_the_calls_it_would_repeat_and_waits_for_a_yes(failed: Daemon) -> None:
    asked = failed.cli("retry", "first", "--from-start")
    assert asked.returncode == 65
    assert "append succeeded there and would be done again" in asked.stderr
    assert effects(failed) == 1

    failed.ask("retry", "first", "--from-start", "--yes")

    failed.over("first-1")
    assert effects(failed) == 2


def test_a_fork_never_parts_a_reply_from_its_results(failed: Daemon) -> None:
    refused = failed.cli("fork", "first", "--at", "3")
    assert refused.returncode == 1
    assert "the nearest are 2 or 4" in refused.stderr

    new = failed.ask("fork", "first", "--at", "2")

    failed.over(new["name"])
    assert effects(failed) == 2  # the call itself was not among what was kept: the model asked for it anew


def test_a_live_run_goes_on_as_it_was_written_until_it_is_moved_to_the_present(daemon: Daemon, models: Callable[..., Models]) -> None:
    models(script={"rules": [{"when": {}, "reply": {"content": "hello", "delay": 0.5}}]})
    text = "llms: [{name: m, provider: openai, model: one}]\nagents: [{name: a}]\ntasks: [{name: t, agent: a, user_message: go}]\n"
    daemon.drop("a.yaml", text)
    daemon.start()
    daemon.client().post("/v1/runs", {"task": "t", "name": "r"})
    daemon.until(lambda: daemon.run("r")["phase"] == "calling_model")
    daemon.cli("pause", "r")
    newest = daemon.client().last_seq()
    daemon.drop("a.yaml", text.replace("model: one", "model: two"))
    daemon.event("ConfigApplied", after=newest)

    (difference,) = daemon.ask("diff", "r")["items"]
    assert (difference["pinned"]["model"], difference["current"]["model"]) == ("one", "two")
    every = daemon.cli("diff").stdout
    assert every.startswith(("run 'r'\n--- llm/m pinned", "no live runs"))
    adopted = daemon.cli("resume", "r", "--adopt")

    assert adopted.returncode in (0, 1), adopted.stderr  # its one reply may have come first: then it is over
    if adopted.returncode == 0:
        assert daemon.ask("diff", "r")["items"] == []


def test_any_exchange_with_the_model_can_be_seen_exactly(daemon: Daemon, models: Callable[..., Models]) -> None:
    server = models(script={"rules": [{"when": {}, "reply": {"content": "hello"}}]})
    daemon.drop(
        "a.yaml",
        "llms: [{name: m, provider: openai, model: one, parameters: {temperature: 0.5}}]\n"
        "agents: [{name: a, system_prompt: be brief}]\ntasks: [{name: t, agent: a, user_message: go}]\nruns: [{name: r, task: t}]\n",
    )
    daemon.start()
    daemon.over("r")

    request = daemon.cli("transcript", "r", "--request")
    reply = daemon.cli("transcript", "r", "--reply", "1")
    curl = daemon.cli("transcript", "r", "--curl")

    assert request.stdout.rstrip("\n") == server.asked()[0]["body"]
    assert json.loads(reply.stdout)["choices"][0]["message"]["content"] == "hello"
    assert curl.stdout.startswith("curl ")
    assert daemon.environ["OPENAI_API_KEY"] not in curl.stdout
    assert daemon.cli("transcript", "r", "--request", "7").returncode == 1


def test_a_stop_that_was_asked_for_is_not_held_against_the_run_it_cuts(daemon: Daemon, models: Callable[..., Models]) -> None:
    models(script={"rules": [{"when": {}, "reply": {"content": "hello", "delay": 60}}]})
    daemon.drop(
        "a.yaml",
        "llms: [{name: m, provider: openai, model: one}]\nagents: [{name: a}]\n"
        "tasks: [{name: t, agent: a, user_message: go}]\nruns: [{name: r, task: t}]\n",
    )

    for _ in range(4):  # three deaths within one step would have been a question to a person
        daemon.start()
        daemon.until(lambda: daemon.run("r").get("phase") == "calling_model")
        daemon.client().post("/v1/stop", {"now": True})
        assert daemon.ended() == 0
    daemon.start()

    assert daemon.until(lambda: daemon.run("r").get("phase") == "calling_model")
    assert daemon.items("requests") == []


def test_a_once_call_that_a_cancel_cut_is_told_as_unknown(daemon: Daemon, pipe: Callable[[str], Pipe]) -> None:
    started = pipe("started")
    daemon.drop(
        "a.yaml",
        "llms: [{name: m, provider: scripted, replies: [{tool_calls: [{name: slow}]}]}]\nagents: [{name: a, tools: [slow]}]\n"
        f"tools: [{{name: slow, isolation: none, executor: {{local_bash: {{command: 'echo up > {started.path}; read -r _ < /dev/zero'}}}}}}]\n"
        "tasks: [{name: t, agent: a, user_message: go}]\nruns: [{name: r, task: t}]\n",
    )
    daemon.start()
    assert started.heard() == "up"

    assert daemon.cli("cancel", "r").returncode == 0

    last = daemon.messages("r")[-1]
    assert (last["role"], last["template"]) == ("tool", "call_cancelled_unknown")
