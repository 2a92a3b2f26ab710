"""Parked runs, by the ten thousand: what each costs, how a daemon starts with them, and how soon one goes on.

They are calls in doubt with an open request to settle them. One is made by a real daemon (its model asks for a tool with `effects: once`,
and the daemon is killed while the tool runs); then its rows are copied in the stopped database, every id and name exchanged, in all
tables but the answers kept for repeated requests. So a copy is what the engine wrote, whatever the schema is.
"""

from __future__ import annotations

import os
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.processes import PATIENCE_S, Kernel, Model, a_model, read_only
from bench.report import Figure, Target, percentile
from bench.start import imports_s
from smallchain.model.ids import uuid7
from support.daemon import Daemon, a_folder

_SCENE = """\
llms: [{{name: model, provider: openai, model: gpt-4o, base_url: "{url}"}}]
agents: [{{name: doer, system_prompt: do, tools: [act]}}]
tools:
- name: act
  description: act once
  parameters: {{type: object, properties: {{a: {{type: number}}, b: {{type: number}}}}}}
  isolation: none
  executor: {{local_bash: {{command: 'echo up > "{pipe}"; sleep 600'}}}}
  effects: once
tasks: [{{name: doing, agent: doer, user_message: "agent:{name}:"}}]
runs: [{{name: {name}, task: doing}}]
"""
FIRST = "parked-000000"
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_NOT_COPIED = {"idempotency"}  # the answers to those who started runs over the socket, forgotten after a day


def parked(counts: dict[int, float], answers: int, idle_s: float) -> Iterator[Figure]:
    """`counts` has numbers of parked runs, and how many seconds after its imports a daemon may need with them. Idle and answers are
    measured with the first of them."""
    alone: _Life | None = None
    with a_model(turns=1, tool="act") as model:
        for number, (count, most_s) in enumerate(counts.items()):
            with a_folder() as folder:
                house = _Parked(folder, model)
                try:
                    alone = alone or house.alone()
                    yield from house.with_copies(count, most_s, alone)
                    if number == 0:
                        yield from house.idle(idle_s)
                        yield from house.answers(answers)
                finally:
                    if house.daemon.process is not None:
                        house.daemon.kill()


@dataclass(frozen=True, slots=True)
class _Life:
    """What a daemon's start came to: its memory at rest, and the seconds until it accepts connections, until the answer to the newest
    run, sent at that moment, was durable, and until it rests."""

    rss_kib: int
    ready_s: float
    resumable_s: float
    quiet_s: float


class _Parked:
    """A state folder with one run parked by a real daemon, stopped."""

    def __init__(self, folder: Path, model: Model) -> None:
        self.daemon = Daemon(folder)
        self.model = model
        self.count = 0
        pipe = folder / "up"
        os.mkfifo(pipe)
        scene = _SCENE.format(url=model.url, pipe=pipe, name=FIRST)
        (self.daemon.config / "scene.yaml").write_text(scene, encoding="utf-8")
        self.daemon.start("--log-level", "warning")
        with pipe.open() as stream:  # the tool runs
            stream.readline()
        self.daemon.kill()
        self.daemon.start("--log-level", "warning")
        self.daemon.until(lambda: self.daemon.items("requests"))
        self.daemon.terminate()

    @property
    def _database(self) -> Path:
        return self.daemon.state / "smallchain.db"

    def alone(self) -> _Life:
        """The daemon's life with the one run, after another was answered: what it imports for its first model call is in both."""
        copy(self._database, 1, 1)
        found = self._begin(1)
        self.daemon.terminate()
        return found

    def with_copies(self, count: int, most_s: float, alone: _Life) -> Iterator[Figure]:
        """Park so many runs and start the daemon on them, one of which is answered at once."""
        at = {"runs": count}
        before = self._size()
        began = time.perf_counter()
        copy(self._database, 2, count)
        made_s = time.perf_counter() - began
        size = (self._size() - before) / count
        self.count = count
        imports = imports_s(self.daemon.environ)
        found = self._begin(count + 1)
        memory = 1024 * (found.rss_kib - alone.rss_kib) / count
        yield Figure("parked", "disk_per_run", "B", [size], at=at, target=Target("value", "<=", 4000), note=f"made in {made_s:.1f} s")
        yield Figure("parked", "memory_per_run", "B", [memory], at=at, target=Target("value", "<=", 1024))
        for name, seconds, beside, target in (
            ("start_to_ready_s", found.ready_s, alone.ready_s, None),
            ("start_to_resumable_s", found.resumable_s, alone.resumable_s, None),
            ("start_to_resumable_after_imports_s", found.resumable_s - imports, max(0.0, alone.resumable_s - imports), most_s),
            ("start_to_quiet_s", found.quiet_s, alone.quiet_s, None),
        ):
            yield Figure(
                "parked",
                name,
                "s",
                [seconds],
                at=at,
                baseline=[beside] if beside else [],
                baseline_is="the same with 1 parked run" if beside else "",
                target=Target("value", "<=", target) if target else None,
            )

    def idle(self, seconds: float) -> Iterator[Figure]:
        """What the daemon does while nothing happens; over 60 s, its look at everything is part of it."""
        kernel = Kernel(self.daemon.pid)
        began, before = time.monotonic(), kernel.cpu_s
        time.sleep(seconds)
        share = 100 * (kernel.cpu_s - before) / (time.monotonic() - began)
        at = {"runs": self.count, "seconds": seconds}
        yield Figure("parked", "idle_cpu_percent", "%", [share], at=at, target=Target("value", "<=", 0.5))

    def answers(self, count: int) -> Iterator[Figure]:
        """Settle one call after another; how long until the model is asked by the run that was waiting for it."""
        client = self.daemon.client()
        from_sent: list[float] = []
        from_answer: list[float] = []
        for request in client.items("requests")[1 : count + 1]:
            sent = time.monotonic()
            client.post(f"/v1/settle/{request['id']}", {"happened": "it did"})
            answered = time.monotonic()
            asked = self.model.asked_at(request["run"], after=sent)
            from_sent.append(1000 * (asked - sent))
            from_answer.append(1000 * max(0.0, asked - answered))
        at = {"runs": self.count, "answers": len(from_sent)}
        for share, name, most in ((0.5, "p50", 3), (0.99, "p99", 10)):
            target = Target("value", "<=", most)
            yield Figure("parked", f"answer_to_request_{name}_ms", "ms", [percentile(from_answer, share)], at=at, target=target)
            yield Figure("parked", f"answer_sent_to_request_{name}_ms", "ms", [percentile(from_sent, share)], at=at, target=target)
        ended = {item["name"]: item["status"] for item in client.items("runs", {"status": "Succeeded"})}
        assert len(ended) >= len(from_sent), "what was answered does not go on to its end"

    def _begin(self, last: int) -> _Life:
        """Start the daemon and answer run number `last` at once."""
        began = time.monotonic()
        self.daemon.start("--log-level", "warning")
        ready = time.monotonic() - began
        kernel = Kernel(self.daemon.pid)
        name = f"parked-{last:06}"
        with closing(read_only(self.daemon.state)) as connection:
            query = "SELECT toolcalls.id FROM toolcalls JOIN runs ON runs.no = toolcalls.run_no WHERE runs.name = ?"
            (call,) = connection.execute(query, (name,)).fetchone()
        sent = time.monotonic()
        self.daemon.client().post(f"/v1/settle/{call}", {"happened": "it did"})
        resumable = ready + time.monotonic() - sent
        self.model.asked_at(name, after=sent)  # it really goes on
        quiet = await_rest(kernel) - began
        return _Life(kernel.rss_kib, ready, resumable, quiet)

    def _size(self) -> int:
        return sum(path.stat().st_size for path in self.daemon.state.glob("smallchain.db*"))


def await_rest(kernel: Kernel) -> float:
    """The moment from which a process did nothing for half a second."""
    until = time.monotonic() + PATIENCE_S
    since, before = time.monotonic(), kernel.cpu_s
    while time.monotonic() < until:
        time.sleep(0.1)
        now = kernel.cpu_s
        if now - before > 0.01:
            since = time.monotonic()
        before = now
        if time.monotonic() - since > 0.5:
            return since
    raise TimeoutError("the daemon does not come to rest")


def copy(database: Path, first: int, count: int) -> None:
    """Multiply the one parked run of a stopped database: `count` more, named parked-N from the number `first`."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -200000")
        (run_id,) = connection.execute("SELECT id FROM runs WHERE name = ?", (FIRST,)).fetchone()
        rows = _rows_of(connection, run_id)
        ids = sorted(
            {found for _, _, row in rows for value in row if isinstance(value, str) for found in _ID.findall(value)}
            & _made_for_it(connection, run_id)
        )
        began = datetime.now(UTC)
        connection.execute("BEGIN IMMEDIATE")
        for table, columns, row in rows:
            parts = [_parts(value, ids) for value in row]
            values = ", ".join("(SELECT no FROM runs WHERE name = ?)" if name == "run_no" else "?" for name in columns)
            words = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({values})"
            connection.executemany(words, (tuple(_filled(part, number, began) for part in parts) for number in range(first, first + count)))
        connection.execute("COMMIT")
        assert connection.execute("PRAGMA foreign_key_check").fetchone() is None
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _rows_of(connection: sqlite3.Connection, run_id: str) -> list[tuple[str, list[str], list[object]]]:
    """Table, columns and values of every row that belongs to a run, its own first; without the numbers that SQLite itself gives, and
    with the run's name for its number."""
    found = []
    (number,) = connection.execute("SELECT no FROM runs WHERE id = ?", (run_id,)).fetchone()
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")]
    calls = [id for (id,) in connection.execute("SELECT id FROM toolcalls WHERE run_no = ?", (number,))]
    for table in tables:
        if table in _NOT_COPIED:
            continue
        facts = connection.execute(f"PRAGMA table_info({table})").fetchall()
        numbered = {name for _, name, kind, _, _, key in facts if key and kind == "INTEGER" and sum(bool(each[5]) for each in facts) == 1}
        columns = [name for _, name, *_ in facts if name not in numbered]
        for row in connection.execute(f"SELECT {', '.join(columns)} FROM {table}"):
            mine = any(name == "run_no" and value == number for name, value in zip(columns, row, strict=True))
            if mine or any(isinstance(value, str) and (value == run_id or value in calls) for value in row):
                told = [FIRST if name == "run_no" else value for name, value in zip(columns, row, strict=True)]
                found.append((table, columns, told))
    return sorted(found, key=lambda each: each[0] != "runs")


def _made_for_it(connection: sqlite3.Connection, run_id: str) -> set[str]:
    """The ids that are the run's own: its, its calls' and its requests'. Those of resources stay."""
    calls = "SELECT toolcalls.id FROM toolcalls JOIN runs ON runs.no = run_no WHERE runs.id = :run"
    own = connection.execute(f"SELECT id FROM requests WHERE run_id = :run UNION ALL {calls}", {"run": run_id})
    return {run_id, *(id for (id,) in own)}


_Part = object | list[object]


def _parts(value: object, ids: list[str]) -> _Part:
    """A value as it is, or a text cut where an id (as its number) or the run's name stands."""
    if not isinstance(value, str):
        return value
    marks = {**{id: number for number, id in enumerate(ids)}, **{id[-8:]: (number,) for number, id in enumerate(ids)}}
    cut = re.split("(" + "|".join(map(re.escape, (*ids, *(id[-8:] for id in ids), FIRST))) + ")", value)
    return value if len(cut) == 1 else [marks.get(part, part) for part in cut if part]


def _filled(part: _Part, number: int, began: datetime) -> object:
    if not isinstance(part, list):
        return part
    return "".join(
        _id(number, each, began)
        if isinstance(each, int)
        else _id(number, each[0], began)[-8:]
        if isinstance(each, tuple)
        else f"parked-{number:06}"
        if each == FIRST
        else str(each)
        for each in part
    )


def _id(number: int, which: int, began: datetime) -> str:
    chance = (number << 16 | which).to_bytes(10, "big")
    return uuid7(began + timedelta(milliseconds=number), chance)
