"""The tool loop, assembled."""

from __future__ import annotations

from smallchain.engine import readiness
from smallchain.engine.kind import Step, Transact
from smallchain.engine.specs import typed, why_unsupported
from smallchain.engine.tool.decide import ToolFacts, decide
from smallchain.model.decision import Effect
from smallchain.model.events import Object
from smallchain.model.lifecycles import Readiness
from smallchain.model.toolspec import ToolSpec
from smallchain.store import eventlog, resources
from smallchain.store.contract import Tx
from smallchain.store.resources import Written


class ToolKind:
    """Keeps the readiness of tools, and warns once of each that runs without a fence."""

    name = "tool"

    def step(self, tx: Tx, key: str, /) -> Step:
        """Record whether the tool can be used."""
        row = resources.get(tx, "tool", key)
        if row is None:
            tx.wake("readiness", "")
            return Step()
        status, detail = decide(ToolFacts(why_unsupported(row)))
        mark = row.digest[:16]
        if (status, detail, mark) != (row.status, row.detail, row.checked):
            if status is Readiness.READY and row.checked != mark:
                _warn(tx, row)
            readiness.record(tx, row, status, detail=detail, checked=mark)
        return Step()

    async def perform(self, effect: Effect, transact: Transact, /) -> None:
        """Tools have no effects; their calls do."""

    def lost(self, tx: Tx, effect: Effect, error: str, /) -> None:
        """Tools have no effects."""

    def keys(self, tx: Tx, /) -> list[str]:
        """All tools."""
        return resources.names(tx, "tool")


def _warn(tx: Tx, row: Written) -> None:
    spec: ToolSpec = typed(row)
    if spec.executor is None:
        return
    about = Object("tool", row.name, row.id)
    eventlog.tell(tx, "ToolUnfenced", about, name=row.name)
    if spec.executor.python is not None and spec.executor.python.image is not None:
        eventlog.tell(tx, "ToolImageUnused", about, name=row.name, image=spec.executor.python.image)
