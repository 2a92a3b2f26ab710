"""The channel loop, assembled."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial

from smallchain.engine import readiness
from smallchain.engine.backoff import delay
from smallchain.engine.checks import FIRST_RETRY, CheckFacts, decide, mark_of
from smallchain.engine.kind import Step, Transact
from smallchain.engine.ports import Channel, Secrets
from smallchain.engine.specs import typed, why_unsupported
from smallchain.model.decision import Effect
from smallchain.model.delivery import ChannelInUse
from smallchain.model.errors import BadInput
from smallchain.model.lifecycles import Readiness
from smallchain.model.sections import ChannelSpec
from smallchain.store import deliveries, resources
from smallchain.store.contract import Store, Tx
from smallchain.store.resources import Written

EARS = "ears"
"""The kind that is woken when what is listened to may have changed."""
_PATIENCE_S = 30.0


class ChannelKind:
    """Keeps the readiness of channels, and wakes the deliveries that waited for one."""

    name = "channel"

    def __init__(self, store: Store, channels: Mapping[str, Channel], secrets: Secrets) -> None:
        self._store = store
        self._channels = channels
        self._secrets = secrets

    def step(self, tx: Tx, key: str, /) -> Step:
        """Decide whether a check is due, or record that nothing here speaks its type."""
        tx.wake(EARS, "")
        row = resources.get(tx, "channel", key)
        if row is None:
            tx.wake("readiness", "")
            return Step()
        kind = typed(row).type
        known = ", ".join(sorted(self._channels))
        unsupported = why_unsupported(row) or (
            "" if kind in self._channels else f"no installed package brings `type: {kind}`; there are: {known}"
        )
        facts = CheckFacts(
            kind=self.name,
            name=row.name,
            status=row.status,
            unsupported=unsupported,
            failures=row.failures,
            checked=row.checked,
            mark=mark_of(tx.epoch, row.digest),
            retry_at=row.updated_at + delay(max(1, row.failures), key=row.id, at_least=FIRST_RETRY),
        )
        decision = decide(facts, now=tx.now)
        if decision.cause == "missing" and (row.status, row.detail) != (Readiness.PENDING, decision.detail):
            readiness.record(tx, row, Readiness.PENDING, detail=decision.detail, checked=facts.mark)
        if row.status is Readiness.READY:
            for id in deliveries.held_ids(tx, row.name):
                tx.wake(deliveries.KIND, id)
        return Step(effects=decision.effects, look_at=decision.look_at)

    async def perform(self, effect: Effect, transact: Transact, /) -> None:
        """Resolve its token and ask whether the channel takes it."""
        row = await self._store.read(lambda tx: resources.get(tx, "channel", effect.target))
        if row is None:
            return
        fault = await self._fault(row)

        await transact(partial(readiness.record_check, row=row, fault=fault))

    def lost(self, tx: Tx, effect: Effect, error: str, /) -> None:
        """A check that could not be made is an error, looked at again."""
        row = resources.get(tx, "channel", effect.target)
        if row is not None:
            readiness.record_check(tx, row=row, fault=error)

    def keys(self, tx: Tx, /) -> list[str]:
        """All channels."""
        return resources.names(tx, "channel")

    async def _fault(self, row: Written) -> str:
        try:
            channel = await in_use(row, self._secrets)
            async with asyncio.timeout(_PATIENCE_S):
                return await self._channels[channel.type].check(channel)
        except BadInput as error:
            return str(error)
        except TimeoutError:
            return f"no answer within {_PATIENCE_S:g} s"


async def in_use(row: Written, secrets: Secrets, /) -> ChannelInUse:
    """A channel as it is written now, its token resolved; raises BadInput when it can't be."""
    spec: ChannelSpec = typed(row)
    token = await secrets.resolve(spec.token.model_dump(exclude_none=True)) if spec.token is not None else None
    return ChannelInUse(spec.name, spec.type, spec.to or "", spec.allowed, dict(spec.parameters), token)
