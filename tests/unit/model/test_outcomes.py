"""Every answer that a request takes says what it leads to."""

from __future__ import annotations

import pytest

from smallchain.model.delivery import VERBS, Verb
from smallchain.model.human import RequestKind
from smallchain.model.outcomes import decided, outcome, said


@pytest.mark.parametrize(("kind", "verb"), [(kind, verb) for kind, verbs in VERBS.items() for verb in verbs])
def test_each_answer_says_what_it_leads_to(kind: RequestKind, verb: Verb) -> None:
    assert outcome(kind, verb, tool="pay")
    assert "{" not in outcome(kind, verb, tool="")


def test_a_recorded_decision_is_told_in_the_words_of_its_verb() -> None:
    assert {verb: decided({"verb": verb.value}) for verb in Verb} == {verb: said(verb) for verb in Verb}
    assert decided({"happened": "post 7"}) == "settled"
    assert decided({"resume": True}) == "answered"
