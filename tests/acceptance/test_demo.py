"""`smallchain demo`: the newsroom has something of every kind, its people's decisions lead to an end, and nothing stays behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from smallchain.cli.commands.demo import scene_file
from smallchain.protocol.client import path_of
from support.daemon import Daemon, program
from support.terminal import Terminal


@pytest.fixture
def newsroom(daemon: Daemon) -> Daemon:
    """The scene, as far as it comes without a person."""
    daemon.drop("newsroom.yaml", scene_file("newsroom").read_text(encoding="utf-8"))
    daemon.start()
    daemon.until(lambda: len(daemon.items("requests")) == 6)
    return daemon


@pytest.fixture
def terminal(folder: Path) -> Iterator[Terminal]:
    """`smallchain demo --plain` on a terminal, with all that it makes in one folder."""
    made = folder / "made"
    made.mkdir()
    environ = Daemon(folder / "house", TMPDIR=str(made)).environ
    with closing(Terminal(folder, [*program("smallchain"), "demo", "--plain"], environ=environ)) as it:
        yield it


def test_the_newsroom_has_something_of_every_kind(newsroom: Daemon) -> None:
    newsroom.over("archive")
    newsroom.over("readers")
    newsroom.until(lambda: newsroom.run("night crawl")["phase"] == "backing_off")
    newsroom.until(lambda: newsroom.run("page index")["status"] == "OverBudget")
    newsroom.until(lambda: newsroom.run("night round")["status"] == "Sleeping")

    requests = newsroom.items("requests")
    assert sorted((item["kind"], item["risk"]) for item in requests) == [
        ("approval", "high"),
        *[("approval", "normal")] * 3,
        ("budget", "normal"),
        ("question", "normal"),
    ]
    (post,) = [item for item in requests if item["risk"] == "high"]
    assert len(post["arguments"]["body"].splitlines()) > 20
    assert post["expires_at"]
    assert post["path"] == "editor > publisher > publish_post"
    (question,) = [item for item in requests if item["kind"] == "question"]
    assert len(question["choices"]) == 3
    runs = {run["name"]: run for run in newsroom.items("runs")}
    assert {runs[name]["status"] for name in ("archive", "readers", "wires")} == {"Failed", "Succeeded", "Running"}
    assert sum(run["status"] == "Running" and run["depth"] == 1 for run in runs.values()) == 2, "two scouts work side by side"
    spent = {item["llm"]: item["cost_usd"] for item in newsroom.items("spend", by="llm")}
    assert {llm for llm, cost in spent.items() if cost != "0.00"} == {"careful", "quick", "frugal", "nimble"}


def test_the_crawler_stands_still_at_its_budget_until_its_minute_has_passed(newsroom: Daemon) -> None:
    stood = datetime.fromisoformat(newsroom.event("RunOverBudget", run="day crawl")["time"])
    run = newsroom.run("day crawl")
    (cap,) = [item for item in newsroom.items("budgets", run="day crawl") if item["name"] == "agent/crawler"]

    assert (cap["per"], cap["waited_for"], cap["next_room_at"]) == ("minute", True, run["due_at"])
    assert timedelta() < datetime.fromisoformat(run["due_at"]) - stood < timedelta(minutes=1)
    assert 2 <= run["turns"] <= 8, "it read some pages before"


def test_what_a_person_decides_in_the_newsroom_comes_to_an_end(newsroom: Daemon) -> None:
    for request in newsroom.items("requests"):
        if request["kind"] == "approval":
            newsroom.client().post(path_of("approve", request["id"]), {})

    assert newsroom.over("launch post")["status"] == "Succeeded"
    assert newsroom.over("letters")["status"] == "Succeeded"
    results = sorted(call["result"].strip() for call in newsroom.items("toolcalls") if call["tool"] in ("publish_post", "send_reply"))
    assert results == [
        "published: Agents that wait, in #launch",
        "sent to ada@example.com",
        "sent to grace@example.com",
        "sent to linus@example.com",
    ]


def test_on_a_terminal_plain_prints_what_happens_and_leaves_nothing_behind(terminal: Terminal, folder: Path) -> None:
    assert terminal.ended() == 0

    assert "The answer:" in terminal.screen()
    assert list((folder / "made").iterdir()) == []
