"""Which LLM an agent uses, and where its runs end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from smallchain.model.agent import Limits, limits_of, llm_of
from smallchain.model.sections import AgentSpec


def agent(**words: Any) -> AgentSpec:
    return AgentSpec.model_validate({"name": "publisher", **words})


@pytest.mark.parametrize(
    ("written", "default", "llms", "caller", "expected"),
    [
        ("own", "usual", ["own", "usual"], "callers", "own"),
        ("missing", None, ["only"], None, "missing"),
        (None, "usual", ["only"], "callers", "usual"),
        (None, None, ["only"], "callers", "only"),
        (None, None, ["one", "other"], "callers", "callers"),
        (None, None, [], "callers", "callers"),
        (None, None, ["one", "other"], None, None),
        (None, None, [], None, None),
    ],
)
def test_its_own_then_the_default_then_the_only_one_then_the_callers(
    written: str | None, default: str | None, llms: list[str], caller: str | None, expected: str | None
) -> None:
    assert llm_of(agent(llm=written) if written else agent(), default=default, llms=llms, caller=caller) == expected


def test_an_agent_that_names_no_limits_has_the_standard_ones() -> None:
    assert limits_of(agent()) == Limits(turns=50, depth=5, children=20)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({}, Limits()),
        ({"turns": 3}, Limits(turns=3)),
        ({"depth": 0}, Limits(depth=0)),
        ({"children": 0, "turns": 1}, Limits(turns=1, children=0)),
        ({"wall_time": "2h", "wall_time_total": "2d"}, Limits(wall_time=timedelta(hours=2), wall_time_total=timedelta(days=2))),
    ],
)
def test_a_limit_that_is_written_holds_zero_too_and_the_others_are_the_standard_ones(limits: dict[str, Any], expected: Limits) -> None:
    assert limits_of(agent(limits=limits)) == expected
