"""What a shell completes: commands, flags, kinds, live names, each quoted as the line has it; and never an error."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallchain.cli.commands.completion import SCRIPTS
from smallchain.cli.complete import Line
from smallchain.cli.main import COMMANDS, main
from support.command import environment
from support.fakedaemon import FakeDaemon
from support.programs import needed

NAMES = ["monday", "my first run", "it's $HOME", 'a "b" \\c', "mon:day=1", "\x1b[31mred", "two\nlines"]
Complete = Callable[..., list[str]]


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeDaemon]:
    with FakeDaemon(tmp_path / "d.sock") as daemon:
        daemon.answers[("GET", "/v1/runs")] = {
            "items": [{"kind": "run", "id": f"id{n}", "name": name, "status": "Running"} for n, name in enumerate(NAMES)]
        }
        daemon.answers[("GET", "/v1/tasks")] = {"items": [{"kind": "task", "name": "tidy up", "status": "Ready"}]}
        daemon.answers[("GET", "/v1/toolcalls")] = {"items": [{"kind": "toolcall", "id": "0123456789abcdef", "tool": "add"}]}
        asked = [("approval", "00-deadbeef"), ("question", "00-cafebabe")]
        daemon.answers[("GET", "/v1/requests")] = {"items": [{"kind": kind, "id": id, "tool": "post"} for kind, id in asked]}
        daemon.answers[("GET", "/v1/grants")] = {"items": [{"kind": "grant", "id": "00-feedf00d", "tool": "post"}]}
        yield daemon


@pytest.fixture
def complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Complete:
    monkeypatch.setenv("SMALLCHAIN_SOCKET", str(tmp_path / "d.sock"))

    def asked(shell: str, *words: str) -> list[str]:
        assert main(["__complete", shell, *words]) == 0
        said = capfd.readouterr()
        assert said.err == ""
        return said.out.splitlines()

    return asked


def test_commands_flags_and_kinds_need_no_daemon(complete: Complete) -> None:
    assert [line.split("\t")[0] for line in complete("zsh", "")] == ["words", *COMMANDS]
    assert any(line.startswith("--watch\tgo on with each row") for line in complete("zsh", "get", "--w"))
    assert "--output\thow it is printed (table)" in complete("zsh", "get", "--")
    assert "runs\t" in complete("fish", "get", "")
    assert complete("bash", "smallchain get ru") == ["words", "runs"]
    assert complete("bash", "smallchain get runs -o j") == ["words", "json", "jsonl"]
    assert complete("bash", "smallchain get runs mon") == ["words"]


def test_files_and_folders_are_left_to_the_shell(complete: Complete) -> None:
    assert complete("bash", "smallchain apply -f ex") == ["files"]
    assert complete("bash", "smallchain validate ") == ["files"]
    assert complete("bash", "smallchain --state-dir ") == ["folders"]
    assert complete("bash", "smallchain get --config-dir=") == ["folders"]


def test_names_that_can_be_typed_are_offered_with_what_they_are(fake: FakeDaemon, complete: Complete) -> None:
    assert complete("zsh", "get", "runs", "") == ["words", *(f"{name}\tRunning" for name in NAMES[:5])]
    assert complete("fish", "run", "") == ["words", "tidy up\tReady"]
    assert complete("zsh", "describe", "toolcall", "") == ["words", "89abcdef\tadd"]


def test_a_decision_is_offered_the_requests_that_take_it(fake: FakeDaemon, complete: Complete) -> None:
    assert complete("zsh", "approve", "") == ["words", "deadbeef\tpost"]
    assert complete("zsh", "deny", "") == ["words", "deadbeef\tpost"]
    assert complete("zsh", "answer", "") == ["words", "cafebabe\tpost"]
    assert complete("zsh", "revoke", "") == ["words", "feedf00d\tpost"]
    assert complete("zsh", "settle", "") == ["words", "89abcdef\tadd"]
    assert fake.requests[-1].query["phase"] == ["in_doubt"]
    assert complete("zsh", "callback", "") == ["words", "89abcdef\tadd"]
    assert fake.requests[-1].query["phase"] == ["awaiting_callback"]


def test_what_stands_on_the_line_is_not_offered_again(fake: FakeDaemon, complete: Complete) -> None:
    assert "monday\tRunning" not in complete("zsh", "cancel", "monday", "")
    assert "monday\tRunning" in complete("zsh", "cancel", "--note", "monday", "")


def test_a_flags_value_is_offered_beside_it_or_behind_it(fake: FakeDaemon, complete: Complete) -> None:
    assert complete("bash", "smallchain get toolcalls --run mond") == ["words", "monday"]
    assert complete("bash", "smallchain get toolcalls --run=mond") == ["words", "monday"]
    assert complete("zsh", "get", "toolcalls", "--run=mond")[1] == "--run=monday\tRunning"
    assert complete("bash", "smallchain get runs -- --") == ["words"]


@pytest.mark.parametrize(
    "words", [("nonsense", ""), ("get", "nonsense", ""), ("help", "ge"), ("version", "x"), ("--socket", ""), ("", "", "")]
)
def test_half_and_wrong_lines_are_no_error(complete: Complete, words: tuple[str, ...]) -> None:
    assert complete("zsh", *words)[0] in ("words", "files")
    assert complete("bash", " ".join(["smallchain", *words]))[0] in ("words", "files")
    assert complete("none") == []


@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_any_line_is_read(text: str) -> None:
    line = Line(text)

    assert line.words
    assert isinstance(line.insertion(line.words[-1] + "x"), str)


# In a real shell


def driven(tmp_path: Path, fake: FakeDaemon, line: str, *, then: str = 'printf "%s\\n" "${COMPREPLY[@]}"') -> str:
    """What bash says after the script has completed a line."""
    folder = tmp_path / "bin"
    folder.mkdir(exist_ok=True)
    program = folder / "smallchain"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m smallchain.cli.main "$@"\n')
    program.chmod(0o755)
    env = environment(tmp_path, SMALLCHAIN_SOCKET=str(fake.path), PATH=f"{folder}:{os.environ['PATH']}", LINE=line, LC_ALL="C.UTF-8")
    script = f"""
        set -u
        source <(smallchain completion bash)
        COMP_LINE=$LINE COMP_POINT=${{#LINE}} COMP_WORDBREAKS=$' \\t\\n"\\'@><=;|&(:'
        _smallchain smallchain
        {then}
    """
    done = subprocess.run([needed("bash"), "--norc", "-c", script], env=env, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("start", ["", "'", '"'])
def test_bash_gets_words_that_it_reads_back_as_the_names(tmp_path: Path, fake: FakeDaemon, start: str) -> None:
    then = 'for one in "${COMPREPLY[@]}"; do eval "printf \'%s\\\\n\' {}$one{}"; done'
    quote = {"": "", "'": "'", '"': '\\"'}[start]
    said = driven(tmp_path, fake, f"smallchain get runs {start}", then=then.replace("{}", quote))

    assert said.splitlines() == NAMES[:5]


@pytest.mark.parametrize(
    ("line", "replies"),
    [
        ("smallchain get ru", ["runs"]),
        ("smallchain get runs my\\ f", ["my\\ first\\ run"]),
        ("smallchain get runs 'my f", ["my first run"]),
        ("smallchain get toolcalls --run=my\\ f", ["my\\ first\\ run"]),
        ("smallchain get runs mon:d", ["day\\=1"]),
        ("smallchain get runs 'mon:d", ["mon:day=1"]),
        ("smallchain apply -f ", [""]),
    ],
)
def test_bash_replaces_what_readline_would(tmp_path: Path, fake: FakeDaemon, line: str, replies: list[str]) -> None:
    assert driven(tmp_path, fake, line).splitlines() == replies


@pytest.mark.parametrize("shell", SCRIPTS)
def test_each_script_is_of_its_shell(shell: str) -> None:
    done = subprocess.run([needed(shell), "-n"], input=SCRIPTS[shell], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")
