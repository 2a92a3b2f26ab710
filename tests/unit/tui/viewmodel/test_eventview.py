from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from smallchain.protocol.text import width
from smallchain_tui.viewmodel.eventview import EventView, event_line, in_short
from smallchain_tui.viewmodel.line import text_of
from smallchain_tui.viewmodel.ring import Gap, Ring
from smallchain_tui.viewmodel.rows import EventRow
from support.tuirows import event


def ring_of(*rows: EventRow | Gap, most: int = 100) -> Ring:
    ring = Ring(most=most)
    ring.take(rows)
    return ring


def test_each_event_is_shown_once_whatever_came_between_two_looks() -> None:
    ring = ring_of(event(1), event(2))
    view = EventView(ring)
    ring.take([event(2), event(3), event(4)])

    moved = view.catch_up(0.0)

    assert moved == (2, 0)
    assert [entry.seq for entry in view.shown if isinstance(entry, EventRow)] == [1, 2, 3, 4]


def test_it_says_how_many_shown_lines_left_when_the_ring_forgot_some() -> None:
    ring = ring_of(*(event(seq, level="WARNING" if seq % 2 else "INFO") for seq in range(1, 101)))
    view = EventView(ring)
    view.narrow(level="WARNING")
    ring.take(event(seq, level="WARNING" if seq % 2 else "INFO") for seq in range(101, 121))

    moved = view.catch_up(0.0)

    assert moved == (10, 10)
    assert view.shown[0].seq == 21  # type: ignore[union-attr]


def test_older_events_go_in_front_and_only_once() -> None:
    ring = ring_of(event(50), event(51))
    view = EventView(ring)
    ring.take_older([event(seq) for seq in range(40, 52)])

    assert view.catch_up_older() == 10
    assert [entry.seq for entry in view.shown if isinstance(entry, EventRow)] == list(range(40, 52))
    assert view.catch_up(0.0) == (0, 0)


def test_older_events_stay_while_they_are_read_and_leave_afterwards() -> None:
    ring = ring_of(*(event(seq) for seq in range(101, 201)))
    view = EventView(ring)
    ring.take_older([event(seq) for seq in range(1, 101)])
    view.catch_up_older()
    ring.take(event(seq) for seq in range(201, 211))
    assert view.catch_up(0.0) == (10, 0)

    ring.let_older_go()
    ring.take([event(211)])

    assert view.catch_up(0.0) == (1, 111)


def test_a_gap_is_a_line_of_its_own_and_says_how_much_is_missing() -> None:
    view = EventView(ring_of(event(1), Gap(1, 814), event(814)))
    view.narrow(level="ERROR")

    assert "812 events skipped" in text_of(event_line(view.shown[0], 80))


@pytest.mark.parametrize(
    ("words", "seqs"), [("wiki", [1, 3]), ("run=blog", [1, 2]), ("!wiki", [2]), ("reason=RunFailed", [2]), ("wiki run=other", [3])]
)
def test_a_filter_looks_into_fields_and_leaves_out(words: str, seqs: list[int]) -> None:
    rows = (
        event(1, message="uses wiki", run="blog-7"),
        event(2, message="failed", run="blog-7", reason="RunFailed"),
        event(3, message="uses wiki", run="other"),
    )
    view = EventView(ring_of(*rows))
    view.narrow(words=words)

    assert [entry.seq for entry in view.shown if isinstance(entry, EventRow)] == seqs


def test_a_search_goes_around_the_end_and_back() -> None:
    view = EventView(ring_of(*(event(seq, message="hit" if seq in (3, 7) else "x") for seq in range(1, 10))))

    assert view.find("HIT", start=2, step=1) == 6
    assert view.find("hit", start=6, step=1) == 2
    assert view.find("hit", start=2, step=-1) == 6
    assert view.find("nowhere", start=0, step=1) is None


def test_minutes_are_jumped_to_their_first_events() -> None:
    begin = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
    view = EventView(ring_of(*(event(seq, time=begin + timedelta(seconds=20 * seq)) for seq in range(1, 10))))  # 9:00:20 to 9:03:00

    assert view.minute(0, 1) == 2
    assert view.minute(2, 1) == 5
    assert view.minute(8, 1) == 8
    assert view.minute(4, -1) == 2
    assert view.minute(2, -1) == 0
    assert EventView(Ring()).minute(0, 1) == 0


def test_the_rate_is_of_the_last_two_seconds_and_its_highest_is_kept() -> None:
    ring = Ring()
    view = EventView(ring)
    for tick in range(20):
        ring.take(event(seq) for seq in range(100 * tick + 1, 100 * tick + 101))
        view.catch_up(tick / 10)
    view.catch_up(10.0)

    assert (view.rate(10.0), view.fastest) == (0.0, 1000.0)
    assert [in_short(number) for number in (0, 12.4, 1234)] == ["0", "12", "1.2k"]


@pytest.mark.parametrize("cells", [40, 76, 100, 156])
def test_a_line_has_the_level_by_word_and_the_sentence_at_any_width(cells: int) -> None:
    line = text_of(event_line(event(1, level="ERROR", message="Run 'x' failed", run="a run with a long name/writer-1"), cells))

    assert "ERROR" in line
    assert "Run 'x' failed" in line
    assert width(line) <= cells or cells == 40
