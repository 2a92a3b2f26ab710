"""The command beside a real daemon: what it starts and stops, its exit codes, and the shapes that programs read."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from support.daemon import DATA, Daemon, Item, Models, Pipe, a_folder, first_line

TEAM = """
llms:
- name: script
  provider: scripted
  replies:
  - {{when: {{agent: echo}}, reply: {{content: "heard"}}}}
  - {{when: {{agent: failing}}, reply: {{error: {{status: 400, message: "no such model"}}}}}}
  - {{when: {{agent: worker, turn: 1}}, reply: {{tool_calls: [{{name: work, arguments: {{what: posts}}}}]}}}}
  - {{when: {{agent: worker, turn: 2}}, reply: {{content: "worked"}}}}
agents:
- {{name: echo, system_prompt: "you repeat", llm: script}}
- {{name: failing, llm: script}}
- {{name: worker, llm: script, tools: [work, {{agent: echo}}]}}
tools:
- name: work
  description: works until told
  parameters: {{type: object, properties: {{what: {{type: string}}}}}}
  isolation: none
  executor: {{local_bash: {{command: 'echo up > "{up}"; read -r word < "{go}"; echo "$word $what"'}}}}
  effects: none
tasks:
- {{name: talk, agent: echo, user_message: say something}}
- {{name: fail, agent: failing, user_message: fail}}
- {{name: long, agent: worker, user_message: work}}
"""


class House:
    """A daemon with a team, and a tool of theirs that waits to be told."""

    def __init__(self, daemon: Daemon, up: Pipe, go: Pipe) -> None:
        self.daemon, self.up, self.go = daemon, up, go
        daemon.drop("team.yaml", TEAM.format(up=up.path, go=go.path))
        daemon.start()

    def work(self, name: str) -> None:
        """A run whose tool is under way."""
        assert self.daemon.cli("run", "long", "--name", name).returncode == 0
        assert self.up.heard() == "up"


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    """One daemon for all tests that leave it as it was, but for runs of their own names."""
    with (
        a_folder() as folder,
        closing(Pipe(folder / "up")) as up,
        closing(Pipe(folder / "go")) as go,
        closing(Daemon(folder)) as daemon,
    ):
        yield House(daemon, up, go)
        print(daemon.last_words())


# ---- the daemon's life


def test_start_stop_restart_and_what_they_say(daemon: Daemon) -> None:
    nothing = daemon.cli("status")
    assert nothing.returncode == 69
    assert "smallchain start" in nothing.stderr

    started = daemon.cli("start")
    status = daemon.ask("status")
    assert started.returncode == 0
    assert started.stderr == f"started smallchaind (pid {status['pid']})\n"
    assert daemon.cli("start").stderr == f"smallchaind is running already (pid {status['pid']})\n"
    assert os.getsid(status["pid"]) == status["pid"] != os.getsid(0), "it lives in a session of its own"
    assert Path(f"/proc/{status['pid']}/cwd").readlink() == Path("/")

    restarted = daemon.cli("restart")
    again = daemon.ask("status")
    assert restarted.returncode == 0
    assert (again["pid"] != status["pid"], again["epoch"]) == (True, status["epoch"] + 1)
    assert f"stopped smallchaind (pid {status['pid']})" in restarted.stderr

    logs = daemon.cli("logs").stdout
    assert f"pid {status['pid']}" in logs
    assert f"pid {again['pid']}" in logs
    assert daemon.cli("logs", "--tail", "1").stdout.count("\n") == 1

    stopped = daemon.cli("stop")
    assert (stopped.returncode, stopped.stderr) == (0, f"stopped smallchaind (pid {again['pid']})\n")
    nobody = daemon.cli("stop")
    assert (nobody.returncode, "smallchaind is not running" in nobody.stderr) == (0, True)
    assert daemon.cli("logs").returncode == 0, "the log is there when the daemon is not"


def test_apply_starts_a_daemon_and_says_so(daemon: Daemon) -> None:
    applied = daemon.cli("apply", "-f", str(DATA / "seed.yaml"), OPENAI_API_KEY="sk-x", OPENAI_BASE_URL="http://127.0.0.1:9/v1")

    assert applied.returncode == 0
    assert "started smallchaind (pid " in applied.stderr
    assert "run/my first run created" in applied.stdout


@pytest.mark.parametrize("words", [("apply", "-f", str(DATA / "seed.yaml"), "--no-start"), ("run", "do_some_math", "--no-start")])
def test_no_start_refuses_to_start_one(daemon: Daemon, words: tuple[str, ...]) -> None:
    refused = daemon.cli(*words)

    assert refused.returncode == 69
    assert "no daemon listens" in refused.stderr
    assert not daemon.state.exists()


@pytest.mark.parametrize(
    "words", [("get", "runs"), ("wait", "x"), ("inbox",), ("cancel", "x"), ("describe", "run", "x"), ("transcript", "x"), ("restart-",)]
)
def test_looking_starts_no_daemon(daemon: Daemon, words: tuple[str, ...]) -> None:
    looked = daemon.cli(*words)

    assert looked.returncode == (2 if words == ("restart-",) else 69)
    assert not daemon.state.exists()


def test_a_daemon_that_cannot_start_tells_why(daemon: Daemon) -> None:
    daemon.start().terminate()
    (daemon.state / "smallchain.db").write_bytes(b"junk" * 1000)

    started = daemon.cli("start")

    assert started.returncode == 1
    assert "smallchaind ended with exit code 65" in started.stderr
    assert str(daemon.state / "daemon.log") in started.stderr
    assert "smallchain.db" in started.stderr, "the log's last lines are shown"


def test_two_starts_at_once_end_with_one_daemon(daemon: Daemon) -> None:
    starts = [daemon.open_cli("start") for _ in range(3)]

    for start in starts:
        _, err = start.communicate(timeout=60)
        assert start.returncode == 0, err
    assert daemon.ask("status")["epoch"] == 1


# ---- runs


def test_wait_and_run_say_by_their_exit_code_how_it_ended(house: House) -> None:
    daemon = house.daemon

    good = daemon.cli("run", "talk", "--name", "w-good", "--wait")
    bad = daemon.cli("run", "fail", "--name", "w-bad", "--wait")
    house.work("w-late")
    late = daemon.cli("wait", "w-late", "--timeout", "200ms")
    daemon.cli("cancel", "w-late", "--note", "enough")
    cancelled = daemon.cli("wait", "w-late")
    unknown = daemon.cli("wait", "w-goo")
    worst = daemon.cli("wait", "w-good", "w-late", "w-bad")

    assert (good.returncode, good.stdout) == (0, "heard\n")
    assert (bad.returncode, bad.stdout) == (1, "")
    assert "no such model" in bad.stderr
    assert (late.returncode, late.stdout) == (124, "")
    assert "is still Running (using work)" in late.stderr
    assert cancelled.returncode == 3
    assert "enough" in cancelled.stderr
    assert unknown.returncode == 1
    assert "did you mean" in unknown.stderr
    assert "w-good" in unknown.stderr
    assert worst.returncode == 1
    assert [line.split()[:2] for line in worst.stdout.splitlines()] == [
        ["RUN", "STATUS"],
        ["w-good", "Succeeded"],
        ["w-late", "Cancelled"],
        ["w-bad", "Failed"],
    ]


def test_an_interrupted_wait_leaves_the_run_alone(house: House) -> None:
    waiting = house.daemon.open_cli("run", "long", "--name", "interrupted", "--follow")
    while "is using tool: work" not in first_line(waiting.stderr):
        assert waiting.poll() is None
    assert house.up.heard() == "up"

    waiting.send_signal(signal.SIGINT)

    _, err = waiting.communicate(timeout=30)
    assert waiting.returncode == 130
    assert "interrupted; run 'interrupted' goes on" in err
    assert house.daemon.run("interrupted")["status"] == "Running"
    house.go.say("go")
    assert house.daemon.over("interrupted")["output"] == "worked"


def test_run_says_what_it_is_told_to_say(house: House) -> None:
    daemon = house.daemon

    daemon.cli("run", "talk", "--name", "m-default", "--wait")
    daemon.cli("run", "talk", "--name", "m-own", "--message", "say it with flowers: 'ü' $HOME", "--wait")
    daemon.cli("run", "talk", "--name", "m-stdin", "--message", "-", "--wait", stdin="line one\nline two")
    numbered = daemon.cli("run", "talk", "-o", "json")
    taken = daemon.cli("run", "talk", "--name", "m-own")
    wrong = daemon.cli("run", "talks")

    assert [daemon.messages(name)[1]["content"] for name in ("m-default", "m-own", "m-stdin")] == [
        "say something",
        "say it with flowers: 'ü' $HOME",
        "line one\nline two",
    ]
    assert re.fullmatch(r"talk-\d+", json.loads(numbered.stdout)["name"])
    assert (taken.returncode, "there is a run named 'm-own' already" in taken.stderr) == (1, True)
    assert (wrong.returncode, "did you mean 'talk'" in wrong.stderr) == (1, True)


def test_a_paused_run_finishes_what_is_out_and_goes_on_when_resumed(house: House) -> None:
    daemon = house.daemon
    house.work("p")

    paused = daemon.cli("pause", "p")
    house.go.say("while paused")
    daemon.until(lambda: daemon.items("toolcalls", run="p")[0]["phase"] == "succeeded")

    assert (paused.returncode, paused.stdout) == (0, "run/p paused\n")
    assert daemon.run("p")["status"] == "Paused"
    assert daemon.cli("wait", "p", "--timeout", "100ms").returncode == 124
    resumed = daemon.cli("resume", "p")
    assert (resumed.returncode, resumed.stdout) == (0, "run/p resumed\n")
    assert daemon.over("p")["output"] == "worked"
    assert daemon.items("toolcalls", run="p")[0]["result"].strip() == "while paused posts"


def test_cancel_kills_what_executes_and_stands(house: House) -> None:
    daemon = house.daemon
    house.work("c")

    cancelled = daemon.cli("cancel", "c", "--note", "wrong numbers")

    assert (cancelled.returncode, cancelled.stdout) == (0, "run/c cancelled\n")
    item = daemon.run("c")
    assert (item["status"], item["detail"].endswith("wrong numbers"), item["error"] != "") == ("Cancelled", True, True)
    daemon.until(lambda: daemon.items("toolcalls", run="c")[0]["phase"] == "cancelled")
    roles = [message["role"] for message in daemon.messages("c")]
    assert roles[-2:] == ["assistant", "tool"], "no call is left without a result"
    house.go.say("nobody")
    assert house.go.heard() == "nobody", "the tool is gone"
    again = daemon.cli("cancel", "c")
    assert again.returncode == 1
    assert "it cancelled at" in again.stderr or "is over" in again.stderr


def test_priority_is_set(house: House) -> None:
    daemon = house.daemon
    house.work("prio")

    changed = daemon.cli("set", "priority", "prio", "7")

    assert changed.returncode == 0, changed.stderr
    assert daemon.run("prio")["priority"] == 7
    house.go.say("go")
    daemon.over("prio")


# ---- shapes


@pytest.fixture(scope="module")
def shown() -> Iterator[Daemon]:
    """A daemon with something of every kind: the sample's run to its end, and a call in doubt."""
    with (
        a_folder() as folder,
        closing(Models(folder)) as server,
        closing(Pipe(folder / "up")) as up,
        closing(Pipe(folder / "go")) as go,
        closing(Daemon(folder, **server.environ)) as daemon,
    ):
        daemon.drop("seed.yaml", (DATA / "seed.yaml").read_text())
        daemon.drop("team.yaml", TEAM.format(up=up.path, go=go.path).replace("effects: none", "effects: once"))
        daemon.start()
        daemon.over("my first run")
        daemon.cli("run", "fail", "--name", "failed", "--wait")
        daemon.cli("run", "long", "--name", "in doubt")
        up.heard()
        daemon.restart()
        daemon.until(lambda: daemon.items("requests"))
        yield daemon
        print(daemon.last_words())


RUN_FIELDS = "status phase detail output error agent task parent root depth cost_usd tree_cost_usd run_id"
FIELDS = {
    "llms": "status detail",
    "agents": "status detail",
    "tools": "status detail",
    "tasks": "status detail",
    "runs": RUN_FIELDS,
    "toolcalls": "id run run_id tool arguments phase result attempts",
    "requests": "id kind run run_id tool arguments digest path",
    "events": "seq time level reason message run run_id object",
    "spend": "agent llm run run_id task day hour calls unpriced input_tokens output_tokens cached_tokens cost_usd",
    "files": "status since problems",
    "templates": "text",
}
"""What programs may rely on, beside `kind`, `name` and `id`."""
EMPTY = ("grants", "budgets", "mcp_servers", "channels", "schedules", "artifacts")


@pytest.mark.parametrize("kind", [*FIELDS, *EMPTY])
def test_every_kind_is_listed_as_items(shown: Daemon, kind: str) -> None:
    listed = shown.ask("get", kind)

    assert set(listed) == {"items"}
    assert bool(listed["items"]) == (kind in FIELDS)
    for item in listed["items"]:
        assert {"kind", "name", "id", *FIELDS[kind].split()} <= set(item)
    singular = shown.ask("get", kind.removesuffix("s"))
    assert singular == listed
    lines = [json.loads(line) for line in shown.cli("get", kind, "-o", "jsonl").stdout.splitlines()]
    assert lines == listed["items"]
    names = shown.cli("get", kind, "-o", "name").stdout.splitlines()
    assert len(names) == len(listed["items"])
    for output in ("table", "wide", "yaml"):
        assert shown.cli("get", kind, "-o", output).returncode == 0


def test_a_run_has_its_shape(shown: Daemon) -> None:
    runs: dict[str, Item] = {run["name"]: run for run in shown.ask("get", "runs")["items"]}
    root, child, failed = runs["my first run"], runs["my first run/calculator_operator-1"], runs["failed"]

    assert {run["kind"] for run in runs.values()} == {"run"}
    assert (root["parent"], root["root"], root["depth"]) == (None, "my first run", 0)
    assert (child["parent"], child["root"], child["depth"]) == ("my first run", "my first run", 1)
    assert (child["agent"], child["task"], child["output"]) == ("calculator_operator", "do_some_math", "7")
    assert re.fullmatch(r"\d+\.\d{2,}", root["cost_usd"])
    assert float(root["tree_cost_usd"]) >= float(root["cost_usd"])
    assert (failed["status"], "no such model" in failed["error"]) == ("Failed", True)
    assert runs["in doubt"]["status"] == "Waiting"


def test_a_tool_call_and_a_request_have_their_shapes(shown: Daemon) -> None:
    calls = shown.ask("get", "toolcalls", "--run", "my first run")["items"]
    (doubtful,) = shown.ask("get", "toolcalls", "--status", "in_doubt")["items"]
    (request,) = shown.ask("inbox")["items"]

    asked = [call for call in calls if call["run"] == "my first run"]
    added = {call["run"]: call["result"] for call in calls if call["tool"] == "add"}
    assert [call["id"] for call in calls] == sorted(call["id"] for call in calls)
    # A run's own calls stand as the model asked for them; those of children that go on at the same time as they came.
    assert [added[call["child"]] for call in asked] == ["7", "8", "15"]
    assert asked[0]["arguments"] == {"message": "add 3 and 4"}
    assert doubtful["attempts"] == 1
    assert (request["kind"], request["run"], request["tool"], request["arguments"]) == ("settle", "in doubt", "work", {"what": "posts"})
    assert request["toolcall_id"] == doubtful["id"]
    assert request["path"] == "worker > work"


def test_things_are_found_by_name_and_by_the_end_of_their_id(shown: Daemon) -> None:
    run = shown.run("failed")
    call = shown.items("toolcalls")[0]

    assert shown.ask("get", "run", "failed")["items"] == [run]
    assert shown.ask("get", "runs", run["id"][-8:])["items"] == [run]
    assert shown.ask("get", "toolcall", call["id"][-8:])["items"] == [call]
    wrong = shown.cli("get", "run", "fialed")
    assert (wrong.returncode, "did you mean 'failed'" in wrong.stderr) == (1, True)
    no_kind = shown.cli("get", "rnus")
    assert (no_kind.returncode, "did you mean 'runs'" in no_kind.stderr) == (2, True)


@pytest.mark.parametrize(
    ("kind", "name"), [("llm", "gpt-4o"), ("agent", "assistant"), ("tool", "subtract"), ("task", "do_some_math"), ("run", "my first run")]
)
def test_describe_shows_one_thing_with_what_belongs_to_it(shown: Daemon, kind: str, name: str) -> None:
    described = shown.ask("describe", kind, name)
    text = shown.cli("describe", kind, name)

    assert set(described) == {"item", "related"}
    assert (described["item"]["kind"], described["item"]["name"]) == (kind, name)
    assert text.returncode == 0
    assert re.search(rf"^name: +{re.escape(name)}$", text.stdout, flags=re.MULTILINE)


def test_describe_tells_who_uses_a_thing(shown: Daemon) -> None:
    def users(kind: str, name: str) -> set[tuple[str, str]]:
        return {(user["kind"], user["name"]) for user in shown.ask("describe", kind, name)["related"]["used_by"]}

    assert users("agent", "calculator_operator") == {("agent", "assistant")}
    assert users("agent", "assistant") == {("task", "do_some_math")}
    assert ("agent", "assistant") in users("llm", "gpt-4o")
    assert users("tool", "subtract") == set()
    assert "used_by:\n  KIND    NAME        STATUS" in shown.cli("describe", "agent", "calculator_operator").stdout


def test_an_event_is_described_by_its_number(shown: Daemon) -> None:
    every = shown.ask("get", "events")["items"]

    assert shown.ask("describe", "event", "2") == {"item": every[1], "related": {}}
    for wrong in ("999999", "0", "x", "-1"):
        told = shown.cli("describe", "event", "--", wrong)
        assert (told.returncode, f"the newest is {every[-1]['seq']}" in told.stderr) == (1, True)


def test_describe_shows_the_family_of_a_run_and_what_it_is_pinned_to(shown: Daemon) -> None:
    related = shown.ask("describe", "run", "my first run")["related"]

    assert {"toolcalls", "children", "requests", "events", "pins", "modelcalls"} <= set(related)
    assert [child["name"] for child in related["children"]] == [f"my first run/calculator_operator-{n}" for n in (1, 2, 3)]
    pinned = {(pin["kind"], pin["name"]): pin["current"] for pin in related["pins"]}
    expected = {("agent", "assistant"), ("agent", "calculator_operator"), ("llm", "gpt-4o"), ("task", "do_some_math"), ("tool", "add")}
    assert expected <= set(pinned)
    assert all(pinned.values())
    assert [(call["outcome"], call["turn"]) for call in related["modelcalls"]] == [("replied", 1), ("replied", 2), ("replied", 3)]


def test_the_transcript_shows_what_was_said(shown: Daemon) -> None:
    text = shown.cli("transcript", "my first run").stdout
    messages = shown.ask("transcript", "my first run")["messages"]

    assert "  | add (3 + 4) and (5 + 3) and add the results" in text
    assert '  > delegate_to_calculator_operator({"message": "add 3 and 4"})' in text
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "tool", "tool", "assistant", "tool", "assistant"]
    assert [call["name"] for call in messages[2]["tool_calls"]] == ["delegate_to_calculator_operator"] * 2
    assert messages[2]["content"] == "I add both pairs first.", "text beside tool calls is kept"
    assert [message["tool_call_id"] for message in messages[3:5]] == ["first", "second"]
    assert messages[-1]["finish_reason"] == "stop"


def test_events_are_chosen_by_number_run_and_age(shown: Daemon) -> None:
    every = shown.ask("get", "events")["items"]

    assert [event["seq"] for event in every] == list(range(1, len(every) + 1))
    assert shown.ask("get", "events", "--after", "5")["items"] == every[5:]
    assert shown.ask("get", "events", "--tail", "2")["items"] == every[-2:]
    assert shown.ask("get", "events", "--since", "1h")["items"] == every
    assert shown.ask("get", "events", "--since", every[-1]["time"])["items"] == [
        event for event in every if event["time"] >= every[-1]["time"]
    ]
    of_run = shown.ask("get", "events", "--run", "failed")["items"]
    assert of_run == [event for event in every if event["run"] == "failed"]
    assert of_run[-1]["reason"] == "RunFailed"


def test_the_status_counts_runs(shown: Daemon) -> None:
    status = shown.ask("status")

    assert status["runs"] == {"Succeeded": 4, "Failed": 1, "Waiting": 1}
    assert (status["pid"], status["config"]["status"]) == (shown.pid, "Ready")
    assert status["disk"]["full_since"] is None
    assert status["disk"]["free_bytes"] > 0
    text = shown.cli("status").stdout
    assert f"pid {shown.pid}" in text


# ---- what a person gets wrong


def test_a_missing_variable_is_told_with_the_daemon_that_lacks_it(daemon: Daemon, models: Callable[..., Models]) -> None:
    server = models()
    del daemon.environ["OPENAI_API_KEY"]
    daemon.drop("team.yaml", (DATA / "seed.yaml").read_text().replace("model: gpt-4o", "model: gpt-4o\n    api_key: {env: TEAM_KEY}"))
    daemon.start()
    daemon.event("RunPending")

    (llm,) = daemon.ask("get", "llms")["items"]

    started = daemon.client().get("/v1/status")["started_at"][:19]
    assert llm["status"] != "Ready"
    assert "TEAM_KEY" in llm["detail"]
    assert f"pid {daemon.pid}" in llm["detail"]
    assert f"started {started}" in llm["detail"]
    assert str(daemon.config / "env") in llm["detail"], "the one way: the env file"
    assert "restart" in llm["detail"], "the other way: a new environment"
    assert daemon.run("my first run")["status"] == "Pending"
    assert server.asked() == []

    env = daemon.config / "env"
    with os.fdopen(os.open(env, os.O_WRONLY | os.O_CREAT, 0o600), "w") as stream:
        stream.write("TEAM_KEY=sk-from-the-file-abcd\n")

    assert daemon.over("my first run")["output"] == "15"
    assert {line["headers"]["authorization"] for line in server.asked()} == {"...abcd"}
    for file in (path for path in daemon.state.rglob("*") if path.is_file()):
        assert b"sk-from-the-file" not in file.read_bytes(), f"{file} holds the secret"


def test_bad_yaml_is_told_with_its_place_and_changes_nothing(house: House) -> None:
    daemon = house.daemon
    path = daemon.folder / "bad.yaml"
    path.write_text("tasks:\n- name: one\n  agent: echo\n  user_mesage: hi\n")

    applied = daemon.cli("apply", "-f", str(path))

    assert applied.returncode == 65
    assert applied.stderr.startswith(f"{path}:4:3: ")
    assert "user_message" in applied.stderr
    assert "one" not in [task["name"] for task in daemon.items("tasks")]


def test_a_reader_that_goes_away_is_no_fault(house: House) -> None:
    reading = house.daemon.open_cli("get", "templates", "-o", "json")
    assert reading.stdout is not None
    reading.stdout.close()

    assert reading.wait(30) in (0, 141)
    assert reading.stderr is not None
    assert reading.stderr.read() == ""
