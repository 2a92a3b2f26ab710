"""A daemon that answers garbage is told so: no command ends in a traceback, and none prints what would act on a terminal."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from smallchain.cli.commands.kinds import KINDS
from smallchain.cli.main import COMMANDS, main, parser_of
from smallchain.protocol.faults import FAULTS
from support.fakedaemon import Answer, FakeDaemon
from support.hostile import HOSTILE, HOSTILE_LINES, came_through

WORDS: dict[str, list[tuple[str, ...]]] = {
    "apply": [("-f", "FILE"), ("--accept-deletes",)],
    "delete": [("-f", "FILE")],
    "validate": [],  # asks no daemon
    "schema": [],
    "run": [("task",), ("task", "--wait", "--timeout", "1ms")],
    "wait": [("run", "--timeout", "1ms")],
    "cancel": [("run",)],
    "pause": [("run",)],
    "resume": [("run",)],
    "diff": [("run",)],
    "retry": [("run",)],
    "fork": [("run", "--at", "1")],
    "set": [("priority", "run", "1")],
    "get": [(kind,) for kind in KINDS] + [("events", "--tail", "3", "--pretty"), ("run", "x")],
    "describe": [("run", "x")],
    "why": [("run",)],
    "transcript": [("run",), ("run", "--request"), ("run", "--curl")],
    "inbox": [(), ("--plain",)],
    "approve": [("deadbeef",), ("deadbeef", "--set", "a=1")],
    "deny": [("deadbeef",)],
    "answer": [("deadbeef", "yes")],
    "revoke": [("deadbeef",)],
    "settle": [("deadbeef", "--run-again")],
    "callback": [("deadbeef", "--result", "done")],
    "start": [()],
    "stop": [()],
    "restart": [()],
    "status": [()],
    "logs": [],
    "init": [],
    "doctor": [()],
    "demo": [],  # asks a daemon of its own
    "completion": [],
    "version": [()],
}
DEEP: Any = [[[[{"a": HOSTILE}]]]]
ITEM = {
    key: HOSTILE_LINES
    for key in [
        "kind",
        "name",
        "id",
        "status",
        "phase",
        "detail",
        "agent",
        "task",
        "depth",
        "run",
        "tool",
        "arguments",
        "result",
        "error",
        "output",
        "time",
        "level",
        "reason",
        "path",
        "why",
        "risk",
        "note",
        "answered_by",
    ]
} | {
    "spec": HOSTILE,
    "problems": [{"file": HOSTILE, "line": HOSTILE, "message": HOSTILE}, 7],
    "object": DEEP,
    "tree_cost_usd": DEEP,
    "created_at": HOSTILE,
    "question": HOSTILE_LINES,
    "choices": DEEP,
    "outcomes": {HOSTILE: DEEP},
    "expires_at": HOSTILE,
    "digest": DEEP,
    "seq": 1,
    HOSTILE: HOSTILE,
}
ENVELOPES = [
    (fault.status, {"error": {"code": fault.code, "message": HOSTILE_LINES, "hint": HOSTILE, "problems": [ITEM]}})
    for fault in FAULTS
    if fault.code != "unreachable"  # a daemon that says so is taken for none, and `restart` would start one
]
GARBAGE: dict[str, Answer] = {
    "no JSON": lambda _: (200, b"<html>\x1b[2J"),
    "an empty object": {},
    "no object": lambda _: (200, [HOSTILE]),
    "null": lambda _: (200, None),
    "items that are none": {"items": [1, HOSTILE, None]},
    "a list that is none": {"items": {"a": HOSTILE}, "messages": HOSTILE, "runs": HOSTILE, "run": HOSTILE, "item": HOSTILE},
    "nothing but items of the wrong shapes": {
        "items": [ITEM, {}],
        "messages": [ITEM | {"role": HOSTILE, "content": DEEP, "tool_calls": [ITEM, 7]}, {}],
        "runs": [ITEM, {}],
        "run": ITEM,
        "item": ITEM | {"deep": DEEP, HOSTILE: {HOSTILE: HOSTILE_LINES}},
        "related": {"toolcalls": [ITEM], HOSTILE: [ITEM], "events": [ITEM], "pins": [ITEM], "modelcalls": [ITEM | {"cost_usd": DEEP}]},
        "warnings": [ITEM],
        "created": [ITEM],
        "config": {"status": HOSTILE, "problems": [ITEM]},
        "disk": {"full_since": HOSTILE, "free_bytes": HOSTILE},
        "waiting_for": [HOSTILE],
        "pid": HOSTILE,
        "version": HOSTILE,
        "sentence": HOSTILE_LINES,
        "grant": ITEM,
        "request": HOSTILE,
        "base_url": HOSTILE,
        "toolcall": ITEM,
    },
    "no words of HTTP": lambda _: (599, b"\x1b[2J"),
} | {f"the error {body['error']['code']}": (lambda _, told=(status, body): told) for status, body in ENVELOPES}
EXITS = {0, 1, 2, 3, 65, 69, 75, 124}


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDaemon]:
    monkeypatch.setattr("sys.stdin", io.StringIO())  # nobody types
    with FakeDaemon(tmp_path / "d.sock") as daemon:
        yield daemon


def test_every_command_has_its_words() -> None:
    assert list(WORDS) == list(COMMANDS)


@pytest.mark.parametrize("garbage", GARBAGE)
@pytest.mark.parametrize("command", [command for command, words in WORDS.items() if words])
def test_garbage_is_told_harmlessly(
    fake: FakeDaemon, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], command: str, garbage: str
) -> None:
    fake.anything = GARBAGE[garbage]
    (tmp_path / "a.yaml").write_text("agents: []\n")
    flags = ["--socket", str(fake.path), "--state-dir", str(tmp_path / "state"), "--config-dir", str(tmp_path / "config")]
    formats = next((action.choices for action in parser_of(command)[1]._actions if action.dest == "output"), None)

    for words in WORDS[command]:
        given = [str(tmp_path / "a.yaml") if word == "FILE" else word for word in words]
        for output in formats or ("",):
            if "--plain" in words and output != "text":
                continue
            code = main([command, *given, *(["-o", str(output)] if output and "--pretty" not in words else []), *flags])

            said = capfdbinary.readouterr()
            exact = {"--request", "--curl"} & set(words)  # into a pipe, byte by byte as it was sent; see the terminal's own test
            assert code in EXITS, (words, output)
            assert came_through(said.err if exact else said.out + said.err) == set(), (words, output)
