"""How LLMs are shared: who waits for a place at one, what was let go lately, in which order trees of runs are served, and holds.

A place is for one attempt of a run: asked for, granted, then used by the model call of that attempt. Whether it is still out is
what the model call says, so nothing here has to be given back after a crash.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from smallchain.model.run import Run
from smallchain.store import modelcalls
from smallchain.store.contract import Row, Tx
from smallchain.store.times import from_text, maybe, to_text

KIND = "pace"
_TOLD = ("messages", "input_tokens", "output_tokens", "first_message", "summary")


@dataclass(frozen=True, slots=True)
class Held:
    """An LLM that wants no calls before a moment, and why. `digest` is of the words it was held under: changed words end it."""

    at: datetime
    until: datetime
    why: str
    digest: str
    told_until: datetime | None = None
    """Up to when it was told that the LLM is held."""


@dataclass(frozen=True, slots=True)
class Spell:
    """Since when runs wait for their turn at an LLM (None: nobody did lately), and since when nobody does any more."""

    full_since: datetime | None = None
    quiet_since: datetime | None = None


def held(tx: Tx, llm: str, /, *, digest: str) -> Held | None:
    """How an LLM is held now, or None."""
    found = last_hold(tx, llm)
    # A clock that was set back must not make a hold longer than it was.
    if found is None or found.digest != digest or not found.at <= tx.now < found.until:
        return None
    return found


def last_hold(tx: Tx, llm: str, /) -> Held | None:
    """The newest hold of an LLM, over or not."""

    def read() -> Held | None:
        row = tx.one("paces.get", llm=llm)
        if row is None or row["held_until"] is None:
            return None
        return Held(from_text(row["held_at"]), from_text(row["held_until"]), row["held_why"], row["held_digest"], maybe(row["told_until"]))

    return tx.recall("paces", llm, read)  # asked for at each turn, and hardly ever written


def hold(tx: Tx, llm: str, found: Held, /) -> None:
    """Hold an LLM; replaces its earlier hold."""
    tx.run(
        "paces.hold",
        llm=llm,
        at=to_text(found.at),
        until=to_text(found.until),
        why=found.why,
        digest=found.digest,
        told_until=to_text(found.told_until) if found.told_until else None,
    )
    tx.wake(KIND, llm)


def spell(tx: Tx, llm: str, /) -> Spell:
    """Since when runs wait for their turn at an LLM."""
    row = tx.one("paces.get", llm=llm)
    return Spell(maybe(row["full_since"]), maybe(row["quiet_since"])) if row is not None else Spell()


def set_spell(tx: Tx, llm: str, found: Spell, /) -> None:
    """Record since when runs wait for their turn at an LLM."""
    tx.run(
        "paces.spell",
        llm=llm,
        full_since=to_text(found.full_since) if found.full_since else None,
        quiet_since=to_text(found.quiet_since) if found.quiet_since else None,
    )


def forget(tx: Tx, llm: str, /) -> None:
    """Forget an LLM that is no longer written."""
    tx.run("paces.forget", llm=llm)


# ---- places


def ask(tx: Tx, run: Run, llm: str, /, *, tokens: int) -> None:
    """Ask for a place for the next attempt of a run; one it has or waits for at another LLM is given up."""
    before = place(tx, run)
    if before is not None:
        tx.wake(KIND, before["llm"])
    tx.run(
        "paces.ask",
        run_id=run.id,
        attempt=run.attempts + 1,
        llm=llm,
        priority=run.priority,
        root_id=run.root_id,
        tokens=tokens,
        asked_at=to_text(tx.now),
    )
    line_up(tx, llm, run.priority, run.root_id)
    tx.wake(KIND, llm)


def place(tx: Tx, run: Run, /) -> Row | None:
    """The place of a run's next attempt, or None."""
    return tx.one("paces.place", run_id=run.id, attempt=run.attempts + 1)


def is_granted(tx: Tx, run: Run, llm: str, /) -> bool:
    """Whether the next attempt of a run may go to an LLM, granted in this life of the daemon."""
    row = place(tx, run)
    return row is not None and row["llm"] == llm and row["granted_at"] is not None and row["epoch"] == tx.epoch


def move_up(tx: Tx, run: Run, llm: str, /) -> None:
    """Let a run that waits stand in the line of the priority it has now."""
    tx.run("paces.move_up", run_id=run.id, attempt=run.attempts + 1, priority=run.priority)
    line_up(tx, llm, run.priority, run.root_id)
    tx.wake(KIND, llm)


def withdraw(tx: Tx, run: Run, /) -> None:
    """A run's next attempt waits for nothing and has no place any more."""
    row = place(tx, run)
    if row is not None:
        give_up(tx, run.id, run.attempts + 1)
        tx.wake(KIND, row["llm"])


def give_up(tx: Tx, run_id: str, attempt: int, /) -> None:
    """Take away the place of an attempt."""
    tx.run("paces.give_up", run_id=run_id, attempt=attempt)


def grant(tx: Tx, run_id: str, attempt: int, /) -> None:
    """Let an attempt go in this life of the daemon."""
    tx.run("paces.grant", run_id=run_id, attempt=attempt, at=to_text(tx.now), epoch=tx.epoch)


def line_up(tx: Tx, llm: str, priority: int, root_id: str, /) -> None:
    """A tree of runs goes to the end of the line of an LLM, unless it stands in it."""
    tx.run("paces.line_up", llm=llm, priority=priority, root_id=root_id)


def to_the_end(tx: Tx, llm: str, priority: int, root_id: str, /) -> None:
    """A tree of runs was served: it goes to the end of the line."""
    tx.run("paces.to_the_end", llm=llm, priority=priority, root_id=root_id)


def tidy(tx: Tx, llm: str, /, *, before: datetime) -> None:
    """Take back what an earlier life granted and nobody used; drop what was used and let go before a moment; close the line up."""
    tx.run("paces.take_back", llm=llm, epoch=tx.epoch)
    if tx.run("paces.sweep", llm=llm, before=to_text(before)):
        tx.run("paces.leave_line", llm=llm)


def highest_of_others(tx: Tx, run: Run, llm: str, /) -> int | None:
    """The highest priority of the other runs that wait for a place at an LLM; None where there are none."""
    row = tx.one("paces.highest_of_others", llm=llm, run_id=run.id)
    return row["priority"] if row is not None else None


def waits(tx: Tx, llm: str, /) -> int:
    """How many attempts wait for a place at an LLM."""
    row = tx.one("paces.waits", llm=llm)
    return int(row["count"]) if row else 0


def is_waited_for(tx: Tx, llm: str, /) -> bool:
    """Whether anybody waits for a place at an LLM."""
    row = tx.one("paces.is_waited_for", llm=llm)
    return bool(row and row["found"])


def who_waits(tx: Tx, llm: str, /) -> list[str]:
    """The ids of the runs that wait for a place at an LLM."""
    return [row["run_id"] for row in tx.all("paces.who_waits", llm=llm)]


def next_trees(tx: Tx, llm: str, /, *, most: int) -> dict[tuple[int, str], int]:
    """The trees of runs whose turn comes first, by priority and root, and where they stand in line."""
    return {(row["priority"], row["root_id"]): row["number"] for row in tx.all("paces.next_trees", llm=llm, most=most)}


def next_of_tree(tx: Tx, llm: str, priority: int, root_id: str, /, *, most: int) -> list[Row]:
    """Who of a tree of runs asked first, and whether it is `alive`: still waits."""
    return tx.all("paces.next_of_tree", llm=llm, priority=priority, root_id=root_id, most=most)


def unused(tx: Tx, llm: str, /) -> list[Row]:
    """The places that were granted and not used yet."""
    return tx.all("paces.unused", llm=llm)


def out(tx: Tx, llm: str, /) -> int:
    """How many calls of an LLM are out."""
    row = tx.one("paces.out", llm=llm)
    return int(row["count"]) if row else 0


def callers(tx: Tx, llm: str, /, *, most: int) -> list[str]:
    """Ids of the runs whose calls of an LLM are out, the oldest runs first."""
    return [row["run_id"] for row in tx.all("paces.callers", llm=llm, most=most)]


def started(tx: Tx, llm: str, /, *, since: datetime) -> list[tuple[datetime, int]]:
    """What was let go at an LLM since a moment, oldest first, with its tokens as far as they are known."""
    rows = tx.all("paces.started", llm=llm, since=to_text(since))
    return [(from_text(row["granted_at"]), row["tokens"]) for row in rows]


def kept(tx: Tx, /) -> list[str]:
    """The LLMs at which somebody waits, or of which there is more to tell."""
    return [row["llm"] for row in tx.all("paces.kept")]


def waiting_runs(tx: Tx, /) -> dict[tuple[str, int], str]:
    """The LLM at which each run and attempt waits."""
    return {(row["run_id"], row["attempt"]): row["llm"] for row in tx.all("paces.waiting_runs")}


# ---- what a call will use


def last_usage(tx: Tx, run: Run, /, *, llm: str, model: str) -> Row | None:
    """The newest call of a run to a model of an LLM that told its tokens, with what its request held; or None."""
    newest = modelcalls.get(tx, run.id, run.attempts)  # mostly it is this one, at hand and perhaps not written yet
    if newest is not None and newest.input_tokens is not None and not newest.summarises and (newest.llm, newest.model) == (llm, model):
        return {each: getattr(newest, each) for each in _TOLD} | {"around": newest.around or 0}
    return tx.one("paces.last_usage", run_id=run.id, llm=llm, model=model)


def failed(tx: Tx, run: Run, llm: str, /) -> int:
    """How often an LLM failed in the present turn of a run."""
    row = tx.one("paces.failed", run_id=run.id, turn=run.turns, llm=llm)
    return int(row["count"]) if row else 0
