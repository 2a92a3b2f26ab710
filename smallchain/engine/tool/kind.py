"""The tool loop, assembled."""

from __future__ import annotations

from functools import partial

from smallchain.engine import readiness
from smallchain.engine.backoff import delay
from smallchain.engine.checks import FIRST_RETRY, CheckFacts, decide, mark_of, words_of
from smallchain.engine.kind import Step, Transact
from smallchain.engine.ports import Toolbox
from smallchain.engine.specs import in_use, typed, why_unsupported
from smallchain.model.decision import Effect
from smallchain.model.events import Object
from smallchain.model.lifecycles import Readiness
from smallchain.model.toolspec import ToolSpec
from smallchain.store import eventlog, resources
from smallchain.store.contract import Store, Tx
from smallchain.store.resources import Written


class ToolKind:
    """Keeps the readiness of tools, and warns once of each that runs without a fence."""

    name = "tool"

    def __init__(self, store: Store, tools: Toolbox) -> None:
        self._store = store
        self._tools = tools

    def step(self, tx: Tx, key: str, /) -> Step:
        """Decide whether a look at what the tool needs is due, or record that this version cannot keep its entry."""
        row = resources.get(tx, "tool", key)
        if row is None:
            tx.wake("readiness", "")
            return Step()
        facts = CheckFacts(
            kind=self.name,
            name=row.name,
            status=row.status,
            unsupported=why_unsupported(row) or "",
            failures=row.failures,
            checked=row.checked,
            mark=_mark(tx, row),
            retry_at=row.updated_at + delay(max(1, row.failures), key=row.id, at_least=FIRST_RETRY),
        )
        decision = decide(facts, now=tx.now)
        if decision.cause == "missing" and (row.status, row.detail) != (Readiness.PENDING, decision.detail):
            readiness.record(tx, row, Readiness.PENDING, detail=decision.detail, checked=facts.mark)
        if decision.effects and typed(row).executor is None:  # a built-in needs nothing
            readiness.record_check(tx, row=row, fault="", mark=facts.mark)
            return Step()
        return Step(effects=decision.effects, look_at=decision.look_at)

    async def perform(self, effect: Effect, transact: Transact, /) -> None:
        """Ask whether the tool can run here, and record the answer."""
        found = await self._store.read(lambda tx: _look(tx, effect.target))
        if found is None:
            return
        row, spec, mark = found
        fault = await self._tools.check(spec, folder=row.folder)
        fence, instead = self._tools.fence(spec), self._tools.instead(spec)
        await transact(partial(_record, row=row, fault=fault, mark=mark, fence=fence, instead=instead))

    def lost(self, tx: Tx, effect: Effect, error: str, /) -> None:
        """A look that could not be had is an error, and is had again."""
        row = resources.get(tx, "tool", effect.target)
        if row is not None:
            readiness.record_check(tx, row=row, fault=error, mark=_mark(tx, row))

    def keys(self, tx: Tx, /) -> list[str]:
        """All tools."""
        return resources.names(tx, "tool")


def _look(tx: Tx, name: str) -> tuple[Written, ToolSpec, str] | None:
    """A tool, its words with the defaults for what they leave out, and what tells these apart."""
    row = resources.get(tx, "tool", name)
    if row is None:
        return None
    defaults = resources.get(tx, "defaults", "defaults")
    return row, in_use(typed(row), typed(defaults) if defaults else None, row.folder).spec, _mark(tx, row)


def _mark(tx: Tx, row: Written) -> str:
    return mark_of(tx.epoch, row.digest, resources.digest_of(tx, "defaults", "defaults"))


def _record(tx: Tx, /, *, row: Written, fault: str, mark: str, fence: str, instead: str) -> None:
    before = resources.get(tx, "tool", row.name)
    if not readiness.record_check(tx, row=row, fault=fault, mark=mark) or fault:
        return
    if before is not None and words_of(before.checked) != words_of(mark):
        about = Object("tool", row.name, row.id)
        if not fence:
            eventlog.tell(tx, "ToolUnfenced", about, name=row.name)
        if instead:
            eventlog.tell(tx, "ToolImageUnused", about, name=row.name, instead=instead)
