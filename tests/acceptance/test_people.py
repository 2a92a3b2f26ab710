"""People and the real daemon: answers after days, after `kill -9`, from fifty at once, too late, and from whoever watches."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from smallchain.model.errors import Refused
from smallchain.protocol.client import Client, path_of
from smallchain.settings import Settings
from support.daemon import PATIENCE_S, Daemon, Item, first_line
from support.programs import needed

TEAM = """
llms:
- name: m
  provider: scripted
  replies: [{{content: ready, tool_calls: [{{name: post, arguments: {{title: news}}}}]}}, {{content: done}}]
agents: [{{name: clerk, tools: [post]}}]
tools:
- name: post
  parameters: {{type: object, properties: {{title: {{type: string}}}}, required: [title]}}
  isolation: none
  executor: {{local_bash: {{command: 'echo "$title" >> {log}'}}}}
  approval: required
tasks: [{{name: job, agent: clerk, user_message: go}}]
runs: [{runs}]
"""


def team(daemon: Daemon, *names: str) -> Path:
    """Runs of an agent whose posts need an approval; where the posts go."""
    log = daemon.folder / "posts"
    text = TEAM.format(log=log, runs=", ".join(f"{{name: {name}, task: job}}" for name in names))
    daemon.drop("team.yaml", text)
    return log


def asked(daemon: Daemon, count: int = 1) -> list[str]:
    """The ids of open requests, as soon as there are so many."""

    def look() -> list[str] | None:
        found = [item["id"] for item in daemon.items("requests")]
        return found if len(found) >= count else None

    ids: list[str] = daemon.until(look)
    return ids


def posts(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


# ---- after days


def test_an_answer_days_later_lets_the_run_go_on_at_once_and_exactly_once(daemon: Daemon) -> None:
    needed("faketime")
    (library,) = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
    clock = daemon.folder / "clock"
    clock.write_text("+0\n")
    faked = {"LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1"}
    faked |= {"FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    log = team(daemon, "r")
    daemon.environ |= faked
    daemon.start()
    asked(daemon)
    before = daemon.items("requests")[0]["created_at"]
    assert daemon.terminate() == 0

    clock.write_text("+3d\n")
    daemon.start()
    (id_,) = asked(daemon)
    answered = daemon.cli("approve", id_, "--note", "after the weekend")
    run = daemon.over("r")

    assert answered.returncode == 0, answered.stderr
    assert (run["status"], posts(log)) == ("Succeeded", ["news"])
    (request,) = daemon.items("requests", all=True)
    assert request["created_at"] == before
    assert request["answered_at"][:10] > before[:10]
    starts = [event for event in daemon.events() if event["reason"] == "ToolCallStarted"]
    assert len(starts) == 1
    (told,) = (message for message in daemon.messages("r") if message["role"] == "tool")
    assert told["content"].startswith("[approved by ")
    assert (told["ours"], told["template"]) == (True, "approved")


# ---- after kill -9


def test_killed_at_the_moment_of_an_approval_nothing_is_lost_and_nothing_runs_twice(daemon: Daemon) -> None:
    names = [f"r{number}" for number in range(6)]
    log = team(daemon, *names)
    daemon.start()
    for id_ in asked(daemon, len(names)):
        assert daemon.client().post(path_of("approve", id_))["counted"]
        daemon.restart()

    def look() -> list[Item] | None:
        found = daemon.items("toolcalls")
        return found if all(call["phase"] in ("succeeded", "in_doubt") for call in found) else None

    calls = daemon.until(look)
    assert len(calls) == len(names)
    done = sum(call["phase"] == "succeeded" for call in calls)
    assert done <= len(posts(log)) <= len(names)
    assert daemon.items("requests", all=True, phase="answered")
    assert all(item["kind"] == "settle" for item in daemon.items("requests"))


def test_what_a_killed_daemon_asked_is_asked_once_in_its_next_life(daemon: Daemon) -> None:
    team(daemon, "r")
    daemon.start()
    before = asked(daemon)
    for _ in range(3):
        daemon.restart()

    assert asked(daemon) == before
    assert len(daemon.items("requests", all=True)) == 1


# ---- many, late, and watching


def test_of_fifty_clients_one_wins_and_the_others_are_told_who(daemon: Daemon) -> None:
    log = team(daemon, "r")
    daemon.start()
    (id_,) = asked(daemon)
    assert daemon.ask("status")["inbox"] == 1

    def approve(_: int) -> str:
        try:
            Client(Settings.read(daemon.environ)).post(path_of("approve", id_))
        except Refused as error:
            return error.message
        return ""

    with ThreadPoolExecutor(50) as people:
        told = list(people.map(approve, range(50)))
    daemon.over("r")

    assert told.count("") == 1
    assert daemon.ask("status")["inbox"] == 0
    assert len({each for each in told if each}) == 1
    assert all(each.startswith("already approved by ") for each in told if each)
    assert posts(log) == ["news"]


def test_a_decision_that_does_not_count_is_exit_1_with_a_sentence(daemon: Daemon) -> None:
    log = team(daemon, "r", "s")
    daemon.start()
    first, second = asked(daemon, 2)
    stale = daemon.cli("approve", first, "--expect-digest", "0" * 64)
    assert daemon.cli("cancel", "s", "--note", "enough").returncode == 0
    cancelled = daemon.cli("approve", second)
    assert daemon.cli("deny", first, "--note", "no").returncode == 0
    late = daemon.cli("approve", first)
    daemon.over("r")

    assert [done.returncode for done in (stale, cancelled, late)] == [1, 1, 1]
    assert "what is asked is not what was expected" in stale.stderr
    assert "withdrawn at" in cancelled.stderr
    assert "already denied by " in late.stderr
    assert posts(log) == []


def test_edited_arguments_are_shown_wherever_the_decision_is(daemon: Daemon) -> None:
    log = team(daemon, "r")
    daemon.start()
    (id_,) = asked(daemon)
    assert daemon.cli("approve", id_, "--set", "title=better", "--note", "say more").returncode == 0
    daemon.over("r")

    change = 'title: "news" → "better"'
    assert posts(log) == ["better"]
    described = daemon.cli("describe", "request", id_).stdout
    assert f"changes:\n  - {change}\n" in described
    assert "told:\n  | [approved by " in described
    assert change in daemon.cli("transcript", "r").stdout
    assert change in daemon.event("RequestAnswered")["message"]
    (item,) = daemon.ask("get", "requests", "--all")["items"]
    assert (item["changes"], item["note"], item["answered_via"]) == ([change], "say more", "terminal")
    assert daemon.items("toolcalls")[0]["arguments"] == {"title": "news"}


def test_a_grant_is_listed_ends_with_its_run_and_can_be_taken_back(daemon: Daemon) -> None:
    team(daemon, "r")
    daemon.start()
    (id_,) = asked(daemon)
    assert daemon.cli("approve", id_, "--for-run").returncode == 0
    (grant,) = daemon.ask("get", "grants")["items"]
    daemon.over("r")

    assert (grant["kind"], grant["tool"], grant["run"]) == ("grant", "post", "r")
    assert daemon.items("grants")[0]["status"] == "Ended"
    assert daemon.cli("revoke", grant["id"][-8:]).returncode == 0
    again = daemon.cli("revoke", grant["id"])
    assert (again.returncode, "already revoked by" in again.stderr) == (1, True)


def test_whoever_watches_the_inbox_sees_who_decided_what(daemon: Daemon) -> None:
    team(daemon, "r")
    daemon.start()
    (id_,) = asked(daemon)
    watching = daemon.open_cli("inbox", "-w")
    assert first_line(watching.stdout).startswith(f"{id_[-8:]}  approval  run 'r'")
    assert daemon.cli("deny", id_, "--note", "not now").returncode == 0

    while "answered (deny)" not in (line := first_line(watching.stdout, within=PATIENCE_S)):
        assert line, "the watching ended"
    assert line.startswith(f"{id_[-8:]}  answered (deny) by ")
    assert line.rstrip().endswith(": not now")
