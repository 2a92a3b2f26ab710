"""`make soak`: many active runs for an hour, while the model breaks at random and people come and go; does anything grow, or get lost?

A real daemon and a loopback model. Runs are started so that about `--runs` are active; clients cancel, pause, resume and retry some,
follow the events and leave again, and list the runs with the command. A sample each 10 s goes to a file, a line of JSON each. At the
end the faults stop, and every run is looked at: it is over, or says why it waits. The last line on standard output is the verdict.

The loop's lag is seen from outside: the time of a request that the daemon answers without its database (a path that is not there).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, TextIO

from bench.processes import Kernel, end_with_everything, read_only
from bench.report import percentile
from bench.steady import slope
from smallchain.model.errors import Refused, SmallchainError, Unknown
from smallchain.protocol.client import path_of
from support.daemon import Daemon, a_folder, end
from support.house import is_legal

_SCENE = """\
llms: [{{name: model, provider: openai, model: soak, base_url: "{url}", timeout: {timeout}s}}]
agents:
- {{name: worker, system_prompt: you are a worker, llm: model, tools: [add, note, count_words, act, {{agent: helper}}], limits: {{turns: 200, children: 100}}}}
- {{name: helper, system_prompt: you are a helper, llm: model, tools: [add]}}
tools:
- {{name: note, description: note a text, parameters: {{type: object, properties: {{text: {{type: string}}}}, required: [text]}},
    executor: {{local_bash: {{command: 'echo "noted $text"'}}}}, effects: idempotent, timeout: 30s}}
- {{name: count_words, description: count words, parameters: {{type: object, properties: {{text: {{type: string}}}}, required: [text]}},
    executor: {{python: {{code: 'print(len(text.split()))'}}}}, effects: none, timeout: 30s}}
- {{name: act, description: act once, parameters: {{type: object, properties: {{what: {{type: string}}}}, required: [what]}},
    isolation: none,
    executor: {{local_bash: {{command: 'echo "$SMALLCHAIN_CALL_ID $SMALLCHAIN_IDEMPOTENCY_KEY" >> "{log}"; echo acted'}}}}, effects: once, timeout: 30s}}
tasks: [{{name: work, agent: worker, user_message: work}}]
"""
_OVER = "('succeeded', 'failed', 'cancelled')"
_TICK_S = 0.5
_PROBE_S = 0.25
_LIST_S = 30.0
_MOST_STARTS = 10
_MIB_AN_HOUR = 4.0
_FILES_AN_HOUR = 10.0
_LAG_MS = 50.0
_SHORTEST_MINUTES = 20.0
"""Of a shorter soak growth is told and not judged: it is all warming up."""


@dataclass(slots=True)
class Seen:
    """What the threads beside the load saw; each adds to its own."""

    lags_ms: list[float] = field(default_factory=list)
    lists_ms: list[float] = field(default_factory=list)
    followed: int = 0
    followers: int = 0
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Given:
    """How the soak is to be."""

    minutes: float
    runs: int
    fastest_s: float
    slowest_s: float
    faults: float
    turns: int
    every_s: float
    drain_s: float
    seed: int


class Soak:
    """One soak: a daemon, its model, and those who bother it."""

    def __init__(self, daemon: Daemon, model: subprocess.Popen[str], given: Given, samples: TextIO) -> None:
        self.daemon = daemon
        self.given = given
        self.seen = Seen()
        self.acts: Counter[str] = Counter()
        self.kept: list[dict[str, Any]] = []
        self._model = model
        self._samples = samples
        self._chance = random.Random(given.seed)
        self._over = threading.Event()
        self._client = daemon.client()
        self.kernel = Kernel(daemon.pid)

    def run(self) -> dict[str, Any]:
        """The whole of it; the verdict."""
        helpers = [threading.Thread(target=work) for work in (self._probe, self._list, self._follow, self._follow)]
        began = time.monotonic()
        for each in helpers:
            each.start()
        try:
            with closing(read_only(self.daemon.state)) as database:
                self._load(database, began)
                told = self._tell_model("calm")
                drained_s = self._drain(database)
        finally:
            self._over.set()
            for each in helpers:
                each.join()
        return self._verdict(told, drained_s)

    # ---- the load

    def _load(self, database: sqlite3.Connection, began: float) -> None:
        until = began + 60 * self.given.minutes
        next_sample = began + self.given.every_s
        last = _Last(began, self.kernel.cpu_s, 0)
        while (now := time.monotonic()) < until:
            self._start_more(database)
            self._meddle(database)
            if now >= next_sample:
                self._sample(database, began, last)
                next_sample += self.given.every_s
            time.sleep(max(0.0, _TICK_S - (time.monotonic() - now)))

    def _start_more(self, database: sqlite3.Connection) -> None:
        (live,) = database.execute(f"SELECT count(*) FROM runs WHERE phase NOT IN {_OVER}").fetchone()
        for _ in range(min(_MOST_STARTS, self.given.runs - live)):
            self._do("started", "/v1/runs", {"task": "work"})

    def _meddle(self, database: sqlite3.Connection) -> None:
        """What people do, now and then; a refusal (it was over meanwhile) is an answer too."""
        for act, each_s, query in (
            ("cancel", 20, f"SELECT id FROM runs WHERE phase NOT IN {_OVER}"),
            ("pause", 8, f"SELECT id FROM runs WHERE phase NOT IN {_OVER} AND paused = 0"),
            ("resume", 5, f"SELECT id FROM runs WHERE phase NOT IN {_OVER} AND paused = 1"),
            ("retry", 15, "SELECT id FROM runs WHERE phase IN ('failed', 'cancelled') AND parent_id IS NULL"),
        ):
            if self._chance.random() < _TICK_S / each_s:
                found = database.execute(f"{query} ORDER BY id DESC LIMIT 200").fetchall()
                if found:
                    self._do(act, path_of(act, self._chance.choice(found)[0]))

    def _do(self, act: str, path: str, body: dict[str, Any] | None = None) -> None:
        try:
            self._client.post(path, body or {})
            self.acts[act] += 1
        except (Refused, Unknown):
            self.acts[f"{act} refused"] += 1
        except SmallchainError as error:
            self.seen.wrong.append(f"{act}: {error}")

    # ---- beside it

    def _probe(self) -> None:
        client = self.daemon.client()
        while not self._over.wait(_PROBE_S):
            began = time.perf_counter()
            try:
                client.get("/nothing")
            except Unknown:
                self.seen.lags_ms.append(1000 * (time.perf_counter() - began))
            except SmallchainError as error:
                self.seen.wrong.append(f"probe: {error}")

    def _list(self) -> None:
        while not self._over.wait(_LIST_S):
            began = time.perf_counter()
            done = self.daemon.cli("get", "runs")
            self.seen.lists_ms.append(1000 * (time.perf_counter() - began))
            if done.returncode:
                self.seen.wrong.append(f"get runs: {done.stderr.strip()}")

    def _follow(self) -> None:
        """Followers that come and go; each sees every event after the last one of the one before, in order and without a gap."""
        chance = random.Random(self.given.seed + threading.get_ident())
        client = self.daemon.client()
        last = 0
        while not self._over.wait(chance.uniform(0, 3)):
            self.seen.followers += 1
            try:
                for event in client.events(after=last, follow=True, deadline=time.monotonic() + chance.uniform(2, 20)):
                    if event["seq"] != last + 1:
                        self.seen.wrong.append(f"event {event['seq']} came after {last}")
                    last = event["seq"]
                    self.seen.followed += 1
            except SmallchainError as error:
                self.seen.wrong.append(f"follower: {error}")

    # ---- looking

    def _sample(self, database: sqlite3.Connection, began: float, last: _Last) -> None:
        now, cpu_s = time.monotonic(), self.kernel.cpu_s
        (events,) = database.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()
        lags, self.seen.lags_ms = self.seen.lags_ms, []
        sizes = {path.name: path.stat().st_size for path in self.daemon.state.glob("smallchain.db*")}
        sample = {
            "soak": "sample",
            "minutes": round((now - began) / 60, 2),
            "rss_kib": self.kernel.rss_kib,
            "descriptors": self.kernel.descriptors,
            "threads": self.kernel.threads,
            "cpu_percent": round(100 * (cpu_s - last.cpu_s) / (now - last.at), 1),
            "lag_p50_ms": round(percentile(lags, 0.5), 2) if lags else None,
            "lag_p99_ms": round(percentile(lags, 0.99), 2) if lags else None,
            "list_ms": round(self.seen.lists_ms[-1], 1) if self.seen.lists_ms else None,
            "events_per_s": round((events - last.events) / (now - last.at), 1),
            "database_bytes": sizes.get("smallchain.db", 0),
            "wal_bytes": sizes.get("smallchain.db-wal", 0),
            "phases": dict(database.execute("SELECT phase, count(*) FROM runs GROUP BY phase").fetchall()),
            "paused": database.execute(f"SELECT count(*) FROM runs WHERE paused = 1 AND phase NOT IN {_OVER}").fetchone()[0],
            "load": round(os.getloadavg()[0], 2),
        }
        last.at, last.cpu_s, last.events = now, cpu_s, events
        self.kept.append(sample)
        self._samples.write(json.dumps(sample) + "\n")
        self._samples.flush()

    def _tell_model(self, line: str) -> dict[str, int]:
        assert self._model.stdin is not None
        assert self._model.stdout is not None
        self._model.stdin.write(f"{line}\n")
        self._model.stdin.flush()
        told: dict[str, int] = json.loads(self._model.stdout.readline())
        return told

    # ---- the end

    def _drain(self, database: sqlite3.Connection) -> float:
        """Let everything that is paused go on, and wait until nothing is live; the seconds that took."""
        began = time.monotonic()
        while time.monotonic() < began + self.given.drain_s:
            live = database.execute(f"SELECT id, paused FROM runs WHERE phase NOT IN {_OVER}").fetchall()
            if not live:
                break
            for id, paused in live:
                if paused:
                    self._do("resume", path_of("resume", id))
            time.sleep(1.0)
        return time.monotonic() - began

    def _verdict(self, told: dict[str, int], drained_s: float) -> dict[str, Any]:
        waiting = [item for item in self._client.items("runs") if item["status"] not in ("Succeeded", "Failed", "Cancelled")]
        mute = [item["name"] for item in waiting if not item["detail"]]
        nameless = [item["name"] for item in self._client.items("runs", {"status": "Failed"}) if not item["error"]]
        copy = self.daemon.folder / "copy.db"
        with closing(read_only(self.daemon.state)) as database, closing(sqlite3.connect(copy)) as target:
            database.backup(target)
            phases = dict(target.execute("SELECT phase, count(*) FROM runs GROUP BY phase").fetchall())
            (sound,) = target.execute("PRAGMA integrity_check(1)").fetchone()
            mismatched = list(unpaired(target))
            acted = acted_wrong(target, self.daemon.folder / "effects.log")
        log = self.daemon.log.read_text(encoding="utf-8", errors="replace")
        faults = [line for line in log.splitlines() if " ERROR " in line or "Traceback" in line]
        lags = [each["lag_p99_ms"] for each in self.kept if each["lag_p99_ms"] is not None]
        criteria: dict[str, dict[str, Any]] = {
            "memory": grown(self.kept, "rss_kib", 1 / 1024, most=_MIB_AN_HOUR, unit="MiB"),
            "descriptors": grown(self.kept, "descriptors", 1, most=_FILES_AN_HOUR, unit="files"),
            "threads": grown(self.kept, "threads", 1, most=_FILES_AN_HOUR, unit="threads"),
            "lag": steady_lag(lags),
            "runs": {
                "ok": bool(phases.get("succeeded")) and not mute and not nameless,
                "waiting": len(waiting),
                "without_a_reason": (mute + nameless)[:5],
            },
            "pairing": {"ok": not mismatched, "wrong": mismatched[:5]},
            "once": acted,
            "database": {"ok": sound == "ok", "told": sound},
            "clients": {"ok": not self.seen.wrong, "wrong": self.seen.wrong[:5], "count": len(self.seen.wrong)},
            "daemon": {"ok": self.daemon.pid == self.kernel.pid and not faults, "log": faults[:5]},
        }
        return {
            "soak": "verdict",
            "ok": all(each["ok"] for each in criteria.values()),
            "criteria": criteria,
            "given": {name: getattr(self.given, name) for name in Given.__slots__},
            "drained_s": round(drained_s, 1),
            "phases": phases,
            "acts": dict(self.acts),
            "model": told,
            "followers": self.seen.followers,
            "events_followed": self.seen.followed,
            "cpu_percent": round(median(each["cpu_percent"] for each in self.kept), 1) if self.kept else None,
            "lag_p50_ms": median(each["lag_p50_ms"] for each in self.kept if each["lag_p50_ms"] is not None) if lags else None,
            "list_ms": [round(each, 1) for each in (self.seen.lists_ms[:1] + self.seen.lists_ms[-1:])],
        }


@dataclass(slots=True)
class _Last:
    """What the sample before said."""

    at: float
    cpu_s: float
    events: int


def grown(kept: Sequence[dict[str, Any]], name: str, scale: float, /, *, most: float, unit: str) -> dict[str, Any]:
    """Growth over the last three quarters of the samples; the first are warming up. `scale` makes the unit of what was sampled."""
    late = kept[len(kept) // 4 :]
    found = slope([each["minutes"] / 60 for each in late], [each[name] * scale for each in late])
    first, last = (late[0][name] * scale, late[-1][name] * scale) if late else (0, 0)
    judged = bool(kept) and kept[-1]["minutes"] >= _SHORTEST_MINUTES - 1
    shown = [None if abs(each) == float("inf") else round(each, 2) for each in (found.per_hour, found.low, found.high)]
    return {
        "ok": not judged or not found.grows(most),
        "judged": judged,
        "unit": f"{unit} an hour",
        "grows_by": shown[0],
        "between": shown[1:],
        "most": most,
        "first": round(first, 1),
        "last": round(last, 1),
    }


def steady_lag(lags: Sequence[float]) -> dict[str, Any]:
    """Lag is judged by the median of the windows' p99, early and late, so that one slow moment of the machine is none of ours."""
    late = lags[len(lags) // 4 :]
    if not late:
        return {"ok": False, "why": "no samples"}
    first, last = median(late[: max(1, len(late) // 3)]), median(late[-max(1, len(late) // 3) :])
    return {
        "ok": last <= max(_LAG_MS, 1.5 * first),
        "p99_ms_early": round(first, 1),
        "p99_ms_late": round(last, 1),
        "worst": round(max(lags), 1),
    }


def unpaired(database: sqlite3.Connection) -> Iterator[str]:
    """Runs that are over and whose conversation does not have one result for each call, in order."""
    for id, name in database.execute(f"SELECT id, name FROM runs WHERE phase IN {_OVER}").fetchall():
        wires = database.execute("SELECT wire FROM messages JOIN runs ON runs.no = run_no WHERE runs.id = ? ORDER BY seq", (id,))
        if not is_legal([json.loads(wire) for (wire,) in wires]):
            yield name


def acted_wrong(database: sqlite3.Connection, log: Path) -> dict[str, Any]:
    """Whether each `once` call acted at most once for each decision to start it, and every one that succeeded did act."""
    lines = [line.split() for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []
    keys = Counter(key for _, key in lines)
    twice = [key for key, count in keys.items() if count > 1]
    calls = {id: phase for id, phase in database.execute("SELECT id, phase FROM toolcalls WHERE effects = 'once'")}
    acted = {id for id, _ in lines}
    missed = [id for id, phase in calls.items() if phase == "succeeded" and id not in acted]
    strange = [id for id in acted if id not in calls]
    return {
        "ok": not twice and not missed and not strange,
        "acted": len(lines),
        "twice": twice[:5],
        "missed": missed[:5],
        "strange": strange[:5],
    }


@contextmanager
def a_soak(given: Given, samples: TextIO) -> Iterator[Soak]:
    """A daemon with its model; both end with the `with`."""
    flags = {"fastest": given.fastest_s, "slowest": given.slowest_s, "faults": given.faults, "turns": given.turns, "seed": given.seed}
    words = [sys.executable, "-m", "bench.soakmodel", *(word for name, value in flags.items() for word in (f"--{name}", str(value)))]
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    with a_folder() as folder:
        model = subprocess.Popen(words, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        daemon = Daemon(folder)
        try:
            assert model.stdout is not None
            timeout = round(max(5.0, 4 * given.slowest_s))  # longer than a late reply, which is no fault of the daemon's
            scene = _SCENE.format(url=model.stdout.readline().strip(), log=folder / "effects.log", timeout=timeout)
            (daemon.config / "scene.yaml").write_text(scene, encoding="utf-8")
            daemon.start()
            yield Soak(daemon, model, given, samples)
        finally:
            if daemon.process is not None:
                with suppress(subprocess.TimeoutExpired):
                    daemon.terminate()
            if daemon.process is not None:
                daemon.kill()
            end(model)


def main() -> int:
    """Soak, print the verdict; 1 when a criterion failed."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--runs", type=int, default=200, help="how many are active")
    parser.add_argument("--fastest", type=float, default=4.0, help="seconds a reply takes at least")
    parser.add_argument("--slowest", type=float, default=8.0, help="seconds a reply takes at most, where nothing goes wrong")
    parser.add_argument("--faults", type=float, default=0.08, help="the share of replies that are faults")
    parser.add_argument("--turns", type=int, default=24, help="turns of a run, on average")
    parser.add_argument("--every", type=float, default=10.0, help="seconds between samples")
    parser.add_argument("--drain", type=float, default=900.0, help="seconds to wait at the end for runs to end")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--samples", type=Path, required=True)
    said = parser.parse_args()
    end_with_everything()
    given = Given(said.minutes, said.runs, said.fastest, said.slowest, said.faults, said.turns, said.every, said.drain, said.seed)
    with said.samples.open("w", encoding="utf-8") as samples, a_soak(given, samples) as soak:
        verdict = soak.run()
        samples.write(json.dumps(verdict) + "\n")
    print(json.dumps(verdict, indent=1))
    return 0 if verdict["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
