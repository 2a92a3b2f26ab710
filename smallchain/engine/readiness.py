"""What the loops of LLMs, agents, tools and channels share: how a readiness is recorded and told, and who wants to hear of it."""

from __future__ import annotations

from smallchain.engine.checks import mark_of
from smallchain.engine.kind import Step, Transact
from smallchain.model.decision import Effect
from smallchain.model.events import Object
from smallchain.model.lifecycles import Readiness
from smallchain.store import eventlog, ledger, resources, runs, toolcalls
from smallchain.store.contract import Tx
from smallchain.store.resources import Written

_WORDS = {"llm": "LLM", "agent": "Agent", "tool": "Tool", "channel": "Channel", "mcp_server": "MCP server", "schedule": "Schedule"}
_REASONS = {Readiness.READY: "ResourceReady", Readiness.PENDING: "ResourcePending", Readiness.ERROR: "ResourceError"}


def record(tx: Tx, row: Written, status: Readiness, /, *, detail: str, failures: int | None = None, checked: str | None = None) -> None:
    """Write a readiness, and tell it when it is news."""
    resources.set_status(tx, row, status, detail=detail, failures=failures, checked=checked)
    if (row.status, row.detail) == (status, detail):
        return
    tell(tx, row, status, detail)
    tx.wake("readiness", "")


def record_check(tx: Tx, /, *, row: Written, fault: str, mark: str = "") -> bool:
    """Record what a look at something outside found, empty where nothing speaks against it; `mark` where more than its own words
    was looked at. One whose words have changed since is left alone, which is False."""
    now = resources.get(tx, row.kind, row.name)
    if now is None or now.digest != row.digest:
        return False
    status = Readiness.ERROR if fault else Readiness.READY
    failures = now.failures + 1 if fault else 0
    record(tx, now, status, detail=fault, failures=failures, checked=mark or mark_of(tx.epoch, row.digest))
    return True


def tell(tx: Tx, row: Written, status: Readiness, detail: str, /) -> None:
    """Append the event of a readiness."""
    about = Object(row.kind, row.name, row.id)
    eventlog.tell(tx, _REASONS[status], about, kind=_WORDS[row.kind], name=row.name, detail=detail)


class ReadinessKind:
    """Carries news of readiness to those who wait for it: all agents and schedules, and the runs and tool calls that are pending."""

    name = "readiness"

    def step(self, tx: Tx, key: str, /) -> Step:
        """Wake every agent and schedule, every pending run and tool call, and every run that waits for room under a cap."""
        for name in resources.names(tx, "agent"):
            tx.wake("agent", name)
        for name in resources.names(tx, "schedule"):
            tx.wake("schedule", name)
        for id in runs.pending_ids(tx):
            tx.wake("run", id)
        for id in toolcalls.pending_ids(tx):
            tx.wake(toolcalls.KIND, id)
        for id in ledger.all_waiting(tx):
            tx.wake("run", id)
        return Step()

    async def perform(self, effect: Effect, transact: Transact, /) -> None:
        """There are no effects."""

    def lost(self, tx: Tx, effect: Effect, error: str, /) -> None:
        """There are no effects."""

    def keys(self, tx: Tx, /) -> list[str]:
        """The one key."""
        return [""]
