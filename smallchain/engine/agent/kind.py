"""The agent loop, assembled."""

from __future__ import annotations

from smallchain.engine import readiness
from smallchain.engine.agent.decide import AgentFacts, decide
from smallchain.engine.kind import Step, Transact
from smallchain.engine.reach import reach_of
from smallchain.model.decision import Effect
from smallchain.store import resources
from smallchain.store.contract import Tx


class AgentKind:
    """Keeps the readiness of agents."""

    name = "agent"

    def step(self, tx: Tx, key: str, /) -> Step:
        """Look at everything the agent can reach and record whether it can be used."""
        row = resources.get(tx, "agent", key)
        if row is None:
            tx.wake("readiness", "")
            return Step()
        reach = reach_of(tx, key)
        if reach.settling:
            return Step()
        status, detail = decide(AgentFacts(tuple(reach.lacking), tuple(reach.broken)))
        if (status, detail) != (row.status, row.detail):
            readiness.record(tx, row, status, detail=detail)
        return Step()

    async def perform(self, effect: Effect, transact: Transact, /) -> None:
        """Agents have no effects."""

    def lost(self, tx: Tx, effect: Effect, error: str, /) -> None:
        """Agents have no effects."""

    def keys(self, tx: Tx, /) -> list[str]:
        """All agents."""
        return resources.names(tx, "agent")
