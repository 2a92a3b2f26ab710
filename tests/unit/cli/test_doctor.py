"""`doctor`: every fault of the machine is a line with what to do, with a daemon and without."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from smallchain import __version__
from smallchain.cli.main import main
from support.fakedaemon import FakeDaemon

Doctor = Callable[[], tuple[int, dict[str, dict[str, str]]]]


@pytest.fixture
def doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Doctor:
    (tmp_path / "run").mkdir(mode=0o700)
    monkeypatch.setenv("SMALLCHAIN_SOCKET", str(tmp_path / "run" / "d.sock"))
    monkeypatch.setenv("SMALLCHAIN_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("SMALLCHAIN_CONFIG_DIR", str(tmp_path / "config"))

    def looked() -> tuple[int, dict[str, dict[str, str]]]:
        code = main(["doctor", "-o", "json"])
        return code, {item["name"]: item for item in json.loads(capfd.readouterr().out)["items"]}

    return looked


@pytest.fixture
def fake(tmp_path: Path, doctor: Doctor) -> Iterator[FakeDaemon]:
    with FakeDaemon(tmp_path / "run" / "d.sock") as daemon:
        daemon.path.chmod(0o600)
        daemon.answers[("GET", "/v1/status")] = {"version": __version__, "pid": 4711, "config": {"status": "Ready", "problems": []}}
        daemon.answers[("GET", "/v1/llms")] = {"items": [{"kind": "llm", "name": "fast", "status": "Ready"}]}
        yield daemon


def test_without_a_daemon_the_rest_is_looked_at(doctor: Doctor) -> None:
    code, found = doctor()

    assert code == 0
    assert (found["daemon"]["level"], found["daemon"]["next"]) == ("warn", "start one with `smallchain start`")
    assert found["state"]["level"] == found["config"]["level"] == found["sqlite"]["level"] == found["python"]["level"] == "ok"
    assert {"disk", "bash", "node", "docker", "podman", "bwrap", "env file"} <= found.keys()
    assert found["fence"]["level"] in ("ok", "warn")  # tried out by a process of its own


def test_all_is_well_with_a_daemon_of_this_version(doctor: Doctor, fake: FakeDaemon) -> None:
    code, found = doctor()

    assert code == 0
    assert found["daemon"] == {"kind": "check", "level": "ok", "name": "daemon", "found": f"pid 4711, version {__version__}", "next": ""}
    assert found["llms"]["found"] == "1 Ready"
    assert found["socket"]["level"] == found["files"]["level"] == "ok"


@pytest.mark.parametrize(
    ("fence", "level", "found", "next"),
    [
        ({"words": "bubblewrap, user namespace, rlimits", "why": []}, "ok", "bubblewrap, user namespace, rlimits", ""),
        (
            {"words": "unshare", "why": ["bubblewrap is not installed"]},
            "warn",
            "unshare (bubblewrap is not installed)",
            "install bubblewrap",
        ),
        ({"words": "", "why": ["a", "b"]}, "FAIL", "no sandbox works here: a; b", "install bubblewrap"),
    ],
)
def test_the_layers_of_the_fence_are_told_as_the_daemon_found_them(
    doctor: Doctor, fake: FakeDaemon, fence: dict[str, Any], level: str, found: str, next: str
) -> None:
    fake.answers[("GET", "/v1/status")] = {"version": __version__, "pid": 1, "fence": fence}

    told = doctor()[1]["fence"]
    assert (told["level"], told["found"]) == (level, found)
    assert told["next"].startswith(next)


def test_a_daemon_of_another_version_is_told(doctor: Doctor, fake: FakeDaemon) -> None:
    fake.answers[("GET", "/v1/status")] = {"version": "0.0.1", "pid": 1}

    _, found = doctor()
    assert found["daemon"]["level"] == "warn"
    assert found["daemon"]["next"] == "`smallchain restart`"


def test_a_held_config_and_a_broken_model_fail(doctor: Doctor, fake: FakeDaemon) -> None:
    problem = {"file": "a.yaml", "line": 3, "column": 1, "message": "'agnets' is no section", "hint": "did you mean 'agents'?"}
    status: dict[str, Any] = {"version": __version__, "pid": 1, "config": {"status": "Held", "problems": [problem, problem]}}
    fake.answers[("GET", "/v1/status")] = status
    fake.answers[("GET", "/v1/llms")] = {"items": [{"name": "a", "status": "Error", "detail": "OPENAI_API_KEY is not set"}]}

    code, found = doctor()
    assert code == 1
    assert found["files"]["level"] == found["llm"]["level"] == "FAIL"
    assert "a.yaml:3:1" in found["files"]["found"]
    assert "(and 1 more)" in found["files"]["found"]
    assert "OPENAI_API_KEY is not set" in found["llm"]["found"]


@pytest.mark.parametrize(
    ("path", "mode", "name", "level"),
    [("state", 0o755, "state", "warn"), ("config", 0o777, "config", "FAIL"), ("run", 0o777, "socket", "FAIL")],
)
def test_a_folder_that_is_open_to_others_is_told(
    doctor: Doctor, fake: FakeDaemon, tmp_path: Path, path: str, mode: int, name: str, level: str
) -> None:
    (tmp_path / path).mkdir(exist_ok=True)
    (tmp_path / path).chmod(mode)

    code, found = doctor()
    assert found[name]["level"] == level
    assert found[name]["next"].startswith("chmod ")
    assert code == (level == "FAIL")


def test_an_env_file_that_others_can_read_fails(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir(mode=0o700)
    (tmp_path / "config" / "env").write_text("KEY=x\n")
    (tmp_path / "config" / "env").chmod(0o644)

    code, found = doctor()
    assert code == 1
    assert found["env file"]["next"] == f"chmod 600 '{tmp_path / 'config' / 'env'}'"


@pytest.mark.parametrize("name", ["state", "config"])
def test_a_file_where_a_folder_should_be_fails(doctor: Doctor, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("")

    code, found = doctor()
    assert code == 1
    assert found[name]["found"].endswith("is not a folder")


def test_what_is_no_socket_fails(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / "run" / "d.sock").write_text("")

    assert doctor()[1]["socket"]["found"].endswith("is no socket")


def test_a_program_that_does_not_answer_is_told(doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, does in (("bash", "exit 3"), ("node", "kill -9 $$")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    _, found = doctor()
    assert (found["bash"]["level"], found["bash"]["found"]) == ("warn", "ends with exit code 3")
    assert found["docker"]["found"].startswith("not there")
    assert found["node"]["level"] == "warn"


def test_text_has_a_line_each_with_the_next_step_below(doctor: Doctor, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0

    lines = capfd.readouterr().out.splitlines()
    assert lines[0].startswith("warn  daemon     no daemon listens at ")
    assert lines[1].strip() == "-> start one with `smallchain start`"
