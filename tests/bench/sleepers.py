"""Agents asleep, by the ten thousand: what each costs, and how soon all go on that wake at one second.

One is put to sleep by a real daemon (its model calls `sleep_for`) and copied in the stopped database (`parked.copy`), where those that
are to wake get one moment and the others another, far away. A run has gone on when its next model call is recorded, which is before its
request goes out. Beside it stand as many runs that never slept and begin at once, on the same model.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.parked import FIRST, await_rest, copy
from bench.processes import PATIENCE_S, Kernel, Model, a_bench, a_model, read_only
from bench.report import Figure, Target, percentile
from support.daemon import Daemon, a_folder

_SCENE = """\
llms: [{{name: model, provider: openai, model: gpt-4o, base_url: "{url}"}}]
agents: [{{name: doer, system_prompt: do, tools: [sleep_for]}}]
tasks: [{{name: doing, agent: doer, user_message: "agent:{name}:"}}]
runs: [{{name: {name}, task: doing}}]
"""
_LEAD = timedelta(seconds=12)
"""Between setting the moment and the moment: the daemon starts meanwhile, and comes to rest."""
_ATTEMPT = 2
"""The model call after the sleep."""


def sleepers(asleep: int, waking: int, repeats: int, *, lead: timedelta = _LEAD) -> Iterator[Figure]:
    """`asleep` runs in all, of which `waking` wake at one moment, `repeats` times."""
    with a_model(turns=1, tool="sleep_for", arguments={"duration": "30d"}) as model, a_folder() as folder:
        house = _Asleep(folder, model)
        try:
            yield from house.costs(asleep)
            beside = [_at_once(waking) for _ in range(repeats)]
            yield from house.wake(waking, repeats, lead, beside)
        finally:
            if house.daemon.process is not None:
                house.daemon.kill()


class _Asleep:
    """A state folder with runs asleep, and its daemon."""

    def __init__(self, folder: Path, model: Model) -> None:
        self.daemon = Daemon(folder)
        (self.daemon.config / "scene.yaml").write_text(_SCENE.format(url=model.url, name=FIRST), encoding="utf-8")
        self.daemon.start("--log-level", "warning")
        self.daemon.until(lambda: self.daemon.run(FIRST).get("status") == "Sleeping")
        self.daemon.terminate()
        self.asleep = 1

    @property
    def _database(self) -> Path:
        return self.daemon.state / "smallchain.db"

    def costs(self, asleep: int) -> Iterator[Figure]:
        """What a daemon at rest has for so many sleepers that it does not have for one."""
        alone = self._at_rest()
        copy(self._database, 1, asleep - 1)
        self.asleep = asleep
        many = self._at_rest()
        at = {"asleep": asleep}
        for name, unit, ours, one in (("threads", "threads", many[0], alone[0]), ("descriptors", "files", many[1], alone[1])):
            target = Target("ratio", "<=", 1.0)
            yield Figure("sleepers", name, unit, [ours], at=at, baseline=[one], baseline_is="the same daemon with 1 sleeper", target=target)
        memory = 1024 * (many[2] - alone[2]) / (asleep - 1)
        yield Figure("sleepers", "memory_per_sleeper", "B", [memory], at=at, target=Target("value", "<=", 1024))

    def wake(self, waking: int, repeats: int, lead: timedelta, beside: list[float]) -> Iterator[Figure]:
        """Let so many wake at one moment, others each time."""
        ends, halves = [], []
        for repeat in range(repeats):
            first = repeat * waking
            moment = datetime.now(UTC) + lead
            names = [f"parked-{number:06}" for number in range(first, first + waking)]
            _set_moment(self._database, names, moment)
            self.daemon.start("--log-level", "warning")
            self._warm_up()
            assert datetime.now(UTC) < moment, "the daemon was not up in time"
            late = [(at - moment).total_seconds() for at in _gone_on(self.daemon.state, names)]
            assert min(late) >= 0, "one woke before its time"
            ends.append(max(late))
            halves.append(percentile(late, 0.5))
            self.daemon.terminate()
        at = {"asleep": self.asleep, "waking": waking}
        words = "as many runs that never slept and begin at once: from the first's call to the last's"
        yield Figure("sleepers", "all_resumed_s", "s", ends, at=at, baseline=beside, baseline_is=words, target=Target("value", "<=", 2.0))
        yield Figure("sleepers", "half_resumed_s", "s", halves, at=at)

    def _warm_up(self) -> None:
        """One more goes to sleep: connections and imports are not what is measured, nor are they beside it."""
        name = self.daemon.client().post("/v1/runs", {"task": "doing"})["run"]["name"]
        self.daemon.until(lambda: self.daemon.run(name).get("status") == "Sleeping")
        await_rest(Kernel(self.daemon.pid))

    def _at_rest(self) -> tuple[int, int, int]:
        self.daemon.start("--log-level", "warning")
        kernel = Kernel(self.daemon.pid)
        await_rest(kernel)
        found = kernel.threads, kernel.descriptors, kernel.rss_kib
        self.daemon.terminate()
        return found


def _set_moment(database: Path, names: list[str], moment: datetime) -> None:
    """Let the sleepers of these runs wake at a moment, as if they had asked for it."""
    text = moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        for name in names:
            query = "SELECT toolcalls.id FROM toolcalls JOIN runs ON runs.no = toolcalls.run_no WHERE runs.name = ?"
            (call,) = connection.execute(query, (name,)).fetchone()
            connection.execute("UPDATE toolcalls SET due_at = ? WHERE id = ?", (text, call))
            changed = connection.execute("UPDATE alarms SET due_at = ? WHERE kind = 'toolcall' AND key = ?", (text, call)).rowcount
            assert changed == 1, "a sleeper has one alarm"
        connection.execute("COMMIT")


def _gone_on(state: Path, names: list[str]) -> list[datetime]:
    """When the model call after the sleep of each of these runs was recorded, once all are."""
    query = (
        "SELECT modelcalls.started_at FROM modelcalls JOIN runs ON runs.no = modelcalls.run_no "
        "WHERE attempt = ? AND runs.name BETWEEN ? AND ?"
    )
    until = time.monotonic() + PATIENCE_S
    with closing(read_only(state)) as connection:
        while True:
            found = connection.execute(query, (_ATTEMPT, names[0], names[-1])).fetchall()
            if len(found) == len(names):
                return [datetime.fromisoformat(text) for (text,) in found]
            assert time.monotonic() < until, f"{len(found)} of {len(names)} have gone on"
            time.sleep(0.05)


def _at_once(count: int) -> float:
    """Seconds from the first model call to the last of as many runs that wait for a model and get it."""
    with a_model(turns=0) as model, a_bench(model.url) as bench:
        bench.prepare(count)
        bench.give_model()
        bench.await_end(every_s=0.05)
        with closing(read_only(bench.daemon.state)) as connection:
            began = "modelcalls.started_at"
            query = f"SELECT min({began}), max({began}) FROM modelcalls JOIN runs ON runs.no = run_no WHERE task = 'count'"
            first, last = connection.execute(query).fetchone()
    return (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds()
