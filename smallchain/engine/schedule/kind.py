"""The schedule loop, assembled. What a moment becomes is one transaction: the run, the moment it was made for, and what was said of it.

Before that transaction nothing has happened, and the moment is found again; after it, the moment is settled. There is no effect in
between that a crash could lose or repeat.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from smallchain.engine import readiness
from smallchain.engine.kind import Step, Transact
from smallchain.engine.run.acts import cancel
from smallchain.engine.schedule.decide import ScheduleFacts, Skipped, Turn, considered_from, decide
from smallchain.engine.specs import typed
from smallchain.model.canonical import canonical
from smallchain.model.decision import Effect
from smallchain.model.durations import parse_duration
from smallchain.model.events import Object
from smallchain.model.ids import did_you_mean
from smallchain.model.lifecycles import Readiness
from smallchain.model.run import Run
from smallchain.model.schedule import Timing, due_at, next_after, overdue
from smallchain.model.sections import ScheduleSpec
from smallchain.store import alarms, eventlog, resources, runs, schedules
from smallchain.store.contract import Tx
from smallchain.store.resources import Written
from smallchain.store.schedules import Standing, Start
from smallchain.store.times import show_moment


class ScheduleKind:
    """Starts tasks at their moments."""

    name = schedules.KIND

    def step(self, tx: Tx, key: str, /) -> Step:
        """Settle the moments that are due."""
        row = resources.get(tx, self.name, key)
        if row is None:
            schedules.forget(tx, key)
            alarms.drop(tx, self.name, key)
            return Step()
        spec: ScheduleSpec = typed(row)
        standing = _stands(tx, spec)
        lacking = _lacking(tx, spec)
        status = Readiness.PENDING if lacking else Readiness.READY
        if (row.status, row.detail) != (status, lacking):
            readiness.record(tx, row, status, detail=lacking)
        live = _live(tx, key)
        turn = decide(_observe(tx, spec, standing, live, lacking), now=tx.now)
        _record(tx, row, spec, standing, live, turn)
        return Step(look_at=turn.look_at)

    async def perform(self, effect: Effect, transact: Transact, /) -> None:
        """There are no effects."""

    def lost(self, tx: Tx, effect: Effect, error: str, /) -> None:
        """There are no effects."""

    def keys(self, tx: Tx, /) -> list[str]:
        """All schedules."""
        return resources.names(tx, self.name)


def next_start(tx: Tx, row: Written, /) -> datetime | None:
    """When a schedule starts its task next, for people; None while it can't, and before it was looked at."""
    standing = schedules.get(tx, row.name)
    if standing is None or row.status is not Readiness.READY:
        return None
    timing = _timing(typed(row), standing.since)
    following = next_after(timing, considered_from(standing.considered_at, now=tx.now))
    return due_at(timing, following) if following is not None else None


def _stands(tx: Tx, spec: ScheduleSpec) -> Standing:
    """How far it has come. Other moments than before begin now, and so nothing of them is overdue."""
    words = canonical({"cron": spec.cron, "every": spec.every, "time_zone": spec.time_zone})
    standing = schedules.get(tx, spec.name)
    if standing is None:
        return schedules.add(tx, Standing(spec.name, words, since=tx.now, considered_at=tx.now))
    if standing.timing != words:
        return schedules.save(tx, standing, timing=words, since=tx.now, considered_at=tx.now)
    return standing


def _timing(spec: ScheduleSpec, since: datetime) -> Timing:
    every = parse_duration(spec.every) if spec.every is not None else None
    jitter = parse_duration(spec.jitter) if spec.jitter is not None else timedelta(0)
    return Timing(spec.name, since, spec.cron, every, spec.time_zone, jitter)


def _lacking(tx: Tx, spec: ScheduleSpec) -> str:
    if resources.get(tx, "task", spec.task) is not None:
        return ""
    near = did_you_mean(spec.task, resources.names(tx, "task"))
    return f"task '{spec.task}' does not exist" + (f"; {near}" if near else "")


def _live(tx: Tx, name: str) -> Run | None:
    """The run it made last, if that is not over. Earlier ones are: none is made beside one that goes on."""
    last = schedules.starts(tx, name, most=1)
    run = runs.find(tx, last[0].run_id) if last else None
    return run if run is not None and not run.is_over else None


def _observe(tx: Tx, spec: ScheduleSpec, standing: Standing, live: Run | None, lacking: str) -> ScheduleFacts:
    timing = _timing(spec, standing.since)
    due = overdue(timing, considered_from(standing.considered_at, now=tx.now), now=tx.now)
    return ScheduleFacts(
        timing,
        spec.overlap,
        spec.misfire,
        standing.considered_at,
        overdue=due,
        started=schedules.count_started(tx, spec.name, due.first, due.last) if due is not None else 0,
        is_started=due is not None and schedules.count_started(tx, spec.name, due.last, due.last) > 0,
        waiting=standing.waiting,
        running=live.name if live is not None else "",
        lacking=lacking,
    )


def _record(tx: Tx, row: Written, spec: ScheduleSpec, standing: Standing, live: Run | None, turn: Turn) -> None:
    about = Object(schedules.KIND, row.name, row.id)
    changes: dict[str, object] = {"considered_at": turn.considered_at, "waiting": turn.waiting}
    for each in turn.skipped:
        eventlog.tell(tx, "ScheduleSkipped", about, name=row.name, what=_what(each), why=each.why)
        changes |= {"skipped": standing.skipped + sum(one.count for one in turn.skipped), "skipped_at": tx.now, "skipped_why": each.why}
    if turn.start is not None:
        if live is not None:
            cancel(tx, live, by=f"schedule '{row.name}'", note=f"its start for {show_moment(turn.start)} takes its place")
        live = runs.create(tx, name=_name(tx, row.name), task=spec.task)
        schedules.add_start(tx, row.name, Start(turn.start, live.id))
        eventlog.tell(tx, "ScheduleFired", about, of=live, name=row.name, moment=show_moment(turn.start))
    if turn.waiting is not None and turn.waiting != standing.waiting and live is not None:
        eventlog.tell(tx, "ScheduleWaits", about, name=row.name, moment=show_moment(turn.waiting), after=live.name)
    if any(getattr(standing, name) != value for name, value in changes.items()):
        schedules.save(tx, standing, **changes)


def _name(tx: Tx, schedule: str) -> str:
    """`SCHEDULE-n`: one above its last run's, which is at hand, or above all of the stem where somebody else took that."""
    last = schedules.starts(tx, schedule, most=1)
    run = runs.find(tx, last[0].run_id) if last else None
    number = run.name.removeprefix(f"{schedule}-") if run is not None else ""
    if number.isdecimal():
        name = f"{schedule}-{int(number) + 1}"
        if runs.by_name(tx, name) is None:
            return name
    return runs.next_name(tx, schedule)


def _what(skipped: Skipped) -> str:
    if skipped.count == 1:
        return f"its start for {show_moment(skipped.first)}"
    count = f"at least {skipped.count}" if skipped.at_least else str(skipped.count)
    return f"{count} starts from {show_moment(skipped.first)} on"
