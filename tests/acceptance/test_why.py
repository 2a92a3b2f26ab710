"""`smallchain why`: where it prints a command, running that very command line moves the run. One daemon for all, which has died three times."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from smallchain.protocol.client import path_of
from support.daemon import PATIENCE_S, Daemon, Item, Pipe, a_folder
from support.mcpservers import raw, tool

Words = dict[str, Any]


def calls(name: str, **arguments: Any) -> Words:
    return {"tool_calls": [{"name": name, "arguments": arguments}]}


def bash(name: str, command: str, **words: Any) -> Words:
    return {"name": name, "isolation": "none", "executor": {"local_bash": {"command": command}}} | words


DONE = {"content": "done"}
TURNED = [tool("echo", "does as it is told"), tool("change")]
AGENTS: dict[str, tuple[list[Any], list[Words]]] = {
    "post": ([{"tool": "publish", "approval": "required"}], [calls("publish"), DONE]),
    "ask": (["ask_human"], [calls("ask_human", question="Which region?"), DONE]),
    "boss": ([{"agent": "post"}], [calls("delegate_to_post", message="go"), DONE]),
    "lead": ([{"agent": "post", "detach": "allowed"}], [calls("delegate_to_post", message="go", detach=True), {"content": "begun"}, DONE]),
    "hand out": (["outside"], [calls("outside"), DONE]),
    "loop": (["publish"], [calls("publish")] * 5 + [DONE]),
    "once": (["hangs_once"], [calls("hangs_once"), DONE]),
    "again": (["hangs"], [calls("hangs"), DONE]),
    "fail": ([], [{"error": {"status": 400, "message": "no such model"}}]),
    "sleep": (["sleep_for"], [calls("sleep_for", duration="3h"), DONE]),
    "change": ([{"mcp": "raw"}], [calls("raw__change", tools=TURNED), calls("raw__echo"), DONE]),
}
"""Agents by name: their tools, and what their model says."""


def story(daemon: Daemon, up: Pipe) -> str:
    """A file in which every agent of the table, one at a cap, and two in a line come to stand still."""
    spends = calls("publish") | {"content": "word " * 600}
    llms: list[Words] = [{"name": name, "provider": "scripted", "replies": replies} for name, (_, replies) in AGENTS.items()]
    llms += [
        {"name": "spends", "provider": "scripted", "parameters": {"max_tokens": 10}, "replies": [spends, DONE]},
        {"name": "slow", "provider": "scripted", "replies": [{**DONE, "delay": "1h"}], "limits": {"concurrency": 1}},
    ]
    agents: list[Words] = [{"name": name, "llm": name, "tools": tools} for name, (tools, _) in AGENTS.items()]
    agents += [
        {"name": "spend", "llm": "spends", "tools": ["publish"], "budget": {"limit": "1000 tokens", "per": "run", "on_limit": "ask"}},
        {"name": "line", "llm": "slow"},
    ]
    tools = [
        bash("publish", "echo ok"),
        bash("hangs_once", f'echo up > "{up.path}"; sleep 600', effects="once"),
        bash("hangs", f'echo up > "{up.path}"; sleep 600', effects="none"),
        {"name": "outside", "executor": {"callback": {}}},
    ]
    tasks = [{"name": agent["name"], "agent": agent["name"], "user_message": "go"} for agent in agents]
    server = {"name": "raw", "command": list(raw(daemon.folder, tool("echo", "says it"), "change")), "isolation": "none", "effects": "none"}
    return json.dumps({"llms": llms, "agents": agents, "tools": tools, "tasks": tasks, "mcp_servers": [server]})


IN_DOUBT = ("doubt 1", "doubt 2", "doubt 3")
QUARANTINED = ("died 1", "died 2")


@pytest.fixture(scope="module")
def house() -> Iterator[Daemon]:
    """A daemon that was killed three times while tools ran: three runs are in doubt, and two in quarantine."""
    with a_folder() as folder, closing(Daemon(folder)) as daemon, closing(Pipe(folder / "up")) as up:
        daemon.start()
        daemon.drop("story.yaml", story(daemon, up))
        daemon.until(lambda: daemon.items("tasks"))
        for name in IN_DOUBT:
            daemon.cli("run", "once", "--name", name)
            up.heard()
        for name in QUARANTINED:
            daemon.cli("run", "again", "--name", name)
            up.heard()
        for _ in range(2):
            daemon.restart()
            for _ in QUARANTINED:
                up.heard()
        daemon.restart()
        daemon.until(lambda: len([each for each in daemon.items("requests") if each["kind"] == "quarantine"]) == len(QUARANTINED))
        yield daemon
        print(daemon.last_words())


def stands(daemon: Daemon, run: str) -> Item:
    """Why a run stands still."""
    found: Item = daemon.client().get(path_of("why", run))["reason"]
    return found


def verbs(reason: Item) -> list[str]:
    """What its commands begin with, in order: the word, and the flag where one says which."""
    own = [" ".join([command[1], *(word for word in command[2:] if word.startswith("--"))]) for command in reason["commands"]]
    return own + [each for below in reason["because"] for each in verbs(below)]


def lines(daemon: Daemon, run: str) -> list[list[str]]:
    """The command lines as they are printed, as a shell takes them apart."""
    printed = daemon.cli("why", run).stdout.splitlines()
    found = [shlex.split(line.strip().removeprefix("$ ")) for line in printed if line.strip().startswith("$ ")]
    assert all(words[0] == "smallchain" for words in found)
    return [words[1:] for words in found]


SETTLED = ["settle --happened", "settle --did-not-happen", "settle --run-again"]
SITUATIONS: list[tuple[str, str, list[str], int, str]] = [
    ("an approval, granted", "post", ["approve", "deny"], 0, "Succeeded"),
    ("an approval, denied", "post", ["approve", "deny"], 1, "Succeeded"),
    ("a question", "ask", ["answer"], 0, "Succeeded"),
    ("a child that asks", "boss", ["approve", "deny"], 0, "Succeeded"),
    ("work that asks", "lead", ["approve", "deny"], 0, "Succeeded"),
    ("a result from outside", "hand out", ["callback --result", "callback --error"], 0, "Succeeded"),
    ("an error from outside", "hand out", ["callback --result", "callback --error"], 1, "Succeeded"),
    ("a loop, resumed", "loop", ["resume", "cancel"], 0, "Succeeded"),
    ("a loop, cancelled", "loop", ["resume", "cancel"], 1, "Cancelled"),
    ("a cap that asks", "spend", ["approve"], 0, "Succeeded"),
    ("a changed tool", "change", ["approve", "deny"], 0, "Succeeded"),
    ("a call in doubt that happened", "doubt 1", SETTLED, 0, "Succeeded"),
    ("a call in doubt that did not", "doubt 2", SETTLED, 1, "Succeeded"),
    ("a call in doubt, run again", "doubt 3", SETTLED, 2, "Running"),
    ("a quarantine, resumed", "died 1", ["resume", "cancel"], 0, "Running"),
    ("a quarantine, cancelled", "died 2", ["resume", "cancel"], 1, "Cancelled"),
]
"""What happened, the task (or the run that stands already), the commands that are printed, which of them is run, and what comes of it."""


@pytest.mark.parametrize(("task", "printed", "chosen", "status"), [row[1:] for row in SITUATIONS], ids=[row[0] for row in SITUATIONS])
def test_a_command_that_why_prints_moves_the_run(house: Daemon, task: str, printed: list[str], chosen: int, status: str) -> None:
    name = task if house.run(task) else f"{task} {chosen}"
    if name != task:
        house.cli("run", task, "--name", name)
    before = house.until(lambda: verbs(found := stands(house, name)) == printed and found)
    done = house.cli(*lines(house, name)[chosen])

    assert done.returncode == 0, done.stderr
    assert house.until(lambda: house.run(name)["status"] == status), house.run(name)
    assert stands(house, name)["words"] != before["words"] or stands(house, name)["because"] != before["because"]


@pytest.mark.parametrize(("chosen", "status"), [(0, "Waiting"), (1, "Cancelled")])
def test_a_paused_run_goes_on_or_ends_with_the_command_that_why_prints(house: Daemon, chosen: int, status: str) -> None:
    name = f"paused {chosen}"
    house.cli("run", "boss", "--name", name)
    house.until(lambda: house.run(f"{name}/post-1").get("status") == "Waiting")
    house.cli("pause", name)
    found = stands(house, name)
    house.cli(*lines(house, name)[chosen])

    assert verbs(found) == ["resume", "cancel", "approve", "deny"]
    assert "it is paused by" in found["words"]
    assert house.until(lambda: house.run(f"{name}/post-1")["status"] == status)


@pytest.mark.parametrize("ends", ["fails", "cancel"])
def test_a_run_that_is_over_is_retried_with_the_command_that_why_prints(house: Daemon, ends: str) -> None:
    task, name = ("fail", "failing") if ends == "fails" else ("sleep", "cancelled")
    house.cli("run", task, "--name", name)
    if ends == "cancel":
        assert house.until(lambda: house.run(name).get("status") == "Sleeping")
        assert verbs(stands(house, name)) == []
        house.cli("cancel", name)
    house.over(name)
    (words,) = lines(house, name)
    done = house.cli(*words)

    assert words == ["retry", name]
    assert done.returncode == 0, done.stderr
    assert house.until(lambda: house.run(f"{name}-1"))


def test_a_run_in_line_goes_before_the_others_with_the_command_that_why_prints(house: Daemon) -> None:
    for name in ("out", "early", "late"):
        house.cli("run", "line", "--name", name)
        house.until(lambda name=name: house.run(name).get("phase") == ("calling_model" if name == "out" else "ready"))
    (words,) = house.until(lambda: verbs(stands(house, "late")) == ["set"] and lines(house, "late"))
    house.cli(*words)
    house.cli("cancel", "out")
    house.until(lambda: house.run("late")["phase"] == "calling_model")

    assert words == ["set", "priority", "late", "1"]
    assert house.run("early")["phase"] == "ready"


def test_while_the_daemon_stops_it_is_what_holds_a_run_and_its_restart_is_what_moves_it(
    daemon: Daemon, pipe: Callable[[str], Pipe]
) -> None:
    up, go = pipe("up"), pipe("go")
    waits = bash("waits", f'echo up > "{up.path}"; read line < "{go.path}"', effects="none")
    llm = {"name": "fast", "provider": "scripted", "replies": [calls("waits"), DONE]}
    words = {"llms": [llm], "agents": [{"name": "clerk", "tools": ["waits"]}], "tools": [waits]}
    words |= {"tasks": [{"name": "work", "agent": "clerk", "user_message": "go"}], "runs": [{"name": "busy", "task": "work"}]}
    daemon.start()
    daemon.drop("story.yaml", json.dumps(words))
    up.heard()
    stopping = daemon.open_cli("stop")
    daemon.event("DaemonStopping")
    found = stands(daemon, "busy")
    (printed,) = lines(daemon, "busy")
    again = daemon.open_cli(*printed)
    go.say()
    daemon.ended()

    assert found["because"][0]["words"].startswith("it is stopping and begins nothing new")
    assert printed == ["restart"]
    assert (stopping.wait(PATIENCE_S), again.wait(PATIENCE_S)) == (0, 0)
    assert daemon.over("busy")["status"] == "Succeeded"
