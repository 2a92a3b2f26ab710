"""How caps, plans and detached work are told, by the socket and by the command: what is spent, when there is room, what stands still."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest

from smallchain.protocol.client import path_of
from support.daemon import Daemon

LONG = "word " * 2_000
"""A reply of 2,000 tokens, as a script counts them: most of what the caps below allow."""
STEPS = [{"item": "read", "status": "done"}, {"item": "write", "status": "in_progress", "priority": 5, "note": "short"}]


def scene() -> str:
    """Two agents at their caps of tokens, one of which asks; and one with a plan and work beside it."""
    reads = [{"content": LONG, "tool_calls": [{"name": "now", "arguments": {}}]}, {"content": "done"}]
    begun = {"name": "delegate_to_crawler", "arguments": {"message": "read on", "detach": True}}
    leads = [{"tool_calls": [{"name": "update_plan", "arguments": {"plan": STEPS}}, begun]}, {"content": "led"}]
    llms = [
        {"name": name, "provider": "scripted", "parameters": {"max_tokens": 100}, "replies": said}
        for name, said in (("reads", reads), ("leads", leads))
    ]
    capped = {"limit": "2500 tokens", "per": "hour"}
    agents = [
        {"name": "crawler", "llm": "reads", "tools": ["now"], "budget": capped | {"per": "run"}},
        {"name": "asker", "llm": "reads", "tools": ["now"], "budget": capped | {"on_limit": "ask"}},
        {"name": "waiter", "llm": "reads", "tools": ["now"], "budget": capped},
        {"name": "lead", "llm": "leads", "tools": ["update_plan", {"agent": "crawler", "detach": "allowed"}]},
    ]
    tasks = [{"name": f"{agent['name']} task", "agent": agent["name"], "user_message": "go"} for agent in agents]
    runs = [{"name": name, "task": f"{name} task"} for name in ("asker", "waiter", "lead")]
    return json.dumps(
        {
            "llms": llms,
            "agents": agents,
            "tasks": tasks,
            "runs": runs,
            "budgets": [{"name": "all", "over": "everything", "limit": "$5", "per": "day", "window": "calendar"}],
        }
    )


@pytest.fixture
def house(daemon: Daemon) -> Daemon:
    daemon.drop("scene.yaml", scene())
    daemon.start()
    for name in ("asker", "waiter", "lead/crawler-1"):
        daemon.until(lambda name=name: daemon.run(name).get("status") == "OverBudget")
    return daemon


def test_a_cap_says_what_stands_still_at_it_and_when_there_is_room(house: Daemon) -> None:
    budgets = {item["name"]: item for item in house.items("budgets")}
    run = house.run("waiter")
    waits, asks, own, shared = (budgets[name] for name in ("agent/waiter", "agent/asker", "agent/crawler", "all"))

    assert (waits["status"], waits["waiting"], waits["detail"]) == ("Used up", 1, "1 run stands still at it")
    assert waits["next_room_at"] == run["due_at"]
    assert datetime.fromisoformat(run["due_at"]) - datetime.fromisoformat(run["started_at"]) < timedelta(hours=1, minutes=1)
    assert waits["request_id"] is None
    assert [asks["request_id"]] == [item["id"] for item in house.items("requests")]
    assert (own["spent"], own["next_room_at"], own["waiting"]) == (None, None, 0), "each run has this one for itself"
    assert (shared["status"], shared["spent"], shared["next_room_at"]) == ("Ready", "$0.00", None), "nothing is spent: no room has to come"

    described = house.client().get(path_of("describe", "budget", "agent/waiter"))
    assert [item["name"] for item in described["related"]["runs"]] == ["waiter"]
    wide = house.cli("get", "budgets", "-o", "wide").stdout
    assert "NEXT ROOM" in wide
    assert run["due_at"][:19] + "Z" in next(line for line in wide.splitlines() if line.startswith("agent/waiter"))
    assert "stands still at it" in house.cli("describe", "budget", "agent/waiter").stdout


def test_the_caps_over_a_run_are_told_as_they_stand_for_it(house: Daemon) -> None:
    over = {item["name"]: item for item in house.items("budgets", run="lead/crawler-1")}

    assert over.keys() == {"agent/crawler", "all"}
    cap = over["agent/crawler"]
    assert (cap["waited_for"], cap["status"], cap["waiting"], cap["next_room_at"]) == (True, "Used up", 1, None)
    assert cap["run"] == "lead/crawler-1"
    assert over["all"]["waited_for"] is False
    assert "agent/crawler" in house.cli("get", "budgets", "--run", "lead/crawler-1").stdout


def test_a_run_is_described_with_its_plan_and_the_work_beside_it(house: Daemon) -> None:
    described = house.client().get(path_of("describe", "run", "lead"))
    (work,) = described["related"]["work"]

    assert [step["item"] for step in described["item"]["plan"]] == ["read", "write"]
    assert (work["name"], work["agent"], work["status"], work["run"]) == ("work-1-2", "crawler", "OverBudget", "lead/crawler-1")
    assert work["since"] == house.run("lead/crawler-1")["created_at"]
    text = house.cli("describe", "run", "lead").stdout
    assert "work-1-2" in text.split("work:")[1]
