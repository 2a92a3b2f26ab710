"""The dashboard and its daemon: found, lost, found again, of another version, put back to an earlier day."""

from __future__ import annotations

from pathlib import Path

from support.dashboard import NARROW, Clock, dashboard, request, run, serve, status
from support.fakedaemon import FakeDaemon


async def test_without_a_daemon_it_opens_and_says_how_to_start_one(tmp_path: Path) -> None:
    async with dashboard(tmp_path / "d.sock", now=Clock()) as seen:
        await seen.sees("daemon stopped: smallchain start")
        assert "reads only" in seen.lines()[0]


async def test_a_daemon_that_comes_later_is_found(tmp_path: Path) -> None:
    async with dashboard(tmp_path / "d.sock", now=Clock()) as seen:
        await seen.sees("daemon stopped")
        with FakeDaemon(tmp_path / "d.sock") as fake:
            serve(fake, runs=[run("digest-41")])
            await seen.press("ctrl+r")
            await seen.sees("digest-41")
            assert "[connected" in seen.lines()[0]


async def test_a_lost_daemon_leaves_what_was_seen_and_says_since_when(tmp_path: Path) -> None:
    clock = Clock()
    fake = FakeDaemon(tmp_path / "d.sock")
    with fake:
        serve(fake, runs=[run("digest-41")])
        async with dashboard(fake, now=clock) as seen:
            await seen.sees("digest-41")
            fake.stop()
            await seen.sees("as of 09:00:00")
            assert "digest-41" in seen.text()
            assert seen.app.screen.has_class("-stale")

            serve(fake, runs=[run("digest-41"), run("digest-42")])
            fake.start()
            await seen.press("ctrl+r")
            await seen.sees("digest-42")
            assert not seen.app.screen.has_class("-stale")
            await seen.misses("as of")


async def test_after_a_loss_each_event_is_there_once(tmp_path: Path) -> None:
    fake = FakeDaemon(tmp_path / "d.sock")
    with fake:
        serve(fake)
        for _ in range(3):
            fake.tell()
        async with dashboard(fake, now=Clock()) as seen:
            await seen.until(lambda: seen.app.state.events.last_seq == 3, "three events")
            fake.stop()
            await seen.until(lambda: not seen.app.state.connection.live, "the loss")
            for _ in range(4):
                fake.tell()
            fake.start()
            seen.app.feed.hurry()
            await seen.until(lambda: seen.app.state.events.last_seq == 7, "seven events")

            assert [entry.seq for entry in seen.app.state.events.entries] == [1, 2, 3, 4, 5, 6, 7]  # type: ignore[union-attr]


async def test_far_behind_it_jumps_and_marks_what_it_skipped(tmp_path: Path) -> None:
    from smallchain_tui.viewmodel.ring import Gap

    fake = FakeDaemon(tmp_path / "d.sock")
    with fake:
        serve(fake)
        fake.tell()
        async with dashboard(fake, now=Clock()) as seen:
            await seen.until(lambda: seen.app.state.events.last_seq == 1, "an event")
            fake.stop()
            await seen.until(lambda: not seen.app.state.connection.live, "the loss")
            for _ in range(6000):
                fake.tell()
            fake.start()
            seen.app.feed.hurry()
            await seen.until(lambda: seen.app.state.events.last_seq == 6001, "the newest event")

            gaps = [entry for entry in seen.app.state.events.entries if isinstance(entry, Gap)]
            assert gaps == [Gap(1, 5502)]

            await seen.press("3", "g", "j")
            await seen.sees("-- up to 5500 events skipped (load: enter) --")
            await seen.press("enter")
            await seen.sees("event 2 ")
            assert [entry for entry in seen.app.state.events.entries if isinstance(entry, Gap)] == [Gap(1001, 5502)]


async def test_a_database_that_was_put_back_is_shown_from_anew(tmp_path: Path) -> None:
    fake = FakeDaemon(tmp_path / "d.sock")
    with fake:
        serve(fake, runs=[run("digest-41")])
        for _ in range(5):
            fake.tell()
        async with dashboard(fake, now=Clock()) as seen:
            await seen.until(lambda: seen.app.state.events.last_seq == 5, "five events")
            await seen.sees("digest-41")
            fake.stop()
            del fake.events[2:]
            serve(fake, runs=[run("digest-40")])
            fake.start()
            seen.app.feed.hurry()
            await seen.sees("digest-40")

            await seen.until(lambda: seen.app.state.events.last_seq == 2, "the events of the earlier day alone")
            await seen.misses("digest-41")


async def test_with_another_version_one_may_look_and_change_nothing(tmp_path: Path) -> None:
    with FakeDaemon(tmp_path / "d.sock") as fake:
        serve(fake, runs=[run("digest-41")])
        fake.answers[("GET", "/v1/status")] = status(version="9.1.0")
        async with dashboard(fake, now=Clock()) as seen:
            await seen.sees("digest-41")
            await seen.sees("version skew: daemon v9.1.0, reads only")
            await seen.press("p")
            await seen.sees("reads only")
            assert len(seen.app.screen_stack) == 2


async def test_read_only_changes_nothing_and_says_so(tmp_path: Path) -> None:
    with FakeDaemon(tmp_path / "d.sock") as fake:
        serve(fake, runs=[run("digest-41")], requests=[request("request-1", "digest-41")])
        async with dashboard(fake, now=Clock(), read_only=True, size=NARROW) as seen:
            await seen.sees("digest-41")
            assert "read-only" in seen.lines()[0]
            for key in ("p", "R", "K", "F", "S"):
                seen.app.tell("")
                await seen.press(key)
                await seen.sees("this is --read-only: nothing is changed from here")
            assert not [asked for asked in fake.requests if asked.method == "POST"]


async def test_an_act_without_a_live_connection_is_refused_and_not_kept(tmp_path: Path) -> None:
    fake = FakeDaemon(tmp_path / "d.sock")
    with fake:
        serve(fake, runs=[run("digest-41")])
        fake.answers[("POST", "/v1/pause/digest-41")] = {"runs": []}
        async with dashboard(fake, now=Clock()) as seen:
            await seen.sees("digest-41")
            fake.stop()
            await seen.until(lambda: not seen.app.state.connection.live, "the loss")
            assert await seen.app.act("/v1/pause/digest-41", {}) is None
            fake.start()
            seen.app.feed.hurry()
            await seen.until(lambda: seen.app.state.connection.live, "the daemon")

            assert fake.asked("POST", "/v1/pause/digest-41") == []
            assert await seen.app.act("/v1/pause/digest-41", {}, twin="smallchain pause digest-41") is not None
            (asked,) = fake.asked("POST", "/v1/pause/digest-41")
            assert asked.headers["smallchain-via"] == "dashboard"
            await seen.sees("same: smallchain pause digest-41")
