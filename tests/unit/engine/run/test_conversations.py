"""Conversations that are kept grow by appending and stay within their bound."""

from __future__ import annotations

from smallchain.engine.run.conversations import Conversations


def test_messages_are_joined_as_they_stand_in_a_request() -> None:
    kept = Conversations()
    kept.extend("run", ['{"a":1}', '{"b":"\u00fc"}'])
    kept.extend("run", ['{"c":2}'])

    assert kept.joined("run") == '{"a":1},{"b":"\u00fc"},{"c":2}'.encode()
    assert kept.upto("run") == 3


def test_nothing_new_changes_nothing() -> None:
    kept = Conversations()
    kept.extend("run", ["{}"])
    kept.extend("run", [])

    assert (kept.joined("run"), kept.upto("run")) == (b"{}", 1)


def test_what_was_used_longest_ago_goes_first() -> None:
    kept = Conversations(most_bytes=10)
    for run in ("old", "older", "new"):
        kept.extend(run, ["1234"])
    kept.extend("old", ["5"])
    kept.joined("old")

    assert [kept.upto(run) for run in ("old", "older", "new")] == [2, 0, 1]


def test_one_that_alone_is_too_long_is_still_sent() -> None:
    kept = Conversations(most_bytes=3)
    kept.extend("run", ["12345"])

    assert kept.joined("run") == b"12345"
    assert kept.upto("run") == 0


def test_what_is_forgotten_begins_again() -> None:
    kept = Conversations()
    kept.extend("run", ["1"])
    kept.forget("run")
    kept.extend("run", ["2"])

    assert kept.joined("run") == b"2"
