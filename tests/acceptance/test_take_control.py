"""Taking control of a real daemon: own code that hangs, crashes and is edited; `tool_mode: json`; the exact request, and as a command."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from support.daemon import Daemon, Models, Pipe
from support.programs import needed

OWN = """
llms: [{name: own, provider: python, model: "mine:answer", timeout: 60s}]
agents: [{name: a, system_prompt: be brief, context: "mine:request"}]
tasks: [{name: t, agent: a, user_message: go}]
runs: [{name: r, task: t}]
"""
MINE = """
def request(agent, run, messages):
    return "<" + messages[-1]["content"] + ">"

def answer(request, endpoint):
    return "I was told " + request
"""
HANGS = """
import os, subprocess
def request(agent, run, messages):
    return "x"

def answer(request, endpoint):
    child = subprocess.Popen(["sleep", "1000"])
    with open("PIPE", "w") as pipe:
        pipe.write(f"{os.getpid()} {child.pid}\\n")
    while True:
        pass
"""
JSON_MODE = """
defaults: {templates: {json_results: "So it is: {results}"}}
llms: [{name: m, provider: openai, model: local, tool_mode: json}]
agents: [{name: a, system_prompt: be brief, tools: [add]}]
tasks: [{name: t, agent: a, user_message: add 3 and 4}]
runs: [{name: r, task: t}]
"""


def status(daemon: Daemon, kind: str, name: str) -> str:
    return next((item["status"] for item in daemon.items(kind) if item["name"] == name), "")


def ends(pid: int) -> bool:
    """Whether a process ends in good time."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], 20.0)[0])
    finally:
        os.close(descriptor)


@pytest.fixture
def hanging(daemon: Daemon) -> Iterator[tuple[int, int]]:
    """A daemon with a run whose model hangs: the process it hangs in, and one that it started."""
    pipe = Pipe(daemon.folder / "pipe")
    daemon.drop("mine.py", HANGS.replace("PIPE", str(pipe.path)))
    daemon.drop("a.yaml", OWN)
    daemon.start()
    own, child = pipe.heard().split()
    pipe.close()
    descriptor = os.pidfd_open(int(child))
    yield int(own), int(child)
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    os.close(descriptor)


def test_broken_code_is_an_error_with_its_line_and_heals_when_the_file_is_mended(daemon: Daemon) -> None:
    daemon.drop("mine.py", MINE + "\nthis is no python\n")
    daemon.drop("a.yaml", OWN)
    daemon.start()
    daemon.until(lambda: status(daemon, "agents", "a") == status(daemon, "llms", "own") == "Error")
    detail = next(item["detail"] for item in daemon.items("agents"))
    assert f"mine:request can't be loaded: SyntaxError: invalid syntax ({daemon.config}/mine.py:8)" in detail

    daemon.drop("mine.py", MINE)

    assert daemon.over("r")["output"] == "I was told <go>"
    assert daemon.cli("transcript", "r", "--request").stdout == "<go>\n"
    assert daemon.cli("transcript", "r", "--reply").stdout == "I was told <go>\n"


def test_an_edit_holds_for_the_next_request_without_a_restart(daemon: Daemon) -> None:
    daemon.drop("mine.py", MINE)
    daemon.drop("a.yaml", OWN)
    daemon.start()
    daemon.over("r")

    daemon.drop("mine.py", MINE.replace('"<"', '"<<"'))
    daemon.cli("run", "t", "--name", "again")

    assert daemon.over("again")["output"] == "I was told <<go>"
    assert daemon.cli("transcript", "r", "--request").stdout == "<go>\n", "what was sent then was sent then"


def test_a_hang_holds_up_neither_the_daemon_nor_a_cancel(daemon: Daemon, hanging: tuple[int, int]) -> None:
    own, child = hanging

    assert daemon.run("r")["phase"] == "calling_model"
    daemon.ask("cancel", "r")

    assert daemon.over("r")["status"] == "Cancelled"
    assert ends(own)
    assert ends(child)


def test_a_hang_does_not_outlive_a_stop(daemon: Daemon, hanging: tuple[int, int]) -> None:
    own, child = hanging

    daemon.cli("stop", "--now")
    daemon.ended()

    assert ends(own)
    assert ends(child)


def test_a_hang_does_not_outlive_a_daemon_that_was_killed(daemon: Daemon, hanging: tuple[int, int]) -> None:
    own, child = hanging

    daemon.kill()

    assert ends(own), "with the daemon"
    daemon.start()
    assert ends(child), "found by the next daemon"


def test_a_request_that_could_not_be_made_is_said_to_be_none(daemon: Daemon) -> None:
    daemon.drop("mine.py", MINE.replace('return "<"', 'return 1 / 0, "<"'))
    daemon.drop("a.yaml", OWN)
    daemon.start()
    daemon.until(lambda: daemon.run("r")["phase"] == "backing_off")

    shown = daemon.cli("transcript", "r", "--request", "1")

    assert shown.returncode == 1
    assert "model call 1 was never made: the context strategy mine:request failed: ZeroDivisionError" in shown.stderr
    daemon.drop("mine.py", MINE)
    assert daemon.over("r")["output"] == "I was told <go>"


def test_json_mode_is_marked_as_ours_in_the_transcript(daemon: Daemon, models: Callable[..., Models]) -> None:
    asks = json.dumps({"answer": "", "calls": [{"name": "add", "arguments": {"a": 3, "b": 4}}]})
    says = json.dumps({"answer": "It is 7.", "calls": []})
    rules = [
        {"when": {"turn": 1}, "reply": {"content": asks}},
        {"when": {"turn": 2}, "reply": {"content": "Seven!"}},
        {"when": {}, "reply": {"content": says}},
    ]
    server = models(script={"rules": rules})
    daemon.drop("a.yaml", JSON_MODE)
    daemon.start()

    assert daemon.over("r")["output"] == "It is 7."
    ours = [(message["seq"], message["template"]) for message in daemon.messages("r") if message["ours"]]
    assert ours == [(0, "json_tools"), (6, "reply_not_json")]
    assert "ours: template json_tools" in daemon.cli("transcript", "r").stdout
    assert server.bodies()[1]["messages"][-1]["content"] == 'So it is: [{"name": "add", "result": "7"}]'
    for number, asked in enumerate(server.asked(), 1):
        assert daemon.cli("transcript", "r", "--request", str(number)).stdout.rstrip("\n") == asked["body"]
    (line,) = [line for line in daemon.cli("get", "templates").stdout.splitlines() if line.startswith("json_results")]
    assert line.split()[1] == "replaced"
    assert "So it is: {results}" in line


def test_the_curl_command_sends_the_same_request_with_the_key_that_the_llm_names(daemon: Daemon, models: Callable[..., Models]) -> None:
    needed("curl")
    server = models(script={"rules": [{"when": {}, "reply": {"content": 'it\'s "done"\n\u00fc'}}]})
    daemon.drop(
        "a.yaml",
        f"llms: [{{name: m, provider: openai, model: one, base_url: '{server.base_url}', api_key: {{env: MY_KEY}}}}]\n"
        'agents: [{name: a, system_prompt: "it\'s $HOME `id` \\\\ \\u00fc"}]\n'
        "tasks: [{name: t, agent: a, user_message: go}]\nruns: [{name: r, task: t}]\n",
    )
    daemon.environ["MY_KEY"] = "sk-test-mine-4711"
    daemon.start()
    daemon.over("r")

    command = daemon.cli("transcript", "r", "--curl").stdout
    done = subprocess.run(["bash", "-c", command], env=daemon.environ, capture_output=True, check=False, timeout=30)

    assert json.loads(done.stdout)["choices"][0]["message"]["content"] == 'it\'s "done"\n\u00fc'
    first, second = server.asked()
    assert second["body"] == first["body"]
    assert second["headers"]["authorization"] == first["headers"]["authorization"] == "...4711"


def test_curl_says_when_a_model_is_not_reached_by_a_url_of_ours(daemon: Daemon) -> None:
    daemon.drop("mine.py", MINE)
    daemon.drop("a.yaml", OWN)
    daemon.start()
    daemon.over("r")

    shown = daemon.cli("transcript", "r", "--curl")

    assert shown.returncode == 1
    assert "LLM 'own' is not reached by a URL of ours: its provider is python; see --request" in shown.stderr


SUMS_UP = """
llms:
- name: m
  provider: scripted
  replies:
  - {when: {last: Sum up}, reply: {content: three sums so far}}
  - {when: {turn: 4}, reply: {content: done}}
  - {when: {}, reply: {tool_calls: [{name: add, arguments: {a: 3, b: 4}}]}}
agents: [{name: a, tools: [add], context: {summarise: 2}}]
tasks: [{name: t, agent: a, user_message: add}]
runs: [{name: r, task: t}]
"""


def test_a_summary_and_the_wish_for_it_are_marked_as_ours_in_the_transcript(daemon: Daemon) -> None:
    daemon.drop("a.yaml", SUMS_UP)
    daemon.start()

    assert daemon.over("r")["output"] == "done"
    assert [(message["seq"], message["template"]) for message in daemon.messages("r") if message["ours"]] == [
        (0, "summarise"),
        (8, "summary"),
    ]
    assert "three sums so far" in daemon.cli("transcript", "r").stdout
    assert "Sum up the conversation" in daemon.cli("transcript", "r", "--request", "4").stdout
    assert "three sums so far" in daemon.cli("transcript", "r", "--request", "5").stdout
