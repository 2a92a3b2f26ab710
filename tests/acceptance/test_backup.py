"""A copy that SQLite makes while the daemon runs is a backup: put back as the operating page says, it is gone on with."""

from __future__ import annotations

import re
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from support.daemon import ROOT, Daemon

STORY = """
llms: [{name: s, provider: scripted, replies: [{content: "heard"}]}]
agents: [{name: echo, llm: s}]
tasks: [{name: talk, agent: echo, user_message: hi}]
"""


def _blocks() -> list[str]:
    page = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    return re.findall(r"^```sh\n(.*?)^```$", page.split("## Backups")[1].split("\n## ")[0], re.MULTILINE | re.DOTALL)


def _as_told(line: str, daemon: Daemon, copy: Path) -> None:
    """Run a line of the page on this daemon's folder."""
    told = line.replace("~/.local/state/smallchain", str(daemon.state)).replace("/backups/smallchain.db", str(copy))
    subprocess.run(["bash", "-ec", told], env=daemon.environ, check=True, timeout=60)


def test_a_backup_made_and_put_back_as_the_page_says_is_gone_on_with(daemon: Daemon, folder: Path) -> None:
    making, putting_back = _blocks()
    assert putting_back.splitlines()[-1] == "smallchain start --accept-rollback"
    copy = folder / "copy.db"
    daemon.drop("story.yaml", STORY)
    daemon.start()
    daemon.cli("run", "talk", "--name", "before", "--wait")

    _as_told(next(line for line in making.splitlines() if line.startswith("python3 ")), daemon, copy)

    daemon.cli("run", "talk", "--name", "after", "--wait")
    daemon.terminate()
    with closing(sqlite3.connect(daemon.state / "smallchain.db")) as connection:
        assert connection.execute("SELECT count(*) FROM runs").fetchone() == (2,)
    _as_told(next(line for line in putting_back.splitlines() if line.startswith("cd ")), daemon, copy)
    daemon.start("--accept-rollback")
    assert [run["name"] for run in daemon.items("runs")] == ["before"]
    assert daemon.run("before")["output"] == "heard"
    daemon.cli("run", "talk", "--name", "afterwards", "--wait")
    assert daemon.run("afterwards")["status"] == "Succeeded"
    numbers = [event["seq"] for event in daemon.events()]
    assert numbers == sorted(set(numbers))
