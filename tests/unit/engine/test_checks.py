"""What is outside is looked at when it is new, changed, of an earlier life of the daemon, or due again after an error."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from smallchain.engine.checks import CheckFacts, decide, mark_of, words_of
from smallchain.model.lifecycles import Readiness
from support.rows import NOON

READY = CheckFacts("channel", "ops", Readiness.READY, "", failures=0, checked="1/a", mark="1/a", retry_at=NOON)


def test_what_is_ready_is_left_alone() -> None:
    assert decide(READY, now=NOON).effects == ()


def test_one_that_was_not_looked_at_in_this_form_and_life_is_checked() -> None:
    for checked in ("", "0/a", "1/b"):
        assert [effect.name for effect in decide(replace(READY, checked=checked), now=NOON).effects] == ["check"]


def test_one_with_an_error_is_checked_again_after_a_while() -> None:
    broken = replace(READY, status=Readiness.ERROR, failures=1, retry_at=NOON + timedelta(seconds=5))

    assert decide(broken, now=NOON).look_at == NOON + timedelta(seconds=5)
    assert len(decide(broken, now=NOON + timedelta(seconds=5)).effects) == 1


def test_a_type_that_nothing_here_speaks_is_missing() -> None:
    assert decide(replace(READY, unsupported="nothing here speaks `type: x`"), now=NOON).cause == "missing"


def test_a_mark_tells_lives_and_words_apart_and_words_outlive_a_life() -> None:
    assert len({mark_of(1, "a"), mark_of(2, "a"), mark_of(1, "b"), mark_of(1, "a", "b")}) == 4
    assert words_of(mark_of(1, "a", "b")) == words_of(mark_of(2, "a", "b")) != words_of(mark_of(2, "a", "c"))
