"""The pictures of the README: the real dashboard on the demo's newsroom, at fixed times of a day; `make pictures` draws them.

The one rule: nothing is posed. The daemon runs the scene, on a clock that this script moves (libfaketime); the dashboard reads it over the
socket. Only what differs each time is evened out: random ids become numbers, and so does the process.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from smallchain.cli.commands.demo import scene_file
from smallchain.protocol.client import Client, path_of
from smallchain.settings import Settings
from smallchain_tui.app import Dashboard
from smallchain_tui.options import Options
from support.daemon import PATIENCE_S, Daemon, Item, a_folder

HERE = Path(__file__).parent / "pictures"
DAY = "2026-11-24"
NOW = datetime(2026, 11, 24, 8, 59, 41, tzinfo=UTC)
PACE = 0.1
"""The scene's own delays take this part of their time."""

Done = Callable[[Mapping[str, Item], list[Item]], bool]
"""Whether a run has come as far as it is to, by the runs by name and the open requests."""


def is_at(name: str, **facts: Any) -> Done:
    """A run stands so."""
    return lambda runs, _: all(runs.get(name, {}).get(fact) == value for fact, value in facts.items())


def are_asked(number: int) -> Done:
    """So many requests are open."""
    return lambda _, requests: len(requests) == number


def scouts_read(runs: Mapping[str, Item], requests: list[Item]) -> bool:
    """Both scouts have looked everything up."""
    return all(is_at(f"market report/scout-{number}", turns=2, phase="calling_model")(runs, requests) for number in (1, 2))


TIMETABLE: tuple[tuple[str, str, str, Done], ...] = (
    ("03:20:05", "write_post", "early post", are_asked(1)),
    ("07:31:40", "count_readers", "readers", is_at("readers", status="Succeeded")),
    ("08:02:10", "read_archive", "archive", is_at("archive", status="Failed")),
    ("08:10:03", "night_crawl", "night crawl", is_at("night crawl", phase="backing_off")),
    ("08:15:41", "night_round", "night round", is_at("night round", status="Sleeping")),
    ("08:21:30", "letters", "letters", are_asked(3)),
    ("08:49:12", "index_pages", "page index", is_at("page index", status="OverBudget")),
    ("08:40:12", "market_report", "market report", scouts_read),
    ("08:54:20", "watch_wires", "wires", is_at("wires", turns=8, phase="calling_model")),
    ("08:57:04", "write_post", "launch post", are_asked(6)),
    ("08:59:02", "crawl", "day crawl", is_at("day crawl", status="OverBudget")),
)
"""When which task begins, the run's name, and when it has come as far as it is to."""
EARLY = "03:41:30"
"""When somebody approves the early post."""


def main() -> int:
    """Draw all pictures."""
    try:
        (library,) = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
    except ValueError:
        print("libfaketime is not installed (Debian: apt-get install faketime)", file=sys.stderr)
        return 1
    HERE.mkdir(exist_ok=True)
    with a_folder() as folder:
        clock = folder / "clock"
        clock.write_text(f"{DAY} 06:00:00\n", encoding="ascii")
        # What is read is the file's moment, standing still; what is waited for is real.
        faked = {"LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1"}
        with closing(Daemon(folder, TZ="UTC", FAKETIME_DONT_FAKE_MONOTONIC="1", **faked)) as daemon:
            play(daemon, clock)
            asyncio.run(draw(daemon))
    return 0


def play(daemon: Daemon, clock: Path) -> None:
    """Let the newsroom's runs begin, each at its time, and come as far as they can."""
    scene = yaml.safe_load(scene_file("newsroom").read_text(encoding="utf-8"))
    del scene["runs"]
    daemon.drop("newsroom.yaml", yaml.safe_dump(hastened(scene), sort_keys=False))
    daemon.start()
    daemon.until(lambda: daemon.items("tasks") and all(task["status"] == "Ready" for task in daemon.items("tasks")))
    for time, task, name, done in TIMETABLE:
        clock.write_text(f"{DAY} {time}\n", encoding="ascii")
        daemon.client().post(path_of("runs"), {"task": task, "name": name})

        def come(done: Done = done) -> bool:
            return done({run["name"]: run for run in daemon.items("runs")}, daemon.items("requests"))

        daemon.until(come)
        if name == "early post":
            clock.write_text(f"{DAY} {EARLY}\n", encoding="ascii")
            (asked,) = daemon.items("requests")
            daemon.client().post(path_of("approve", asked["id"]), {"note": "good, post it"})
            daemon.over(name)
    clock.write_text(f"{DAY} {NOW:%H:%M:%S}\n", encoding="ascii")


def hastened(value: Any) -> Any:
    """The scene with its delays and pauses shortened; the long ones, which nobody waits for, stay."""
    if isinstance(value, list):
        return [hastened(each) for each in value]
    if not isinstance(value, dict):
        return value
    made = {key: hastened(each) for key, each in value.items()}
    if isinstance(made.get("pause"), int | float):
        made["pause"] *= PACE
    found = re.fullmatch(r"(\d+)(ms|s)", str(made.get("delay", "")))
    if found:
        made["delay"] = f"{round(int(found[1]) * (1000 if found[2] == 's' else 1) * PACE)}ms"
    return made


async def draw(daemon: Daemon) -> None:
    """The dashboard's screens as SVG."""
    settings = Settings.read(daemon.environ)
    ids = numbered(daemon)
    app = Dashboard(Client(settings), Options.read(settings.config_dir, {}), now=lambda: NOW)
    async with app.run_test(size=(160, 45)) as pilot:

        async def until(seen: Callable[[], object]) -> None:
            async with asyncio.timeout(PATIENCE_S):
                while not seen():
                    await pilot.pause(0.05)
            await pilot.pause(1.0)

        await until(lambda: app.state.loaded and len(app.state.requests) == 6)
        save(app, "overview", ids)
        (post,) = (request["id"] for request in daemon.items("requests") if request["risk"] == "high")
        app.open_request(post)
        await until(lambda: len(app.screen_stack) > 2)
        save(app, "approval", ids)
        app.exit()


def numbered(daemon: Daemon) -> dict[str, str]:
    """For the process and each random id another of the same length, in the order of their making."""
    found = sorted({str(item["id"]) for kind in ("runs", "requests", "toolcalls") for item in daemon.items(kind)})
    pid = str(daemon.pid)
    return {f"pid&#160;{pid}": f"pid&#160;{'4121000'[: len(pid)]}"} | {
        id[-8:]: f"{0x1A2B0000 + 0x0C3D * number:08x}" for number, id in enumerate(found)
    }


def save(app: Dashboard, name: str, ids: Mapping[str, str]) -> None:
    """Write the screen in front; the font is the reader's own, as nothing is to be fetched to look at a picture."""
    svg = app.export_screenshot(title="smallchain-tui")
    svg = re.sub(r"@font-face\s*\{.*?\}\s*", "", svg, flags=re.DOTALL)
    svg = svg.replace("Fira Code, monospace", "ui-monospace, 'DejaVu Sans Mono', monospace")
    svg = re.sub(r'<clipPath id="[^"]+-line-\d+">.*?</clipPath>\s*', "", svg, flags=re.DOTALL)  # of each line: what no text here leaves
    svg = re.sub(r' clip-path="url\(#[^)]+-line-\d+\)"', "", svg)
    svg = re.sub(r"terminal-[0-9]+-", f"{name}-", svg).replace("<svg ", '<svg xml:space="preserve" ', 1)
    for random, number in ids.items():
        svg = svg.replace(random, number)
    (HERE / f"{name}.svg").write_text(svg.rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
