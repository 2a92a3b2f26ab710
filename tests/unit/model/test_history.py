"""Where a conversation may be cut."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from smallchain.model.history import legal_cuts, turns_in


def _call(*ids: str) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": [{"id": id} for id in ids]}


def _result(id: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": id, "content": "x"}


USER: dict[str, Any] = {"role": "user", "content": "go"}
SAID: dict[str, Any] = {"role": "assistant", "content": "done"}


def test_a_reply_is_never_parted_from_the_results_of_its_calls() -> None:
    assert legal_cuts([USER, _call("a", "b"), _result("a"), _result("b"), SAID]) == [0, 1, 4]


def test_a_turn_whose_results_are_missing_is_left_out() -> None:
    assert legal_cuts([USER, _call("a", "b"), _result("a")])[-1] == 1


@given(st.lists(st.integers(0, 4), max_size=12))
def test_after_any_legal_cut_every_call_has_exactly_one_result(shape: list[int]) -> None:
    whole = [USER]
    for turn, calls in enumerate(shape):
        ids = [f"{turn}-{number}" for number in range(calls)]
        whole += [_call(*ids), *map(_result, ids)] if ids else [SAID]

    for cut in legal_cuts(whole):
        kept = whole[:cut]
        asked = [call["id"] for message in kept for call in message.get("tool_calls") or ()]
        assert sorted(asked) == sorted(message["tool_call_id"] for message in kept if message["role"] == "tool")


def test_a_cut_is_where_the_model_has_the_next_word() -> None:
    prompt = {"role": "system", "content": "be good"}

    assert legal_cuts([prompt, USER, SAID, USER]) == [0, 2, 4]


def test_turns_are_the_replies_of_the_model() -> None:
    assert turns_in([USER, _call("a"), _result("a"), SAID]) == 2
