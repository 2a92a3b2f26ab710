"""`make bench PROFILE=1`: where the daemon's time goes while its agents work, seen from outside by py-spy.

Prints the functions with the largest shares of the samples, a JSON line each: of the sample's own function (`own`), and of everything
on its stack (`whole`). All threads that do something are sampled, so shares are of the work of all of them. The stacks go to a file in
the folded form that flame graph programs read.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from bench.processes import a_bench, a_model, end_with_everything
from support.daemon import first_line

_WAITS = ("_worker (concurrent/", "_connection_worker_thread (aiosqlite/", "WorkerThread.run (anyio/", "EpollSelector.select (")
"""Where a thread waits for something to do; py-spy cannot always tell that from work."""
_MOST = 30
_RATE = 200


def record(agents: int, turns: int, stacks: Path) -> None:
    """Let agents work, with py-spy watching their daemon."""
    spy = str(Path(sys.executable).with_name("py-spy"))
    with a_model(turns=turns) as model, a_bench(model.url) as bench:
        bench.prepare(agents)
        words = [spy, "record", "--pid", str(bench.kernel.pid), "--rate", str(_RATE), "--duration", "unlimited"]
        shape = ["--format", "raw", "--function", "--threads", "--output", str(stacks)]
        watching = subprocess.Popen([*words, *shape], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            first_line(watching.stdout)  # it has found the interpreter
            bench.give_model()
            bench.await_end(every_s=0.05)
        finally:
            watching.send_signal(signal.SIGINT)
            watching.communicate()


def shares(folded: str) -> Iterator[dict[str, object]]:
    """The largest shares of folded stacks: lines of `outermost;...;innermost COUNT`."""
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    total = 0
    for line in folded.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        if frames[-1].startswith(_WAITS):
            continue
        total += int(count)
        own[frames[-1]] += int(count)
        for frame in set(frames):
            whole[frame] += int(count)
    for kind, counts in (("own", own), ("whole", whole)):
        for where, count in counts.most_common(_MOST):
            yield {"profile": kind, "share": round(count / total, 4), "samples": count, "where": where}


def main() -> None:
    """Record and print."""
    parser = argparse.ArgumentParser(prog="make bench PROFILE=1", description=__doc__)
    parser.add_argument("--agents", type=int, default=200)
    parser.add_argument("--turns", type=int, default=10)
    parser.add_argument("--stacks", type=Path, required=True)
    given = parser.parse_args()
    end_with_everything()
    record(given.agents, given.turns, given.stacks)
    for share in shares(given.stacks.read_text(encoding="utf-8")):
        print(json.dumps(share))


if __name__ == "__main__":
    main()
