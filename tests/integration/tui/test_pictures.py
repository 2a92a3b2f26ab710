"""Whole screens, each named for what a person should notice on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from smallchain_tui.screens.item import ItemScreen
from support.dashboard import NARROW, WIDE, Clock, Watched, dashboard
from support.fakedaemon import FakeDaemon
from support.pictures import assert_same_picture
from support.tuirun import NAME, blog


@pytest.fixture
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeDaemon]:
    with FakeDaemon(tmp_path_factory.mktemp("d") / "d.sock") as daemon:
        blog(daemon)
        yield daemon


@asynccontextmanager
async def the_run(fake: FakeDaemon, size: tuple[int, int]) -> AsyncIterator[Watched]:
    async with dashboard(fake, size=size, now=Clock()) as seen:
        await seen.sees(NAME)
        seen.app.open_run(NAME)
        await seen.sees("First the draft")
        await seen.sees("may publish_post run?")
        yield seen


async def test_a_waiting_run_says_at_the_top_what_for_and_beside_its_last_message_what_it_is(fake: FakeDaemon) -> None:
    async with the_run(fake, WIDE) as seen:
        await seen.press("k", "k")
        await seen.sees("Tool call publish_post")
        assert_same_picture("a-waiting-run-says-what-for-160x45", seen.lines())


async def test_in_a_small_terminal_costs_add_up_from_the_leaves_to_the_root(fake: FakeDaemon) -> None:
    async with the_run(fake, NARROW) as seen:
        await seen.press("t")
        await seen.sees("writer-1")
        assert_same_picture("costs-add-up-to-the-root-80x24", seen.lines())


async def test_a_call_that_waits_shows_all_of_its_arguments_and_that_nothing_came_of_it_yet(fake: FakeDaemon) -> None:
    async with dashboard(fake, size=WIDE, now=Clock()) as seen:
        await seen.sees(NAME)
        seen.app.open_item("toolcall", "0199-publish")
        await seen.until(lambda: isinstance(seen.app.screen, ItemScreen) and seen.app.screen.is_settled)
        await seen.sees("no result yet")
        assert_same_picture("a-call-shows-arguments-beside-result-160x45", seen.lines())


async def test_in_plain_ascii_each_state_still_has_its_word_and_sign(fake: FakeDaemon) -> None:
    async with dashboard(fake, size=NARROW, now=Clock(), ascii=True) as seen:
        await seen.sees(NAME)
        seen.app.open_run(NAME, tab="calls")
        await seen.sees("ARGUMENTS -> RESULT")
        await seen.sees("! awaiting_approval")
        await seen.sees("may publish_post run?")
        assert_same_picture("plain-ascii-has-words-and-signs-80x24", seen.lines())
        assert all(line.isascii() for line in seen.lines())
