"""The strictest rule wins, wherever it stands; and a digest is of exactly one call of one tool as it is pinned."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallchain.model.approval import FREE, Rule, Verdict, Word, digest_of, verdict
from smallchain.model.toolspec import ApprovalRule, Condition, DenyRule

BIG = {"amount": 150}
MUST = Rule("tool 'pay'", "required")
NEVER = Rule("agent 'clerk' for 'pay'", "never")
ABOVE_100 = Rule("tool 'pay'", ApprovalRule(when={"amount": Condition(gt=100)}))
NOT_ABOVE_120 = Rule("the defaults", None, DenyRule(when={"amount": Condition(gt=120)}))
RULES = (MUST, NEVER, ABOVE_100, NOT_ABOVE_120)
_STRICT = {Word.DENY: 2, Word.REQUIRED: 1, Word.NEVER: 0}


def rule(**words: Any) -> Rule:
    """A rule that requires an approval on these terms."""
    return Rule("tool 'pay'", ApprovalRule(**words))


def test_without_a_rule_a_call_is_free() -> None:
    assert verdict((), BIG) == FREE


@pytest.mark.parametrize(
    ("rules", "arguments", "word"),
    [
        ((NEVER,), BIG, Word.NEVER),
        ((MUST,), {}, Word.REQUIRED),
        ((NEVER, MUST), BIG, Word.REQUIRED),
        ((ABOVE_100,), BIG, Word.REQUIRED),
        ((ABOVE_100,), {"amount": 100}, Word.NEVER),
        ((ABOVE_100,), {}, Word.REQUIRED),
        ((ABOVE_100,), {"amount": "many"}, Word.REQUIRED),
        ((NOT_ABOVE_120,), BIG, Word.DENY),
        ((NOT_ABOVE_120,), {"amount": 110}, Word.NEVER),
        ((NOT_ABOVE_120,), {}, Word.REQUIRED),
        ((MUST, NOT_ABOVE_120), BIG, Word.DENY),
        ((NOT_ABOVE_120, NEVER), BIG, Word.DENY),
    ],
)
def test_deny_beats_required_beats_never_and_what_cannot_be_told_is_required(
    rules: tuple[Rule, ...], arguments: dict[str, Any], word: Word
) -> None:
    assert verdict(rules, arguments).word is word


@given(st.lists(st.sampled_from(RULES), max_size=4), st.dictionaries(st.just("amount"), st.integers() | st.text() | st.none()))
def test_the_order_of_rules_changes_nothing_and_one_more_never_makes_it_laxer(rules: list[Rule], arguments: dict[str, Any]) -> None:
    (word,) = {verdict(order, arguments).word for order in itertools.permutations(rules)}

    for more in RULES:
        assert _STRICT[verdict([*rules, more], arguments).word] >= _STRICT[word]


def test_the_terms_come_from_the_first_rule_that_has_them() -> None:
    rules = (rule(remind=("30m",)), rule(channel="marketing", expires="2h", escalate={"after": "1h", "to": "ceo"}, remind=("1h",)))
    terms = verdict(rules, {}).terms

    assert (terms.channel, terms.expires, terms.on_expiry) == ("marketing", timedelta(hours=2), "deny")
    assert (terms.remind, terms.escalate_after, terms.escalate_to) == ((timedelta(minutes=30),), timedelta(hours=1), "ceo")


def test_expiry_lets_a_call_run_only_where_every_rule_says_so() -> None:
    lax = rule(expires="2h", on_expiry="approve")

    assert verdict((lax, lax), {}).terms.on_expiry == "approve"
    for strict in (MUST, rule(), rule(expires="1h")):
        assert verdict((lax, strict), {}).terms.expires in (None, timedelta(hours=1))
        assert verdict((lax, strict), {}).terms.on_expiry != "approve"
        assert verdict((strict, lax), {}).terms.on_expiry != "approve"


def test_nobody_is_reminded_more_often_than_once_a_minute() -> None:
    assert verdict((rule(remind=("1ms",)),), {}).terms.remind == (timedelta(minutes=1),)


def test_the_reason_names_the_place_where_the_rule_is_written() -> None:
    assert verdict((NEVER, ABOVE_100), BIG) == Verdict(
        Word.REQUIRED, "the `approval` rule of tool 'pay' holds", verdict((ABOVE_100,), BIG).terms
    )


BASE = ("pay", "generation", {"python": {"code": "x"}}, {"amount": 1})


@pytest.mark.parametrize(
    "other",
    [
        ("pay2", "generation", {"python": {"code": "x"}}, {"amount": 1}),
        ("pay", "another", {"python": {"code": "x"}}, {"amount": 1}),
        ("pay", "generation", {"python": {"code": "y"}}, {"amount": 1}),
        ("pay", "generation", {"python": {"code": "x"}}, {"amount": 2}),
        ("pay", "generation", {"python": {"code": "x"}}, {"amount": "1"}),
        ("pay", "generation", {"python": {"code": "x"}}, {"amount": 1, "to": None}),
        ("pay", "generation", {"python": {"code": "x"}}, {"amount ": 1}),
    ],
)
def test_whatever_would_run_differently_has_another_digest(other: tuple[Any, ...]) -> None:
    assert digest_of(*BASE) != digest_of(*other)


def test_the_order_in_which_arguments_are_written_is_no_difference() -> None:
    assert digest_of("pay", "g", {}, {"a": 1, "b": 2}) == digest_of("pay", "g", {}, {"b": 2, "a": 1})
