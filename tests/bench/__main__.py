"""`make bench`: figures beside their baselines, one JSON object a line.

`make bench ONLY=turns,parked` runs some of them; `SMALL=1` runs them at a size that only shows that they work. The first line tells the
machine, each other one is a figure (`report.py`). docs/performance.md says how to read them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

from bench import containers, dashboard, growth, inbox, mcp, parked, sleepers, start, tools, turns
from bench.processes import end_with_everything, file_system
from bench.report import Figure

Benches = dict[str, Callable[[], Iterator[Figure]]]

FULL: Benches = {
    "server": lambda: turns.server(50, 3.0),
    "turns": lambda: turns.turns({1: (5, 10), 50: (5, 1), 500: (3, 1)}, 10),
    "latency": lambda: turns.latency(20, 0.2, 10, 2),
    "fsyncs": lambda: turns.fsyncs(50, 10),
    "growth": lambda: growth.growth({(100, 10): 1.5, (500, 5): 3.0}, 3, 1),
    "parked": lambda: parked.parked({10_000: 0.5, 100_000: 1.0}, 60, 65.0),
    "sleepers": lambda: sleepers.sleepers(10_000, 1000, 3),
    "inbox": lambda: inbox.inbox(10_000, 60, 1000, 10),
    "mcp": lambda: mcp.calls(500, 5),
    "paint": lambda: start.paint(15, 20),
    "start": lambda: start.start(5),
    "dashboard": lambda: dashboard.dashboard(paints=10, idle_s=30.0, keys=200, rate=1000, most=100_000),
    "containers": lambda: containers.containers(15),
    "tools": lambda: tools.tools(20, 100),
}
SMALL: Benches = {
    "server": lambda: turns.server(2, 0.2),
    "turns": lambda: turns.turns({1: (1, 2), 3: (1, 1)}, 2),
    "latency": lambda: turns.latency(2, 0.02, 2, 1),
    "fsyncs": lambda: turns.fsyncs(2, 2),
    "growth": lambda: growth.growth({(10, 5): 10.0}, 1, 1),
    "parked": lambda: parked.parked({20: 5.0}, 3, 0.5),
    "sleepers": lambda: sleepers.sleepers(20, 5, 1, lead=timedelta(seconds=5)),
    "inbox": lambda: inbox.inbox(20, 3, 10, 2),
    "mcp": lambda: mcp.calls(5, 1),
    "paint": lambda: start.paint(1, 2),
    "start": lambda: start.start(1),
    "dashboard": lambda: dashboard.dashboard(paints=1, idle_s=1.0, keys=3, rate=500, most=1000),
    "containers": lambda: containers.containers(1),
    "tools": lambda: tools.tools(2, 5),
}


def main() -> None:
    """Run the benches that are asked for."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", default="", help="names of benches, with commas between: " + ", ".join(FULL))
    parser.add_argument("--small", action="store_true", help="a few seconds each: that they work, not how fast things are")
    given = parser.parse_args()
    benches = SMALL if given.small else FULL
    chosen = [name for name in given.only.split(",") if name] or list(benches)
    if unknown := [name for name in chosen if name not in benches]:
        parser.error(f"there is no bench {', '.join(unknown)}; there are {', '.join(benches)}")
    end_with_everything()
    print(json.dumps(_machine()), flush=True)
    for name in chosen:
        began = time.monotonic()
        for figure in benches[name]():
            print(figure.line(), flush=True)
        print(f"{name} took {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


def _machine() -> dict[str, object]:
    return {
        "bench": "machine",
        "at": time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()),
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "kernel": platform.release(),
        "file_system": file_system(),
    }


if __name__ == "__main__":
    main()
