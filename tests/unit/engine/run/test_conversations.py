"""Conversations that are kept grow by appending and stay within their bound."""

from __future__ import annotations

from smallchain.engine.run.conversations import Conversations


def test_messages_are_joined_as_they_stand_in_a_request() -> None:
    kept = Conversations()
    kept.extend("run", ['{"a":1}', '{"b":"\u00fc"}'], upto=2)
    kept.extend("run", ['{"c":2}'], upto=3)

    assert kept.joined("run") == '{"a":1},{"b":"\u00fc"},{"c":2}'.encode()
    assert kept.upto("run") == 3


def test_nothing_new_changes_nothing() -> None:
    kept = Conversations()
    kept.extend("run", ["{}"], upto=1)
    kept.extend("run", [], upto=1)

    assert (kept.joined("run"), kept.upto("run")) == (b"{}", 1)


def test_what_was_used_longest_ago_goes_first() -> None:
    kept = Conversations(most_bytes=10)
    for run in ("old", "older", "new"):
        kept.extend(run, ["1234"], upto=1)
    kept.extend("old", ["5"], upto=2)
    kept.joined("old")

    assert [kept.upto(run) for run in ("old", "older", "new")] == [2, 0, 1]


def test_one_that_alone_is_too_long_is_still_sent() -> None:
    kept = Conversations(most_bytes=3)
    kept.extend("run", ["12345"], upto=1)

    assert kept.joined("run") == b"12345"
    assert kept.upto("run") == 0


def test_what_is_forgotten_begins_again() -> None:
    kept = Conversations()
    kept.extend("run", ["1"], upto=1)
    kept.forget("run")
    kept.extend("run", ["2"], upto=1)

    assert kept.joined("run") == b"2"


def test_one_that_leaves_out_something_else_is_not_gone_on_with() -> None:
    kept = Conversations()
    kept.extend("run", ["1", "2", "7"], upto=7, first=7)

    assert kept.upto("run", first=7) == 7
    assert (kept.upto("run"), kept.upto("run", first=9)) == (0, 0)
