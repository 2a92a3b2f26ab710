"""Following events over cuts of either side: each later event once, none missing, in order."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

from support.daemon import DATA, Daemon, Item, Models, first_line

SEED = DATA / "seed.yaml"


def read(follower: subprocess.Popen[str], *, until: Callable[[Item], bool]) -> list[Item]:
    """What a follower prints, up to the event that is waited for."""
    events: list[Item] = []
    while not events or not until(events[-1]):
        line = first_line(follower.stdout)
        assert line, "the follower ended"
        events.append(json.loads(line))
    return events


def is_end(event: Item) -> bool:
    """The last word about a root run."""
    return event["reason"] == "RunSucceeded"


def test_a_client_that_was_killed_goes_on_after_the_last_event_it_saw(daemon: Daemon, models: Callable[..., Models]) -> None:
    models(latency=0.1)
    daemon.drop("team.yaml", SEED.read_text())
    daemon.start()
    seen: list[Item] = []

    for cut in (3, 4, 9, 14, 15, 22):
        follower = daemon.open_cli("get", "events", "--follow", "-o", "jsonl", "--after", str(seen[-1]["seq"] if seen else 0))
        seen += read(follower, until=lambda event, cut=cut: event["seq"] >= cut)  # type: ignore[misc]
        follower.kill()
        follower.wait()
    follower = daemon.open_cli("get", "events", "--follow", "-o", "jsonl", "--after", str(seen[-1]["seq"]))
    seen += read(follower, until=is_end)

    assert seen == daemon.events()
    assert [event["seq"] for event in seen] == list(range(1, len(seen) + 1))


def test_a_client_outlives_the_daemon_and_misses_nothing(daemon: Daemon, models: Callable[..., Models]) -> None:
    models(latency=0.25)
    daemon.drop("team.yaml", SEED.read_text())
    daemon.start()
    follower = daemon.open_cli("get", "events", "--follow", "-o", "jsonl", "--after", "0")
    seen = read(follower, until=lambda event: event["reason"] == "AgentStarted")

    daemon.restart()
    seen += read(follower, until=lambda event: event["reason"] == "ToolCallStarted")
    assert daemon.terminate() == 0
    daemon.start()
    seen += read(follower, until=is_end)

    assert [event["seq"] for event in seen] == list(range(1, len(seen) + 1))
    assert seen == daemon.events()
    assert {"DaemonDied", "DaemonStopping", "DaemonStarted"} <= {event["reason"] for event in seen}
    assert follower.poll() is None


def test_both_sides_may_be_cut(daemon: Daemon, models: Callable[..., Models]) -> None:
    models(latency=0.1)
    daemon.drop("team.yaml", SEED.read_text())
    daemon.start()
    follower = daemon.open_cli("get", "events", "--follow", "-o", "jsonl", "--after", "0")
    seen = read(follower, until=lambda event: event["reason"] == "ToolCallStarted")
    daemon.kill()
    follower.kill()
    follower.wait()

    daemon.start()

    follower = daemon.open_cli("get", "events", "--follow", "-o", "jsonl", "--after", str(seen[-1]["seq"]))
    seen += read(follower, until=is_end)
    assert seen == daemon.events()


def test_whoever_waits_for_a_run_hears_its_end_across_a_restart(daemon: Daemon, models: Callable[..., Models]) -> None:
    models(latency=0.25)
    daemon.drop("team.yaml", SEED.read_text())
    daemon.start()
    waiting = daemon.open_cli("wait", "my first run", "--timeout", "30s")
    daemon.event("ToolCallStarted")

    daemon.restart()

    out, err = waiting.communicate(timeout=30)
    assert (waiting.returncode, out) == (0, "15\n"), err


def test_following_begins_where_it_is_told(daemon: Daemon, models: Callable[..., Models]) -> None:
    models()
    daemon.drop("team.yaml", SEED.read_text())
    daemon.start()
    daemon.over("my first run")
    events = daemon.events()

    tail = daemon.open_cli("get", "events", "--follow", "-o", "jsonl", "--tail", "4")
    after = daemon.open_cli("get", "events", "--follow", "-o", "jsonl", "--after", str(events[-3]["seq"]))
    of_run = daemon.open_cli("get", "events", "--follow", "-o", "jsonl", "--run", "my first run/calculator_operator-3")

    assert read(tail, until=is_end) == events[-4:]
    assert read(after, until=is_end) == events[-2:]
    mine = [event for event in events if event["run"] == "my first run/calculator_operator-3"]
    assert read(of_run, until=lambda event: event["reason"] == "AgentCompleted") == mine
