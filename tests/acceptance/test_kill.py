"""`kill -9` at any moment: every run goes on where it was, nothing is lost, nothing is done twice that must not be.

Delays here are chance, not waiting: a kill lands after a random time, while the test waits for the daemon's (unexpected) end.
"""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from smallchain.protocol.client import path_of
from support.daemon import DATA, Daemon, Item, Models, Pipe
from support.programs import needed

SEED = (DATA / "seed.yaml").read_text()
KILLS = 20

# ---- what must hold after any number of kills


def check_history(daemon: Daemon, before: list[Item]) -> list[Item]:
    """The events have no gap, and those that were seen before are still what they were."""
    events = daemon.events()
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[: len(before)] == before
    return events


def check_conversation(daemon: Daemon, run: Item) -> None:
    """Messages follow each other without a gap, and each call of a reply has exactly one result, in the order asked."""
    messages = daemon.messages(run["id"])
    assert [message["seq"] for message in messages] == list(range(1, len(messages) + 1))
    assert [message["role"] for message in messages[:2]] == ["system", "user"]
    place = 2
    while place < len(messages):
        reply = messages[place]
        assert reply["role"] == "assistant"
        asked = [call["id"] for call in reply["tool_calls"]]
        results = messages[place + 1 : place + 1 + len(asked)]
        assert [result["tool_call_id"] for result in results] == asked
        assert all(result["role"] == "tool" and result["content"] for result in results)
        place += 1 + len(asked)
    assert messages[-1]["role"] == "assistant"


def check_sample(daemon: Daemon, server: Models) -> None:
    """Every run of the sample ended with 15, each call was told to start once and to end once, and no turn was invented."""
    runs = daemon.items("runs")
    roots = [run for run in runs if run["parent"] is None]
    assert {(run["status"], run["output"]) for run in roots} == {("Succeeded", "15")}
    for run in runs:
        check_conversation(daemon, run)
    for root in roots:
        children = sorted(run["output"] for run in runs if run["parent"] == root["name"])
        assert children == ["15", "7", "8"]
        calls = daemon.items("toolcalls", run=root["id"])
        assert Counter(call["tool"] for call in calls) == {"delegate_to_calculator_operator": 3, "add": 3}
        assert {call["phase"] for call in calls} == {"succeeded"}
    told = Counter((event["reason"], event["object"]["id"]) for event in daemon.events() if event["object"]["kind"] == "toolcall")
    calls = daemon.items("toolcalls")
    assert all(told["ToolCallStarted", call["id"]] == told["ToolCallSucceeded", call["id"]] == 1 for call in calls)
    reasons = Counter(event["reason"] for event in daemon.events())
    assert reasons["RunSucceeded"] == reasons["TaskCompleted"] == len(roots)
    asked, turns = len(server.asked()), 9 * len(roots)
    assert turns <= asked <= turns + reasons["ModelCallInterrupted"], "a model was asked more often than calls were cut off"


def release(daemon: Daemon) -> int:
    """Let runs go on that the daemon died in three times within one step: it asks a person, who says yes; how many there were."""
    asked = [request for request in daemon.items("requests") if request["kind"] == "quarantine"]
    for request in asked:
        daemon.client().post(path_of("resume", request["run_id"]), {"only": True})
    return len(asked)


def everything_over(daemon: Daemon) -> bool:
    """Whether no run is left to do; quarantined ones are let go on."""
    release(daemon)
    return all(run["status"] in ("Succeeded", "Failed", "Cancelled") for run in daemon.items("runs"))


# ---- kills at random moments of the sample


@pytest.mark.slow
def test_the_sample_survives_kills_at_random_moments(daemon: Daemon, models: Callable[..., Models]) -> None:
    seed = int(os.environ.get("SMALLCHAIN_TEST_SEED") or random.SystemRandom().randrange(10**6))
    print(f"SMALLCHAIN_TEST_SEED={seed}")
    chance = random.Random(seed)
    server = models(latency=0.12)
    daemon.drop("team.yaml", SEED)
    history: list[Item] = []
    inside = 0
    for _ in range(KILLS):
        process = daemon.spawn()
        if chance.random() < 0.25:  # within the start, recovery included
            moment = chance.uniform(0.6, 1.8)
        else:
            daemon.await_ready()
            history = check_history(daemon, history)
            if everything_over(daemon):
                daemon.client().post("/v1/runs", {"task": "do_some_math"})
            moment = chance.uniform(0.0, 0.7)
        with suppress(subprocess.TimeoutExpired):
            pytest.fail(f"the daemon ended by itself with {process.wait(moment)}\n{daemon.last_words()}")
        daemon.kill()
        inside += still_at_work(daemon.state)
    daemon.start()
    daemon.until(lambda: everything_over(daemon))

    history = check_history(daemon, history)
    print(f"{inside} of {KILLS} kills landed within a run; {Counter(event['reason'] for event in history)}")
    check_sample(daemon, server)
    assert inside >= KILLS // 4, "the kills missed the runs: nothing was shown"


def still_at_work(state: Path) -> bool:
    """Whether the database holds a run that is not over; read as a copy would be, without the daemon."""
    path = state / "smallchain.db"
    if not path.exists():
        return False  # killed before there was one
    with closing(sqlite3.connect(path)) as connection, suppress(sqlite3.OperationalError):
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return bool(connection.execute("SELECT count(*) FROM runs WHERE finished_at IS NULL").fetchone()[0])
    return False


# ---- kills while work goes on in the background

BACKGROUND = """
llms:
- name: lead
  provider: scripted
  replies:
  - tool_calls: [{begin}, {begin}, {begin}]
  - tool_calls: [{begin}, {name: wait_for_work, arguments: {mode: any}}]
  - tool_calls: [{begin}, {name: wait_for_work, arguments: {mode: all}}]
  - {tool_calls: [{begin}], delay: 100ms}
  - {content: not yet, delay: 100ms}
  - {content: over, delay: 100ms}
  - {content: over, delay: 100ms}
- {name: clerk, provider: scripted, replies: [{tool_calls: [{name: add, arguments: {a: 3, b: 4}}], delay: 300ms}, {content: seven, delay: 200ms}]}
agents:
- {name: lead, llm: lead, tools: [wait_for_work, {agent: clerk, detach: allowed}]}
- {name: clerk, llm: clerk, tools: [add]}
tasks: [{name: job, agent: lead, user_message: go}]
runs: [{name: r, task: job}]
""".replace("{begin}", "{name: delegate_to_clerk, arguments: {message: go, detach: true}}")


@pytest.mark.slow
def test_what_came_of_work_in_the_background_is_told_once_through_kills(daemon: Daemon) -> None:
    seed = int(os.environ.get("SMALLCHAIN_TEST_SEED") or random.SystemRandom().randrange(10**6))
    print(f"SMALLCHAIN_TEST_SEED={seed}")
    chance = random.Random(seed)
    daemon.drop("work.yaml", BACKGROUND)
    inside = 0
    for _ in range(8):
        process = daemon.spawn()
        daemon.await_ready()
        release(daemon)
        with suppress(subprocess.TimeoutExpired):
            pytest.fail(f"the daemon ended by itself with {process.wait(chance.uniform(0.0, 0.5))}\n{daemon.last_words()}")
        daemon.kill()
        inside += still_at_work(daemon.state)
    daemon.start()
    daemon.until(lambda: everything_over(daemon))

    runs = daemon.items("runs")
    assert {run["status"] for run in runs} == {"Succeeded"}
    assert len(runs) == 7, "each of six pieces of work was begun once"
    messages = daemon.messages("r")
    said = "\n".join(message["content"] for message in messages if message["template"] == "work_finished")
    begun = [message["content"].split()[0] for message in messages if message["template"] == "detached"]
    assert len(begun) == len(set(begun)) == 6
    assert all(said.count(f"[{work}, clerk, succeeded]\nseven") == 1 for work in begun), said
    assert messages[-1]["content"] == "over"
    assert inside >= 2, "the kills missed the run: nothing was shown"


# ---- kills at the Nth write


@pytest.mark.slow
@pytest.mark.parametrize("write", [1, 60, 130, 190, 260, 330])
def test_the_sample_survives_a_kill_at_a_write_to_the_database(daemon: Daemon, models: Callable[..., Models], write: int) -> None:
    """The first hundred or so make the tables; strace counts by thread, and the run's own are over 500."""
    server = models()
    daemon.drop("team.yaml", SEED)
    kills_at_a_write = f"inject=pwrite64:signal=KILL:when={write}"
    under = [needed("strace"), "-f", "-qq", "-o", "/dev/null", "-e", "trace=pwrite64", "-e", kills_at_a_write]

    daemon.spawn(under=under)
    daemon.ended()  # at the Nth write: the run makes more of them

    daemon.start()
    daemon.until(lambda: daemon.run("my first run") and everything_over(daemon))
    check_history(daemon, [])
    check_sample(daemon, server)


# ---- a tool that must not run twice

ONCE = """
llms:
- name: script
  provider: scripted
  replies:
  - {{when: {{turn: 1}}, reply: {{tool_calls: [{{name: post, arguments: {{title: "the news"}}}}]}}}}
  - {{when: {{turn: 2}}, reply: {{content: "that was all"}}}}
agents:
- {{name: poster, llm: script, tools: [post]}}
tools:
- name: post
  description: post it
  parameters: {{type: object, properties: {{title: {{type: string}}}}, required: [title]}}
  executor:
    local_bash:
      command: |
        echo "$SMALLCHAIN_IDEMPOTENCY_KEY" >> "{log}"
        echo under way > "{up}"
        read -r word < "{go}"
        echo "posted, told to $word"
  effects: {effects}
  isolation: none
tasks:
- {{name: posting, agent: poster, user_message: post the news}}
runs:
- {{name: monday, task: posting}}
"""


class Once:
    """A tool that appends to a log, says that it is under way, and goes on when told."""

    def __init__(self, daemon: Daemon, up: Pipe, go: Pipe, *, effects: str) -> None:
        self.daemon, self.up, self.go = daemon, up, go
        self.log = daemon.folder / "effects"
        daemon.drop("team.yaml", ONCE.format(log=self.log, up=up.path, go=go.path, effects=effects))

    def lines(self) -> list[str]:
        """What the tool did to the world: a key a line."""
        return self.log.read_text().split()

    def call(self) -> Item:
        """The one call."""
        (call,) = self.daemon.items("toolcalls")
        return call

    def result(self) -> str:
        """What the model was told."""
        (result,) = [message["content"] for message in self.daemon.messages("monday") if message["role"] == "tool"]
        return str(result)


@pytest.fixture
def executing(daemon: Daemon, pipe: Callable[[str], Pipe]) -> Callable[[str], Once]:
    """Starts the daemon and returns while the tool executes."""

    def begin(effects: str) -> Once:
        once = Once(daemon, pipe("up"), pipe("go"), effects=effects)
        daemon.start()
        assert once.up.heard() == "under way"
        return once

    return begin


@pytest.fixture
def in_doubt(executing: Callable[[str], Once]) -> Once:
    """A `once` call that was executing when the daemon was killed, and waits in doubt since it is back."""
    once = executing("once")
    once.daemon.restart()
    once.daemon.until(lambda: once.call()["phase"] == "in_doubt")
    return once


def test_a_once_call_killed_while_it_executes_waits_in_doubt(in_doubt: Once) -> None:
    daemon = in_doubt.daemon

    assert len(in_doubt.lines()) == 1
    assert (daemon.run("monday")["status"], daemon.run("monday")["detail"]) == ("Waiting", "for a person to settle post")
    (request,) = daemon.ask("get", "requests")["items"]
    assert (request["kind"], request["run"], request["tool"]) == ("settle", "monday", "post")
    assert request["arguments"] == {"title": "the news"}
    assert daemon.ask("inbox")["items"] == [request]
    inbox = daemon.cli("inbox").stdout
    assert "title: the news" in inbox
    for way in ("--happened RESULT", "--did-not-happen", "--run-again"):
        assert f"smallchain settle {request['id'][-8:]} {way}" in inbox

    for _ in range(2):  # and it waits as long as it takes, however often the daemon dies meanwhile
        daemon.restart()
    assert in_doubt.call()["phase"] == "in_doubt"
    assert len(in_doubt.lines()) == 1
    assert len(daemon.items("requests")) == 1


def test_a_call_in_doubt_that_happened_gives_the_model_the_result_that_a_person_saw(in_doubt: Once) -> None:
    daemon = in_doubt.daemon
    (request,) = daemon.items("requests")

    settled = daemon.cli("settle", request["id"][-8:], "--happened", "posted as 4711")

    assert settled.returncode == 0, settled.stderr
    assert daemon.over("monday")["output"] == "that was all"
    assert (in_doubt.call()["phase"], in_doubt.result()) == ("succeeded", "posted as 4711")
    assert len(in_doubt.lines()) == 1
    assert daemon.items("requests") == []

    late = daemon.cli("settle", request["id"][-8:], "--run-again")

    assert late.returncode == 1
    assert "already settled by" in late.stderr


def test_a_call_in_doubt_that_did_not_happen_is_a_failure_to_the_model(in_doubt: Once) -> None:
    daemon = in_doubt.daemon

    settled = daemon.cli("settle", in_doubt.call()["id"], "--did-not-happen", "--note", "the page is empty")

    assert settled.returncode == 0, settled.stderr
    assert daemon.over("monday")["status"] == "Succeeded"
    assert in_doubt.call()["phase"] == "failed"
    assert "the page is empty" in in_doubt.result()
    assert len(in_doubt.lines()) == 1


def test_a_call_in_doubt_runs_again_when_a_person_says_so(in_doubt: Once) -> None:
    daemon = in_doubt.daemon

    settled = daemon.cli("settle", in_doubt.call()["id"][-8:], "--run-again")

    assert settled.returncode == 0, settled.stderr
    assert in_doubt.up.heard() == "under way"
    in_doubt.go.say("the second one")
    assert daemon.over("monday")["status"] == "Succeeded"
    assert in_doubt.result().strip() == "posted, told to the second one"
    first, second = in_doubt.lines()
    assert first != second, "a decision of a person is a new effect: it has a key of its own"


def test_a_once_call_is_never_run_twice_by_kills_alone(in_doubt: Once) -> None:
    daemon = in_doubt.daemon
    daemon.cli("settle", in_doubt.call()["id"], "--run-again")
    assert in_doubt.up.heard() == "under way"

    daemon.restart()

    daemon.until(lambda: in_doubt.call()["phase"] == "in_doubt")
    assert len(in_doubt.lines()) == len(set(in_doubt.lines())) == 2
    assert in_doubt.call()["attempts"] == 2


def test_an_idempotent_call_runs_again_by_itself_under_the_same_key(executing: Callable[[str], Once]) -> None:
    once = executing("idempotent")

    once.daemon.restart()

    assert once.up.heard() == "under way"
    once.go.say("both")
    assert once.daemon.over("monday")["status"] == "Succeeded"
    first, second = once.lines()
    assert first == second
    assert once.daemon.items("requests") == []


def test_a_run_in_which_the_daemon_died_three_times_asks_before_it_goes_on(executing: Callable[[str], Once]) -> None:
    once = executing("idempotent")
    daemon = once.daemon
    for _ in range(2):
        daemon.restart()
        assert once.up.heard() == "under way"

    daemon.restart()

    daemon.event("RequestOpened")
    (request,) = daemon.items("requests")
    assert (request["kind"], daemon.run("monday")["status"]) == ("quarantine", "Paused")
    assert len(once.lines()) == 3
    assert daemon.cli("resume", "monday").returncode == 0
    assert once.up.heard() == "under way"
    once.go.say("the last")
    assert daemon.over("monday")["status"] == "Succeeded"
    assert daemon.items("requests") == []


def test_a_tool_does_not_outlive_the_daemon_that_is_back(executing: Callable[[str], Once]) -> None:
    once = executing("once")

    once.daemon.restart()

    once.daemon.until(lambda: once.call()["phase"] == "in_doubt")
    once.go.say("nobody")
    assert once.go.heard() == "nobody", "had the old tool lived on, it would have taken the line"


# ---- acts


def test_an_act_that_was_answered_survives(daemon: Daemon, models: Callable[..., Models]) -> None:
    models(latency=0.2)
    daemon.start()
    daemon.cli("apply", "-f", str(DATA / "seed.yaml"))
    made = [daemon.client().post("/v1/runs", {"task": "do_some_math"})["run"]["id"] for _ in range(5)]
    daemon.client().post(path_of("cancel", made[0]), {"note": "too many"})

    daemon.restart()

    assert [daemon.run(name)["id"] for name in [f"do_some_math-{number}" for number in range(1, 6)]] == made
    cancelled = daemon.run("do_some_math-1")
    assert (cancelled["status"], "too many" in cancelled["detail"]) == ("Cancelled", True)
    for name in ("my first run", *(f"do_some_math-{number}" for number in range(2, 6))):
        assert daemon.over(name)["output"] == "15"


def test_it_says_that_it_died(daemon: Daemon) -> None:
    daemon.start().restart()

    assert daemon.event("DaemonDied")["level"] == "WARNING"

    assert daemon.terminate() == 0
    daemon.start()
    assert [event["reason"] for event in daemon.events()].count("DaemonDied") == 1
