"""The seed's sample, unchanged, with a model server in a process of its own; and the sample as published, with its unclosed quote."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from support.daemon import DATA, Daemon, Item, Models, a_folder

SEED = DATA / "seed.yaml"
PUBLISHED = DATA / "seed-as-published.yaml"
RUN = "my first run"
CHILDREN = [f"{RUN}/calculator_operator-{number}" for number in (1, 2, 3)]


def turn(body: Item) -> tuple[str, int, str]:
    """What tells one turn from every other: who is asked, how long the conversation is, what it is about."""
    told = {message["role"]: message["content"] for message in body["messages"] if message["role"] in ("system", "user")}
    return told["system"], len(body["messages"]), told["user"]


@pytest.fixture(scope="module")
def seed() -> Iterator[tuple[Daemon, Models]]:
    """The seed's run, to its end, over `smallchain apply`; the tests that take it only look."""
    with a_folder() as folder, closing(Models(folder, latency=0.15)) as server, closing(Daemon(folder, **server.environ)) as daemon:
        daemon.start()
        applied = daemon.cli("apply", "-f", str(SEED))
        assert applied.returncode == 0, applied.stderr
        waited = daemon.cli("wait", RUN, "--timeout", "30s")
        assert (waited.returncode, waited.stdout) == (0, "15\n"), waited.stderr
        yield daemon, server
        print(daemon.last_words())


def test_the_sample_gives_fifteen_with_one_request_a_turn(seed: tuple[Daemon, Models]) -> None:
    _, server = seed

    turns = Counter(map(turn, server.bodies()))

    assert set(turns.values()) == {1}, "a turn was asked for twice"
    assert len(turns) == 9
    assert Counter(system for system, _, _ in turns) == {
        "your goal is to assist the human with their tasks": 3,
        "you are a skilled calculator operator": 6,
    }
    operator_tasks = {user for system, _, user in turns if "operator" in system}
    assert operator_tasks == {"add 3 and 4", "add 5 and 3", "add 7 and 8"}


def test_both_first_delegations_are_out_at_the_same_time(seed: tuple[Daemon, Models]) -> None:
    _, server = seed
    first = {"add 3 and 4", "add 5 and 3"}

    openings = [
        line["in_flight"] for line, body in zip(server.asked(), server.bodies(), strict=True) if turn(body)[1:] in {(2, t) for t in first}
    ]

    assert sorted(openings) == [1, 2]
    assert max(line["in_flight"] for line in server.asked()) == 2


def test_parameters_are_sent_as_written(seed: tuple[Daemon, Models]) -> None:
    _, server = seed

    for line, body in zip(server.asked(), server.bodies(), strict=True):
        assert body["model"] == "gpt-4o"
        assert '"temperature": 0.0' in line["body"] or '"temperature":0.0' in line["body"]
        assert set(body) - {"model", "messages", "temperature", "tools"} == set(), "nothing was added that nobody wrote"
        assert line["headers"]["authorization"] == "...6789"


def test_runs_are_listed_under_the_columns_of_the_sample(seed: tuple[Daemon, Models]) -> None:
    daemon, _ = seed

    lines = daemon.cli("get", "runs").stdout.splitlines()

    assert re.split(r"\s{2,}", lines[0]) == ["RUN", "NAME", "STATUS", "TASK ID", "DEPTH"]
    rows = [re.split(r"\s{2,}", line) for line in lines[1:]]
    assert rows[0] == [RUN, "assistant", "Succeeded", "do_some_math", "0"]
    assert rows[1:] == [[name, "calculator_operator", "Succeeded", "do_some_math", "1"] for name in CHILDREN]


def test_events_have_the_words_of_the_sample(seed: tuple[Daemon, Models]) -> None:
    daemon, _ = seed

    lines = daemon.cli("get", "events", "--pretty").stdout.splitlines()

    assert all(re.fullmatch(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] \[(INFO|WARNING|ERROR)\] \S.*", line) for line in lines)
    told = [line.partition("] [INFO] ")[2] for line in lines]
    assert "Starting Smallchain" in told
    begin, end = told.index("Executing task: do_some_math"), told.index("Task completed: do_some_math")
    assert told[begin + 1] == "Agent 'assistant' is executing the task"
    assert told[end - 1 :] == [
        "Agent 'assistant' has completed the task",
        "Task completed: do_some_math",
        "Output: 15",
        "Run 'my first run' completed successfully",
    ]
    used = Counter(line for line in told[begin:end] if line.startswith(("Agent", "Tool")))
    assert used["Agent 'assistant' is using tool: delegate_to_calculator_operator"] == 3
    assert used["Agent 'calculator_operator' is using tool: add"] == 3
    assert used["Tool 'add' executed successfully"] == 3
    assert used["Tool 'delegate_to_calculator_operator' executed successfully"] == 3


def test_results_go_back_in_the_order_the_model_asked(seed: tuple[Daemon, Models]) -> None:
    daemon, _ = seed

    said = [(message["role"], message["content"]) for message in daemon.messages(RUN)]

    assert said[3:5] == [("tool", "7"), ("tool", "8")]
    assert said[-1] == ("assistant", "15")


def test_applying_it_again_changes_nothing(seed: tuple[Daemon, Models]) -> None:
    daemon, server = seed
    newest = daemon.events()[-1]["seq"]

    again = daemon.cli("apply", "-f", str(SEED))

    assert again.returncode == 0
    assert "run/my first run unchanged" in again.stdout
    assert [event["reason"] for event in daemon.events(after=newest) if event["run"]] == []
    assert len(server.asked()) == 9


def test_the_published_sample_is_one_error_at_line_2(daemon: Daemon) -> None:
    daemon.start()

    applied = daemon.cli("apply", "-f", str(PUBLISHED))
    validated = daemon.cli("validate", str(PUBLISHED))

    for done in (applied, validated):
        assert done.returncode == 65
        problems = [line for line in done.stderr.splitlines() if line.startswith(f"{PUBLISHED}:")]
        assert len(problems) == 1, done.stderr
        assert problems[0].startswith(f"{PUBLISHED}:2:11: ")
    assert daemon.items("llms") == []
    assert list((daemon.config / "applied").glob("*")) == []


def test_the_published_sample_in_the_folder_is_told_once_and_the_daemon_goes_on(daemon: Daemon, models: Callable[..., Models]) -> None:
    models()
    daemon.start()

    daemon.drop("team.yaml", PUBLISHED.read_text())

    told = daemon.event("ConfigRejected")
    assert told["level"] in ("WARNING", "ERROR")
    assert "team.yaml:2:11" in told["message"]
    (file,) = daemon.ask("get", "files")["items"]
    (problem,) = file["problems"]
    assert (file["status"], problem["line"], problem["column"]) == ("Rejected", 2, 11)
    assert problem["file"].endswith("team.yaml")

    daemon.drop("team.yaml", SEED.read_text())

    assert daemon.over(RUN)["output"] == "15"
    assert [event["reason"] for event in daemon.events()].count("ConfigRejected") == 1
    assert daemon.ask("get", "files")["items"][0]["status"] == "Applied"
