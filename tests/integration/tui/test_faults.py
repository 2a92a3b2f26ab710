"""When something in the dashboard itself breaks: what is told, what is written, and what is not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from support.dashboard import Clock, dashboard, run, serve
from support.fakedaemon import FakeDaemon


async def test_a_part_that_breaks_is_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    async def breaks() -> None:
        raise LookupError("a fault of ours")

    with FakeDaemon(tmp_path / "d.sock") as fake:
        serve(fake, runs=[run("digest-41")])
        async with dashboard(fake, now=Clock()) as seen:
            await seen.sees("digest-41")
            seen.app.screen.run_worker(breaks(), exit_on_error=False)
            await seen.sees("a part of the dashboard broke: LookupError")
            seen.app.run_worker(breaks(), exit_on_error=False)
            await seen.press("j")
            assert "digest-41" in seen.text()


async def test_an_answer_that_makes_no_sense_is_no_end(tmp_path: Path) -> None:
    with FakeDaemon(tmp_path / "d.sock") as fake:
        serve(fake, runs=[run("digest-41")])
        fake.answers[("GET", "/v1/requests")] = lambda asked: (
            200,
            {"items": [{"kind": 7, "id": None, "arguments": [[]], "choices": 3}, {}]},
        )
        fake.answers[("GET", "/v1/spend")] = lambda asked: (200, {"items": "none"})
        async with dashboard(fake, now=Clock()) as seen:
            await seen.sees("digest-41")
            assert seen.app.return_code is None


def test_a_crash_shows_no_values_and_says_that_the_runs_go_on(tmp_path: Path) -> None:
    program = tmp_path / "broken.py"
    program.write_text("""
import asyncio
from smallchain.protocol.client import Client
from smallchain_tui.app import Dashboard
from smallchain_tui.options import Options

def breaks():
    key = "sk-" + "secret"
    raise LookupError("a fault of ours")

class Broken(Dashboard):
    def _begin(self):
        breaks()

app = Broken(Client("/nowhere/d.sock"), Options())
try:
    asyncio.run(app.run_async(headless=True))
finally:
    print("code", app.return_code)
""")
    environ = os.environ | {"TERM": "xterm"}
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=60, env=environ)

    assert "code 1" in done.stdout
    assert "LookupError: a fault of ours" in done.stderr
    assert "the daemon and its runs go on" in done.stderr
    assert "sk-secret" not in done.stdout + done.stderr


def test_a_log_is_written_when_asked_for_and_is_ones_own(tmp_path: Path) -> None:
    program = """
import logging
from pathlib import Path
import sys
from smallchain_tui.log import log, to_file
log.warning("before")
path = to_file(Path(sys.argv[1]))
log.info("after \\udcff")
"""
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=60, check=True)

    written = tmp_path / "tui.log"
    assert done.stderr == done.stdout == ""
    assert "after" in written.read_text()
    assert "before" not in written.read_text()
    assert written.stat().st_mode & 0o777 == 0o600
