"""Tools in containers under a real daemon: what a container does outlives `kill -9`, and is never done twice."""

from __future__ import annotations

import json

import pytest

from support.daemon import Daemon, Item
from support.engines import IMAGE, Engine


@pytest.fixture
def contained(daemon: Daemon, engine: Engine) -> Daemon:
    """A daemon that is led to an engine of the test's own."""
    daemon.environ |= engine.environ
    return daemon


def files(command: object, **words: object) -> str:
    call = {"tool_calls": [{"name": "publish", "arguments": {"title": "a"}}]}
    tool = {"name": "publish", "executor": {"docker": {"image": IMAGE, "command": command}}} | words
    return json.dumps(
        {
            "llms": [{"name": "m", "provider": "scripted", "replies": [call, {"content": "over"}]}],
            "agents": [{"name": "worker", "tools": ["publish"]}],
            "tools": [tool],
            "tasks": [{"name": "job", "agent": "worker", "user_message": "x"}],
            "runs": [{"name": "r", "task": "job"}],
        }
    )


def only_call(daemon: Daemon) -> Item:
    (call,) = daemon.items("toolcalls")
    return call


def reasons(daemon: Daemon) -> set[str]:
    return {event["reason"] for event in daemon.events()}


def test_a_call_that_must_not_be_doubled_survives_the_daemon_that_began_it(contained: Daemon, engine: Engine) -> None:
    contained.drop("smallchain.yaml", files("cat; echo begun; sleep 4; echo post 7"))
    contained.start()
    call = contained.until(lambda: next((each for each in contained.items("toolcalls") if each["phase"] == "executing"), None))
    engine.until(lambda: engine.status(f"sc-{call['id']}.1") == "running")
    contained.kill()
    contained.start()

    assert contained.over("r")["status"] == "Succeeded"
    call = only_call(contained)
    assert (call["result"], call["attempts"]) == ('{"title":"a"}\nbegun\npost 7', 1)
    assert "ToolCallLookedUp" in reasons(contained)
    engine.until(lambda: engine.containers() == [])


def test_what_ended_while_the_daemon_was_dead_is_taken_as_it_ended(contained: Daemon, engine: Engine) -> None:
    contained.drop("smallchain.yaml", files("echo begun; sleep 2; exit 3"))
    contained.start()
    call = contained.until(lambda: next((each for each in contained.items("toolcalls") if each["phase"] == "executing"), None))
    name = f"sc-{call['id']}.1"
    engine.until(lambda: engine.status(name) == "running")
    contained.kill()
    engine.until(lambda: engine.status(name) in ("exited", "stopped"))
    contained.start()

    contained.over("r")
    call = only_call(contained)
    assert call["phase"] == "failed"
    assert "exit code 3" in call["result"]
    assert "begun" in call["result"]


def test_cancelling_a_run_ends_its_container_and_removes_it(contained: Daemon, engine: Engine) -> None:
    contained.drop("smallchain.yaml", files(["sleep", "600"]))
    contained.start()
    call = contained.until(lambda: next((each for each in contained.items("toolcalls") if each["phase"] == "executing"), None))
    engine.until(lambda: engine.status(f"sc-{call['id']}.1") == "running")
    assert contained.cli("cancel", "r").returncode == 0

    engine.until(lambda: engine.containers() == [])
    assert contained.over("r")["status"] == "Cancelled"


def test_a_tool_whose_image_is_nowhere_is_in_error_and_its_run_waits(contained: Daemon) -> None:
    contained.drop("smallchain.yaml", files("true").replace(IMAGE, "localhost/nowhere:1"))
    contained.start()

    run = contained.until(lambda: "localhost/nowhere:1" in (found := contained.run("r"))["detail"] and found)
    assert run["status"] == "Pending"
    (tool,) = contained.items("tools")
    assert tool["status"] == "Error"


def test_the_sample_subtracts_in_its_image(contained: Daemon, engine: Engine) -> None:
    tool = {
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}},
        "executor": {"python": {"image": "python:3.12", "command": 'python -c "print(a - b)"\n', "requirements": []}},
    }
    text = files("unused", **tool).replace('{"title": "a"}', '{"a": 7, "b": 5}')
    contained.drop("smallchain.yaml", text)
    contained.start()

    assert contained.over("r")["status"] == "Succeeded"
    assert only_call(contained)["result"] == "2"
    assert not {"ToolImageUnused", "ToolUnfenced"} & reasons(contained)
