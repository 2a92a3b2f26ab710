"""THE table: from every phase an end can be reached, ends are ends, and the words are those of the enums."""

from __future__ import annotations

from enum import StrEnum

import pytest

from smallchain.model import lifecycles
from smallchain.model.lifecycles import CallPhase, IllegalMove, Readiness, RequestPhase, RunPhase, move

Table = dict[str, dict[str, str]]
ENDING: list[tuple[Table, type[StrEnum], set[str]]] = [
    (lifecycles.RUN, RunPhase, {"succeeded", "failed", "cancelled"}),
    (lifecycles.TOOLCALL, CallPhase, {"succeeded", "failed", "rejected", "cancelled", "timed_out"}),
    (lifecycles.REQUEST, RequestPhase, {"answered", "expired", "withdrawn"}),
]
EVERY: list[tuple[Table, type[StrEnum]]] = [(table, words) for table, words, _ in ENDING] + [(lifecycles.READINESS, Readiness)]


def reachable(table: Table, phase: str) -> set[str]:
    """Every phase that can come after one, itself included."""
    found, waiting = {phase}, [phase]
    while waiting:
        new = set(table[waiting.pop()].values()) - found
        found |= new
        waiting += new
    return found


def names(value: object) -> str:
    return value.__name__ if isinstance(value, type) else ""


@pytest.mark.parametrize(("table", "words"), EVERY, ids=names)
def test_the_phases_of_a_table_are_the_words_of_its_enum(table: Table, words: type[StrEnum]) -> None:
    assert list(table) == [str(word) for word in words]


@pytest.mark.parametrize(("table", "words"), EVERY, ids=names)
def test_every_edge_leads_to_a_phase_of_the_table(table: Table, words: type[StrEnum]) -> None:
    assert {phase for edges in table.values() for phase in edges.values()} <= table.keys()


@pytest.mark.parametrize(("table", "words", "ends"), ENDING, ids=names)
def test_every_phase_can_reach_an_end(table: Table, words: type[StrEnum], ends: set[str]) -> None:
    assert [phase for phase in table if not reachable(table, phase) & ends] == []


@pytest.mark.parametrize(("table", "words", "ends"), ENDING, ids=names)
def test_the_ends_and_only_they_have_no_edges(table: Table, words: type[StrEnum], ends: set[str]) -> None:
    assert {phase for phase, edges in table.items() if not edges} == ends


@pytest.mark.parametrize(("table", "words", "ends"), ENDING, ids=names)
def test_every_phase_can_be_reached_from_the_first(table: Table, words: type[StrEnum], ends: set[str]) -> None:
    assert reachable(table, next(iter(table))) == set(table)


def test_no_readiness_is_absorbing() -> None:
    for phase in lifecycles.READINESS:
        assert reachable(lifecycles.READINESS, phase) == set(lifecycles.READINESS)


@pytest.mark.parametrize("table", [lifecycles.RUN, lifecycles.TOOLCALL], ids=["run", "toolcall"])
def test_whatever_is_not_over_can_be_cancelled(table: Table) -> None:
    assert [phase for phase, edges in table.items() if edges and edges.get("cancelled") != "cancelled"] == []


def test_the_ends_that_others_use_are_those_of_the_table() -> None:
    assert {"succeeded", "failed", "cancelled"} == lifecycles.RUN_TERMINAL
    assert {"succeeded", "failed", "rejected", "cancelled", "timed_out"} == lifecycles.CALL_TERMINAL


def test_a_call_that_must_not_be_doubled_only_starts_again_when_a_person_says_so() -> None:
    assert lifecycles.TOOLCALL["executing"]["interrupted_once"] == "in_doubt"
    assert [cause for cause, phase in lifecycles.TOOLCALL["in_doubt"].items() if phase == "ready"] == ["run_again"]


def test_a_move_follows_the_table() -> None:
    assert move(lifecycles.RUN, RunPhase.PENDING, "dependencies_ready") == RunPhase.READY


@pytest.mark.parametrize(("phase", "cause"), [("pending", "answered"), ("succeeded", "cancelled"), ("ready", "no such cause")])
def test_a_move_that_the_table_does_not_have_is_loud(phase: str, cause: str) -> None:
    with pytest.raises(IllegalMove, match=cause):
        move(lifecycles.RUN, phase, cause)
