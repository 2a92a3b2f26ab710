"""The connection's word, and when nothing may be changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from smallchain_tui.viewmodel.connection import Connection, Standing, same_version

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("connection", "words"),
    [
        (Connection(), "connecting"),
        (Connection(Standing.CONNECTED, version="0.4.0", pid=4121), "connected v0.4.0 pid 4121"),
        (Connection(Standing.RECONNECTING, attempt=4, retry_at=NOW + timedelta(seconds=3)), "reconnecting in 3s (attempt 4)"),
        (Connection(Standing.RECONNECTING, attempt=4, retry_at=NOW - timedelta(seconds=3)), "reconnecting (attempt 4)"),
        (Connection(Standing.STOPPED), "daemon stopped: smallchain start"),
        (Connection(Standing.SKEW, version="9.0.0"), "version skew: daemon v9.0.0, reads only"),
    ],
)
def test_each_standing_has_its_words(connection: Connection, words: str) -> None:
    assert connection.words(NOW) == words


def test_only_a_live_daemon_of_our_version_is_told_to_change_anything() -> None:
    allowed = {standing for standing in Standing if Connection(standing).why_not() is None}

    assert allowed == {Standing.CONNECTED}
    assert {standing for standing in Standing if Connection(standing).live} == {Standing.CONNECTED, Standing.SKEW}


@pytest.mark.parametrize(
    ("one", "other", "same"), [("0.1.0", "0.1.9", True), ("0.1.0", "0.2.0", False), ("1.1.0", "2.1.0", False), ("", "0.1.0", False)]
)
def test_major_and_minor_make_a_version(one: str, other: str, same: bool) -> None:
    assert same_version(one, other) is same
