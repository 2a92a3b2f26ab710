"""The agent loop, assembled."""

from __future__ import annotations

from datetime import timedelta

from smallchain.engine import readiness
from smallchain.engine.agent import strategy
from smallchain.engine.agent.decide import AgentFacts, decide
from smallchain.engine.backoff import delay
from smallchain.engine.kind import Step, Transact
from smallchain.engine.ports import Code
from smallchain.engine.reach import reach_of
from smallchain.engine.specs import typed
from smallchain.model.decision import Effect
from smallchain.store import resources
from smallchain.store.contract import Store, Tx
from smallchain.store.resources import Written

_FIRST_RETRY = timedelta(seconds=5)


class AgentKind:
    """Keeps the readiness of agents."""

    name = "agent"

    def __init__(self, store: Store, code: Code) -> None:
        self._store = store
        self._code = code

    def step(self, tx: Tx, key: str, /) -> Step:
        """Look at everything the agent can reach and record whether it can be used."""
        row = resources.get(tx, "agent", key)
        if row is None:
            tx.wake("readiness", "")
            return Step()
        step = _look_at_strategy(tx, row) if strategy.is_own(typed(row)) else Step()
        reach = reach_of(tx, key)
        if reach.settling:
            return step
        status, detail = decide(AgentFacts(tuple(reach.lacking), tuple(reach.broken)))
        if (status, detail) != (row.status, row.detail):
            readiness.record(tx, row, status, detail=detail)
        return step

    async def perform(self, effect: Effect, transact: Transact, /) -> None:
        """Load a context strategy of a person's own, and record whether that works."""
        row = await self._store.read(lambda tx: resources.get(tx, "agent", effect.target))
        if row is None:
            return
        fault = await self._code.check(strategy.function_of(typed(row), row.folder))
        await transact(lambda tx: _record(tx, row, fault.message if fault is not None else ""))

    def lost(self, tx: Tx, effect: Effect, error: str, /) -> None:
        """A check that could not be made is an error, looked at again."""
        row = resources.get(tx, "agent", effect.target)
        if row is not None:
            _record(tx, row, error)

    def keys(self, tx: Tx, /) -> list[str]:
        """All agents."""
        return resources.names(tx, "agent")


def _look_at_strategy(tx: Tx, row: Written) -> Step:
    check = Effect("agent", "check", row.name, row.failures)
    if strategy.mark(row) != strategy.mark_of(tx.epoch, row.digest):
        return Step(effects=(check,))
    if not strategy.verdict(row):
        return Step()
    due = row.updated_at + delay(max(1, row.failures), key=row.id, at_least=_FIRST_RETRY)
    return Step(effects=(check,)) if tx.now >= due else Step(look_at=due)


def _record(tx: Tx, row: Written, fault: str) -> None:
    now = resources.get(tx, "agent", row.name)
    if now is None or now.digest != row.digest:
        return
    failures = now.failures + 1 if fault else 0
    checked = strategy.checked(tx.epoch, row.digest, fault)
    resources.set_status(tx, now, now.status, detail=now.detail, failures=failures, checked=checked)
    tx.wake("readiness", "")


def code_changed(tx: Tx, /) -> list[str]:
    """Look again at every context strategy of a person's own, since its files may say something else now; the names of the agents."""
    own = [row for row in resources.of_kind(tx, "agent") if strategy.is_own(typed(row))]
    for row in own:
        if row.checked:
            stale = f"\n{strategy.verdict(row) or ''}"
            resources.set_status(tx, row, row.status, detail=row.detail, checked=stale)
    return [row.name for row in own]
