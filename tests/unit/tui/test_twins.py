"""The command that does the same: the command's own parser reads it, and means the same."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallchain.cli.main import parser_of
from smallchain_tui import twins

ID = "01a2b3c4-0000-7000-8000-0000deadbeef"


def _read(line: str) -> dict[str, object]:
    program, command, *words = shlex.split(line)
    assert program == "smallchain"
    return vars(parser_of(command)[1].parse_args(words))


@pytest.mark.parametrize(
    ("line", "means"),
    [
        (twins.approve(ID, note="but only this one"), {"ids": ["deadbeef"], "note": "but only this one", "for_run": False}),
        (twins.approve(ID, for_run=True), {"ids": ["deadbeef"], "for_run": True}),
        (twins.approve(ID, arguments={"title": "A 'b'", "count": 3, "tags": ["x"], "zip": "0123", "n": "3"}), {"ids": ["deadbeef"]}),
        (twins.deny(ID, note="-no"), {"ids": ["deadbeef"], "note": "-no"}),
        (twins.answer(ID, "the second one"), {"ids": ["deadbeef"], "text": "the second one"}),
        (twins.answer(ID, "--yes", note="x"), {"ids": ["deadbeef"], "text": "--yes", "note": "x"}),
        (twins.settle(ID, "happened", result="done"), {"id": "deadbeef", "happened": "done"}),
        (twins.settle(ID, "run_again"), {"id": "deadbeef", "run_again": True}),
        (twins.settle(ID, "did_not_happen", note="x"), {"id": "deadbeef", "did_not_happen": True, "note": "x"}),
        (twins.on_run("pause", "my first run"), {"runs": ["my first run"], "only": False}),
        (twins.on_run("cancel", "-odd", note="enough"), {"runs": ["-odd"], "note": "enough"}),
        (twins.on_run("resume", "a", adopt=True, only=True), {"runs": ["a"], "adopt": True, "only": True}),
        (twins.retry("a/b-1", from_start=True, confirmed=True), {"run": "a/b-1", "from_start": True, "yes": True}),
        (twins.fork("a", 12), {"run": "a", "at": 12}),
        (
            twins.start("digest", message="hi there", name="n", priority=5),
            {"task": "digest", "message": "hi there", "name": "n", "priority": 5},
        ),
    ],
)
def test_the_command_reads_its_twin(line: str, means: dict[str, object]) -> None:
    read = _read(line)

    assert {name: read[name] for name in means} == means


def test_changed_arguments_come_out_as_they_went_in() -> None:
    from smallchain.cli.commands.decide import value_of

    arguments = {"title": "A 'b'", "count": 3, "tags": ["x"], "zip": "0123", "n": "3", "yes": "true"}
    pairs = _read(twins.approve(ID, arguments=arguments))["set"]

    assert isinstance(pairs, list)
    assert {name: value_of(value) for name, _, value in (pair.partition("=") for pair in pairs)} == arguments


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=30))
def test_whatever_a_note_says_the_shell_gives_it_back(note: str) -> None:
    assert _read(twins.deny(ID, note=note))["note"] == note
