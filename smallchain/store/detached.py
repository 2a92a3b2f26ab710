"""Detached work: the rows that join a run to what it has begun beside itself. Names are the caller's: no run can name another's."""

from __future__ import annotations

from smallchain.model.detached import Work
from smallchain.store.contract import Row, Tx


def begin(tx: Tx, work: Work, /) -> None:
    """Record work that begins."""
    tx.run(
        "detached.insert",
        run_id=work.run_id,
        name=work.name,
        child_id=work.child_id,
        agent=work.agent,
        waits_at_end=int(work.waits_at_end),
    )


def of_run(tx: Tx, run_id: str, /) -> tuple[Work, ...]:
    """All work of a run, in the order it began."""
    return tx.recall("detached", run_id, lambda: tuple(_work(row) for row in tx.all("detached.of_run", run_id=run_id)))


def of_child(tx: Tx, run_id: str, child_id: str, /) -> Work | None:
    """The work that a child is to the run that made it; None for a child that its caller waits for as for any call."""
    return next((work for work in of_run(tx, run_id) if work.child_id == child_id), None)


def finish(tx: Tx, work: Work, /) -> None:
    """Record that work has ended, after all that ended before."""
    ended = [each.finished for each in of_run(tx, work.run_id) if each.finished is not None]
    tx.run("detached.finish", child_id=work.child_id, finished=max(ended, default=0) + 1)


def tell(tx: Tx, work: Work, /) -> None:
    """Record that the caller knows what came of it."""
    tx.run("detached.tell", run_id=work.run_id, name=work.name)


def _work(row: Row) -> Work:
    return Work(
        run_id=row["run_id"],
        name=row["name"],
        child_id=row["child_id"],
        agent=row["agent"],
        waits_at_end=bool(row["waits_at_end"]),
        finished=row["finished"],
        told=bool(row["told"]),
    )
