"""The loop that shares an LLM between runs, assembled: one key an LLM, looked at when somebody asks, a call ends, or time is up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from smallchain.engine.kind import Step, Transact
from smallchain.engine.pace import desk
from smallchain.engine.pace.decide import AT_ONCE, WINDOW, Limits, Pace, PaceFacts, Started, Waiting, decide, room
from smallchain.engine.pace.fallback import choose
from smallchain.engine.specs import typed
from smallchain.model.decision import Effect
from smallchain.model.events import Object
from smallchain.model.lifecycles import Readiness
from smallchain.store import eventlog, paces, resources
from smallchain.store.contract import Tx
from smallchain.store.paces import Spell
from smallchain.store.resources import Written
from smallchain.store.times import from_text

QUIET = timedelta(seconds=60)
"""When nobody had to wait for so long, the limit is no news any more."""


class PaceKind:
    """Lets runs go to LLMs that have limits, or are held."""

    name = paces.KIND

    def step(self, tx: Tx, key: str, /) -> Step:
        """Let go whom the limits of an LLM let."""
        row = resources.get(tx, "llm", key)
        paces.tidy(tx, key, before=tx.now - WINDOW)
        if not paces.is_waited_for(tx, key):
            return Step(look_at=_rest(tx, key, row))
        if row is not None and _go_elsewhere(tx, row):
            for run_id in paces.who_waits(tx, key):
                tx.wake("run", run_id)
            return Step()
        facts = _observe(tx, key, row)
        pace = room(facts, now=tx.now)
        if not pace.why:
            pace = _grant(tx, key, facts)
        if pace.why and row is not None and facts.held_until is None:
            _tell_full(tx, row, pace.why)
        if pace.why or paces.is_waited_for(tx, key):
            return Step(look_at=pace.look_at)
        return Step(look_at=_rest(tx, key, row))

    async def perform(self, effect: Effect, transact: Transact, /) -> None:
        """There are no effects."""

    def lost(self, tx: Tx, effect: Effect, error: str, /) -> None:
        """There are no effects."""

    def keys(self, tx: Tx, /) -> list[str]:
        """The LLMs at which somebody waits, or of which there is more to tell."""
        return paces.kept(tx)


@dataclass(frozen=True, slots=True)
class Standing:
    """How an LLM is used now, for people. `why`: what stops a call that would go now, empty when nothing does;
    `room_at`: when that may be over (None: when a call ends)."""

    out: int
    waiting: int
    why: str
    room_at: datetime | None
    held_until: datetime | None
    held_why: str


def standing(tx: Tx, llm: str, /) -> Standing:
    """How an LLM is used now."""
    row = resources.get(tx, "llm", llm)
    held = paces.held(tx, llm, digest=row.digest) if row is not None else None
    facts = _observe(tx, llm, row)
    pace = room(facts, now=tx.now)
    return Standing(
        out=facts.out,
        waiting=paces.waits(tx, llm),
        why=pace.why,
        room_at=pace.look_at,
        held_until=held.until if held else None,
        held_why=held.why if held else "",
    )


def _go_elsewhere(tx: Tx, row: Written) -> bool:
    """Whether those who wait have to look again: the LLM cannot be used any more, or another takes its place."""
    if row.status is not Readiness.READY:
        return True
    return (
        typed(row).fallback is not None and choose([desk.link_of(tx, each) for each in desk.chain_of(tx, row)], now=tx.now).llm != row.name
    )


def _observe(tx: Tx, llm: str, row: Written | None) -> PaceFacts:
    written = typed(row).limits if row is not None else None
    held = paces.held(tx, llm, digest=row.digest) if row is not None else None
    limits = Limits(written.concurrency, written.requests_per_minute, written.tokens_per_minute) if written is not None else Limits()
    per_minute = limits.requests_per_minute is not None or limits.tokens_per_minute is not None
    started = paces.started(tx, llm, since=tx.now - WINDOW) if per_minute else []
    return PaceFacts(
        limits,
        held_until=held.until if held else None,
        out=paces.out(tx, llm) + sum(each["alive"] for each in paces.unused(tx, llm)),
        started=tuple(Started(at, tokens) for at, tokens in started),
    )


def _grant(tx: Tx, llm: str, facts: PaceFacts) -> Pace:
    waiting, gone = [], 0
    line = paces.next_trees(tx, llm, most=AT_ONCE)
    for priority, root_id in line:
        for row in paces.next_of_tree(tx, llm, priority, root_id, most=AT_ONCE):
            if row["alive"]:
                asked_at = from_text(row["asked_at"])
                waiting.append(Waiting(row["run_id"], row["attempt"], root_id, priority, asked_at, row["tokens"]))
            else:
                paces.give_up(tx, row["run_id"], row["attempt"])
                gone += 1
    pace = decide(replace(facts, waiting=tuple(waiting), line=line), now=tx.now)
    for each in pace.granted:
        paces.grant(tx, each.run_id, each.attempt)
        paces.to_the_end(tx, llm, each.priority, each.root_id)
        tx.wake("run", each.run_id)
    if not pace.why and (pace.granted or gone):
        tx.wake(paces.KIND, llm)  # there may be more than were read
    return pace


def _tell_full(tx: Tx, row: Written, why: str) -> None:
    spell = paces.spell(tx, row.name)
    if spell.full_since is None:
        waiting = paces.waits(tx, row.name)
        runs = "1 run waits" if waiting == 1 else f"{waiting} runs wait"
        eventlog.tell(tx, "LLMAtLimit", Object("llm", row.name, row.id), name=row.name, why=why, runs=runs)
        paces.set_spell(tx, row.name, Spell(tx.now))
    elif spell.quiet_since is not None:
        paces.set_spell(tx, row.name, Spell(spell.full_since))


def _rest(tx: Tx, llm: str, row: Written | None) -> datetime | None:
    """Nobody waits: once that has been so for a while, the limit is over."""
    spell = paces.spell(tx, llm)
    if row is None:
        paces.forget(tx, llm)
        return None
    if spell.full_since is None:
        return None
    if spell.quiet_since is None:
        paces.set_spell(tx, llm, Spell(spell.full_since, tx.now))
        return tx.now + QUIET
    if tx.now < spell.quiet_since + QUIET:
        return spell.quiet_since + QUIET
    eventlog.tell(tx, "LLMHasRoom", Object("llm", row.name, row.id), name=row.name)
    paces.set_spell(tx, llm, Spell())
    return None
