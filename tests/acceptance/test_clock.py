"""A clock that is set while the daemon lives."""

from __future__ import annotations

from pathlib import Path

from support.daemon import Daemon
from support.programs import needed

TEAM = """
llms:
- name: m
  provider: scripted
  replies:
  - {when: {turn: 1}, reply: {tool_calls: [{name: sleep_for, arguments: {duration: 1h}}]}}
  - {when: {turn: 2}, reply: {tool_calls: [{name: sleep_for, arguments: {duration: 2d}}]}}
  - {when: {}, reply: {content: over}}
agents: [{name: worker, tools: [sleep_for]}]
tasks: [{name: job, agent: worker, user_message: x}]
runs: [{name: r, task: job}]
"""


def test_a_clock_that_is_set_is_told_and_what_is_due_by_it_happens_once(daemon: Daemon) -> None:
    needed("faketime")
    (library,) = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
    clock = daemon.folder / "clock"
    clock.write_text("+0\n")
    daemon.environ |= {"LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1"}
    daemon.environ |= {"FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    daemon.drop("team.yaml", TEAM)
    daemon.start()
    daemon.until(lambda: daemon.run("r")["status"] == "Sleeping")

    clock.write_text("+1d\n")
    daemon.event("ClockJumped")
    daemon.until(lambda: daemon.run("r")["turns"] == 2 and daemon.run("r")["status"] == "Sleeping")
    clock.write_text("-1d\n")
    daemon.until(lambda: [event["reason"] for event in daemon.events()].count("ClockJumped") == 2)

    told = [event["message"] for event in daemon.events() if event["reason"] == "ClockJumped"]
    assert [words.split(";")[0] for words in told] == ["The clock was set ahead by 1d", "The clock was set back by 2d"]
    assert daemon.run("r")["status"] == "Sleeping"
    assert [event["reason"] for event in daemon.events()].count("RunAsleep") == 2
