"""What a person types, and what comes of it: exit codes, errors that say what to do, nothing that tears the terminal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from smallchain.cli.commands.kinds import KINDS, columns_of
from smallchain.cli.main import COMMANDS, main
from smallchain.protocol.text import visible
from support.command import ROOT, environment, smallchain
from support.fakedaemon import FakeDaemon

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeDaemon]:
    with FakeDaemon(tmp_path / "d.sock") as daemon:
        yield daemon


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("SMALLCHAIN_SOCKET", str(tmp_path / "d.sock"))
    monkeypatch.setenv("SMALLCHAIN_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("SMALLCHAIN_CONFIG_DIR", str(tmp_path / "config"))

    def typed(*argv: str) -> tuple[int, str, str]:
        code = main(argv)
        said = capfd.readouterr()
        return code, said.out, said.err

    return typed


def a_run(name: str = "monday", status: str = "Succeeded", **fields: Any) -> dict[str, Any]:
    item = {"kind": "run", "id": f"id-of-{name}", "name": name, "agent": "a", "task": "t", "depth": 0, "status": status}
    return item | {"output": "15" if status == "Succeeded" else None, "error": "boom" if status == "Failed" else None} | fields


# What is typed


def test_help_lists_every_command(run: Run) -> None:
    code, out, _ = run("--help")

    assert code == 0
    assert all(f"  {name} " in out for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_examples(run: Run, command: str) -> None:
    code, out, _ = run(command, "--help")

    assert code == 0
    assert "examples:\n" in out
    examples = out.split("examples:")[1]
    assert f"smallchain {command}" in examples
    assert not [other for other in COMMANDS if other != command and f"\n  smallchain {other} " in examples], "of this command alone"
    assert run("help", command)[1] == out


def test_a_wrong_command_is_told_the_nearest(run: Run) -> None:
    assert run("gte", "runs") == (2, "", "smallchain: 'gte' is no command; did you mean 'get'? `smallchain --help` lists them\n")


def test_a_wrong_kind_is_told_the_nearest(run: Run) -> None:
    code, _, err = run("get", "rnus")

    assert code == 2
    assert "'rnus' is no kind; did you mean 'runs'?" in err


@pytest.mark.parametrize("argv", [("get",), ("get", "runs", "-o", "xml"), ("--frobnicate",), ("run",), ("settle", "x"), ("wait",)])
def test_wrong_usage_is_exit_2(run: Run, argv: tuple[str, ...]) -> None:
    assert run(*argv)[0] == 2


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (("get", "runs", "--statsu", "Running"), "there is no flag '--statsu'; did you mean '--status'?"),
        (("get", "runs", "--wach=1"), "there is no flag '--wach'; did you mean '--watch'?"),
        (("--sokcet", "get"), "there is no flag '--sokcet'; did you mean '--socket'?"),
        (("get", "runs", "-o", "jsn"), "'jsn' is none of table, wide, name, json, yaml, jsonl; did you mean 'json'?"),
        (("init", "--template", "tool"), "did you mean 'tools'?"),
        (("set", "prioriti", "x", "1"), "did you mean 'priority'?"),
        (("get", "runs", "-x"), "there is no flag '-x' ("),
        (("get", "runs", "--note", "x"), "there is no flag '--note' ("),
        (("get",), "the following arguments are required: KIND\n"),
        (("get", "runs", "--\x1b[2J"), "there is no flag '--\\x1b[2J'"),
        (("status", "now"), "'now' is one word too many"),
    ],
    ids=lambda value: visible(" ".join(value) if isinstance(value, tuple) else ""),
)
def test_a_wrong_word_is_told_the_nearest(run: Run, argv: tuple[str, ...], told: str) -> None:
    code, out, err = run(*argv)

    assert (code, out) == (2, "")
    assert told in err
    assert "usage: smallchain" in err


def test_an_abbreviated_flag_is_no_flag(run: Run) -> None:
    assert run("get", "runs", "--out", "json")[0] == 2


@pytest.mark.parametrize("place", ["before", "after", "between"])
def test_flags_for_paths_stand_before_or_after_the_command(run: Run, fake: FakeDaemon, tmp_path: Path, place: str) -> None:
    fake.answers[("GET", "/v1/runs")] = {"items": []}
    flag, words = ["--socket", str(fake.path)], ["get", "runs"]
    argv = {"before": flag + words, "after": words + flag, "between": ["get", *flag, "runs"]}[place]

    assert run(*argv)[0] == 0
    assert len(fake.requests) == 1


def test_names_and_flags_mix(run: Run, fake: FakeDaemon) -> None:
    fake.answers[("GET", "/v1/runs")] = {"items": [a_run("x"), a_run("y")]}

    code, out, _ = run("get", "run", "x", "-o", "name", "y")

    assert (code, out) == (0, "run/x\nrun/y\n")
    assert fake.requests[0].query == {"name": ["x", "y"]}


def test_no_daemon_is_exit_69_and_says_how_to_start_one(run: Run) -> None:
    code, out, err = run("get", "runs")

    assert (code, out) == (69, "")
    assert err.startswith("smallchain: could not get runs: no daemon listens at ")
    assert "`smallchain start`" in err


def test_no_start_starts_nothing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("agents: []\n")

    assert run("apply", "-f", str(tmp_path / "a.yaml"), "--no-start")[0] == 69
    assert run("run", "t", "--no-start")[0] == 69
    assert not (tmp_path / "state").exists()


# get


def test_get_runs_prints_the_seeds_columns(run: Run, fake: FakeDaemon) -> None:
    fake.answers[("GET", "/v1/runs")] = {"items": [a_run("my first run")]}

    _, out, _ = run("get", "runs")

    assert out.splitlines() == [
        "RUN            NAME   STATUS      TASK ID   DEPTH",
        "my first run   a      Succeeded   t         0",
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_wide_shows_more_of_every_kind(kind: str) -> None:
    columns = columns_of(kind)

    assert any(column.wide for column in columns)
    assert len({column.heading for column in columns}) == len(columns)


def test_an_empty_list_is_told_beside_the_result(run: Run, fake: FakeDaemon) -> None:
    fake.answers[("GET", "/v1/runs")] = {"items": []}

    assert run("get", "runs") == (0, "", "No runs found.\n")
    assert json.loads(run("get", "runs", "-o", "json")[1]) == {"items": []}


def test_a_name_that_is_not_there_is_exit_1(run: Run, fake: FakeDaemon) -> None:
    fake.answers[("GET", "/v1/runs")] = {"items": [a_run("x")]}

    code, out, err = run("get", "runs", "x", "nope", "-o", "name")

    assert (code, out) == (1, "run/x\n")
    assert "'nope'" in err


def test_flags_of_events_are_refused_elsewhere(run: Run, fake: FakeDaemon) -> None:
    assert run("get", "runs", "--pretty")[0] == 2
    assert run("get", "runs", "--tail", "0")[0] == 2
    assert run("get", "llms", "--run", "x")[0] == 2


def test_events_are_printed_in_the_seeds_form(run: Run, fake: FakeDaemon) -> None:
    fake.tell(time="2024-07-28T12:00:00Z", message="Starting Smallchain")
    fake.tell(time="2024-07-28T12:00:05Z", message="Output: \x1b[31m15\nsecond line", level="WARNING")

    _, out, _ = run("get", "events", "--pretty")

    assert out.splitlines() == [
        "[2024-07-28 12:00:00] [INFO] Starting Smallchain",
        "[2024-07-28 12:00:05] [WARNING] Output: \\x1b[31m15\\nsecond line",
    ]


def test_times_are_utc_even_where_the_time_zone_is_none(run: Run, fake: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "bogus/nowhere")
    fake.tell(time="2024-07-28T12:00:00Z", message="m")

    assert run("get", "events", "--pretty")[1] == "[2024-07-28 12:00:00] [INFO] m\n"


def test_events_are_chosen_by_number_and_time(run: Run, fake: FakeDaemon) -> None:
    for _ in range(4):
        fake.tell()

    assert run("get", "events", "--after", "2", "-o", "name")[1] == "event/3\nevent/4\n"
    assert run("get", "events", "--tail", "1", "-o", "name")[1] == "event/4\n"
    run("get", "events", "--since", "2026-11-23T09:00:00+01:00")
    assert fake.requests[-1].query == {"since": ["2026-11-23T08:00:00.000000Z"]}
    assert run("get", "events", "--since", "yesterday")[0] == 2
    assert run("get", "events", "--after", "-1")[0] == 2


# What runs do


def test_wait_prints_the_output_and_exits_by_the_status(run: Run, fake: FakeDaemon) -> None:
    for status, code, out in (("Succeeded", 0, "15\n"), ("Failed", 1, ""), ("Cancelled", 3, "")):
        fake.answers[("GET", "/v1/runs")] = {"items": [a_run(status=status)]}
        assert run("wait", "monday")[:2] == (code, out)


def test_wait_tells_why_a_run_failed(run: Run, fake: FakeDaemon) -> None:
    fake.answers[("GET", "/v1/runs")] = {"items": [a_run(status="Failed")]}

    assert run("wait", "monday")[2] == "run/monday Failed: boom\n"


def test_wait_hears_of_the_end_from_the_events(run: Run, fake: FakeDaemon) -> None:
    def status(request: Any) -> tuple[int, Any]:
        if not fake.asked("GET", "/v1/events/stream"):  # still at the first look: let it end once it is followed
            fake.tell(reason="RunSucceeded", run_id="id-of-monday", object={"kind": "run", "id": "id-of-monday"})
            return 200, {"items": [a_run(status="Running")]}
        return 200, {"items": [a_run()]}

    fake.answers[("GET", "/v1/runs")] = status

    assert run("wait", "monday", "--timeout", "20s")[:2] == (0, "15\n")


def test_wait_outlives_a_daemon_that_dies_between_the_event_and_the_look(run: Run, fake: FakeDaemon) -> None:
    def status(request: Any) -> tuple[int, Any]:
        looks = len(fake.asked("GET", "/v1/runs"))
        if looks == 1:
            fake.tell(reason="RunSucceeded", run_id="id-of-monday", object={"kind": "run", "id": "id-of-monday"})
            return 200, {"items": [a_run(status="Running")]}
        if looks <= 3:  # a request is sent twice before it counts as failed
            raise ConnectionResetError
        return 200, {"items": [a_run()]}

    fake.answers[("GET", "/v1/runs")] = status

    code, out, err = run("wait", "monday", "--timeout", "20s")

    assert (code, out) == (0, "15\n")
    assert "waiting for it to come back" in err


def test_wait_gives_up_when_the_time_is_up(run: Run, fake: FakeDaemon) -> None:
    fake.answers[("GET", "/v1/runs")] = {"items": [a_run(status="Running")]}

    code, out, err = run("wait", "monday", "--timeout", "100ms")

    assert (code, out) == (124, "")
    assert "is still Running" in err
    assert run("wait", "monday", "--timeout", "soon")[0] == 2


def test_waiting_for_several_runs_exits_by_the_worst(run: Run, fake: FakeDaemon) -> None:
    ends = {"a": "Succeeded", "b": "Cancelled", "c": "Failed"}

    def status(request: Any) -> tuple[int, Any]:
        name = request.query["name"][0]
        return 200, {"items": [a_run(name, status=ends[name])]}

    fake.answers[("GET", "/v1/runs")] = status

    assert run("wait", "a", "b")[0] == 3
    assert run("wait", "a", "b", "c")[0] == 1


def test_run_with_wait_leaves_only_the_answer_on_standard_output(run: Run, fake: FakeDaemon) -> None:
    fake.answers[("POST", "/v1/runs")] = {"run": a_run("t-1", status="Pending")}
    fake.answers[("GET", "/v1/runs")] = {"items": [a_run("t-1", output="a\x1b[2J\nb")]}

    assert run("run", "t", "--message", "hi", "--wait")[:2] == (0, "a\\x1b[2J\nb\n")
    assert fake.asked("POST", "/v1/runs")[0].body == {"task": "t", "message": "hi"}


def test_run_says_how_to_go_on(run: Run, fake: FakeDaemon) -> None:
    fake.answers[("POST", "/v1/runs")] = {"run": a_run("my run", status="Pending")}

    code, out, err = run("run", "t")

    assert (code, out) == (0, "run/my run created\n")
    assert "smallchain wait 'my run'" in err


def test_run_with_follow_prints_events_beside_the_answer(run: Run, fake: FakeDaemon) -> None:
    def begin(request: Any) -> tuple[int, Any]:
        fake.tell(message="Executing task: t", run_id="id-of-t-1", object={"kind": "run", "id": "id-of-t-1"})
        fake.tell(message="done", reason="RunSucceeded", run_id="id-of-t-1", object={"kind": "run", "id": "id-of-t-1"})
        return 200, {"run": a_run("t-1", status="Pending")}

    fake.answers[("POST", "/v1/runs")] = begin
    fake.answers[("GET", "/v1/runs")] = {"items": [a_run("t-1")]}

    code, out, err = run("run", "t", "--follow")

    assert (code, out) == (0, "15\n")
    assert [line.partition("] ")[2] for line in err.splitlines()[1:3]] == ["[INFO] Executing task: t", "[INFO] done"]


def test_cancel_acts_on_each_run_and_tells_which_it_could_not(run: Run, fake: FakeDaemon) -> None:
    fake.answers[("POST", "/v1/cancel/a")] = {"runs": [a_run("a"), a_run("a/b-1")]}
    told = {"error": {"code": "refused", "message": "it has succeeded", "hint": "", "problems": []}}
    fake.answers[("POST", "/v1/cancel/over")] = lambda _: (409, told)

    code, out, err = run("cancel", "over", "a", "--note", "why")

    assert (code, out) == (1, "run/a cancelled\nrun/a/b-1 cancelled\n")
    assert err == "smallchain: could not cancel run 'over': it has succeeded\n"
    assert fake.asked("POST", "/v1/cancel/a")[0].body == {"only": False, "note": "why"}


def test_pause_resume_and_priority_reach_their_routes(run: Run, fake: FakeDaemon) -> None:
    for act in ("pause", "resume", "priority"):
        fake.answers[("POST", f"/v1/{act}/a/b-1")] = {"runs": [a_run("a/b-1")]}

    assert run("pause", "a/b-1", "--only")[1] == "run/a/b-1 paused\n"
    assert run("resume", "a/b-1")[1] == "run/a/b-1 resumed\n"
    assert run("set", "priority", "a/b-1", "-5")[1] == "run/a/b-1 has priority -5\n"
    assert [request.body for request in fake.requests] == [{"only": True}, {"only": False}, {"priority": -5}]


@pytest.mark.parametrize(
    ("flags", "body"),
    [
        (("--happened", "posted"), {"happened": "posted"}),
        (("--happened", ""), {"happened": ""}),
        (("--did-not-happen",), {"did_not_happen": True}),
        (("--run-again", "--note", "why"), {"run_again": True, "note": "why"}),
    ],
)
def test_settle_sends_the_persons_answer(run: Run, fake: FakeDaemon, flags: tuple[str, ...], body: dict[str, Any]) -> None:
    fake.answers[("POST", "/v1/settle/deadbeef")] = {"toolcall": {"id": "x-deadbeef", "phase": "succeeded"}, "request": {}}

    assert run("settle", "deadbeef", *flags) == (0, "toolcall/x-deadbeef is succeeded\n", "")
    assert fake.requests[0].body == body


@pytest.mark.parametrize(
    ("flags", "body"),
    [(("--result", "at the door"), {"result": "at the door"}), (("--error", "nobody there"), {"error": "nobody there"})],
)
def test_callback_brings_a_result(run: Run, fake: FakeDaemon, flags: tuple[str, ...], body: dict[str, Any]) -> None:
    fake.answers[("POST", "/v1/callback/deadbeef")] = {"toolcall": {"id": "x-deadbeef", "phase": "succeeded"}}

    assert run("callback", "deadbeef", *flags) == (0, "toolcall/x-deadbeef is succeeded\n", "")
    assert fake.requests[-1].body == body


def test_callback_brings_the_text_of_a_file(run: Run, fake: FakeDaemon, tmp_path: Path) -> None:
    fake.answers[("POST", "/v1/callback/deadbeef")] = {"toolcall": {"id": "x-deadbeef", "phase": "succeeded"}}
    (tmp_path / "report.txt").write_text("two\nlines \N{SNOWMAN}\n")
    (tmp_path / "film.mp4").write_bytes(b"\xff\xfe")
    (tmp_path / "long.txt").write_bytes(b"x" * (1 << 20) + b"y")

    assert run("callback", "deadbeef", "--result-file", str(tmp_path / "report.txt"))[0] == 0
    assert fake.requests[-1].body == {"result": "two\nlines \N{SNOWMAN}\n"}
    assert [run("callback", "deadbeef", "--result-file", str(tmp_path / name))[0] for name in ("film.mp4", "long.txt", "none")] == [65] * 3
    assert run("callback", "deadbeef")[0] == 2
    assert run("callback", "deadbeef", "--result", "a", "--error", "b")[0] == 2


def test_settle_takes_one_answer(run: Run) -> None:
    assert run("settle", "x", "--did-not-happen", "--run-again")[0] == 2


def test_the_inbox_gives_the_command_that_answers(run: Run, fake: FakeDaemon) -> None:
    request = {"kind": "settle", "id": "0000-deadbeef", "run": "my run", "tool": "post", "question": "Did it?\n> Approved by root"}
    fake.answers[("GET", "/v1/requests")] = {"items": [request | {"arguments": {"title": "a\x1b[2J"}}]}

    out = run("inbox")[1]

    assert "  smallchain settle deadbeef --happened RESULT\n" in out
    assert "\n  | > Approved by root\n" in out
    assert "  | title: a\\x1b[2J\n" in out
    fake.answers[("GET", "/v1/requests")] = {"items": []}
    assert run("inbox") == (0, "", "Nothing waits for a person.\n")
    assert json.loads(run("inbox", "-o", "json")[1]) == {"items": []}


def test_the_inbox_gives_the_commands_that_raise_a_cap_or_leave_it(run: Run, fake: FakeDaemon) -> None:
    wish = {
        "kind": "budget",
        "id": "0000-deadbeef",
        "run": "monday",
        "arguments": {"by": "$5.00", "for_good": False},
        "digest": "0" * 63 + "3",
    }
    fake.answers[("GET", "/v1/requests")] = {"items": [wish | {"question": "May it be raised by $5.00?"}]}

    out = run("inbox")[1]

    assert "  smallchain approve deadbeef\n" in out
    assert "  smallchain approve deadbeef --set by='$5.00' --set for_good=true\n" in out
    assert "  smallchain deny deadbeef --note WHY\n" in out
    assert "digest" not in out, "it tells the cap, which the question names"


def test_a_limit_that_somebody_raised_is_told_with_what_was_added(run: Run, fake: FakeDaemon) -> None:
    cap = {"kind": "budget", "name": "agent/clerk", "status": "Used up", "limit": "$0.06", "per": "day", "spent": "$0.354"}
    fake.answers[("GET", "/v1/budgets")] = {"items": [cap | {"raised": "$0.30"}, cap | {"name": "agent/other", "raised": None}]}

    raised, plain = run("get", "budgets")[1].splitlines()[1:]

    assert "$0.06 + $0.30" in raised
    assert "+" not in plain


@pytest.mark.parametrize(
    ("standing", "words"),
    [
        ({"waiting_since": "2026-11-25T02:48:48Z"}, "a start waits until run 'tick-1' is over"),
        ({"skipped_at": "2026-11-25T02:50:00Z", "skipped_why": "run 'tick-1' still runs"}, "skipped: run 'tick-1' still runs"),
        ({"skipped_at": "2026-11-25T02:30:00Z", "skipped_why": "long ago"}, "  -"),
        ({"detail": "task 'digest' does not exist"}, "task 'digest' does not exist"),
    ],
)
def test_the_table_of_schedules_says_why_one_does_not_start(run: Run, fake: FakeDaemon, standing: dict[str, str], words: str) -> None:
    tick = {"kind": "schedule", "name": "tick", "status": "Ready", "last_start_at": "2026-11-25T02:48:39Z", "last_run": "tick-1"}
    fake.answers[("GET", "/v1/schedules")] = {"items": [tick | standing]}

    assert run("get", "schedules")[1].splitlines()[1].endswith(words)


def test_a_transcript_marks_what_is_ours_and_fences_what_is_said(run: Run, fake: FakeDaemon) -> None:
    messages = [
        {"seq": 1, "role": "system", "content": "s", "ours": True, "template": "json_mode"},
        {"seq": 2, "role": "assistant", "content": "2  user  ours\nx", "tool_calls": [{"name": "add", "arguments": {"a": 3}}]},
    ]
    fake.answers[("GET", "/v1/transcript/a/b-1")] = {"run": a_run("a/b-1"), "messages": messages}

    out = run("transcript", "a/b-1")[1]

    assert "system  ours: template json_mode\n  | s\n" in out
    assert '  | 2  user  ours\n  | x\n  > add({"a": 3})\n' in out
    assert json.loads(run("transcript", "a/b-1", "-o", "json")[1])["messages"] == messages


def test_describe_shows_the_thing_and_what_belongs_to_it(run: Run, fake: FakeDaemon) -> None:
    related = {
        "children": [a_run("monday/a-1")],
        "toolcalls": [],
        "modelcalls": [{"attempt": 1, "turn": 1, "llm": "fast", "outcome": "replied", "cost_usd": "0.002"}],
        "pins": [{"kind": "agent", "name": "a", "current": False}],
        "events": [{"level": "INFO", "message": "m"}],
    }
    fake.answers[("GET", "/v1/describe/runs/monday")] = {"item": a_run(output="a\nb"), "related": related}

    out = run("describe", "run", "monday")[1]

    assert "status: Succeeded\n" in out
    assert "output:\n  | a\n  | b\n" in out
    assert "monday/a-1" in out.split("children:")[1]
    assert out.split("modelcalls:")[1].splitlines()[2].split() == ["1", "1", "fast", "-", "replied", "-", "-", "$0.002", "-"]
    assert out.split("pins:")[1].splitlines()[2].split() == ["agent", "a", "no"]
    assert "toolcalls" not in out


def test_describe_shows_each_attempt_of_a_call_and_each_of_a_list_of_objects(run: Run, fake: FakeDaemon) -> None:
    attempt = {"attempt": 1, "outcome": "unknown", "exit_code": None, "detail": "the daemon ended", "started_at": "t0", "finished_at": "t1"}
    item = {"kind": "toolcall", "name": "post", "parts": [{"a": 1}, {"b": "\x1b"}], "words": ["x", "y"]}
    fake.answers[("GET", "/v1/describe/toolcalls/post")] = {"item": item, "related": {"attempts": [attempt, {"attempt": 2}]}}

    out = run("describe", "toolcall", "post")[1]

    assert 'parts:\n  - {"a": 1}\n  - {"b": "\\u001b"}\n' in out
    assert 'words: ["x", "y"]\n' in out
    assert [line.split() for line in out.split("attempts:")[1].splitlines()[2:]] == [
        ["1", "unknown", "-", "t0", "t1", "the", "daemon", "ended"],
        ["2", "executing", "-", "-", "-", "-"],
    ]


# apply


def answer(**fields: Any) -> dict[str, Any]:
    return {"created": [], "changed": [], "removed": [], "unchanged": [], "warnings": [], "runs": []} | fields


def test_apply_sends_files_as_they_are_and_prints_what_changed(
    run: Run, fake: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warning = {"file": "a.yaml", "line": 3, "column": 5, "message": "agent 'x' needs llm 'y'", "hint": "did you mean 'z'?"}
    made = [{"kind": "agent", "name": "assistant"}, {"kind": "run", "name": "my first run"}]
    fake.answers[("POST", "/v1/apply")] = answer(created=made, warnings=[warning], runs=[{"name": "my first run", "id": "i"}])
    (tmp_path / "a.yaml").write_text("agents: [] # ü\n")
    monkeypatch.chdir(tmp_path)

    code, out, err = run("apply", "-f", "a.yaml", "-f", str(tmp_path / "a.yaml"))

    assert (code, out) == (0, "agent/assistant created\nrun/my first run created\n")
    assert err.startswith("a.yaml:3:5: warning: agent 'x' needs llm 'y'; did you mean 'z'?\n")
    assert "smallchain wait 'my first run'" in err
    sent = fake.requests[-1].body
    source = {"source": str(tmp_path / "a.yaml"), "folder": str(tmp_path), "text": "agents: [] # ü\n", "shown": "a.yaml"}
    assert sent == {"sources": [source], "prune": False, "accept_deletes": False, "dry_run": False}


def test_a_folder_is_its_yaml_files_by_name(run: Run, fake: FakeDaemon, tmp_path: Path) -> None:
    fake.answers[("POST", "/v1/apply")] = answer()
    for name in ("b.yml", "a.yaml", "c.txt", ".hidden.yaml"):
        (tmp_path / name).write_text("")

    assert run("apply", "-f", str(tmp_path))[1] == "nothing changed\n"
    assert [os.path.basename(source["source"]) for source in fake.requests[-1].body["sources"]] == ["a.yaml", "b.yml"]


def test_a_link_that_is_swapped_stays_the_same_source(run: Run, fake: FakeDaemon, tmp_path: Path) -> None:
    fake.answers[("POST", "/v1/apply")] = answer()
    (tmp_path / "v1.yaml").write_text("agents: []\n")
    (tmp_path / "current.yaml").symlink_to("v1.yaml")

    run("apply", "-f", str(tmp_path / "current.yaml"))

    assert fake.requests[-1].body["sources"][0]["source"] == str(tmp_path / "current.yaml")


def test_what_would_go_is_listed_and_is_exit_65(run: Run, fake: FakeDaemon, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("")
    problem = {"file": "a.yaml", "line": 0, "column": 0, "message": "run 'x' is live", "hint": ""}
    told = {"error": {"code": "unconfirmed", "message": "1 live run would go", "hint": "add --prune", "problems": [problem]}}
    fake.answers[("POST", "/v1/apply")] = lambda _: (409, told)

    code, out, err = run("apply", "-f", str(tmp_path / "a.yaml"))

    assert (code, out) == (65, "")
    assert err.splitlines()[0] == "a.yaml: run 'x' is live"
    assert err.splitlines()[1].endswith("1 live run would go; add --prune")


def test_apply_refuses_what_is_no_file(run: Run, fake: FakeDaemon, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "huge.yaml").open("wb") as huge:
        huge.truncate(2 * 2**30)
    (tmp_path / "empty").mkdir()
    (tmp_path / "latin.yaml").write_bytes(b"agents: []\n# caf\xe9\n")
    refused = {
        str(tmp_path / "missing.yaml"): (1, "No such file"),
        str(tmp_path / "pipe"): (1, "not a regular file"),
        "/dev/null": (1, "not a regular file"),
        "/dev/zero": (1, "not a regular file"),
        "/dev/stdin": (1, ""),
        str(tmp_path / "huge.yaml"): (1, "1 MiB"),
        str(tmp_path / "empty"): (1, "holds no *.yaml"),
        "http://example.com/a.yaml": (2, "not addresses"),
        "-": (2, "--name"),
        "": (2, "no file"),
        str(tmp_path / "latin.yaml"): (65, "latin.yaml:2:6: the byte 0xE9 is not UTF-8"),
    }

    for file, (code, words) in refused.items():
        got, out, err = run("apply", "-f", file)
        assert (got, out) == (code, ""), (file, err)
        assert words in err
    assert fake.asked("POST", "/v1/apply") == []


def test_accept_deletes_needs_no_file_and_apply_without_either_is_usage(run: Run, fake: FakeDaemon) -> None:
    fake.answers[("POST", "/v1/accept-deletes")] = answer(removed=[{"kind": "agent", "name": "a"}])

    assert run("apply", "--accept-deletes")[:2] == (0, "agent/a removed\n")
    assert run("apply")[0] == 2


def test_delete_takes_back_a_source_whose_file_is_gone(run: Run, fake: FakeDaemon, tmp_path: Path) -> None:
    fake.answers[("POST", "/v1/delete")] = answer(removed=[{"kind": "agent", "name": "a"}])

    assert run("delete", "-f", str(tmp_path / "gone.yaml"), "-f", "-", "--name", "made")[1] == "agent/a removed\n"
    assert fake.requests[-1].body == {"sources": [str(tmp_path / "gone.yaml"), "made"], "prune": False}


# validate, schema, version, status, logs


def test_validate_works_without_a_daemon(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("agents:\n- {name: a, llm: fst}\nllms:\n- {name: fast, provider: openai, model: m}\n")

    code, out, err = run("validate", str(tmp_path / "a.yaml"))

    assert code == 0
    assert out.endswith("valid (1 agent, 1 llm)\n")
    assert f"{tmp_path}/a.yaml:2:" in err
    assert "did you mean 'fast'?" in err
    assert run("validate", "--strict", "-f", str(tmp_path / "a.yaml"))[0] == 65


def test_validate_puts_the_place_first(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text('llms:\n  - name: "gpt-4o\n    provider: openai\n')

    code, out, err = run("validate", str(tmp_path / "a.yaml"))

    assert (code, out) == (65, "")
    assert err.startswith(f"{tmp_path}/a.yaml:2:11: ")


@pytest.mark.parametrize("example", ["01-hello", "02-tools", "04-delegation"])
def test_the_examples_are_valid_to_the_last_warning(run: Run, example: str) -> None:
    code, _, err = run("validate", "--strict", str(ROOT / "examples" / example))

    assert (code, err) == (0, "")


def test_the_schema_is_draft_7(run: Run) -> None:
    code, out, _ = run("schema")

    assert code == 0
    assert json.loads(out)["$schema"] == "http://json-schema.org/draft-07/schema#"


def test_version_needs_no_daemon_and_names_it_when_there_is_one(run: Run, fake: FakeDaemon) -> None:
    fake.answers[("GET", "/v1/status")] = {"version": "9.9"}
    assert run("version")[1].splitlines()[1] == "smallchaind 9.9"

    assert run("version", "--socket", "/nowhere.sock")[0] == 0
    assert run("--version")[1] == run("version", "--socket", "/nowhere.sock")[1]


def test_status_tells_of_a_held_config(run: Run, fake: FakeDaemon) -> None:
    problem = {"file": "a.yaml", "line": 2, "column": 11, "message": "a quote opens here", "hint": ""}
    config = {"status": "Held", "problems": [problem]}
    fake.answers[("GET", "/v1/status")] = {"pid": 7, "config": config, "runs": {"Running": 2}, "waiting_for": []}

    code, out, err = run("status")

    assert code == 0
    assert "pid 7" in out
    assert "2 Running" in out
    assert err == "a.yaml:2:11: a quote opens here\n"


@pytest.mark.parametrize(("count", "words"), [(1, "1 waits for a person"), (3, "3 wait for a person")])
def test_status_tells_how_much_waits_for_a_person(run: Run, fake: FakeDaemon, count: int, words: str) -> None:
    fake.answers[("GET", "/v1/status")] = {"pid": 7, "inbox": count}
    assert f"inbox    {words}: `smallchain inbox`\n" in run("status")[1]

    fake.answers[("GET", "/v1/status")] = {"pid": 7, "inbox": 0}

    assert "inbox" not in run("status")[1]


def test_status_tells_of_a_full_disk(run: Run, fake: FakeDaemon) -> None:
    disk: dict[str, Any] = {"full_since": None, "free_bytes": 3 * 2**30}
    fake.answers[("GET", "/v1/status")] = lambda _: (200, {"pid": 7, "disk": disk})
    assert "disk     3.0 GiB free\n" in run("status")[1]

    disk |= {"full_since": "2026-11-23T09:00:00Z", "free_bytes": 0}

    assert "disk     FULL since " in run("status")[1]
    assert "0 bytes free: make room" in run("status")[1]


def test_logs_show_the_end_of_the_log_harmlessly(run: Run, tmp_path: Path) -> None:
    assert run("logs")[0] == 1
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "daemon.log").write_bytes(b"one\ntwo \x1b[2J\xff\n")

    assert run("logs", "--tail", "1")[1] == "two \\x1b[2J\ufffd\n"


# The terminal


def test_a_closed_pipe_is_no_traceback(fake: FakeDaemon, tmp_path: Path) -> None:
    for _ in range(3000):
        fake.tell(message="x" * 100)
    command = [sys.executable, "-m", "smallchain.cli.main", "get", "events", "--socket", str(fake.path), "-o", "jsonl"]

    with subprocess.Popen(command, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
        code = process.wait(30)

    assert (code, err) == (141, b"")


def test_a_closed_standard_output_is_no_traceback(fake: FakeDaemon, tmp_path: Path) -> None:
    fake.tell()
    line = f'exec "{sys.executable}" -m smallchain.cli.main get events --socket "{fake.path}" >&-'

    done = subprocess.run(["bash", "-c", line], env=environment(tmp_path), capture_output=True, timeout=30, check=False)

    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    "variables",
    [
        {"LANG": "C", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"PYTHONIOENCODING": "latin-1"},
        {"TERM": "dumb", "NO_COLOR": "1", "COLUMNS": "1"},
        {"COLUMNS": "10000"},
    ],
    ids=["LANG=C", "latin-1", "dumb", "wide"],
)
def test_the_terminal_always_gets_utf_8(fake: FakeDaemon, tmp_path: Path, variables: dict[str, str]) -> None:
    fake.tell(message="75°F 東京", time="2024-07-28T12:00:00Z")

    done = smallchain("get", "events", "--pretty", "--socket", str(fake.path), env=environment(tmp_path, **variables))
    helped = smallchain("get", "--help", env=environment(tmp_path, **variables))

    assert done.stdout.decode() == "[2024-07-28 12:00:00] [INFO] 75°F 東京\n"
    assert (done.returncode, done.stderr, helped.returncode) == (0, b"", 0)


def test_an_argument_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    command = [sys.executable.encode(), b"-m", b"smallchain.cli.main", b"get", b"runs", b"caf\xe9"]

    done = subprocess.run(command, env=environment(tmp_path), capture_output=True, timeout=30, check=False)

    assert done.returncode == 2
    assert b"is not UTF-8" in done.stderr


def test_ctrl_c_ends_following_with_130_and_no_traceback(fake: FakeDaemon, tmp_path: Path) -> None:
    fake.tell()
    command = [sys.executable, "-m", "smallchain.cli.main", "get", "events", "-f", "--pretty", "--socket", str(fake.path)]

    with subprocess.Popen(command, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)

    assert (process.returncode, err) == (130, b"")


def test_ctrl_c_while_waiting_says_that_the_run_goes_on(fake: FakeDaemon, tmp_path: Path) -> None:
    fake.answers[("GET", "/v1/runs")] = {"items": [a_run(status="Running")]}
    command = [sys.executable, "-m", "smallchain.cli.main", "wait", "monday", "--socket", str(fake.path)]

    with subprocess.Popen(command, env=environment(tmp_path), stderr=subprocess.PIPE) as process:
        while not fake.asked("GET", "/v1/events/stream"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)

    assert (process.returncode, err) == (130, b"smallchain: interrupted; run 'monday' goes on\n")


def test_standard_input_is_a_source_with_a_name(fake: FakeDaemon, tmp_path: Path) -> None:
    fake.answers[("POST", "/v1/apply")] = answer()

    done = smallchain(
        "apply", "-f", "-", "--name", "made", "--socket", str(fake.path), env=environment(tmp_path), stdin="agents: [] # ü".encode()
    )

    assert done.returncode == 0
    assert fake.requests[-1].body["sources"][0] | {"folder": ""} == {
        "source": "made",
        "folder": "",
        "text": "agents: [] # ü",
        "shown": "made",
    }
