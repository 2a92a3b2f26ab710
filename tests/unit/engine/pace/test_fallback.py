"""Which LLM of a chain is called: the first that can be, else the one that takes calls again first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallchain.engine.pace.fallback import SHORT, Choice, Link, choose
from smallchain.model.lifecycles import Readiness

NOON = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
READY, PENDING, ERROR = Readiness.READY, Readiness.PENDING, Readiness.ERROR
FREE = timedelta()
LONG = SHORT + SECOND


def link(name: str, status: Readiness = READY, held: timedelta = FREE) -> Link:
    words = {READY: "", PENDING: "not looked at yet", ERROR: f"no key for {name}"}
    return Link(name, status, words[status], NOON + held if held else None, "slow down" if held else "")


TABLE: list[tuple[str, list[Link], Choice]] = [
    ("all is well", [link("a"), link("b")], Choice("a")),
    ("there is no other", [link("a", held=LONG)], Choice("a")),
    ("in error", [link("a", ERROR), link("b")], Choice("b", "no key for a")),
    ("held for a while", [link("a", held=LONG), link("b")], Choice("b", "slow down")),
    ("held for a moment", [link("a", held=SHORT), link("b")], Choice("a")),
    ("two in error", [link("a", ERROR), link("b", ERROR), link("c")], Choice("c", "no key for a")),
    ("the fallback is in error", [link("a"), link("b", ERROR)], Choice("a")),
    ("held, and the fallback in error", [link("a", held=LONG), link("b", ERROR)], Choice("a")),
    ("both held, the other longer", [link("a", held=LONG), link("b", held=LONG + SECOND)], Choice("a")),
    ("both held, the other shorter", [link("a", held=LONG + SECOND), link("b", held=LONG)], Choice("b", "slow down")),
    ("in error, the other held", [link("a", ERROR), link("b", held=LONG)], Choice("b", "no key for a")),
    ("the fallback is no use", [link("a", ERROR), link("b", PENDING), link("c")], Choice("c", "no key for a")),
    ("not looked at yet", [link("a", PENDING), link("b")], Choice("a", lacking="LLM 'a' waits: not looked at yet")),
    (
        "all in error",
        [link("a", ERROR), link("b", ERROR)],
        Choice("a", lacking="LLM 'a' cannot be used: no key for a; nor can its fallback 'b': no key for b"),
    ),
]


@pytest.mark.parametrize(("situation", "chain", "expected"), TABLE, ids=[what for what, _, _ in TABLE])
def test_each_situation_has_its_llm(situation: str, chain: list[Link], expected: Choice) -> None:
    assert choose(chain, now=NOON) == expected


links = st.builds(link, st.sampled_from("abc"), st.sampled_from(Readiness), st.sampled_from([FREE, SECOND, LONG, 2 * LONG]))


@given(chain=st.lists(links, min_size=1, max_size=4, unique_by=lambda each: each.name))
def test_what_is_called_is_ready_and_a_run_waits_only_when_nothing_in_error_has_a_fallback_that_is(chain: list[Link]) -> None:
    found = choose(chain, now=NOON)
    chosen = next(each for each in chain if each.name == found.llm)

    if found.lacking:
        assert chosen is chain[0]
        assert chosen.status is PENDING or all(each.status is not READY for each in chain)
    else:
        assert chosen.status is READY
        assert bool(found.why) == (chosen is not chain[0])
