"""What was spent: asked of the daemon by the command, summed from the calls that runs made, and told apart as asked."""

from __future__ import annotations

import pytest

from smallchain.model.money import parse_dollars
from support.daemon import Daemon

TEAM = """
llms:
- name: priced
  provider: scripted
  price: {input: $100, output: $400}
  replies:
  - {when: {agent: boss, turn: 1}, reply: {content: a plan, tool_calls: [{name: delegate_to_hand, arguments: {message: do it}}]}}
  - {when: {}, reply: {content: it is done}}
- {name: free, provider: scripted, replies: [{content: for nothing}]}
agents:
- {name: boss, llm: priced, tools: [{agent: hand}]}
- {name: hand, llm: priced}
- {name: volunteer, llm: free}
tasks: [{name: work, agent: boss, user_message: go}, {name: help, agent: volunteer, user_message: go}]
runs: [{name: monday, task: work}, {name: tuesday, task: help}]
"""


@pytest.fixture
def worked(daemon: Daemon) -> Daemon:
    """A daemon whose runs are over."""
    daemon.drop("team.yaml", TEAM)
    daemon.start()
    daemon.over("monday")
    daemon.over("tuesday")
    return daemon


def test_spend_is_what_the_runs_have_cost_told_apart_as_asked(worked: Daemon) -> None:
    runs = {run["name"]: run for run in worked.items("runs")}

    by_run = worked.ask("get", "spend", "--by", "run")["items"]
    (tree,) = worked.ask("get", "spend", "--run", "monday", "--by", "task", "--since", "1h")["items"]
    hours = worked.ask("get", "spend", "--by", "hour", "--by", "llm")["items"]

    assert {item["run"]: item["cost_usd"] for item in by_run} == {name: run["cost_usd"] for name, run in runs.items()}
    assert (tree["name"], tree["task"], tree["calls"], tree["unpriced"]) == ("work", "work", 3, 0)
    assert tree["cost_usd"] == runs["monday"]["tree_cost_usd"]
    assert parse_dollars(tree["cost_usd"]) > 0
    assert {(item["llm"], item["cost_usd"] == "0.00", item["agent"]) for item in hours} == {("priced", False, None), ("free", True, None)}
    assert all(item["hour"].endswith(":00:00Z") for item in hours)
    assert sum(item["calls"] for item in hours) == 4


def test_the_table_names_each_sum(worked: Daemon) -> None:
    head, *rows = worked.cli("get", "spend").stdout.splitlines()

    assert head.split() == ["NAME", "CALLS", "INPUT", "OUTPUT", "COST", "UNPRICED"]
    assert [row.split()[:2] for row in rows] == [["boss", "2"], ["hand", "1"], ["volunteer", "1"]]
    assert rows[0].split()[4].startswith("$0.0")
    assert worked.cli("get", "spend", "--since", "2100-01-01T00:00:00Z").stderr == "No spend found.\n"


@pytest.mark.parametrize(
    "words",
    [("spend", "boss"), ("spend", "--by", "mood"), ("spend", "--since", "soon"), ("runs", "--by", "day"), ("runs", "--since", "1h")],
)
def test_what_cannot_be_asked_is_refused_as_a_wrong_command_line(worked: Daemon, words: tuple[str, ...]) -> None:
    assert worked.cli("get", *words).returncode == 2
