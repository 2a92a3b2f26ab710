from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager

import pytest
from textual.pilot import Pilot

from smallchain_tui.viewmodel.ring import Ring
from smallchain_tui.viewmodel.rows import EventRow
from smallchain_tui.widgets.eventfeed import EventFeed
from support.hostile import HOSTILE, HOSTILE_LINES, came_through
from support.tuihost import Host, screen_text
from support.tuirows import event


class Feed(Host[EventFeed]):
    """A feed of a ring, and what it says of itself."""

    def __init__(self, *, rows: int = 0, most: int = 1000, kept_elsewhere: Sequence[EventRow] = ()) -> None:
        self.ring = Ring(most=most)
        self.ring.take(event(seq) for seq in range(101, 101 + rows))
        self.elsewhere = kept_elsewhere
        self.told = ""
        self.wanted_types = 0
        super().__init__(lambda host: EventFeed(self.ring, now=host.clock, older=self.older if kept_elsewhere else None))

    async def older(self, seq: int) -> Sequence[EventRow]:
        return [row for row in self.elsewhere if row.seq < seq][-20:]

    def on_event_feed_told(self, message: EventFeed.Told) -> None:
        self.told = message.words

    def on_event_feed_types_wanted(self) -> None:
        self.wanted_types += 1

    def comes(self, *rows: EventRow) -> None:
        self.ring.take(rows)
        self.seconds += 0.1
        self.widget.flush()

    def lines(self) -> list[str]:
        """Without the scroll bar at the end of the lines."""
        return [line.rstrip(" ▁▂▃▄▅▆▇█") for line in screen_text(self)]


def opened(app: Feed, width: int = 96, height: int = 12) -> AbstractAsyncContextManager[Pilot[None]]:
    return app.run_test(size=(width, height))


def events(first: int, last: int) -> Iterator[EventRow]:
    return (event(seq) for seq in range(first, last + 1))


async def test_it_follows_from_the_beginning_and_shows_the_newest_at_the_end() -> None:
    app = Feed(rows=50)
    async with opened(app) as pilot:
        await pilot.pause()
        assert "search 150" in app.lines()[-1]

        app.comes(*events(151, 180))
        await pilot.pause()

        assert "search 180" in app.lines()[-1]
        assert app.told.startswith("FOLLOW  15/s")


async def test_a_sentence_that_is_cut_ends_with_a_sign_for_it() -> None:
    app = Feed()
    async with opened(app, width=60) as pilot:
        app.comes(event(1, message="MCP server 'notebook' has 3 tools: add_note, read_notes and more"), event(2, message="short"))
        await pilot.pause()

        cut, whole = (line for line in app.lines() if "blog-7" in line)
        assert cut.endswith("…")
        assert whole.endswith("short")


async def test_a_cut_is_seen_beside_a_scroll_bar_too() -> None:
    app = Feed()
    async with opened(app, width=60) as pilot:
        app.comes(*(event(seq, message="MCP server 'notebook' has 3 tools: add_note, read_notes and more") for seq in range(1, 60)))
        await pilot.pause()

        assert all(line.endswith("…") for line in app.lines() if "blog-7" in line)


async def test_an_empty_feed_follows_its_first_events() -> None:
    app = Feed()
    async with opened(app) as pilot:
        app.comes(*events(1, 40))
        await pilot.pause()

        assert "search 40" in app.lines()[-1]


async def test_scrolling_up_pauses_and_nothing_moves_while_a_thousand_events_come() -> None:
    app = Feed(rows=50)
    async with opened(app) as pilot:
        await pilot.pause()
        await pilot.press("k", "k", "k")
        before = app.lines()

        for first in range(151, 1000, 100):
            app.comes(*events(first, first + 99))
            await pilot.pause()

        assert app.lines() == before
        assert app.told.startswith("PAUSED, 900 new below")


async def test_the_mouse_wheel_pauses_too_and_the_bottom_follows_again() -> None:
    app = Feed(rows=50)
    async with opened(app) as pilot:
        await pilot.pause()
        app.widget.scroll_to(y=20, animate=False)
        await pilot.pause()
        assert not app.widget.follow

        app.widget.scroll_to(y=app.widget.max_scroll_y, animate=False)
        await pilot.pause()

        assert app.widget.follow


async def test_what_is_read_keeps_still_while_old_events_leave_the_ring() -> None:
    app = Feed(rows=1000)
    async with opened(app) as pilot:
        await pilot.pause()
        await pilot.press(*["pageup"] * 5)
        before, left = app.lines(), app.ring.base

        for first in range(1101, 1900, 100):
            app.comes(*events(first, first + 99))
            await pilot.pause()

        assert app.ring.base > left + 500
        assert app.lines() == before


async def test_f_goes_back_to_the_newest() -> None:
    app = Feed(rows=50)
    async with opened(app) as pilot:
        await pilot.pause()
        await pilot.press("g")
        app.comes(*events(151, 152))
        await pilot.press("f")
        await pilot.pause()

        assert "search 152" in app.lines()[-1]
        assert app.widget.follow


async def test_older_events_are_fetched_at_the_beginning_and_the_reader_stays_where_he_is() -> None:
    app = Feed(rows=50, kept_elsewhere=list(events(1, 100)))
    async with opened(app) as pilot:
        await pilot.pause()
        await pilot.press("g")
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert "› " in app.lines()[0]
        assert "search 101" in app.lines()[0]
        assert app.widget.count() == 70

        await pilot.press("g")
        await app.workers.wait_for_complete()
        await pilot.press("g")
        await app.workers.wait_for_complete()

        assert app.widget.count() == 110


async def test_a_search_marks_hits_and_n_goes_from_one_to_the_next() -> None:
    app = Feed(rows=50)
    async with opened(app) as pilot:
        await pilot.pause()
        await pilot.press("g")

        assert app.widget.search("search 11")
        assert isinstance(app.widget.current, EventRow)
        first = app.widget.current.seq
        await pilot.press("n")
        second = app.widget.current.seq
        await pilot.press("N")

        assert (first, second, app.widget.current.seq) == (110, 111, 110)
        assert not app.widget.search("nothing has this")


async def test_l_shows_from_the_next_level_on_and_says_so() -> None:
    app = Feed(rows=30)
    app.ring.take([event(131, level="WARNING", message="watch out"), event(132, level="ERROR", message="broken")])
    async with opened(app) as pilot:
        await pilot.press("l")
        await pilot.pause()
        assert app.widget.count() == 2
        assert "level>=warning" in app.told

        await pilot.press("l")
        await pilot.pause()
        assert [line for line in app.lines() if line] == ["› 09:00:13  ERROR  blog-7              broken"]

        await pilot.press("l")
        assert app.widget.count() == 32


async def test_j_shows_the_events_as_json_and_t_asks_for_the_types() -> None:
    app = Feed(rows=3)
    async with opened(app, width=200) as pilot:
        await pilot.press("J")
        await pilot.pause()
        assert '"reason": "ToolCallStarted"' in app.lines()[0]

        await pilot.press("T")
        await pilot.pause()
        assert app.wanted_types == 1


@pytest.mark.parametrize("width", [40, 80, 160])
async def test_hostile_events_reach_no_terminal(width: int) -> None:
    app = Feed()
    async with opened(app, width=width) as pilot:
        hostile = {"name": HOSTILE, "kind": HOSTILE, "id": HOSTILE}
        app.comes(event(1, message=HOSTILE_LINES, run=HOSTILE, reason=HOSTILE, level=HOSTILE, object=hostile))
        await pilot.pause()
        seen = app.lines()
        await pilot.press("J")
        await pilot.pause()

        assert came_through("\n".join([*seen, *app.lines()]).encode()) == set()
        assert len([line for line in seen if line]) == 1
