"""When an MCP server is to be kept, and what its ends come to."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from smallchain.engine.mcpserver.decide import CRASH_LOOP, STABLE, ServerFacts, after_end, decide
from smallchain.model.decision import Effect
from smallchain.model.lifecycles import Readiness

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SECOND = timedelta(seconds=1)
READY = ServerFacts(name="raw", generation=2, status=Readiness.READY, unsupported="", checked="1/a", mark="1/a", retry_at=NOW + SECOND)
KEEP = (Effect("mcp_server", "keep", "raw", 2),)


def test_a_server_is_kept_as_long_as_it_is_written() -> None:
    assert decide(READY, now=NOW).effects == KEEP
    assert decide(replace(READY, status=Readiness.PENDING, checked=""), now=NOW).effects == KEEP


def test_one_that_ended_is_begun_again_after_its_pause() -> None:
    ended = replace(READY, status=Readiness.ERROR)

    assert decide(ended, now=NOW).effects == ()
    assert decide(ended, now=NOW).look_at == NOW + SECOND
    assert decide(ended, now=NOW + SECOND).effects == KEEP


def test_other_words_or_another_life_of_the_daemon_wait_for_no_pause() -> None:
    assert decide(replace(READY, status=Readiness.ERROR, mark="1/b"), now=NOW).effects == KEEP
    assert decide(replace(READY, status=Readiness.ERROR, mark="2/a"), now=NOW).effects == KEEP


def test_what_this_version_cannot_keep_is_stopped() -> None:
    decision = decide(replace(READY, unsupported="no"), now=NOW)

    assert (decision.cause, decision.detail, decision.at_rest) == ("missing", "no", True)


def test_ends_are_counted_and_a_server_that_lived_for_a_minute_begins_anew() -> None:
    assert after_end("exit code 1", lived=SECOND, failures=0) == (1, "exit code 1")
    assert after_end("exit code 1", lived=SECOND, failures=CRASH_LOOP - 1) == (CRASH_LOOP, "it has ended 5 times in a row: exit code 1")
    assert after_end("exit code 1", lived=STABLE, failures=9) == (1, "exit code 1")
