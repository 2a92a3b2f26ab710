"""When an LLM is checked, and when that is left alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallchain.engine.checks import mark_of
from smallchain.engine.llm.decide import LLMFacts, decide
from smallchain.model.decision import Decision, Effect
from smallchain.model.lifecycles import READINESS, Readiness

NOW = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
CHECK = Effect("llm", "check", "fast", 0)
MARK = mark_of(3, "a" * 64)


def llm(status: Readiness, **changes: Any) -> LLMFacts:
    facts = LLMFacts(name="fast", status=status, unsupported=None, failures=0, checked=MARK, mark=MARK, retry_at=NOW)
    return replace(facts, **changes)


marks = st.sampled_from(["", mark_of(2, "a" * 64), MARK, mark_of(3, "b" * 64)])
facts = st.builds(
    LLMFacts,
    name=st.just("fast"),
    status=st.sampled_from(Readiness),
    unsupported=st.none() | st.just("`tool_mode: json` is not yet supported by this version"),
    failures=st.integers(0, 3),
    checked=marks,
    mark=marks,
    retry_at=st.integers(-100, 100).map(lambda seconds: NOW + seconds * SECOND),
)

TABLE: list[tuple[str, LLMFacts, Decision]] = [
    ("new", llm(Readiness.PENDING, checked=""), Decision(effects=(CHECK,))),
    ("waiting for what was checked", llm(Readiness.PENDING), Decision()),
    ("changed while pending", llm(Readiness.PENDING, checked=mark_of(3, "b" * 64)), Decision(effects=(CHECK,))),
    ("of no use to this version", llm(Readiness.PENDING, unsupported="why"), Decision(cause="missing", detail="why")),
    ("no longer of use to this version", llm(Readiness.READY, unsupported="why"), Decision(cause="missing", detail="why")),
    ("ready", llm(Readiness.READY), Decision()),
    ("ready since an earlier life", llm(Readiness.READY, checked=mark_of(2, "a" * 64)), Decision()),
    ("ready and changed", llm(Readiness.READY, checked=mark_of(3, "b" * 64)), Decision(effects=(CHECK,))),
    ("broken, and time to look again", llm(Readiness.ERROR), Decision(effects=(CHECK,))),
    ("broken, and not yet time", llm(Readiness.ERROR, retry_at=NOW + SECOND), Decision(look_at=NOW + SECOND)),
    (
        "broken in an earlier life",
        llm(Readiness.ERROR, checked=mark_of(2, "a" * 64), retry_at=NOW + SECOND),
        Decision(effects=(CHECK,)),
    ),
    ("broken and changed", llm(Readiness.ERROR, checked="", retry_at=NOW + SECOND), Decision(effects=(CHECK,))),
]


@pytest.mark.parametrize(("situation", "seen", "expected"), TABLE, ids=[what for what, _, _ in TABLE])
def test_each_situation_has_its_answer(situation: str, seen: LLMFacts, expected: Decision) -> None:
    assert decide(seen, now=NOW) == expected


@given(seen=facts)
def test_no_decision_leaves_the_table(seen: LLMFacts) -> None:
    cause = decide(seen, now=NOW).cause

    assert cause is None or cause in READINESS[seen.status] or READINESS["Ready"][cause] == seen.status


@given(seen=facts)
def test_the_same_facts_give_the_same_answer(seen: LLMFacts) -> None:
    assert decide(seen, now=NOW) == decide(replace(seen), now=NOW)


@given(seen=facts)
def test_one_in_error_is_always_looked_at_again(seen: LLMFacts) -> None:
    decision = decide(replace(seen, status=Readiness.ERROR, unsupported=None), now=NOW)

    assert decision.effects or decision.look_at is not None


@given(seen=facts)
def test_one_that_this_version_cannot_use_is_never_checked(seen: LLMFacts) -> None:
    assert decide(replace(seen, unsupported="why"), now=NOW).effects == ()


@given(seen=facts)
def test_a_check_keeps_its_key_until_it_failed_once_more(seen: LLMFacts) -> None:
    keys = {effect.key for minutes in range(3) for effect in decide(seen, now=NOW + minutes * 60 * SECOND).effects}

    assert keys <= {f"llm/fast/check/{seen.failures}"}


def test_a_mark_tells_lives_and_words_apart() -> None:
    assert len({mark_of(1, "a" * 64), mark_of(2, "a" * 64), mark_of(1, "b" * 64)}) == 3
