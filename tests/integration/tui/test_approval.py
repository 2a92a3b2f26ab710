"""The approval screen on a socket: what a person sees and presses, and what reaches the daemon. No accident does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from smallchain_tui.desk import Desk
from smallchain_tui.viewmodel.decision import Stage
from smallchain_tui.widgets.textfield import TextField
from support.dashboard import NARROW, WIDE, request, run, serve
from support.deciding import Deciding, deciding
from support.fakedaemon import FakeDaemon, Request
from support.hostile import HOSTILE, HOSTILE_LINES, came_through

A, B = "01936d1e-0000-7000-8000-00000000000a", "01936d1e-0000-7000-8000-00000000000b"
SIZES = pytest.mark.parametrize("size", [WIDE, NARROW], ids=["160x45", "80x24"])


class Inbox:
    """A daemon with open requests: it decides them once, and says who was first."""

    def __init__(self, fake: FakeDaemon, *requests: dict[str, Any]) -> None:
        self.fake = fake
        self.requests = list(requests)
        self.all = {item["id"]: item for item in requests}
        serve(fake, runs=[run("blog-7", "Waiting")], requests=self.requests)
        for id in self.all:
            fake.answers[("GET", f"/v1/describe/request/{id}")] = self._describe(id)
            for verb in ("approve", "deny", "answer", "settle"):
                fake.answers[("POST", f"/v1/{verb}/{id}")] = self._decide(id, verb)

    def _describe(self, id: str) -> Callable[[Request], tuple[int, Any]]:
        return lambda _: (200, {"item": self.all[id], "related": {}})

    def _decide(self, id: str, verb: str) -> Callable[[Request], tuple[int, Any]]:
        def decide(asked: Request) -> tuple[int, Any]:
            item = self.all[id]
            if item["phase"] != "open":
                message = f"already decided by {item['answered_by']}"
                return 409, {"error": {"code": "refused", "message": message, "hint": "", "problems": []}}
            self.close(id, by="me", verb=verb, note=str((asked.body or {}).get("note", "")))
            return 200, {"counted": True, "sentence": f"{verb} counted", "request": self.all[id]}

        return decide

    def close(self, id: str, *, by: str, verb: str = "approve", phase: str = "answered", note: str = "") -> None:
        """Somebody decides it."""
        at = "2026-11-23T09:00:10.000000Z"
        self.all[id] |= {"phase": phase, "answered_by": by, "answered_at": at, "answer": {"verb": verb}, "note": note}
        self.requests[:] = [item for item in self.requests if item["id"] != id]
        self.fake.tell(run="blog-7", run_id="id-of-blog-7", reason="RequestAnswered")

    def sent(self) -> list[tuple[str, Any]]:
        """What came to be decided."""
        return [
            (asked.path, asked.body) for asked in self.fake.requests if asked.method == "POST" and not asked.path.startswith("/v1/check/")
        ]


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeDaemon]:
    with FakeDaemon(tmp_path / "d.sock") as fake:
        yield fake


# ---- what a person sees


@SIZES
async def test_what_would_run_who_asks_and_what_comes_of_it_stand_on_the_screen(fake: FakeDaemon, size: tuple[int, int]) -> None:
    Inbox(fake, request(A, "blog-7", risk="high", expires_at="2026-11-23T09:55:00Z", on_expiry="deny"))
    async with deciding(fake, size=size) as seen:
        await seen.open(A)

        for words in (
            "publish_post",
            "risk HIGH",
            "blog-7",
            "waits 1m, expires in 55m, then deny",
            'title: "AI news"',
            "the draft is reviewed",
        ):
            assert words in seen.text()
        assert "asks for the word publish_post" in seen.text()


@SIZES
async def test_what_does_not_fit_is_counted_and_within_reach(fake: FakeDaemon, size: tuple[int, int]) -> None:
    body = "\n".join(f"line {number}" for number in range(100)) + "\n" + "long " * 100 + "end of it"
    Inbox(fake, request(A, "blog-7", arguments={"body": body}))
    async with deciding(fake, size=size) as seen:
        await seen.open(A)
        assert "below" in seen.text()

        await seen.press(*["space"] * 12)

        assert "end of it" in seen.text()
        assert "below" not in seen.line_with("fields") + seen.line_with("1 field")


# ---- nothing happens by accident


@pytest.mark.parametrize("key", ["enter", "space", "ctrl+s", "ctrl+j", "Y", "a", "escape"])
async def test_no_key_but_the_verdict_key_approves(fake: FakeDaemon, key: str) -> None:
    inbox = Inbox(fake, request(A, "blog-7"))
    async with deciding(fake) as seen:
        await seen.open(A)
        await seen.wait()
        await seen.press(key)
        await seen.pilot.pause(0.3)
        seen.seconds.at += 5
        await seen.pilot.pause(0.3)

        assert inbox.sent() == []


async def test_keys_before_the_delay_do_nothing(fake: FakeDaemon) -> None:
    inbox = Inbox(fake, request(A, "blog-7"))
    async with deciding(fake) as seen:
        await seen.open(A)
        await seen.wait(0.2)
        await seen.press("y")
        assert "not yet" in seen.text()
        await seen.wait()

        assert (seen.stage, inbox.sent()) == (Stage.OPENED, [])


async def test_what_is_typed_ahead_or_repeats_itself_does_nothing(fake: FakeDaemon) -> None:
    inbox = Inbox(fake, request(A, "blog-7"))
    async with deciding(fake) as seen:
        await seen.open(A)
        await seen.wait()
        for key in "yes, I think so y".replace(",", ""):
            await seen.press("space" if key == " " else key)
            if seen.stage is Stage.EDITING:
                await seen.press("escape")
        await seen.wait(0.1)
        await seen.press("y")
        await seen.press("y")
        await seen.wait()

        assert inbox.sent() == []


async def test_a_paste_is_no_verdict_and_takes_one_back(fake: FakeDaemon) -> None:
    inbox = Inbox(fake, request(A, "blog-7"))
    async with deciding(fake) as seen:
        await seen.open(A)
        await seen.wait()
        await seen.paste("y")
        await seen.wait()
        assert seen.stage is Stage.OPENED

        await seen.press("y")
        assert seen.stage is Stage.HELD
        await seen.paste("anything")
        await seen.wait()

        assert (seen.stage, inbox.sent()) == (Stage.OPENED, [])


async def test_neither_palette_nor_a_call_of_the_action_decides(fake: FakeDaemon) -> None:
    inbox = Inbox(fake, request(A, "blog-7"))
    async with deciding(fake) as seen:
        await seen.open(A)
        await seen.wait()
        await seen.app.run_action("approve", seen.screen)
        await seen.wait()

        assert "only a key on this screen decides" in seen.text()
        assert inbox.sent() == []


async def test_what_was_typed_while_something_lay_over_it_was_not_meant_for_it(fake: FakeDaemon) -> None:
    inbox = Inbox(fake, request(A, "blog-7"))
    async with deciding(fake) as seen:
        await seen.open(A)
        await seen.wait()
        await seen.press("question_mark")
        await seen.press("escape")
        await seen.press("y")
        await seen.wait()

        assert inbox.sent() == []


# ---- verdicts


async def test_approve_once_sends_the_digest_that_was_shown_and_says_the_command(fake: FakeDaemon) -> None:
    inbox = Inbox(fake, request(A, "blog-7"))
    async with deciding(fake) as seen:
        await seen.open(A)
        await seen.alone("y")
        assert (seen.stage, inbox.sent()) == (Stage.HELD, [])
        assert "any key takes it back" in seen.text()
        await seen.wait()
        await seen.comes_to(Stage.ENDED)

        assert inbox.sent() == [(f"/v1/approve/{A}", {"expect_digest": "ab" * 32})]
        assert "approve counted" in seen.text()
        assert f"smallchain approve {A[-8:]}" in seen.lines()[-1]
        (asked,) = fake.asked("POST", f"/v1/approve/{A}")
        assert asked.headers["smallchain-via"] == "dashboard"


async def test_any_key_takes_a_held_verdict_back(fake: FakeDaemon) -> None:
    inbox = Inbox(fake, request(A, "blog-7"))
    async with deciding(fake) as seen:
        await seen.open(A)
        await seen.alone("y")
        await seen.press("space")
        await seen.wait()

        assert "taken back" in seen.text()
        assert inbox.sent() == []


async def test_high_risk_takes_the_word_typed_and_never_pasted_or_entered(fake: FakeDaemon) -> None:
    inbox = Inbox(fake, request(A, "blog-7", risk="high", tool="post"))
    async with deciding(fake) as seen:
        await seen.open(A)
        await seen.alone("y")
        await seen.comes_to(Stage.CONFIRMING)
        assert "HIGH risk: type post" in seen.text()
        await seen.pilot.pause()
        await seen.paste("post")
        await seen.alone("ctrl+s")
        await seen.wait()
        assert (seen.stage, inbox.sent()) == (Stage.CONFIRMING, [])

        await seen.type("post")
        await seen.press("ctrl+s")
        assert seen.stage is Stage.CONFIRMING, "the key came together with the word"
        await seen.alone("enter")
        await seen.wait()
        assert (seen.stage, inbox.sent()) == (Stage.CONFIRMING, [])
        await seen.alone("ctrl+s")
        await seen.wait()
        await seen.comes_to(Stage.ENDED)

        assert [path for path, _ in inbox.sent()] == [f"/v1/approve/{A}"]


async def test_deny_takes_a_note_along_and_enter_is_a_new_line(fake: FakeDaemon) -> None:
    inbox = Inbox(fake, request(A, "blog-7"))
    async with deciding(fake) as seen:
        await seen.open(A)
        await seen.alone("n")
        await seen.comes_to(Stage.NOTING)
        await seen.pilot.pause()
        await seen.type("not yet")
        await seen.press("enter")
        await seen.type("y")
        await seen.alone("ctrl+s")
        await seen.wait()
        await seen.comes_to(Stage.ENDED)

        assert inbox.sent() == [(f"/v1/deny/{A}", {"note": "not yet\ny", "expect_digest": "ab" * 32})]


async def test_a_note_goes_with_an_approval(fake: FakeDaemon) -> None:
    inbox = Inbox(fake, request(A, "blog-7"))
    async with deciding(fake) as seen:
        await seen.open(A)
        await seen.alone("tab")
        await seen.comes_to(Stage.NOTING)
        await seen.type("only today")
        await seen.alone("ctrl+s")
        await seen.comes_to(Stage.OPENED)
        await seen.alone("y")
        await seen.wait()
        await seen.comes_to(Stage.ENDED)

        assert inbox.sent() == [(f"/v1/approve/{A}", {"note": "only today", "expect_digest": "ab" * 32})]


async def test_always_in_this_run_says_what_it_writes_down_and_how_it_is_taken_back(fake: FakeDaemon) -> None:
    inbox = Inbox(fake, request(A, "blog-7", tool="post"))
    async with deciding(fake) as seen:
        await seen.open(A)
        await seen.alone("A")
        await seen.comes_to(Stage.CONFIRMING)
        await seen.pilot.pause()
        for words in (
            "post runs in run 'blog-7' without being asked about",
            "smallchain get grants",
            "smallchain revoke ID",
            "with the run",
        ):
            assert words in seen.text()
        await seen.type("post")
        await seen.alone("ctrl+s")
        await seen.wait()
        await seen.comes_to(Stage.ENDED)

        assert inbox.sent() == [(f"/v1/approve/{A}", {"expect_digest": "ab" * 32, "for_run": True})]


# ---- edits


def checks(fake: FakeDaemon, id: str) -> None:
    """The daemon's check: a title has to be short."""

    def check(asked: Request) -> tuple[int, Any]:
        title = str(asked.body["arguments"].get("title", ""))
        return 200, {"fault": "title: too long" if len(title) > 12 else "", "changes": [f"title → {title}"]}

    fake.answers[("POST", f"/v1/check/{id}")] = check


async def write(seen: Deciding, text: str) -> None:
    """Put a text into the field of the edit."""
    seen.screen.query_one("#editor", TextField).load_text(text)
    await seen.pilot.pause()


async def test_an_edit_is_checked_by_the_daemon_shown_as_a_diff_and_approved_whole(fake: FakeDaemon) -> None:
    inbox = Inbox(fake, request(A, "blog-7"))
    checks(fake, A)
    async with deciding(fake) as seen:
        await seen.open(A)
        await seen.alone("e")
        await seen.comes_to(Stage.EDITING)
        await write(seen, 'channel: "#launch"\ntitle: "a title that is far too long"\n')
        await seen.sees("title: too long")
        await seen.alone("ctrl+s")
        await seen.pilot.pause(0.2)
        assert seen.stage is Stage.EDITING, "what does not fit is not taken"

        await write(seen, 'channel: "#launch"\ntitle: "Week 47"\n')
        await seen.sees("fits; 1 changed")
        await seen.alone("ctrl+s")
        await seen.comes_to(Stage.OPENED)
        await seen.pilot.pause()
        assert '- title: "AI news"' in seen.text()
        assert '+ title: "Week 47"' in seen.text()
        await seen.alone("y")
        await seen.wait()
        await seen.comes_to(Stage.ENDED)

        body = {"expect_digest": "ab" * 32, "arguments": {"channel": "#launch", "title": "Week 47"}}
        assert inbox.sent() == [(f"/v1/approve/{A}", body)]


async def test_escape_drops_an_edit_and_letters_are_letters_while_it_lasts(fake: FakeDaemon) -> None:
    inbox = Inbox(fake, request(A, "blog-7"))
    checks(fake, A)
    async with deciding(fake) as seen:
        await seen.open(A)
        await seen.alone("e")
        await seen.comes_to(Stage.EDITING)
        await seen.pilot.pause()
        await seen.alone("y", "n", "A")
        await seen.wait()
        assert seen.stage is Stage.EDITING
        await seen.press("escape")

        assert seen.stage is Stage.OPENED
        assert seen.screen.decision is not None
        assert seen.screen.decision.edits is None
        assert inbox.sent() == []


# ---- the daemon goes, and others come


async def test_offline_a_verdict_is_refused_never_queued_and_the_note_is_kept(fake: FakeDaemon, tmp_path: Path) -> None:
    inbox = Inbox(fake, request(A, "blog-7"))
    async with deciding(fake, desk=Desk.of(tmp_path)) as seen:
        await seen.open(A)
        await seen.alone("tab")
        await seen.type("mind the date")
        await seen.alone("ctrl+s")
        fake.stop()
        await seen.until(lambda: seen.app.may_act() is not None, "the loss")
        await seen.sees("what you write is kept")
        await seen.alone("y")
        await seen.wait()
        assert "not sent" in seen.text()
        assert seen.stage is Stage.OPENED
        fake.start()
        await seen.until(lambda: seen.app.may_act() is None, "the daemon")
        await seen.wait()

        assert inbox.sent() == []
    async with deciding(fake, desk=Desk.of(tmp_path)) as again:
        await again.open(A)

        assert "mind the date" in again.text()


async def test_of_two_dashboards_the_second_is_told_who_was_first_and_stays_open(fake: FakeDaemon) -> None:
    inbox = Inbox(fake, request(A, "blog-7"))
    async with deciding(fake) as seen:
        await seen.open(A)
        await seen.alone("tab")
        await seen.type("half a thou")
        inbox.close(A, by="alice", verb="deny", note="no")
        await seen.comes_to(Stage.ENDED)

        assert "denied by alice at 2026-11-23 09:00:10 UTC" in seen.text()
        await seen.alone("y")
        await seen.wait()
        assert inbox.sent() == []


async def test_who_comes_too_late_by_a_moment_is_told_by_the_daemon(fake: FakeDaemon) -> None:
    inbox = Inbox(fake, request(A, "blog-7"))
    async with deciding(fake) as seen:
        await seen.open(A)
        await seen.alone("y")
        inbox.all[A] |= {"phase": "answered", "answered_by": "alice", "answered_at": "2026-11-23T09:00:10Z", "answer": {"verb": "approve"}}
        await seen.wait()
        await seen.comes_to(Stage.ENDED)

        assert "approved by alice" in seen.text()


async def test_a_connection_that_breaks_on_the_way_leaves_open_whether_it_counted_until_it_is_known(fake: FakeDaemon) -> None:
    inbox = Inbox(fake, request(A, "blog-7"))
    async with deciding(fake) as seen:
        await seen.open(A)
        fake.hangups = 2
        await seen.alone("y")
        await seen.wait()
        await seen.comes_to(Stage.ENDED)

        assert "approved by me" in seen.text()
        assert len({asked.headers["idempotency-key"] for asked in fake.asked("POST", f"/v1/approve/{A}")}) == 1
        assert len(inbox.sent()) == 2


async def test_read_only_decides_nothing(fake: FakeDaemon) -> None:
    inbox = Inbox(fake, request(A, "blog-7"))
    async with deciding(fake, read_only=True) as seen:
        await seen.until(lambda: A in seen.app.state.requests, "the request")
        seen.app.open_request(A)
        await seen.opened()
        await seen.alone("y")
        await seen.wait()

        assert "read-only" in seen.text()
        assert inbox.sent() == []


# ---- the inbox goes on


async def test_the_next_request_is_one_key_away_and_armed_anew(fake: FakeDaemon) -> None:
    inbox = Inbox(fake, request(A, "blog-7"), request(B, "blog-7", tool="send_mail", created_at="2026-11-23T08:59:30Z"))
    async with deciding(fake) as seen:
        await seen.open(A)
        assert "1 of 2" in seen.text()
        await seen.alone("J")
        await seen.opened()
        await seen.press("y")
        await seen.wait()

        assert "send_mail" in seen.lines()[1]
        assert inbox.sent() == []


async def test_what_is_put_off_waits_on(fake: FakeDaemon, tmp_path: Path) -> None:
    inbox = Inbox(fake, request(A, "blog-7"))
    desk = Desk.of(tmp_path)
    async with deciding(fake, desk=desk) as seen:
        await seen.open(A)
        await seen.alone("u")

        await seen.sees("put off until 09:10:00")
        assert desk.snoozed(seen.app.now().timestamp()) == {A}
        assert inbox.sent() == []


# ---- hostile words


@SIZES
async def test_hostile_words_are_shown_and_do_nothing(fake: FakeDaemon, size: tuple[int, int]) -> None:
    words = {"path": HOSTILE, "why": HOSTILE_LINES, "question": HOSTILE, "rule": HOSTILE}
    Inbox(fake, request(A, "blog-7", tool="p\u0430y", arguments={"title": HOSTILE, "k\u202e[bold]": HOSTILE_LINES}, **words))
    async with deciding(fake, size=size) as seen:
        await seen.open(A)
        pages = [seen.text()]
        await seen.press("r")
        pages.append(seen.text())
        for _ in range(3):
            await seen.press("d")
            pages.append(seen.text())
        await seen.alone("e")
        await seen.pilot.pause()
        pages.append(seen.text())

        assert all(came_through(page.encode()) == set() for page in pages)
        assert "sanitised: " in pages[0]
        assert "mixed alphabets: p\u0430y" in pages[0]
        assert any("[bold]m[/bold]" in page for page in pages)
