"""What tools leave behind, as a person gets at it: listed, described, saved into a file, and never written to a terminal."""

from __future__ import annotations

import os
import pty
import select
import subprocess
from pathlib import Path

from support.daemon import Daemon, program

TEAM = """
llms:
- name: script
  provider: scripted
  replies:
  - tool_calls: [{name: chatter, arguments: {}}]
  - content: done
agents: [{name: worker, llm: script, tools: [chatter, read_artifact]}]
tools:
- name: chatter
  effects: none
  executor: {local_bash: {command: "printf '\\\\033[2J'; seq 1 20000"}}
tasks: [{name: talk, agent: worker, user_message: talk}]
runs: [{name: long talk, task: talk}]
"""
WHOLE = "\x1b[2J" + "".join(f"{number}\n" for number in range(1, 20001))


def test_the_whole_of_a_result_that_was_cut_is_listed_and_saved(daemon: Daemon, folder: Path) -> None:
    daemon.drop("team.yaml", TEAM)
    daemon.start()
    assert daemon.over("long talk")["status"] == "Succeeded"

    (artifact,) = daemon.ask("get", "artifacts", "--run", "long talk")["items"]
    assert {name: artifact[name] for name in ("kind", "name", "run", "tool", "media_type", "size_bytes")} == {
        "kind": "artifact",
        "name": "chatter.txt",
        "run": "long talk",
        "tool": "chatter",
        "media_type": "text/plain; charset=utf-8",
        "size_bytes": len(WHOLE) - 1,
    }
    heading, row = daemon.cli("get", "artifacts").stdout.splitlines()
    assert heading.split() == ["ID", "NAME", "RUN", "TOOL", "MEDIA", "TYPE", "SIZE", "AGE"]
    assert row.startswith(artifact["id"][-8:])
    described = daemon.ask("describe", "toolcall", artifact["toolcall_id"])
    assert described["related"]["artifacts"] == [artifact]
    assert f"the whole is artifact {artifact['id']}]" in described["item"]["result"]

    saved = folder / "whole.txt"
    assert daemon.cli("get", "artifacts", artifact["id"][-8:], "--save", str(saved)).returncode == 0
    assert saved.read_text() == WHOLE.rstrip("\n")
    again = daemon.cli("get", "artifact", artifact["id"], "--save", str(saved))
    assert (again.returncode, "is there already" in again.stderr) == (1, True)
    piped = daemon.cli("get", "artifact", artifact["id"], "--save", "-")
    assert piped.stdout == WHOLE.rstrip("\n")

    daemon.restart()
    assert daemon.cli("get", "artifact", artifact["id"], "--save", "-").stdout == piped.stdout


def test_an_artifact_is_never_written_to_a_terminal(daemon: Daemon) -> None:
    daemon.drop("team.yaml", TEAM)
    daemon.start()
    daemon.over("long talk")
    (artifact,) = daemon.items("artifacts")

    ours, theirs = pty.openpty()
    try:
        words = [*program("smallchain"), "get", "artifact", artifact["id"], "--save", "-"]
        ended = subprocess.run(words, env=daemon.environ, stdout=theirs, stderr=subprocess.PIPE, check=False)
        assert ended.returncode == 1
        assert b"don't go to a terminal" in ended.stderr
        assert select.select([ours], [], [], 0)[0] == []
    finally:
        os.close(ours)
        os.close(theirs)


def test_what_is_not_there_or_not_one_artifact_is_said(daemon: Daemon) -> None:
    daemon.start()

    unknown = daemon.cli("get", "artifact", "01234567", "--save", "-")
    assert (unknown.returncode, "there is no artifact '01234567'" in unknown.stderr) == (1, True)
    assert daemon.cli("get", "artifacts", "--save", "x").returncode == 2
    assert daemon.cli("get", "runs", "monday", "--save", "x").returncode == 2
