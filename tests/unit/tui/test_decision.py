"""The machine that stands between a keyboard and a side effect: nothing is sent but what a person began when the keys were armed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallchain_tui.viewmodel.decision import ARM_S, HOLD_S, NOT_ARMED, Act, Asked, Decision, How, Stage, Verdict

APPROVE, DENY, ALWAYS = Verdict("approve"), Verdict("deny"), Verdict("approve", for_run=True)
ID = "01936d1e-5c7a-7abc-8def-0123456789ab"


def item(**changes: Any) -> dict[str, Any]:
    """An open approval as the daemon tells it."""
    whole = {"id": ID, "kind": "approval", "digest": "ab" * 32, "risk": "normal", "tool": "publish_post", "run": "blog-7", "run_id": "r7"}
    return whole | {"phase": "open"} | changes


def opened(**changes: Any) -> Decision:
    """It, opened at 0."""
    return Decision.open(item(**changes), 0.0)


def sent(decision: Decision, *, at: float) -> Decision:
    """Held since `at`, it is sent."""
    return decision.tick(at + HOLD_S, why_not=None)


# ---- a verdict


def test_a_verdict_key_that_stands_alone_is_sent_with_the_digest_that_was_shown() -> None:
    held = opened().press(APPROVE, 1.0, why_not=None)

    assert held.stage is Stage.HELD
    assert held.tick(1.0 + HOLD_S / 2, why_not=None).stage is Stage.HELD
    done = sent(held, at=1.0)
    assert (done.stage, done.request()) == (Stage.SENT, Act("approve", ID, {"expect_digest": "ab" * 32}))


def test_a_key_before_the_delay_does_nothing_and_begins_the_delay_anew() -> None:
    early = opened().press(APPROVE, ARM_S - 0.01, why_not=None)

    assert (early.stage, early.notice) == (Stage.OPENED, NOT_ARMED)
    assert early.press(APPROVE, ARM_S + 0.1, why_not=None).stage is Stage.OPENED
    assert early.press(APPROVE, 2 * ARM_S, why_not=None).stage is Stage.HELD


def test_any_other_key_within_the_hold_takes_a_verdict_back() -> None:
    held = opened().press(APPROVE, 1.0, why_not=None)
    taken_back = held.other(1.1)

    assert (taken_back.stage, taken_back.verdict) == (Stage.OPENED, None)
    assert held.press(APPROVE, 1.1, why_not=None).stage is Stage.OPENED, "a key that repeats itself is two keys"
    assert sent(taken_back, at=1.1).stage is Stage.OPENED


def test_high_risk_needs_the_tools_name_letter_by_letter() -> None:
    asked = opened(risk="high").press(APPROVE, 1.0, why_not=None)

    assert asked.stage is Stage.CONFIRMING
    wrong = asked.write(2.0, typed="publish").send(3.0, why_not=None)
    assert (wrong.stage, wrong.notice) == (Stage.CONFIRMING, "type publish_post first")
    right = asked.write(2.0, typed="publish_post")
    assert right.send(2.1, why_not=None).stage is Stage.CONFIRMING, "what pastes a word may paste the key after it"
    assert sent(right.send(3.0, why_not=None), at=3.0).stage is Stage.SENT


def test_always_in_this_run_needs_the_word_at_any_risk() -> None:
    asked = opened(risk="low").press(ALWAYS, 1.0, why_not=None)
    done = sent(asked.write(2.0, typed="publish_post").send(3.0, why_not=None), at=3.0)

    assert asked.stage is Stage.CONFIRMING
    assert done.request().body["for_run"] is True


def test_a_name_no_keyboard_can_type_gives_way_to_another_word() -> None:
    asked = opened(risk="high", tool="p\u0430y\u202e").press(APPROVE, 1.0, why_not=None)

    assert asked.subject.word == "yes"


def test_to_deny_opens_the_note_and_sends_it_with_the_verdict() -> None:
    noting = opened().press(DENY, 1.0, why_not=None).write(2.0, note="use the draft channel")

    assert noting.stage is Stage.NOTING
    held = noting.send(2.1, why_not=None)
    assert sent(held, at=2.1).request() == Act("deny", ID, {"note": "use the draft channel", "expect_digest": "ab" * 32})


def test_a_note_goes_with_an_approval_too_and_sends_nothing_itself() -> None:
    noted = opened().begin_note(1.0).write(1.5, note="only this once").send(2.0, why_not=None)

    assert (noted.stage, noted.note) == (Stage.OPENED, "only this once")
    assert noted.press(APPROVE, 2.1, why_not=None).stage is Stage.OPENED, "the keys arm anew after a text field"
    assert sent(noted.press(APPROVE, 3.0, why_not=None), at=3.0).request().body["note"] == "only this once"


def test_edits_go_whole_and_the_keys_arm_anew_after_them() -> None:
    edited = opened().edit(1.0).accept({"title": "b"}, ('title: "a" → "b"',), 2.0)

    assert edited.press(APPROVE, 2.1, why_not=None).stage is Stage.OPENED
    assert edited.press(APPROVE, 3.0, why_not=None).request().body["arguments"] == {"title": "b"}


def test_escape_backs_out_of_whatever_was_begun_and_keeps_what_was_written() -> None:
    noting = opened().press(DENY, 1.0, why_not=None).write(2.0, note="because").escape(2.5)

    assert (noting.stage, noting.verdict, noting.note) == (Stage.OPENED, None, "because")
    assert opened().edit(1.0).escape(2.0).edits is None
    assert opened().press(APPROVE, 1.0, why_not=None).escape(1.1).stage is Stage.OPENED


def test_a_verdict_that_a_request_does_not_take_is_none() -> None:
    assert opened(kind="question").press(APPROVE, 1.0, why_not=None).stage is Stage.OPENED


# ---- what is chosen from a list


def test_an_answer_is_sent_by_its_own_key_and_never_empty() -> None:
    asked = opened(kind="question", digest="").choose("answer", 1.0)

    assert asked.send(2.0, why_not=None).notice == "nothing is written yet"
    held = asked.write(2.0, text="the second").send(2.5, why_not=None)
    assert sent(held, at=2.5).request() == Act("answer", ID, {"text": "the second"})


@pytest.mark.parametrize(
    ("kind", "verb", "act"),
    [
        ("settle", "did_not_happen", Act("settle", ID, {"did_not_happen": True})),
        ("settle", "run_again", Act("settle", ID, {"run_again": True})),
        ("loop", "resume", Act("resume", "r7", {"only": True})),
        ("quarantine", "cancel", Act("cancel", "r7", {})),
        ("budget", "deny", Act("deny", ID, {})),
    ],
)
def test_each_verb_of_a_kind_goes_its_own_way(kind: str, verb: str, act: Act) -> None:
    held = opened(kind=kind, digest="").choose(verb, 1.0).send(2.0, why_not=None)

    assert sent(held, at=2.0).request() == act


def test_what_is_chosen_and_sent_in_one_burst_is_not_sent() -> None:
    chosen = opened(kind="settle", digest="").choose("run_again", 1.0)

    assert chosen.send(1.1, why_not=None).stage is Stage.OPENED
    assert chosen.send(2.0, why_not=None).stage is Stage.HELD


def test_to_run_a_high_risk_call_again_needs_the_word() -> None:
    assert opened(kind="settle", risk="high").choose("run_again", 1.0).send(2.0, why_not=None).stage is Stage.CONFIRMING


# ---- without a connection


def test_offline_a_verdict_is_refused_and_what_was_written_stays() -> None:
    noted = replace(opened(), note="mind the date")
    refused = noted.press(APPROVE, 1.0, why_not="no daemon")

    assert (refused.stage, refused.notice, refused.note) == (Stage.OPENED, "not sent: no daemon", "mind the date")
    assert refused.tick(9.0, why_not=None).stage is Stage.OPENED, "nothing is queued"


def test_a_connection_lost_within_the_hold_sends_nothing_later() -> None:
    held = opened().press(APPROVE, 1.0, why_not=None)
    lost = held.tick(2.0, why_not="no daemon")

    assert lost.stage is Stage.OPENED
    assert lost.tick(3.0, why_not=None).stage is Stage.OPENED


def test_a_connection_lost_after_it_was_sent_is_told_and_looked_into() -> None:
    unknown = sent(opened().press(APPROVE, 1.0, why_not=None), at=1.0).lost("nobody knows", 2.0)

    assert (unknown.stage, unknown.notice) == (Stage.UNKNOWN, "nobody knows")
    assert unknown.press(APPROVE, 9.0, why_not=None).stage is Stage.UNKNOWN
    again = unknown.looked(item(), 10.0)
    assert (again.stage, again.notice) == (Stage.OPENED, "it did not arrive: nothing was decided")
    there = unknown.looked(item(phase="answered", answered_by="ann", answer={"verb": "approve"}), 10.0)
    assert there.ending is not None
    assert there.ending.sentence == "approved by ann"


# ---- others


@pytest.mark.parametrize(
    ("closed", "how", "sentence"),
    [
        ({"phase": "answered", "answered_by": "alice", "answer": {"verb": "deny"}}, How.CONFLICT, "denied by alice"),
        ({"phase": "expired", "on_expiry": "deny"}, How.EXPIRED, "expired: nobody answered in time (deny)"),
        ({"phase": "withdrawn"}, How.WITHDRAWN, "withdrawn: it is not asked any more"),
    ],
)
def test_what_another_decided_first_is_shown_and_nothing_more_is_sent(closed: dict[str, Any], how: How, sentence: str) -> None:
    over = opened().press(APPROVE, 1.0, why_not=None).looked(item(**closed), 1.1)

    assert over.ending is not None
    assert (over.stage, over.ending.how, over.ending.sentence) == (Stage.ENDED, how, sentence)
    assert sent(over.press(APPROVE, 2.0, why_not=None), at=2.0).stage is Stage.ENDED


def test_a_note_that_was_being_written_outlives_anothers_decision() -> None:
    noting = opened().begin_note(1.0).write(1.5, note="half a thou")

    assert noting.looked(item(phase="withdrawn"), 2.0).note == "half a thou"


def test_what_is_asked_anew_under_the_same_id_is_not_what_was_looked_at() -> None:
    edited = opened().edit(1.0).accept({"title": "b"}, (), 2.0)
    anew = edited.press(APPROVE, 3.0, why_not=None).looked(item(digest="cd" * 32), 3.1)

    assert (anew.stage, anew.edits) == (Stage.OPENED, None)
    assert isinstance(anew.subject, Asked)
    assert anew.subject.digest == "cd" * 32
    assert not anew.armed(3.2)


def test_a_refusal_leaves_it_open_and_says_why() -> None:
    refused = sent(opened().press(APPROVE, 1.0, why_not=None), at=1.0).refused("the arguments don't fit", 2.0)

    assert (refused.stage, refused.notice) == (Stage.OPENED, "the arguments don't fit")


# ---- for all sequences

KEYS = st.sampled_from(["approve", "deny", "always", "send", "escape", "edit", "note", "other", "paste", "letter"])
STEPS = st.lists(st.tuples(st.floats(0.0, 1.0), KEYS), max_size=30)


def typed_at(decision: Decision, key: str, now: float) -> Decision:
    """What the screen makes of a key."""
    match key:
        case "approve" | "deny":
            return decision.other(now) if decision.has_text_field else decision.press(Verdict(key), now, why_not=None)
        case "always":
            return decision.other(now) if decision.has_text_field else decision.press(ALWAYS, now, why_not=None)
        case "send":
            return decision.send(now, why_not=None)
        case "escape":
            return decision.escape(now)
        case "edit":
            return decision.edit(now)
        case "note":
            return decision.begin_note(now)
        case "letter" if decision.stage is Stage.CONFIRMING:
            return decision.write(now, typed=decision.subject.word[: len(decision.typed) + 1])
        case _:
            return decision.other(now)


@settings(deadline=None)
@given(STEPS, st.sampled_from(["normal", "high"]))
def test_whatever_is_typed_only_a_lone_verdict_key_after_the_delay_is_ever_sent(steps: list[tuple[float, str]], risk: str) -> None:
    decision, now, last = opened(risk=risk, tool="ab"), 0.0, 0.0
    begun = letters = False
    for gap, key in steps:
        moment = now + gap
        ticked = decision.tick(moment, why_not=None)
        if ticked.stage is Stage.SENT:
            assert begun, "it was begun by a verdict key that stood alone"
            assert moment - last >= HOLD_S, "and no key followed it"
            assert not decision.needs_word or letters, "and the word was typed"
            return
        decision, now = ticked, moment
        if decision.stage is Stage.OPENED:
            begun = key in ("approve", "deny", "always") and now - last >= ARM_S
            letters = False
        decision = typed_at(decision, key, now)
        letters = letters or decision.typed == "ab"
        last = now


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0.0, 0.39), KEYS), max_size=40))
def test_no_burst_of_keys_ever_sends_anything(burst: list[tuple[float, str]]) -> None:
    decision, now = opened(), 0.0
    for gap, key in burst:
        now += gap
        decision = typed_at(decision.tick(now, why_not=None), key, now)

        assert decision.stage not in (Stage.HELD, Stage.SENT)
    assert decision.tick(now + 9.0, why_not=None).stage is not Stage.SENT


# ---- caps


def test_a_cap_is_raised_by_what_is_written_and_for_good_only_with_a_word() -> None:
    asked = {"id": "r1", "kind": "budget", "digest": "ab", "risk": "normal", "run": "crawl-9", "phase": "open"}
    decision = Decision.open(asked, 0.0, text=" $20 ")
    once, good = Verdict("approve"), Verdict("approve", for_good=True)

    assert replace(decision, verdict=once).request() == Act(
        "approve", "r1", {"expect_digest": "ab", "arguments": {"by": "$20", "for_good": False}}
    )
    assert replace(decision, verdict=good).request().body["arguments"] == {"by": "$20", "for_good": True}
    assert replace(decision, text="", verdict=once).request().body == {"expect_digest": "ab"}, "as it is asked"
    assert not decision.subject.needs_word(once)
    assert decision.subject.needs_word(good)
    assert decision.subject.word == "yes"
