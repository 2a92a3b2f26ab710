"""The examples: each README's commands work as they stand there, offline, and give what it promises; so does the demo."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.daemon import ROOT, Daemon, program
from support.programs import needed

EXAMPLES = sorted(path.parent for path in (ROOT / "examples").glob("*/README.md"))
PROMISED = {
    "01-hello": {"hello": "Hello! I am an agent, and this sentence is all I was asked for."},
    "02-tools": {
        "odd jobs": "3 + 4 is 7, the sentence has 9 words, and shouting leaves dollar signs alone.",
        "parcel": "The parcel is on its way or there; the courier said where.",
    },
    "03-approval": {"friday post": "The post is out: the people were asked, and it was approved."},
    "05-budget": {"night crawl": "Three pages were read: news, weather, sport."},
    "06-planner": {"journey": "The journey costs 475: 205 for the train and 270 for three nights."},
    "07-hackable": {"special tokens": "The sum is 12."},
    "08-mcp": {"keep notes": "Two notes are kept: water the plants, and call Ada."},
    "04-delegation": {
        "first post": "Published: 'Agents that survive the night', 70 characters. Planned, researched twice in parallel, written, checked."
    },
}
"""The runs of each example and their answers."""


@pytest.mark.parametrize("path", sorted((ROOT / "examples").rglob("*.yaml")), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_file_of_the_examples_is_valid_with_nothing_missing(path: Path) -> None:
    words = [*program("smallchain"), "validate", "--strict", "-f", str(path)]
    done = subprocess.run(words, capture_output=True, encoding="utf-8", timeout=60, check=False)

    assert done.returncode == 0, done.stderr


def test_a_tool_in_javascript_runs_behind_the_fence(daemon: Daemon) -> None:
    needed("node", package="nodejs")
    assert daemon.cli("apply", "-f", str(ROOT / "examples" / "02-tools" / "node.yaml")).returncode == 0
    waited = daemon.cli("wait", "mirror image", "--timeout", "30s")

    assert (waited.returncode, waited.stdout) == (0, "Stressed, backwards, is desserts.\n")
    assert daemon.items("toolcalls")[0]["result"] == "desserts"
    assert daemon.items("tools")[0]["fence"]


def commands(readme: Path) -> list[str]:
    """The lines of the README's shell blocks."""
    blocks = re.findall(r"^```sh\n(.*?)^```", readme.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    lines = [line.partition("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def test_every_example_promises_an_answer() -> None:
    assert {example.name for example in EXAMPLES} == set(PROMISED)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_works_as_its_readme_says(daemon: Daemon, example: Path) -> None:
    scripts = str(Path(sys.executable).parent)
    environ = daemon.environ | {"PATH": f"{scripts}{os.pathsep}{daemon.environ['PATH']}"}
    lines = commands(example / "README.md")
    assert any(line.startswith("smallchain apply -f examples/") for line in lines)

    for line in lines:
        if "--follow" in line:  # a reader watches until it is over
            assert all(daemon.cli("wait", run, "--timeout", "30s").returncode == 0 for run in PROMISED[example.name])
            continue
        done = subprocess.run(["bash", "-c", line], cwd=ROOT, env=environ, capture_output=True, encoding="utf-8", timeout=60, check=False)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"

    for run, answer in PROMISED[example.name].items():
        waited = daemon.cli("wait", run, "--timeout", "30s")
        assert (waited.returncode, waited.stdout) == (0, f"{answer}\n"), waited.stderr
    ended = {"Succeeded", "Cancelled"} if example.name == "06-planner" else {"Succeeded"}  # the planner cancels one of its clerks
    assert {run["status"] for run in daemon.items("runs")} == ended
    assert all(call["phase"] == "succeeded" for call in daemon.items("toolcalls"))
    assert all(item["status"] == "Ready" for kind in ("llms", "agents", "tools", "tasks") for item in daemon.items(kind))


def test_the_tools_example_keeps_its_readmes_word(daemon: Daemon) -> None:
    daemon.drop("tools.yaml", (ROOT / "examples/02-tools/smallchain.yaml").read_text())
    daemon.start()
    daemon.over("odd jobs")

    results = [message for message in daemon.messages("odd jobs") if message["role"] == "tool"]

    assert [result["tool"] for result in results] == ["now", "add", "count_words", "shout"], "in the order the model asked"
    assert [result["content"].strip() for result in results[1:]] == ["7", "9", "IT'S DONE; $HOME STAYS AS WRITTEN"]
    told = [
        (event["reason"], event["seq"])
        for event in daemon.events()
        if event["run"] == "odd jobs" and event["reason"].startswith("ToolCall")
    ]
    assert [reason for reason, _ in told[:4]] == ["ToolCallStarted"] * 4, "all four are under way before the first has ended"


def test_the_delegation_example_has_its_readmes_family(daemon: Daemon) -> None:
    daemon.drop("team.yaml", (ROOT / "examples/04-delegation/smallchain.yaml").read_text())
    daemon.start()
    daemon.over("first post")

    runs = {run["name"]: run for run in daemon.items("runs")}

    children = ["planner-1", "researcher-1", "researcher-2", "writer-1", "publisher-1"]
    assert list(runs) == ["first post", *(f"first post/{child}" for child in children)]
    first, second = runs["first post/researcher-1"], runs["first post/researcher-2"]
    assert max(first["started_at"], second["started_at"]) < min(first["finished_at"], second["finished_at"])
    assert runs["first post/planner-1"]["finished_at"] <= first["started_at"]
    measured = next(call for call in daemon.items("toolcalls") if call["tool"] == "measure")
    assert measured["result"].strip() == "70 characters"


def test_the_planner_examples_plan_is_seen_beside_its_run(daemon: Daemon) -> None:
    daemon.drop("planner.yaml", (ROOT / "examples/06-planner/smallchain.yaml").read_text())
    daemon.start()
    daemon.over("journey")

    plan = daemon.ask("describe", "run", "journey")["item"]["plan"]
    shown = daemon.cli("describe", "run", "journey").stdout

    assert [step["status"] for step in plan] == ["done", "done", "dropped", "done"]
    assert plan[0] == {"item": "Find what the train costs", "status": "done", "priority": 10, "note": "205"}
    assert re.search(r"^plan:\n +STATUS +PRIORITY +ITEM +NOTE\n +done +10 +Find what the train costs +205\n", shown, flags=re.MULTILINE), (
        shown
    )


def test_the_demo_ends_by_itself_without_a_terminal_and_prints_the_answer(daemon: Daemon) -> None:
    demo = daemon.cli("demo", OPENAI_API_KEY="")

    assert demo.returncode == 0, demo.stderr
    (answer,) = PROMISED["04-delegation"].values()
    assert answer in demo.stdout
    assert "scripted" in demo.stdout
    assert "OPENAI_API_KEY" in demo.stdout
    assert "OPENAI_BASE_URL" in demo.stdout
    assert re.search(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] \[INFO\] Executing task: write_post", demo.stdout)
    assert not daemon.state.exists(), "it keeps to a folder of its own"
    assert list(daemon.config.iterdir()) == []
