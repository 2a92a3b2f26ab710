"""The ring of events: places stay, the oldest leave, gaps are known and can be filled."""

from __future__ import annotations

from smallchain_tui.viewmodel.ring import Anew, Gap, Ring
from smallchain_tui.viewmodel.rows import EventRow


def _events(*numbers: int) -> list[EventRow]:
    return [EventRow.of({"seq": number, "message": f"event {number}"}) for number in numbers]


def _numbers(ring: Ring) -> list[int | Gap]:
    return [entry.seq if isinstance(entry, EventRow) else entry for entry in ring.entries]


def test_an_event_that_is_here_already_is_not_taken_again() -> None:
    ring = Ring()
    assert ring.take(_events(1, 2, 3)) == 3

    assert ring.take(_events(2, 3, 4)) == 1
    assert _numbers(ring) == [1, 2, 3, 4]


def test_the_place_of_an_event_stays_while_older_ones_leave() -> None:
    ring = Ring(most=10)
    ring.take(_events(*range(1, 11)))
    place = ring.base + _numbers(ring).index(9)
    ring.take(_events(*range(11, 16)))

    assert len(ring) == 10
    assert ring.dropped == 5
    assert ring.entries[place - ring.base] == _events(9)[0]


def test_a_gap_is_kept_between_what_was_and_what_is() -> None:
    ring = Ring()
    ring.take(_events(1, 2))
    ring.take([Gap(2, 900), *_events(900, 901)])

    assert _numbers(ring) == [1, 2, Gap(2, 900), 900, 901]
    assert Gap(2, 900).count == 897


def test_a_gap_is_filled_with_what_was_loaded_and_the_rest_stays_one() -> None:
    ring = Ring()
    gap = Gap(2, 10)
    ring.take([*_events(1, 2), gap, *_events(10)])
    ring.fill(gap, _events(3, 4, 5))
    assert _numbers(ring) == [1, 2, 3, 4, 5, Gap(5, 10), 10]

    rest = ring.entries[5]
    assert isinstance(rest, Gap)
    ring.fill(rest, _events(6, 7, 8, 9))
    assert _numbers(ring) == list(range(1, 11))


def test_a_gap_of_which_nothing_is_kept_goes() -> None:
    ring = Ring()
    gap = Gap(1, 10)
    ring.take([*_events(1), gap, *_events(10)])
    ring.fill(gap, [])

    assert _numbers(ring) == [1, 10]


def test_a_database_that_was_put_back_begins_anew() -> None:
    ring = Ring()
    ring.take(_events(7, 8))
    ring.take([Anew(), *_events(1, 2)])

    assert _numbers(ring) == [1, 2]
    assert ring.base == 2
    assert ring.last_seq == 2
    assert ring.first_seq == 1
