"""The overview on a socket: what a person sees first, finds, sorts, marks and takes away, in three sizes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from smallchain_tui.widgets.inboxpane import InboxPane
from smallchain_tui.widgets.runstable import RunsTable
from support.dashboard import NARROW, NORMAL, WIDE, Clock, dashboard, request, run, serve
from support.fakedaemon import FakeDaemon

SIZES = pytest.mark.parametrize("size", [WIDE, NORMAL, NARROW], ids=["160x45", "120x40", "80x24"])


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeDaemon]:
    with FakeDaemon(tmp_path / "d.sock") as fake:
        serve(
            fake,
            runs=[
                run("hello-1", "Succeeded", output="15"),
                run("digest-41", detail="calling the model", cost_usd="0.09"),
                run("pay-3", "Failed", error="refund: exit code 2", cost_usd="0.03"),
                run("blog-7", "Waiting", detail="for an approval of publish_post", cost_usd="1.12", agent="publisher"),
                run("crawl-9", "Sleeping", detail="asleep", cost_usd="4.98"),
            ],
            requests=[request("request-1", "blog-7", risk="high")],
        )
        fake.tell(message="Agent 'assistant' is executing the task", run="digest-41", run_id="id-of-digest-41")
        yield fake


@SIZES
async def test_what_needs_a_person_stands_first(fake: FakeDaemon, size: tuple[int, int]) -> None:
    async with dashboard(fake, size=size, now=Clock()) as seen:
        await seen.sees("hello-1")

        order = [
            name for line in seen.lines() for name in ("blog-7", "pay-3", "digest-41", "crawl-9", "hello-1") if f" {name} " in line[:40]
        ]
        assert list(dict.fromkeys(order)) == ["blog-7", "pay-3", "digest-41", "crawl-9", "hello-1"]
        assert "Waiting" in seen.line_with("! blog-7")
        assert "inbox 1" in seen.lines()[0]


@SIZES
async def test_a_cap_stands_there_with_what_is_spent_under_it(fake: FakeDaemon, size: tuple[int, int]) -> None:
    cap = {"kind": "budget", "name": "all of it", "status": "Ready", "limit": "$25.00", "per": "day", "spent": "$7.40", "held": "$0.00"}
    fake.answers["GET", "/v1/spend"] = {"items": [], "next": None}
    fake.answers["GET", "/v1/budgets"] = {"items": [cap | {"used": 0.296}], "next": None}
    async with dashboard(fake, size=size, now=Clock()) as seen:
        if size is not WIDE:
            await seen.press("4")
        await seen.sees("$7.40 of $25.00/day")
        assert "30%" in seen.text()
        assert "THIS HOUR" in seen.text()
        assert "No budget is written" not in seen.text()


async def test_where_caps_need_a_scroll_bar_their_shares_are_not_cut(fake: FakeDaemon) -> None:
    cap = {"kind": "budget", "limit": "$25.00", "per": "day", "spent": "$7.40", "held": "$0.00", "left": "$17.60", "used": 0.296}
    fake.answers["GET", "/v1/spend"] = {"items": []}
    fake.answers["GET", "/v1/budgets"] = {"items": [cap | {"name": f"cap {number}"} for number in range(9)]}
    async with dashboard(fake, size=WIDE, now=Clock()) as seen:
        await seen.sees("cap 0")
        await seen.pilot.pause()

        assert "30%" in seen.line_with("cap 0")


@SIZES
async def test_each_state_is_a_word_and_a_sign_and_not_a_colour_alone(fake: FakeDaemon, size: tuple[int, int]) -> None:
    async with dashboard(fake, size=size, now=Clock()) as seen:
        await seen.sees("hello-1")

        for sign, name, word in (
            ("!", "blog-7", "Waiting"),
            ("✗", "pay-3", "Failed"),
            ("●", "digest-41", "Running"),
            ("z", "crawl-9", "Sleeping"),
        ):
            line = next(line for line in seen.lines() if f"{sign} {name}" in line)
            assert word in line


async def test_with_ascii_not_one_other_character_is_drawn(fake: FakeDaemon) -> None:
    async with dashboard(fake, now=Clock(), ascii=True) as seen:
        await seen.sees("hello-1")
        await seen.press("j", "space")

        assert seen.text().isascii(), sorted({char for char in seen.text() if not char.isascii()})


async def test_at_160_columns_all_is_there_at_once(fake: FakeDaemon) -> None:
    async with dashboard(fake, size=WIDE, now=Clock()) as seen:
        await seen.sees("#launch")
        await seen.sees("runs 5: 1 waiting")

        text = seen.text()
        assert all(title in text for title in ("Runs 5/5", "Inbox (1)", "Events", "Spend", "Budgets"))
        assert "[connected v" in seen.lines()[0]
        assert "runs 5: 1 waiting" in seen.lines()[0]


@pytest.mark.parametrize("size", [NORMAL, NARROW], ids=["120x40", "80x24"])
async def test_below_140_columns_numbers_choose_what_is_shown(fake: FakeDaemon, size: tuple[int, int]) -> None:
    async with dashboard(fake, size=size, now=Clock()) as seen:
        await seen.sees("[1]Runs  2 Inbox(1)  3 Events  4 Spend")
        assert "#launch" not in seen.text()

        await seen.press("2")
        await seen.sees("channel=#launch")
        assert isinstance(seen.app.focused, InboxPane)

        await seen.press("escape")
        await seen.sees("[1]Runs")
        assert isinstance(seen.app.focused, RunsTable)


async def test_a_filter_narrows_while_it_is_typed_and_esc_brings_all_back(fake: FakeDaemon) -> None:
    async with dashboard(fake, now=Clock()) as seen:
        await seen.sees("hello-1")
        await seen.press("slash")
        await seen.type("status=failed")
        await seen.sees("Runs 1/5")
        assert "pay-3" in seen.text()
        assert "crawl-9" not in seen.text()

        await seen.press("enter")
        assert isinstance(seen.app.focused, RunsTable)
        await seen.sees("filter: status=failed")

        await seen.press("escape")
        await seen.sees("Runs 5/5")


async def test_keys_typed_into_the_filter_do_nothing_else(fake: FakeDaemon) -> None:
    async with dashboard(fake, now=Clock()) as seen:
        await seen.sees("hello-1")
        await seen.press("slash")
        await seen.type("qKpLy")

        await seen.sees("Runs 0/5")
        assert len(seen.app.screen_stack) == 2
        assert not [asked for asked in fake.requests if asked.method == "POST"]


async def test_the_sort_menu_sorts_and_the_same_order_again_turns_it_round(fake: FakeDaemon) -> None:
    async with dashboard(fake, now=Clock()) as seen:
        await seen.sees("hello-1")
        table = seen.app.screen.query_one(RunsTable)
        await seen.press("s", "j", "j", "j", "j", "enter")
        await seen.sees("sort: cost")
        assert table.shown[0].run.name == "crawl-9"

        await seen.press("s", "enter")
        await seen.sees("sort: -cost")
        assert table.shown[-1].run.name == "crawl-9"


async def test_the_cursor_stays_with_its_run_when_others_come_and_go(fake: FakeDaemon) -> None:
    runs = [run(f"run-{number}") for number in range(5)]
    serve(fake, runs=runs)
    async with dashboard(fake, now=Clock()) as seen:
        await seen.sees("run-4")
        table = seen.app.screen.query_one(RunsTable)
        table.go_to("id-of-run-3")
        runs[:2] = [run("pay-9", "Failed", error="exit 2")]
        fake.tell(object={"kind": "config", "name": ""})

        await seen.sees("pay-9")
        await seen.misses("run-0")
        assert table.current is not None
        assert table.current.run.name == "run-3"


async def test_what_comes_above_the_first_row_is_seen(fake: FakeDaemon) -> None:
    runs = [run("run-0")]
    serve(fake, runs=runs)
    async with dashboard(fake, now=Clock()) as seen:
        await seen.sees("run-0")
        runs[:0] = [run("pay-9", "Failed", error="exit 2")]
        fake.tell(object={"kind": "config", "name": ""})

        await seen.sees("pay-9")
        table = seen.app.screen.query_one(RunsTable)
        assert (table.scroll_offset.y, table.current_key) == (0, "id-of-run-0")


async def test_what_is_marked_is_copied_and_written_to_a_file(fake: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with dashboard(fake, now=Clock()) as seen:
        await seen.sees("hello-1")
        await seen.press("space", "space", "C")
        copied = json.loads(seen.app.clipboard)
        assert [item["name"] for item in copied["items"]] == ["blog-7", "pay-3"]

        await seen.press("x")
        await seen.sees("2 items in")

    written, mode = _written(tmp_path)
    assert json.loads(written) == copied
    assert mode == 0o600


async def test_a_range_is_marked_from_the_last_mark_to_the_cursor(fake: FakeDaemon) -> None:
    async with dashboard(fake, now=Clock()) as seen:
        await seen.sees("hello-1")
        await seen.press("space", "j", "j", "v")

        assert len(seen.app.screen.query_one(RunsTable).marks) == 4
        await seen.press("escape")
        assert not seen.app.screen.query_one(RunsTable).marks


async def test_an_event_makes_the_run_be_read_again(fake: FakeDaemon) -> None:
    runs = [run("digest-41")]
    serve(fake, runs=runs)
    async with dashboard(fake, now=Clock()) as seen:
        await seen.sees("digest-41")
        runs[0] = run("digest-41", "Succeeded", output="ten lines about AI")
        fake.tell(message="Run 'digest-41' completed successfully", run="digest-41", run_id="id-of-digest-41")

        await seen.sees("ten lines about AI")


async def test_q_says_that_the_runs_go_on(fake: FakeDaemon, capfd: pytest.CaptureFixture[str]) -> None:
    async with dashboard(fake, now=Clock()) as seen:
        await seen.sees("hello-1")
        await seen.press("q")

    assert "3 runs go on in the daemon." in capfd.readouterr().err


async def test_help_names_the_keys_of_the_screen_and_the_signs(fake: FakeDaemon) -> None:
    async with dashboard(fake, size=NARROW, now=Clock()) as seen:
        await seen.sees("hello-1")
        await seen.press("question_mark")
        await seen.sees("OVERVIEW")
        for wanted in ("THE RUN UNDER THE CURSOR", "SIGNS", "FILTERS"):
            while wanted not in seen.text():
                await seen.press("j")
        await seen.press("escape")
        await seen.sees("hello-1")


async def test_a_command_can_be_typed_and_a_mistyped_one_is_told_what_was_meant(fake: FakeDaemon) -> None:
    async with dashboard(fake, now=Clock()) as seen:
        await seen.sees("hello-1")
        await seen.press("colon")
        await seen.type("filtr x")
        await seen.press("enter")
        await seen.sees("there is no command 'filtr'; did you mean")

        await seen.press("colon")
        await seen.type("filter pay")
        await seen.press("enter")
        await seen.sees("Runs 1/5")


async def test_ctrl_c_never_ends_the_dashboard(fake: FakeDaemon) -> None:
    async with dashboard(fake, now=Clock()) as seen:
        await seen.sees("hello-1")
        await seen.press("ctrl+c", "ctrl+c")
        await seen.sees("q quits, and the runs go on")


async def test_the_palette_finds_what_the_keys_do(fake: FakeDaemon) -> None:
    async with dashboard(fake, now=Clock()) as seen:
        await seen.sees("hello-1")
        await seen.press("ctrl+p")
        await seen.type("theme: light")
        await seen.sees("theme: light")
        await seen.press("enter", "enter")
        await seen.until(lambda: seen.app.theme == "smallchain-light", "the light theme")


async def test_a_pane_grows_and_shrinks(fake: FakeDaemon) -> None:
    async with dashboard(fake, now=Clock()) as seen:
        await seen.sees("hello-1")
        before = seen.app.screen.query_one("#pane-runs").size.height
        await seen.press("plus", "plus")
        await seen.until(lambda: seen.app.screen.query_one("#pane-runs").size.height > before, "a larger pane")
        await seen.press("underscore", "underscore", "underscore")
        await seen.until(lambda: seen.app.screen.query_one("#pane-runs").size.height < before, "a smaller pane")


async def test_each_theme_draws_and_l_goes_round(fake: FakeDaemon) -> None:
    async with dashboard(fake, now=Clock()) as seen:
        await seen.sees("hello-1")
        for name in ("light", "ansi", "dark"):
            await seen.press("L")
            await seen.sees(f"theme: {name}")
            assert "! blog-7" in seen.text()
            assert seen.app.return_code is None


def _written(folder: Path) -> tuple[str, int]:
    (file,) = folder.glob("smallchain-runs-*.json")
    return file.read_text(), file.stat().st_mode & 0o777
