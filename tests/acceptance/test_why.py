"""`smallchain why`: where it prints a command, running that command moves the run."""

from __future__ import annotations

import pytest

from support.daemon import Daemon, Item

STORY = """
llms:
- name: posts
  provider: scripted
  replies: [{content: ready, tool_calls: [{name: post, arguments: {title: news}}]}, {content: done}]
- name: asks
  provider: scripted
  replies: [{tool_calls: [{name: ask_human, arguments: {question: 'Which region?'}}]}, {content: done}]
- {name: fails, provider: scripted, replies: [{error: {status: 400, message: no such model}}, {content: done}]}
agents:
- {name: clerk, llm: posts, tools: [post]}
- {name: scout, llm: asks, tools: [ask_human]}
- {name: lost, llm: fails}
tools:
- {name: post, parameters: {type: object, properties: {title: {type: string}}}, executor: {local_bash: {command: 'echo ok'}}, approval: required}
tasks:
- {name: post it, agent: clerk, user_message: go}
- {name: ask it, agent: scout, user_message: go}
- {name: fail it, agent: lost, user_message: go}
"""


def why(daemon: Daemon, run: str) -> tuple[list[list[str]], str]:
    """The commands that would move a run, as words, and all that is said."""
    found: list[list[str]] = []

    def gather(reason: Item) -> None:
        found.extend(reason["commands"])
        for each in reason["because"]:
            gather(each)

    gather(daemon.client().get(f"/v1/why/{run}")["reason"])
    return found, daemon.cli("why", run).stdout


@pytest.mark.parametrize(
    ("task", "command", "status"),
    [("post it", "approve", "Succeeded"), ("post it", "deny", "Succeeded"), ("ask it", "answer", "Succeeded"), ("fail it", "retry", None)],
)
def test_a_command_that_why_prints_moves_the_run(daemon: Daemon, task: str, command: str, status: str | None) -> None:
    daemon.start()
    daemon.drop("story.yaml", STORY)
    daemon.until(lambda: daemon.items("tasks"))
    daemon.cli("run", task, "--name", "r")
    words = daemon.until(lambda: next((words for words in why(daemon, "r")[0] if words[1] == command), None))
    said = daemon.cli("why", "r").stdout
    done = daemon.cli(*words[1:])

    assert done.returncode == 0, done.stderr
    assert f"$ smallchain {command}" in said
    if status is not None:
        assert daemon.cli("wait", "r").returncode == 0
        assert daemon.items("runs", name="r")[0]["status"] == status
    else:
        assert daemon.until(lambda: len(daemon.items("runs")) == 2)


def test_a_paused_run_goes_on_with_the_command_that_why_prints(daemon: Daemon) -> None:
    daemon.start()
    daemon.drop("story.yaml", STORY)
    daemon.until(lambda: daemon.items("tasks"))
    daemon.cli("run", "post it", "--name", "r")
    daemon.until(lambda: daemon.items("requests"))
    daemon.cli("pause", "r")
    commands, said = why(daemon, "r")
    daemon.cli(*next(words for words in commands if words[1] == "resume")[1:])

    assert "it is paused by" in said
    assert daemon.items("runs", name="r")[0]["status"] == "Waiting"
