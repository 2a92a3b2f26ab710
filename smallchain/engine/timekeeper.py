"""What a clock that jumped means to what is measured by it, settled before anything else in a transaction is decided.

The one rule: time in which this program did not run is no time of working or of failing, whether the machine slept, the daemon was down
or somebody set the clock. Moments are left alone: what is due by the wall clock is due, once. Only a wait that was counted from its
beginning (a backoff, or one for room under a cap) follows a clock that goes back, or it would last as much longer; and what was counted
under the later time counts as made at the moment of the change.
"""

from __future__ import annotations

from datetime import timedelta

from smallchain.engine.ports import Clock
from smallchain.model.clocks import Jump, jump_between
from smallchain.model.durations import show_duration
from smallchain.model.events import DAEMON
from smallchain.store import countedcalls, eventlog, ledger, meta, runs, toolcalls
from smallchain.store.contract import Tx

_SETTLED = "jumps_settled"
"""The life of the daemon that settled jumps last, and how many it has."""


class Timekeeper:
    """Notices jumps, and settles each in one transaction: `look` is for the writer's thread alone."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = clock.reading()
        self._jumps: list[Jump] = []

    def sees_jump(self) -> bool:
        """Whether the next look will find one; from any thread."""
        return jump_between(self._last, self._clock.reading()) is not None

    def look(self, tx: Tx, /) -> None:
        """Settle what has not been: first what passed between this life and the last, then each jump. A transaction that is taken back
        takes that back too, and the next one finds it again."""
        before, self._last = self._last, self._clock.reading()
        jump = jump_between(before, self._last)
        if jump is not None:
            self._jumps.append(jump)
        epoch, settled = tx.recall("meta", _SETTLED, lambda: _settled(tx))
        if epoch == tx.epoch and settled == len(self._jumps):
            return
        if epoch != tx.epoch:
            settled = 0
            last = eventlog.newest_time(tx)
            _leave_out(tx, tx.now - last if last is not None else timedelta())
        for each in self._jumps[settled:]:
            _tell(tx, each)
            _leave_out(tx, each.length)
        meta.put(tx, _SETTLED, f"{tx.epoch} {len(self._jumps)}")


def _settled(tx: Tx) -> tuple[int, int]:
    epoch, _, count = (meta.get(tx, _SETTLED) or "0 0").partition(" ")
    return int(epoch), int(count)


def _tell(tx: Tx, jump: Jump) -> None:
    if jump.slept:
        eventlog.tell(tx, "MachineSlept", DAEMON, length=_shown(jump.slept))
    if jump.set_by:
        way = "ahead" if jump.set_by > timedelta() else "back"
        eventlog.tell(tx, "ClockJumped", DAEMON, way=way, length=_shown(abs(jump.set_by)))


def _leave_out(tx: Tx, length: timedelta) -> None:
    """Take a length out of what is being measured (below zero: the clock went back)."""
    if not length:
        return
    for run in runs.being_timed(tx):
        changes = {name: at + length for name in ("active_since", "failing_since") if (at := getattr(run, name)) is not None}
        if run.due_at is not None and length < timedelta():
            changes["due_at"] = run.due_at + length
        if changes:
            runs.save(tx, run, **changes)
    if length < timedelta():
        for call in toolcalls.to_try_again(tx):
            toolcalls.save(tx, call, due_at=(call.due_at or tx.now) + length)
        countedcalls.come_back(tx)
        for id in ledger.all_waiting(tx):  # what was spent later than now counts as spent now: from when there is room is another moment
            tx.wake("run", id)


def _shown(length: timedelta) -> str:
    return show_duration(timedelta(seconds=round(length.total_seconds())))
