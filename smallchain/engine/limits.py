"""Which limits hold for a run: those of its agent as it is written now, since whoever raises one means the runs that meet it."""

from __future__ import annotations

from datetime import timedelta

from smallchain.engine.memo import Memo
from smallchain.engine.specs import pins_of, typed
from smallchain.model.agent import STANDARD, Limits, limits_of
from smallchain.model.run import Run
from smallchain.store import resources, runs
from smallchain.store.contract import Tx


def limits_over(tx: Tx, run: Run, /) -> Limits:
    """The limits of a run; where its agent was deleted, as it was pinned."""
    row = resources.get(tx, "agent", run.agent)
    if row is not None:
        return _KNOWN.get(row.digest, lambda: limits_of(typed(row)))
    pinned = pins_of(tx, run.root_id).agent(run.agent)
    return limits_of(pinned) if pinned is not None else STANDARD


def used_of(tx: Tx, run: Run, /) -> dict[str, tuple[int | timedelta, int | timedelta | None]]:
    """What a run has used of each of its limits, and the limit (None: nothing is written); of `depth`, where it stands."""
    limits = limits_over(tx, run)
    until = run.finished_at or tx.now
    return {
        "turns": (run.turns, limits.turns),
        "depth": (run.depth, limits.depth),
        "children": (runs.children_of(tx, run.id), limits.children),
        "wall_time": (run.worked(tx.now), limits.wall_time),
        "wall_time_total": (max(timedelta(), until - run.started_at) if run.started_at else timedelta(), limits.wall_time_total),
    }


_KNOWN: Memo[Limits] = Memo()
