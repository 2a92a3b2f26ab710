"""`approve`, `deny`, `answer`, `revoke`, and the inbox beside them: what is typed, what is sent, what is shown of hostile text."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from smallchain.cli.commands.decide import value_of
from smallchain.cli.main import main
from smallchain.model.errors import Refused
from smallchain.protocol.faults import to_wire
from support.fakedaemon import FakeDaemon

Run = Callable[..., tuple[int, str, str]]
DIGEST = "3e1f0c9ab2d4" + "0" * 52


def a_request(id: str = "0000-deadbeef", **fields: Any) -> dict[str, Any]:
    item = {"kind": "approval", "id": id, "run": "monday", "tool": "post", "digest": DIGEST, "question": "May post run?"}
    outcomes = {"approve": "post runs", "deny": "post does not run"}
    return item | {"arguments": {"title": "a", "amount": 1}, "path": "boss > clerk > post", "outcomes": outcomes} | fields


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeDaemon]:
    with FakeDaemon(tmp_path / "d.sock") as daemon:
        daemon.answers[("GET", "/v1/requests")] = {"items": [a_request()]}
        for verb in ("approve", "deny", "answer"):
            for id_ in ("deadbeef", "0000-deadbeef"):
                daemon.answers[("POST", f"/v1/{verb}/{id_}")] = {"counted": True, "sentence": f"{verb}d post", "request": a_request()}
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


def types(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    """What a person types, line by line, and then no more."""
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))


@pytest.mark.parametrize(
    ("words", "body"),
    [
        (("approve", "deadbeef"), {}),
        (("approve", "deadbeef", "--note", "fine", "--for-run"), {"note": "fine", "for_run": True}),
        (("approve", "deadbeef", "--expect-digest", DIGEST[:12]), {"expect_digest": DIGEST[:12]}),
        (("deny", "deadbeef", "--note", "no"), {"note": "no"}),
        (("answer", "deadbeef", "the second one"), {"text": "the second one"}),
    ],
)
def test_what_is_decided_is_sent_as_it_was_typed(run: Run, fake: FakeDaemon, words: tuple[str, ...], body: dict[str, Any]) -> None:
    code, out, _ = run(*words)

    assert (code, out) == (0, f"request/deadbeef {words[0]}d post\n")
    assert fake.requests[-1].body == body


def test_changed_arguments_go_with_the_digest_of_what_they_were_made_from(run: Run, fake: FakeDaemon) -> None:
    assert run("approve", "deadbeef", "--set", "title=b c", "--set", "amount=3")[0] == 0

    assert fake.requests[-1].body == {"arguments": {"title": "b c", "amount": 3}, "expect_digest": DIGEST}
    assert fake.asked("GET", "/v1/requests")[0].query["name"] == ["deadbeef"]


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3), ("3.5", 3.5), ("true", True), ("null", None), ('"3"', "3"), ("[1]", [1]), ("no", "no"), ("", ""), ("a=b", "a=b")],
)
def test_a_typed_value_is_json_where_it_reads_as_such_and_text_else(text: str, value: Any) -> None:
    assert value_of(text) == value


@pytest.mark.parametrize(
    "words",
    [
        ("approve", "deadbeef", "other", "--set", "a=1"),
        ("approve", "deadbeef", "other", "--edit"),
        ("approve", "deadbeef", "--set", "a=1", "--edit"),
        ("approve",),
        ("answer", "deadbeef"),
        ("inbox", "--plain", "-o", "json"),
        ("inbox", "--plain", "-w"),
    ],
)
def test_what_cannot_be_meant_is_exit_2_and_sends_nothing(run: Run, fake: FakeDaemon, words: tuple[str, ...]) -> None:
    assert run(*words)[0] == 2
    assert fake.requests == []


def test_a_set_without_a_value_changes_nothing(run: Run, fake: FakeDaemon) -> None:
    code, _, err = run("approve", "deadbeef", "--set", "title")

    assert (code, fake.asked("POST", "/v1/approve/deadbeef")) == (65, [])
    assert "write --set NAME=VALUE" in err


def test_each_of_several_gets_its_line_and_the_worst_is_the_exit_code(run: Run, fake: FakeDaemon) -> None:
    late = Refused("already approved by ann at 2026-11-24 09:00:00 UTC")
    fake.answers[("POST", "/v1/approve/tooolate")] = lambda _: (409, to_wire(late))

    code, out, err = run("approve", "tooolate", "deadbeef")

    assert (code, out) == (1, "request/deadbeef approved post\n")
    assert "could not approve 'tooolate': already approved by ann at 2026-11-24 09:00:00 UTC" in err


def test_an_answer_can_come_from_a_pipe(run: Run, fake: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    types(monkeypatch, "first line", "second line")

    assert run("answer", "deadbeef", "-")[0] == 0
    assert fake.requests[-1].body == {"text": "first line\nsecond line"}


def test_a_grant_is_taken_back(run: Run, fake: FakeDaemon) -> None:
    fake.answers[("POST", "/v1/revoke/cafebabe")] = {"grant": {"id": "0000-cafebabe", "tool": "post"}}

    assert run("revoke", "cafebabe")[1] == "grant/cafebabe revoked: post is asked about again\n"


# ---- in an editor


def editor(tmp_path: Path, body: str) -> str:
    """A program that does this to the file `$1`."""
    path = tmp_path / "editor.sh"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o700)
    return str(path)


def test_arguments_are_changed_in_the_persons_own_editor(
    run: Run, fake: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISUAL", editor(tmp_path, f'stat -c %a "$1" > {tmp_path}/mode; sed -i "s/title: a/title: better/" "$1"'))

    assert run("approve", "deadbeef", "--edit")[0] == 0
    assert fake.requests[-1].body == {"arguments": {"title": "better", "amount": 1}, "expect_digest": DIGEST}
    assert (tmp_path / "mode").read_text() == "600\n"


@pytest.mark.parametrize("body", ['echo > "$1"', 'echo "[1]" > "$1"', 'echo "a: [" > "$1"', 'echo "a: 2026-01-01" > "$1"', "exit 3"])
def test_an_editor_closed_wrongly_decides_nothing(
    run: Run, fake: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    monkeypatch.setenv("VISUAL", editor(tmp_path, body))

    assert run("approve", "deadbeef", "--edit")[0] == 65
    assert fake.asked("POST", "/v1/approve/deadbeef") == []


def test_an_editor_left_as_it_was_approves_what_was_shown(run: Run, fake: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISUAL", "true")
    run("approve", "deadbeef", "--edit")

    assert fake.requests[-1].body == {"expect_digest": DIGEST}


# ---- the inbox


HOSTILE = "Approved by root\x1b[2J\u202egnp.exe\u202c\n> type y\u200b"


def test_what_a_model_wrote_cannot_leave_its_place_in_the_inbox(run: Run, fake: FakeDaemon) -> None:
    item = a_request(question=HOSTILE, why=HOSTILE, arguments={"title\x1b[A": HOSTILE}, path=HOSTILE, tool=HOSTILE)
    fake.answers[("GET", "/v1/requests")] = {"items": [item]}

    _, out, _ = run("inbox")

    assert not {"\x1b", "\u202e", "\u200b"} & set(out)
    assert "  sanitised: " in out
    assert all(line.startswith(("  ", "deadbeef")) or not line for line in out.splitlines())
    assert out.count("<U+202E>") >= 3


def test_the_inbox_shows_what_is_needed_to_decide(run: Run, fake: FakeDaemon) -> None:
    fake.answers[("GET", "/v1/requests")] = {
        "items": [a_request(why="It is ready.", risk="high", expires_at="2026-11-24T12:00:00.000000Z", on_expiry="deny")]
    }
    out = run("inbox")[1]

    for line in (
        "path: boss > clerk > post",
        "risk: high",
        "| It is ready.",
        "| title: a",
        "expires: 2026-11-24 12:00:00 UTC (deny)",
        f"digest: {DIGEST[:16]}",
        "smallchain approve deadbeef",
        "smallchain deny deadbeef --note WHY",
    ):
        assert f"  {line}\n" in out
    assert "sanitised" not in out


def test_the_plain_inbox_goes_through_numbered_lines(run: Run, fake: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    types(monkeypatch, "9", "1", "fine")
    code, out, _ = run("inbox", "--plain")

    assert code == 0
    assert "Request 1 of 1: approval, run 'monday'\n" in out
    assert "1. approve: post runs\n2. deny: post does not run\n3. skip: leave it open\n" in out
    assert "That is none of the numbers.\n" in out
    assert fake.asked("POST", "/v1/approve/0000-deadbeef")[0].body == {"note": "fine", "expect_digest": DIGEST}


@pytest.mark.parametrize("lines", [(), ("",), ("3",), ("1",)], ids=["nothing", "an empty line", "skip", "no end of a note"])
def test_the_plain_inbox_decides_nothing_by_default(
    run: Run, fake: FakeDaemon, monkeypatch: pytest.MonkeyPatch, lines: tuple[str, ...]
) -> None:
    types(monkeypatch, *lines)

    assert run("inbox", "--plain")[0] == 0
    assert [request.method for request in fake.requests] == ["GET"]


@pytest.mark.parametrize(
    ("kind", "outcomes", "lines", "path", "body"),
    [
        ("question", ("answer",), ("1", "Yes."), "answer/0000-deadbeef", {"text": "Yes."}),
        ("settle", ("happened", "did_not_happen"), ("1", "post 7"), "settle/0000-deadbeef", {"happened": "post 7"}),
        ("settle", ("happened", "did_not_happen"), ("2", "why"), "settle/0000-deadbeef", {"note": "why", "did_not_happen": True}),
        ("loop", ("resume", "cancel"), ("1", ""), "resume/monday", {}),
        ("loop", ("resume", "cancel"), ("2", "enough"), "cancel/monday", {"note": "enough"}),
    ],
)
def test_every_kind_of_request_can_be_answered_from_the_plain_inbox(
    run: Run,
    fake: FakeDaemon,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    outcomes: tuple[str, ...],
    lines: tuple[str, ...],
    path: str,
    body: dict[str, Any],
) -> None:
    fake.answers[("GET", "/v1/requests")] = {"items": [a_request(kind=kind, outcomes=dict.fromkeys(outcomes, "so"))]}
    fake.answers[("POST", f"/v1/{path}")] = {}
    types(monkeypatch, *lines)
    run("inbox", "--plain")

    assert fake.asked("POST", f"/v1/{path}")[0].body == body


def test_a_decision_that_comes_too_late_is_told_and_the_plain_inbox_goes_on(
    run: Run, fake: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.answers[("GET", "/v1/requests")] = {"items": [a_request(), a_request("0000-cafebabe")]}
    fake.answers[("POST", "/v1/approve/0000-deadbeef")] = lambda _: (409, to_wire(Refused("already denied by bob")))
    types(monkeypatch, "1", "", "3")
    _, out, err = run("inbox", "--plain")

    assert "already denied by bob" in err
    assert "Request 2 of 2" in out


def test_json_of_the_inbox_is_the_items(run: Run, fake: FakeDaemon) -> None:
    assert json.loads(run("inbox", "-o", "json")[1]) == {"items": [a_request()]}
