"""What time brings to a request, and what a delivery does next; every step is one that the table has."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallchain.engine.human.decide import DeliveryFacts, RequestFacts, decide, decide_delivery, next_reminder
from smallchain.model.lifecycles import DELIVERY, DeliveryPhase, RequestPhase
from support.rows import NOON

MINUTE = timedelta(minutes=1)
OPEN = RequestFacts(RequestPhase.OPEN)
WAITING = DeliveryFacts("d", DeliveryPhase.WAITING, request_is_open=True, epoch=2, channel="2/abc")


# ---- requests


def test_a_request_without_times_is_never_looked_at_again() -> None:
    assert decide(OPEN, now=NOON).look_at is None


def test_it_is_looked_at_again_at_the_first_of_its_times() -> None:
    facts = replace(OPEN, expires_at=NOON + 3 * MINUTE, remind_at=NOON + MINUTE, escalate_at=NOON + 2 * MINUTE)

    assert decide(facts, now=NOON).look_at == NOON + MINUTE
    assert decide(facts, now=NOON + MINUTE).cause == "reminded"
    assert decide(facts, now=NOON + 2 * MINUTE).cause == "escalated"
    assert decide(facts, now=NOON + 3 * MINUTE).cause == "expired"


def test_expiry_can_mean_that_the_next_is_asked() -> None:
    assert decide(replace(OPEN, expires_at=NOON, on_expiry="escalate"), now=NOON).cause == "escalated"


@pytest.mark.parametrize("phase", [RequestPhase.ANSWERED, RequestPhase.EXPIRED, RequestPhase.WITHDRAWN])
def test_a_closed_request_is_at_rest_whatever_the_time(phase: RequestPhase) -> None:
    assert decide(replace(OPEN, phase=phase, expires_at=NOON), now=NOON + MINUTE).at_rest


def test_reminders_climb_the_ladder_and_stay_on_its_last_step() -> None:
    gaps = (MINUTE, 10 * MINUTE)

    assert [next_reminder(gaps, made, now=NOON) for made in (0, 1, 2, 9)] == [NOON + MINUTE, *[NOON + 10 * MINUTE] * 3]
    assert next_reminder((), 0, now=NOON) is None


# ---- deliveries


def test_a_delivery_is_tried_when_it_is_due_and_its_channel_is_there() -> None:
    assert decide_delivery(WAITING, now=NOON).cause == "attempted"
    assert decide_delivery(replace(WAITING, due_at=NOON + MINUTE), now=NOON).look_at == NOON + MINUTE
    assert decide_delivery(replace(WAITING, channel=""), now=NOON).cause == "channel_lacking"


def test_one_that_the_daemon_did_not_live_to_record_is_tried_again() -> None:
    trying = replace(WAITING, phase=DeliveryPhase.DELIVERING, attempts=1, tried_in=1)

    assert decide_delivery(trying, now=NOON).cause == "interrupted"
    (effect,) = decide_delivery(replace(trying, tried_in=2), now=NOON).effects
    assert (effect.name, effect.target, effect.attempt) == ("deliver", "d", 1)


def test_one_that_was_refused_waits_until_its_channel_is_another() -> None:
    held = replace(WAITING, phase=DeliveryPhase.HELD, attempts=1, mark="2/abc")

    assert decide_delivery(held, now=NOON).cause is None
    assert decide_delivery(replace(held, channel=""), now=NOON).cause is None
    assert decide_delivery(replace(held, channel="2/def"), now=NOON).cause == "channel_changed"


def test_the_end_is_told_where_the_beginning_may_have_been() -> None:
    over = replace(WAITING, request_is_open=False)

    assert decide_delivery(over, now=NOON).cause == "ended_untold"
    assert decide_delivery(replace(over, attempts=1), now=NOON).cause == "ended"
    assert decide_delivery(replace(over, phase=DeliveryPhase.DELIVERED, attempts=1), now=NOON).cause == "ended"
    (effect,) = decide_delivery(replace(over, phase=DeliveryPhase.CLOSING, attempts=1), now=NOON).effects
    assert effect.name == "tell_end"


@given(
    st.builds(
        DeliveryFacts,
        id=st.just("d"),
        phase=st.sampled_from(DeliveryPhase),
        request_is_open=st.booleans(),
        epoch=st.integers(1, 3),
        tried_in=st.integers(0, 3),
        attempts=st.integers(0, 3),
        due_at=st.sampled_from([None, NOON - MINUTE, NOON + MINUTE]),
        mark=st.sampled_from(["", "1/a", "2/b"]),
        channel=st.sampled_from(["", "1/a", "2/b"]),
    )
)
def test_no_step_of_a_delivery_leaves_the_table(facts: DeliveryFacts) -> None:
    decision = decide_delivery(facts, now=NOON)

    assert decision.cause is None or decision.cause in DELIVERY[facts.phase]
