"""The key map: no key means two things on a screen, and what a person moves is checked before it holds."""

from __future__ import annotations

import tomllib

import pytest

from smallchain_tui import keymap
from smallchain_tui.keymap import ACTIONS, Keys


def test_the_keys_as_they_come_clash_nowhere() -> None:
    assert Keys({}).faults() == []


def test_an_id_stands_once_and_its_scope_is_known() -> None:
    ids = [action.id for action in ACTIONS]

    assert len(ids) == len(set(ids))
    assert {action.scope for action in ACTIONS} == {scope for scopes in keymap.SCREENS.values() for scope in scopes} == set(keymap.TITLES)


def test_no_key_is_one_that_terminals_take() -> None:
    keys = {key for action in ACTIONS for key in action.keys.split(",")}

    assert not keys & {"ctrl+k", "f10", "f11"}


@pytest.mark.parametrize(
    ("moved", "fault"),
    [
        ({"runs.pause": "K"}, "overview: runs: K is both runs.pause and runs.cancel"),
        ({"runs.puase": "P"}, "there is no action 'runs.puase'"),
        ({"runs.pause": "ctrl+k"}, "runs.pause: ctrl+k is never bound"),
        ({"runs.pause": "?"}, "? is both anywhere.help and runs.pause"),
    ],
)
def test_what_cannot_hold_is_told(moved: dict[str, str], fault: str) -> None:
    assert any(fault in each for each in Keys(moved).faults()), Keys(moved).faults()


def test_a_key_may_be_moved_to_a_free_one() -> None:
    keys = Keys({"runs.pause": "P"})

    assert keys.faults() == []
    assert keys.shown("runs.pause") == "P"
    assert keys.shown("runs.cancel") == "K"


def test_what_is_printed_is_what_the_file_takes() -> None:
    read = tomllib.loads("[keys]\n" + keymap.printed(Keys({"runs.pause": "P"})))["keys"]

    assert read == {action.id: action.keys for action in ACTIONS} | {"runs.pause": "P"}


def test_keys_are_shown_as_people_write_them() -> None:
    assert [Keys({}).shown(id) for id in ("anywhere.help", "anywhere.command_line", "overview.filter", "runs.parent")] == [
        "?",
        ":",
        "/",
        "[",
    ]
