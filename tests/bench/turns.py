"""Turns: how many a second, and what one costs, with 1, 50 and 500 agents at once, beside the bare loop against the same server.

An agent of N turns makes N model requests that ask for `add`, and a last one. The daemon commits reply and result (SQLite, FULL) before
the next step. Time counts from the first request the server received until no run is live any more in the database.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench.processes import HERE, Bare, Bench, Kernel, Model, a_bench, a_model
from bench.report import Figure, Target, percentile

_BARE = "the bare openai loop"
Trial = dict[str, float]


def server(connections: int, seconds: float) -> Iterator[Figure]:
    """What the model's server does by itself with a raw client."""
    with a_model(turns=10) as model:
        words = [sys.executable, str(HERE / "hammer.py"), model.url, str(connections), str(seconds)]
        found = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    at = {"connections": connections}
    yield Figure("server", "requests_per_s", "1/s", [float(found)], "higher", at, target=Target("value", ">=", 50_000))


def turns(sizes: dict[int, tuple[int, int]], length: int) -> Iterator[Figure]:
    """`sizes` has, for a number of agents at once, how often it is repeated and how many rounds a repeat has."""
    of_fifty: list[float] = []
    for agents, (repeats, rounds) in sizes.items():
        theirs: list[Trial] = []
        ours: list[Trial] = []
        with a_model(turns=length) as model:
            for number in range(repeats):
                if number == 0 or agents < 500:  # 500 bare agents take long, and their figures hardly spread
                    bare = Bare(model.url, agents=agents, turns=length, rounds=rounds)
                    model.reset()
                    told = bare.run()
                    theirs.append(told | _pauses(model.figures()["pauses_s"]))
                with a_bench(model.url) as bench:
                    model.reset()
                    ours.append(trial(bench, model, agents=agents, turns=length, rounds=rounds))
        at = {"agents": agents, "turns": length}
        targets: dict[str, Target] = {}
        if agents == 1:
            targets = {
                "turns_per_s": Target("ratio", ">=", 1.3),
                "added_latency_p50_ms": Target("value", "<=", 2),
                "added_latency_p99_ms": Target("value", "<=", 5),
            }
        if agents == 50:
            targets = {
                "turns_per_s": Target("ratio", ">=", 7),
                "cpu_ms_per_turn": Target("ratio", "<=", 0.12),
                "written_bytes_per_turn": Target("value", "<=", 10_000),
            }
        if agents == 500:
            targets = {"peak_rss_over_idle_mib": Target("value", "<=", 100)}
        yield from _figures("turns", at, ours, theirs, targets)
        rates = [each["turns_per_s"] for each in ours]
        if agents == 50:
            of_fifty = rates
        if agents == 500 and of_fifty:
            beside = {"baseline": [median(of_fifty)], "baseline_is": "50 agents at once", "target": Target("ratio", ">=", 0.9)}
            yield Figure("turns", "turns_per_s_beside_50", "1/s", rates, "higher", at, **beside)  # type: ignore[arg-type]


def latency(agents: int, latency_s: float, length: int, repeats: int) -> Iterator[Figure]:
    """What is added to a model that takes its time: from a reply to the next request, by the model's clock."""
    theirs: list[Trial] = []
    ours: list[Trial] = []
    with a_model(turns=length, latency_s=latency_s) as model:
        for _ in range(repeats):
            bare = Bare(model.url, agents=agents, turns=length)
            model.reset()
            bare.run()
            theirs.append(_pauses(model.figures()["pauses_s"]))
            with a_bench(model.url) as bench:
                model.reset()
                found = trial(bench, model, agents=agents, turns=length, rounds=1)
            ours.append({name: value for name, value in found.items() if name.startswith("added")})
    at = {"agents": agents, "model_latency_ms": round(1000 * latency_s)}
    targets = {"added_latency_p50_ms": Target("value", "<=", 9), "added_latency_p99_ms": Target("value", "<=", 20)}
    yield from _figures("latency", at, ours, theirs, targets)


def fsyncs(agents: int, length: int) -> Iterator[Figure]:
    """How often the daemon waits for the disk; a run of its own, since being looked at slows it down."""
    at = {"agents": agents, "turns": length}
    target = Target("value", "<=", 0.5)
    if shutil.which("strace") is None:
        yield Figure("fsyncs", "fsyncs_per_turn", "1", [], at=at, target=target, note="strace is not here")
        return
    with a_model(turns=length) as model, tempfile.TemporaryDirectory(prefix="sc-strace-") as folder:
        log = Path(folder, "calls")
        # With --seccomp-bpf only these calls stop the daemon, so the batches of its commits stay almost as they are.
        traced = ("strace", "--seccomp-bpf", "-f", "-ttt", "-e", "trace=fsync,fdatasync", "-o", str(log))
        with a_bench(model.url, under=traced) as bench:
            model.reset()
            trial(bench, model, agents=agents, turns=length, rounds=1)
            began, ended = model.figures()["first_at"], time.monotonic()
            offset = time.time() - time.monotonic()
        moments = [float(found) - offset for found in re.findall(r"^\d+ +(\d+\.\d+) f(?:data)?sync\(", log.read_text(), re.MULTILINE)]
    count = sum(began <= moment <= ended for moment in moments)
    yield Figure("fsyncs", "fsyncs_per_turn", "1", [count / (agents * length)], at=at, target=target)


def trial(bench: Bench, model: Model, *, agents: int, turns: int, rounds: int) -> Trial:
    """One measured run of a warm daemon."""
    kernel = bench.kernel
    wall = 0.0
    pauses: list[float] = []
    idle_kib = kernel.rss_kib
    if rounds == 1:
        bench.prepare(agents)
        kernel.forget_peak()
        before = _spent(kernel)
        bench.give_model()
    else:
        bench.give_model()
        kernel.forget_peak()
        before = _spent(kernel)
    for number in range(rounds):
        if rounds > 1:
            model.reset()
            bench.prepare(agents, prefix=str(number))
        ended = bench.await_end()
        told = model.figures()
        wall += ended - told["first_at"]
        pauses += told["pauses_s"]
    after = _spent(kernel)
    done = agents * turns * rounds
    cpu, written, given = (last - first for first, last in zip(before, after, strict=True))
    return {
        "turns_per_s": done / wall,
        "cpu_ms_per_turn": 1000 * cpu / done,
        "written_bytes_per_turn": written / done,
        "wchar_bytes_per_turn": given / done,
        "peak_rss_over_idle_mib": (kernel.peak_kib - idle_kib) / 1024,
        **_pauses(pauses),
    }


def _spent(kernel: Kernel) -> tuple[float, int, int]:
    return (kernel.cpu_s, *kernel.written)


def _pauses(pauses: list[float]) -> Trial:
    if not pauses:
        return {}
    return {"added_latency_p50_ms": 1000 * percentile(pauses, 0.5), "added_latency_p99_ms": 1000 * percentile(pauses, 0.99)}


_UNITS = {"turns_per_s": "1/s", "cpu_ms_per_turn": "ms", "written_bytes_per_turn": "B", "wchar_bytes_per_turn": "B"}


def _figures(bench: str, at: dict[str, int], ours: list[Trial], theirs: list[Trial], targets: dict[str, Target]) -> Iterator[Figure]:
    for name in ours[0]:
        beside = [each[name] for each in theirs if name in each]
        yield Figure(
            bench,
            name,
            _UNITS.get(name) or ("MiB" if name.endswith("mib") else "ms"),
            [each[name] for each in ours],
            "higher" if name == "turns_per_s" else "lower",
            at,
            baseline=beside,
            baseline_is=_BARE if beside else "",
            target=targets.get(name),
        )
