"""A channel is checked when it is new, changed, of an earlier life of the daemon, or due again after an error."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from smallchain.engine.channel.decide import ChannelFacts, decide
from smallchain.model.lifecycles import Readiness
from support.rows import NOON

READY = ChannelFacts("ops", Readiness.READY, "", failures=0, checked="1/a", mark="1/a", retry_at=NOON)


def test_a_ready_channel_is_left_alone() -> None:
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
