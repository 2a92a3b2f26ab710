"""Where the run loop asks: which LLM the next attempt goes to, whether it has its place there, and what an outcome tells of the LLM."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from smallchain.engine.budget.bounds import prompt_bound, replies_asked, written_output
from smallchain.engine.pace.fallback import SHORT, Link, choose
from smallchain.engine.specs import typed
from smallchain.model.events import Object
from smallchain.model.lifecycles import Readiness
from smallchain.model.llm import Failure, FailureKind
from smallchain.model.llmspec import LLMLimits, LLMSpec
from smallchain.model.run import Run
from smallchain.store import eventlog, modelcalls, paces, resources
from smallchain.store.contract import Tx
from smallchain.store.resources import Written
from smallchain.store.times import show_moment

FAILURES = 3
"""Failures of an LLM in one turn of a run, after which its fallback is called."""
REST = timedelta(minutes=1)
"""How long an LLM that failed so often is left alone where there is a fallback."""
LONGEST_HOLD = timedelta(hours=1)
_TOLD_AGAIN = timedelta(minutes=1)
_SAYS_WHEN = (429, 503, 529)


@dataclass(frozen=True, slots=True)
class Turn:
    """Where the next attempt of a run goes, and whether it may go now. `why`: what is new or unusual about the LLM, empty for the
    run's own as before; `lacking`: why none can be called."""

    llm: str
    why: str = ""
    lacking: str = ""
    has_place: bool = True


def look(tx: Tx, run: Run, /) -> Turn:
    """Where the next attempt of a run goes, as things stand."""
    own = resources.get(tx, "llm", run.llm)
    if own is None:
        return Turn(run.llm)  # an LLM that was deleted goes on as it was pinned
    spec: LLMSpec = typed(own)
    if spec.limits is None and spec.fallback is None and own.status is Readiness.READY and not paces.held(tx, own.name, digest=own.digest):
        return Turn(run.llm)
    rows = chain_of(tx, own)
    links = [link_of(tx, row) for row in rows]
    choice = choose(links, now=tx.now)
    if choice.lacking:
        return Turn(run.llm, lacking=choice.lacking)
    why = choice.why
    if spec.fallback is not None and choice.llm == run.llm and run.attempts:
        before = modelcalls.get(tx, run.id, run.attempts)
        why = "it can be used again" if before is not None and before.llm != run.llm else ""
    chosen, link = next((row, link) for row, link in zip(rows, links, strict=True) if row.name == choice.llm)
    if typed(chosen).limits is None and link.held_until is None:
        return Turn(choice.llm, why)
    return Turn(choice.llm, why, has_place=paces.is_granted(tx, run, choice.llm))


def chain_of(tx: Tx, own: Written, /) -> list[Written]:
    """An LLM and those that take its place, in order; a name that is missing, or comes again, ends it."""
    rows, seen = [own], {own.name}
    while (name := typed(rows[-1]).fallback) is not None and name not in seen:
        row = resources.get(tx, "llm", name)
        if row is None:
            break
        rows.append(row)
        seen.add(name)
    return rows


def link_of(tx: Tx, row: Written, /) -> Link:
    """An LLM as a link of a chain."""
    held = paces.held(tx, row.name, digest=row.digest)
    return Link(row.name, row.status, row.detail, held.until if held else None, held.why if held else "")


def ask(tx: Tx, run: Run, llm: str, /) -> None:
    """Ask for a place for the next attempt of a run, unless it waits there already."""
    place = paces.place(tx, run)
    if place is None or place["llm"] != llm:
        row = resources.get(tx, "llm", llm)
        paces.ask(tx, run, llm, tokens=_tokens(tx, run, typed(row)) if row is not None else 0)
    elif place["priority"] != run.priority:
        paces.move_up(tx, run, llm)


def _tokens(tx: Tx, run: Run, spec: LLMSpec) -> int:
    """What the next call may use: of the prompt one token a byte, until a reply of this run gave usage; then that reply's tokens and
    the bytes since. Of the reply, the maximum that is sent, else what the last one had."""
    limits: LLMLimits | None = spec.limits
    if limits is None or limits.tokens_per_minute is None:
        return 0
    output = written_output(spec.parameters)
    if output is not None:
        return prompt_bound(tx, run, spec) + output * replies_asked(spec.parameters)
    usage = paces.last_usage(tx, run, llm=spec.name, model=spec.model or spec.name)
    return prompt_bound(tx, run, spec) + (int(usage["output_tokens"]) if usage is not None else 0)


def tell_switch(tx: Tx, run: Run, llm: str, why: str, /) -> None:
    """Tell that a run calls another LLM than at its last attempt."""
    before = modelcalls.get(tx, run.id, run.attempts) if run.attempts else None
    if (before.llm if before is not None else run.llm) == llm:
        return
    reason = "RunFellBack" if llm != run.llm else "RunReturned"
    eventlog.tell(tx, reason, eventlog.about(run), of=run, llm=llm, own=run.llm, why=why)


# ---- what outcomes tell


def ended(tx: Tx, llm: str, /) -> None:
    """A call of an LLM ended: somebody else may have its place."""
    row = resources.get(tx, "llm", llm)
    if row is not None and typed(row).limits is not None:
        tx.wake(paces.KIND, llm)


def failed(tx: Tx, run: Run, llm: str, failure: Failure, /) -> None:
    """Hold an LLM when its provider says until when, or when it failed too often and another can take its place."""
    row = resources.get(tx, "llm", llm)
    if row is None or failure.kind is not FailureKind.TRANSIENT:
        return
    if failure.status in _SAYS_WHEN and failure.retry_after:
        hold(tx, row, failure.retry_after, failure.message)
    elif typed(row).fallback is not None and (count := paces.failed(tx, run, llm)) and count % FAILURES == 0:
        hold(tx, row, REST, f"{FAILURES} failures in a row: {failure.message}")


def used_up(tx: Tx, llm: str, length: timedelta, /) -> None:
    """The provider said beside a reply that nothing is left before so long."""
    row = resources.get(tx, "llm", llm)
    if row is not None:
        hold(tx, row, length, "the provider's own limit is used up")


def hold(tx: Tx, row: Written, length: timedelta, why: str, /) -> None:
    """Send nothing to an LLM for a while (at most an hour); a hold that lasts longer stands. Long ones are told, once a minute."""
    until = tx.now + min(length, LONGEST_HOLD)
    before = paces.last_hold(tx, row.name)
    standing = paces.held(tx, row.name, digest=row.digest)
    if until <= tx.now or (standing is not None and standing.until >= until):
        return
    told = before.told_until if before is not None else None
    if length > SHORT and (told is None or until > told + _TOLD_AGAIN):
        eventlog.tell(tx, "LLMHeld", Object("llm", row.name, row.id), name=row.name, until=show_moment(until), why=why)
        told = until
    paces.hold(tx, row.name, paces.Held(tx.now, until, why, row.digest, told))
