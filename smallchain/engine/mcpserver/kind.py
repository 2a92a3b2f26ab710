"""The MCP server loop, assembled: one effect keeps one server, from its start to its end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from smallchain.engine import readiness
from smallchain.engine.backoff import delay
from smallchain.engine.kind import Step, Transact
from smallchain.engine.mcpserver import changes
from smallchain.engine.mcpserver.decide import ServerFacts, after_end, decide
from smallchain.engine.ports import McpServers, Secrets
from smallchain.engine.specs import typed, why_unsupported
from smallchain.model.decision import Effect
from smallchain.model.errors import BadInput
from smallchain.model.events import Object
from smallchain.model.lifecycles import Readiness
from smallchain.model.mcp import McpEnded, McpEndpoint, McpTool
from smallchain.model.sections import McpServerSpec
from smallchain.model.toolspec import mounts_of, tool_limits_of
from smallchain.store import eventlog, mcptools, resources, toolcalls
from smallchain.store.contract import Store, Tx
from smallchain.store.resources import Written

_FIRST_RETRY = timedelta(seconds=1)


class McpServerKind:
    """Keeps MCP servers running, their readiness and what is known of their tools."""

    name = "mcp_server"

    def __init__(self, store: Store, servers: McpServers, secrets: Secrets) -> None:
        self._store = store
        self._servers = servers
        self._secrets = secrets

    def step(self, tx: Tx, key: str, /) -> Step:
        """Decide whether the server is to be kept now; one that is written no more is stopped and forgotten."""
        row = resources.get(tx, "mcp_server", key)
        if row is None:
            changes.forget(tx, key)
            tx.wake("readiness", "")
            return Step(at_rest=True)
        facts = ServerFacts(
            name=row.name,
            generation=row.generation,
            status=row.status,
            unsupported=why_unsupported(row) or "",
            checked=row.checked,
            mark=mark_of(tx.epoch, row),
            retry_at=row.updated_at + delay(max(1, row.failures), key=row.id, at_least=_FIRST_RETRY),
        )
        decision = decide(facts, now=tx.now)
        if decision.cause == "missing" and (row.status, row.detail) != (Readiness.PENDING, decision.detail):
            readiness.record(tx, row, Readiness.PENDING, detail=decision.detail, checked=facts.mark)
        elif row.status is Readiness.READY and not row.checked:  # other words: what was ready is not what will be
            resources.set_status(tx, row, Readiness.PENDING, detail="it is being started")
            tx.wake("readiness", "")
        return Step(effects=decision.effects, look_at=decision.look_at, at_rest=decision.at_rest)

    async def perform(self, effect: Effect, transact: Transact, /) -> None:
        """Keep the server until it ends, and record what it lists and how it ended. Cancelled, it is stopped and nothing recorded."""
        row, isolation = await self._store.read(lambda tx: (resources.get(tx, "mcp_server", effect.target), _isolation(tx)))
        if row is None or row.generation != effect.attempt:
            return

        async def heard(tools: Sequence[tuple[McpTool, str]]) -> None:
            await transact(lambda tx: _heard(tx, row, tools))

        try:
            endpoint = await self._endpoint(row, isolation)
        except BadInput as error:
            ended = McpEnded(str(error))
        else:
            ended = await self._servers.keep(endpoint, heard)
        if not ended.wanted:
            why = self._secrets.mask(ended.sentence)
            await transact(lambda tx: _ended(tx, row, why, ended.lived))

    def lost(self, tx: Tx, effect: Effect, error: str, /) -> None:
        """A server whose keeping ended by a fault of ours has ended."""
        row = resources.get(tx, "mcp_server", effect.target)
        if row is not None:
            _ended(tx, row, error, timedelta())

    def keys(self, tx: Tx, /) -> list[str]:
        """All MCP servers."""
        return resources.names(tx, "mcp_server")

    async def _endpoint(self, row: Written, isolation: str) -> McpEndpoint:
        spec: McpServerSpec = typed(row)
        return McpEndpoint(
            name=spec.name,
            command=spec.command or (),
            url=spec.url or "",
            folder=row.folder,
            env={name: await self._value(value) for name, value in spec.env.items()},
            headers={name: await self._value(value) for name, value in spec.headers.items()},
            isolation=spec.isolation or isolation,
            network=bool(spec.network),
            mounts=mounts_of(spec),
            limits=tool_limits_of(spec),
        )

    async def _value(self, value: object) -> str:
        if isinstance(value, str):
            return value
        return await self._secrets.resolve(value.model_dump(exclude_none=True))  # type: ignore[attr-defined]


def _isolation(tx: Tx) -> str:
    """What holds for servers that say nothing."""
    defaults = resources.get(tx, "defaults", "defaults")
    return (typed(defaults).isolation or "auto") if defaults is not None else "auto"


def mark_of(epoch: int, row: Written) -> str:
    """What a start looked at: the life of the daemon (its environment) and the words."""
    return f"{epoch}/{row.digest[:16]}"


def _heard(tx: Tx, row: Written, tools: Sequence[tuple[McpTool, str]]) -> None:
    """A server that has told its tools is ready; one whose words have changed since is left alone."""
    now = resources.get(tx, "mcp_server", row.name)
    if now is None or now.digest != row.digest:
        return
    changes.heard(tx, row.name, tools)
    mark = mark_of(tx.epoch, row)
    if (now.status, now.detail, now.checked) != (Readiness.READY, "", mark):
        readiness.record(tx, now, Readiness.READY, detail="", checked=mark)
        for id in mcptools.waiting_ids(tx):
            tx.wake(toolcalls.KIND, id)


def _ended(tx: Tx, row: Written, why: str, lived: timedelta) -> None:
    now = resources.get(tx, "mcp_server", row.name)
    if now is None or now.digest != row.digest:
        return
    failures, detail = after_end(why, lived=lived, failures=now.failures)
    if (now.status, now.detail) == (Readiness.ERROR, detail):
        eventlog.tell(tx, "McpServerEnded", Object("mcp_server", row.name, row.id), name=row.name, detail=detail)
    readiness.record(tx, now, Readiness.ERROR, detail=detail, failures=failures, checked=mark_of(tx.epoch, row))
