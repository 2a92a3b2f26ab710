"""The inbox in sentences: what is read out, what numbers choose, and what decides nothing."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from smallchain.protocol.client import Client
from smallchain_tui.__main__ import linear
from smallchain_tui.linear import Linear
from support.dashboard import START, changed_tool, request, run, serve, status
from support.fakedaemon import FakeDaemon, Request
from support.hostile import HOSTILE, came_through


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeDaemon]:
    with FakeDaemon(tmp_path / "d.sock") as fake:
        yield fake


def _sit(fake: FakeDaemon, typed: str, **more: Any) -> str:
    out = io.StringIO()
    assert Linear(Client(fake.path, via="dashboard"), out, io.StringIO(typed), now=lambda: START, **more).sit() == 0
    return out.getvalue()


def _decided(fake: FakeDaemon) -> list[Request]:
    return [asked for asked in fake.requests if asked.method == "POST"]


def _approval(fake: FakeDaemon, **fields: Any) -> None:
    serve(fake, runs=[run("blog-7", "Waiting")], requests=[request("request-1", "blog-7", **fields)])
    for verb in ("approve", "deny"):
        fake.answers[("POST", f"/v1/{verb}/request-1")] = {"counted": True, "sentence": f"{verb} it is", "request": {}}


def test_what_waits_is_read_out_with_its_age_and_its_end(fake: FakeDaemon) -> None:
    _approval(fake, risk="high", expires_at="2026-11-23T09:55:00Z")

    said = _sit(fake, "q\n")
    assert "1 request waits." in said
    assert "1. publish_post. run blog-7. risk high. waiting 1 minute. expires in 55 minutes." in said


def test_an_approval_is_bound_to_what_was_read_out_and_says_its_command(fake: FakeDaemon) -> None:
    _approval(fake)

    said = _sit(fake, "1\n1\nbut only this one\nq\n")
    (asked,) = _decided(fake)
    assert asked.path == "/v1/approve/request-1"
    assert asked.body == {"note": "but only this one", "expect_digest": "ab" * 32}
    assert "Argument channel: #launch" in said
    assert "Approve it is. Equivalent: smallchain approve equest-1 --note 'but only this one'" in said


def test_a_changed_tool_is_read_out_as_what_went_and_what_came(fake: FakeDaemon) -> None:
    serve(fake, requests=[changed_tool("request-1")])

    said = _sit(fake, "1\nq\n")
    assert "1. tool_changed: notes__keep. MCP server 'notes'. " in said
    assert "Gone: keeps a note\nNew: keeps a note and mails it <U+202E>\n" in said
    assert "Argument before" not in said


def test_a_denial_carries_its_note(fake: FakeDaemon) -> None:
    _approval(fake)
    _sit(fake, "1\n2\nuse the draft channel first\nq\n")

    (asked,) = _decided(fake)
    assert (asked.path, asked.body["note"]) == ("/v1/deny/request-1", "use the draft channel first")


@pytest.mark.parametrize("typed", ["", "\n\n\n", "1\n\n\n\n", "1\n3\n", "1\n9\n", "y\n", "1\ny\n\n", "approve\n"])
def test_empty_lines_later_and_words_decide_nothing(fake: FakeDaemon, typed: str) -> None:
    _approval(fake)
    _sit(fake, typed)

    assert _decided(fake) == []


def test_high_risk_wants_the_tools_name(fake: FakeDaemon) -> None:
    _approval(fake, risk="high")

    assert "Not approved." in _sit(fake, "1\n1\nyes\nq\n")
    assert _decided(fake) == []

    _sit(fake, "1\n1\npublish_post\n\nq\n")
    assert [asked.path for asked in _decided(fake)] == ["/v1/approve/request-1"]


def test_what_was_typed_ahead_is_thrown_away_before_a_verdict(fake: FakeDaemon) -> None:
    _approval(fake)
    typed = io.StringIO("1\n1\n\n")

    def settle() -> None:
        typed.read()

    out = io.StringIO()
    Linear(Client(fake.path), out, typed, now=lambda: START, settle=settle).sit()
    assert "Choices: 1 approve once" in out.getvalue()
    assert _decided(fake) == []


def test_a_question_takes_a_choice_by_its_number_or_words(fake: FakeDaemon) -> None:
    serve(
        fake,
        requests=[
            request("request-1", "blog-7", "question", question="Which?", choices=["red", "blue"], outcomes={"answer": "it goes on"})
        ],
    )
    fake.answers[("POST", "/v1/answer/request-1")] = {"counted": True, "sentence": "answered", "request": {}}
    _sit(fake, "1\n1\n2\n1\n1\nneither of them\n1\n1\n\nq\n")

    assert [asked.body["text"] for asked in _decided(fake)] == ["blue", "neither of them"]


def test_a_call_in_doubt_is_settled(fake: FakeDaemon) -> None:
    serve(fake, requests=[request("request-1", "blog-7", "settle", outcomes={"happened": "a", "did_not_happen": "b", "run_again": "c"})])
    fake.answers[("POST", "/v1/settle/request-1")] = {"counted": True, "sentence": "settled", "request": {}}
    said = _sit(fake, "1\n1\nit was sent\n1\n3\nq\n")

    assert [asked.body for asked in _decided(fake)] == [{"happened": "it was sent"}, {"run_again": True}]
    assert "Equivalent: smallchain settle equest-1 --run-again" in said


def test_long_texts_are_read_when_asked_for(fake: FakeDaemon) -> None:
    _approval(fake, arguments={"body": "first line\n" * 44})

    said = _sit(fake, "1\nb1\nq\n")
    assert "Argument body: 45 lines, 484 characters. Type b1 to read it." in said
    assert said.count("first line") == 44


def test_hostile_words_are_written_out_and_told(fake: FakeDaemon) -> None:
    _approval(fake, arguments={"title": "\x1b]52;c;evil\x07", "name": "pаypal"}, why="\u202etxt", run="blog\x1b[2J")

    said = _sit(fake, "1\nq\n")
    assert not any(char in said for char in "\x1b\x07\u202e")
    assert "Sanitised: 3 characters" in said
    assert "Mixed alphabets in: pаypal." in said


def test_who_comes_too_late_is_told_who_was_first(fake: FakeDaemon) -> None:
    _approval(fake)
    error = {"error": {"code": "refused", "message": "already approved by alice at 09:00:00", "hint": "", "problems": []}}
    fake.answers[("POST", "/v1/approve/request-1")] = lambda asked: (409, error)

    assert "already approved by alice" in _sit(fake, "1\n1\n\nq\n")


def test_read_only_and_another_version_decide_nothing(fake: FakeDaemon) -> None:
    _approval(fake)
    assert "Nothing can be decided: this is --read-only." in _sit(fake, "1\nq\n", read_only=True)

    fake.answers[("GET", "/v1/status")] = status(version="9.0.0")
    assert "Nothing can be decided: the daemon is v9.0.0" in _sit(fake, "1\nq\n")
    assert _decided(fake) == []


def test_without_a_daemon_it_says_how_to_start_one_and_ends(tmp_path: Path) -> None:
    out = io.StringIO()

    assert Linear(Client(tmp_path / "d.sock"), out, io.StringIO("")).sit() == 69
    assert "smallchain start" in out.getvalue()


@pytest.mark.parametrize(
    ("environ", "lines"),
    [
        ({"TERM": "dumb"}, True),
        ({}, True),
        ({"TERM": "xterm"}, False),
        ({"TERM": "xterm", "SMALLCHAIN_ACCESSIBLE": "1"}, True),
        ({"TERM": "xterm", "SMALLCHAIN_ACCESSIBLE": "0"}, False),
    ],
)
def test_lines_are_for_terminals_and_people_that_want_them(environ: dict[str, str], lines: bool) -> None:
    assert linear(environ) is lines


def test_money_is_read_out_by_model_and_agent_and_cap_by_cap(fake: FakeDaemon) -> None:
    serve(fake)
    spent = {"hour": "2026-11-23T09:00:00Z", "llm": "fast", "agent": "crawler", "cost_usd": "0.50", "calls": 2}
    cap = {
        "kind": "budget",
        "name": "crawling",
        "limit": "$5.00",
        "per": "day",
        "spent": "$4.98",
        "held": "$0.00",
        "left": "$0.02",
        "used": 0.996,
    }
    fake.answers["GET", "/v1/spend"] = {"items": [spent, spent | {"llm": HOSTILE, "agent": HOSTILE}]}
    fake.answers["GET", "/v1/budgets"] = {"items": [cap | {"waiting": 1, "next_room_at": "2026-11-23T09:42:07Z"}, cap | {"name": HOSTILE}]}

    said = _sit(fake, "m\nq\n")
    assert "Spent: $1.00 this hour, $1.00 today, $1.00 in 14 days.\n" in said
    assert "Model fast: $0.50 this hour, $0.50 today, $0.50 in 14 days.\n" in said
    assert "Budget crawling: $4.98 spent of $5.00/day, 100% used. $0.02 left, 1 run stands still, room at 09:42:07, in 42m.\n" in said
    assert came_through(said.encode()) == set()
    assert fake.asked("GET", "/v1/spend")[0].query["by"] == ["hour", "llm", "agent"]
