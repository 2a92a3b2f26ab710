"""What is waited for of detached work: any of it or all, by name or whatever goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from smallchain.model.detached import Mode, Wait, Work, wait_of
from smallchain.model.errors import BadInput

GOES_ON = Work("run-1", "work-1-1", "child-1", "helper", waits_at_end=True, finished=None, told=False)
ENDED = replace(GOES_ON, name="work-1-2", child_id="child-2", finished=1)
TOLD = replace(GOES_ON, name="work-1-3", child_id="child-3", finished=2, told=True)
NOTHING: frozenset[str] = frozenset()


@pytest.mark.parametrize(
    ("wait", "works", "left"),
    [
        (Wait(Mode.ALL, NOTHING), (GOES_ON, ENDED), (GOES_ON,)),
        (Wait(Mode.ALL, NOTHING), (ENDED, TOLD), ()),
        (Wait(Mode.ANY, NOTHING), (GOES_ON, ENDED), ()),
        (Wait(Mode.ANY, NOTHING), (GOES_ON, TOLD), (GOES_ON,)),
        (Wait(Mode.ANY, NOTHING), (), ()),
        (Wait(Mode.ALL, frozenset({"work-1-2"})), (GOES_ON, ENDED), ()),
        (Wait(Mode.ALL, frozenset({"work-1-1", "work-1-2"})), (GOES_ON, ENDED), (GOES_ON,)),
        (Wait(Mode.ANY, frozenset({"work-1-1"})), (GOES_ON, ENDED), (GOES_ON,)),
        (Wait(Mode.ANY, frozenset({"work-1-1", "work-1-3"})), (GOES_ON, TOLD), ()),
    ],
)
def test_a_wait_ends_with_what_it_is_for(wait: Wait, works: tuple[Work, ...], left: tuple[Work, ...]) -> None:
    assert wait.left(works) == left


@pytest.mark.parametrize("arguments", [{"mode": "some"}, {"mode": ["any"]}, {"ids": 7}, {"ids": [7]}, {"ids": {"a": 1}}])
def test_what_is_no_wait_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        wait_of(arguments)


def test_a_wait_without_words_is_for_all_that_goes_on() -> None:
    assert wait_of({}) == Wait(Mode.ALL, NOTHING)
    assert wait_of({"mode": "any", "ids": "work-1-1"}) == Wait(Mode.ANY, frozenset({"work-1-1"}))
