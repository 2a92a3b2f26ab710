"""Schedules in a real daemon: killed again and again, asleep for days, and in the night in which the clocks jump."""

from __future__ import annotations

import itertools
from datetime import datetime

from support.daemon import Daemon, Item
from support.programs import needed

STORY = """
llms: [{{name: fast, provider: scripted, replies: [{{content: done}}]}}]
agents: [{{name: clerk}}]
tasks: [{{name: look, agent: clerk, user_message: go}}]
schedules: [{{name: digest, task: look, {words}}}]
"""


def made(daemon: Daemon) -> list[Item]:
    """The runs that the schedule made, oldest first."""
    return [run for run in daemon.items("runs") if run["schedule"] == "digest"]


def test_a_daemon_that_is_killed_again_and_again_makes_one_run_for_each_moment(daemon: Daemon) -> None:
    daemon.start()
    daemon.drop("story.yaml", STORY.format(words="every: 1s"))
    for life in range(1, 5):
        daemon.until(lambda life=life: len(made(daemon)) >= 2 * life)  # type: ignore[misc]
        daemon.kill()
        daemon.start()
    runs = daemon.until(lambda: found if len(found := made(daemon)) > 8 else None)
    moments = [datetime.fromisoformat(run["scheduled_for"]) for run in runs]

    assert [run["name"] for run in runs] == [f"digest-{number}" for number in range(1, len(runs) + 1)]
    assert moments == sorted(set(moments))
    assert {(after - before).total_seconds() % 1 for before, after in itertools.pairwise(moments)} == {0.0}
    assert daemon.cli("wait", *(run["name"] for run in runs)).returncode == 0


def test_a_night_in_which_an_hour_is_left_out_and_days_without_a_daemon(daemon: Daemon) -> None:
    faketime = needed("faketime")
    daemon.environ["TZ"] = "UTC"
    daemon.drop("story.yaml", STORY.format(words="cron: '30 2 * * *', time_zone: Europe/Berlin"))
    daemon.start(under=[faketime, "2026-03-28 12:00:00"])
    (schedule,) = daemon.until(lambda: daemon.items("schedules"))
    assert (schedule["status"], schedule["next_start_at"]) == ("Ready", "2026-03-29T01:00:00.000000Z")
    daemon.kill()
    daemon.start(under=[faketime, "2026-03-29 00:59:57"])
    (run,) = daemon.until(lambda: made(daemon))
    assert run["scheduled_for"] == "2026-03-29T01:00:00.000000Z"
    assert run["created_at"] < "2026-03-29T01:00:30"
    daemon.kill()
    daemon.start(under=[faketime, "2026-04-02 12:00:00"])
    daemon.until(lambda: len(made(daemon)) == 2)
    (schedule,) = daemon.items("schedules")

    assert made(daemon)[1]["scheduled_for"] == "2026-04-02T00:30:00.000000Z"
    assert (schedule["skipped"], schedule["last_run"], schedule["next_start_at"]) == (3, "digest-2", "2026-04-03T00:30:00.000000Z")
    wide = daemon.cli("get", "schedules", "-o", "wide").stdout
    assert "30 2 * * * Europe/Berlin" in wide
    assert "nothing was there to start it in time" in wide
    described = daemon.cli("describe", "schedule", "digest").stdout
    assert "runs:" in described
    assert "digest-1" in described
    assert "schedule:" in daemon.cli("describe", "run", "digest-2").stdout
