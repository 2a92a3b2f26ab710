"""The loops of requests and of their deliveries, assembled.

The one rule: a delivery is recorded before it is tried and after it was taken, under one id; a crash in between tells it again under
that id, never as another request.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import timedelta

from smallchain.engine.backoff import delay
from smallchain.engine.channel.kind import in_use
from smallchain.engine.checks import mark_of
from smallchain.engine.human import decide as rules
from smallchain.engine.human import deciding
from smallchain.engine.kind import Step, Transact
from smallchain.engine.ports import Channel, Secrets
from smallchain.engine.specs import typed
from smallchain.model import codes
from smallchain.model.decision import Effect
from smallchain.model.delivery import VERBS, ChannelInUse, Delivered, Delivery, Told, Undelivered
from smallchain.model.errors import BadInput
from smallchain.model.human import DeliveryRow, HumanRequest
from smallchain.model.lifecycles import CallPhase, DeliveryPhase, Readiness, RequestPhase
from smallchain.model.outcomes import outcome
from smallchain.store import alarms, deliveries, requests, resources, runs, toolcalls
from smallchain.store.contract import Store, Tx

_AT_A_TIME = 4
"""Deliveries of one type of channel that are out at once."""
_PATIENCE_S = 60.0
"""How long a channel may take for one delivery."""


class RequestKind:
    """Moves what time brings to requests, and tells their deliveries and their run when they are over."""

    name = requests.KIND

    def step(self, tx: Tx, key: str, /) -> Step:
        """Expire, escalate, remind; when it is over, end what was told and let the run ask on."""
        request = requests.find(tx, key)
        if request is None:
            return Step(at_rest=True)
        if request.phase is not RequestPhase.OPEN:
            _over(tx, request)
            return Step(at_rest=True)
        facts = rules.RequestFacts(request.phase, request.expires_at, request.on_expiry, request.remind_at, request.escalate_at)
        decision = rules.decide(facts, now=tx.now)
        match decision.cause:
            case "expired":
                deciding.expire(tx, request)
            case "escalated":
                deciding.escalate(tx, request)
                later = None if request.on_expiry == "escalate" else request.expires_at
                requests.save(tx, request, escalate_at=None, expires_at=later, on_expiry=request.on_expiry if later else "")
            case "reminded":
                _remind(tx, request)
        return Step(look_at=decision.look_at)

    async def perform(self, effect: Effect, transact: Transact, /) -> None:
        """Requests have no effects; their deliveries do."""

    def lost(self, tx: Tx, effect: Effect, error: str, /) -> None:
        """Requests have no effects."""

    def keys(self, tx: Tx, /) -> list[str]:
        """The requests to which time brings something now."""
        return requests.timed_ids(tx)


def _over(tx: Tx, request: HumanRequest) -> None:
    alarms.drop(tx, requests.KIND, request.id)
    for delivery in deliveries.of_request(tx, request.id):
        tx.wake(deliveries.KIND, delivery.id)
    for call in toolcalls.open_of_run(tx, request.run_id):
        if call.phase in (CallPhase.PENDING, CallPhase.READY):  # it may have waited for its turn to ask
            tx.wake(toolcalls.KIND, call.id)


def _remind(tx: Tx, request: HumanRequest) -> None:
    gaps = tuple(timedelta(seconds=gap) for gap in json.loads(request.remind))
    made = request.reminders + 1
    requests.save(tx, request, reminders=made, remind_at=rules.next_reminder(gaps, made, now=tx.now))
    requests.tell(tx, "RequestReminded", request, question=request.question)
    for delivery in deliveries.of_request(tx, request.id):
        if delivery.phase is DeliveryPhase.DELIVERED:
            deliveries.move(tx, delivery, "reminded", reminder=made, due_at=None)


class DeliveryKind:
    """Moves deliveries: tells requests where people are, and the end of them."""

    name = deliveries.KIND

    def __init__(self, store: Store, channels: Mapping[str, Channel], secrets: Secrets, *, key: bytes, callback_url: str = "") -> None:
        self._store = store
        self._channels = channels
        self._secrets = secrets
        self._key = key
        self._callback_url = callback_url
        self._places: dict[str, asyncio.Semaphore] = {}

    def step(self, tx: Tx, key: str, /) -> Step:
        """Take the next step of a delivery."""
        row = deliveries.find(tx, key)
        if row is None:
            return Step(at_rest=True)
        request = requests.find(tx, row.request_id)
        channel = resources.get(tx, "channel", row.channel)
        ready = channel is not None and channel.status is Readiness.READY
        mark = mark_of(tx.epoch, channel.digest) if channel is not None and ready else ""
        facts = rules.DeliveryFacts(
            id=row.id,
            phase=row.phase,
            request_is_open=request is not None and request.phase is RequestPhase.OPEN,
            epoch=tx.epoch,
            tried_in=row.epoch,
            attempts=row.attempts,
            due_at=row.due_at,
            mark=row.mark,
            channel=mark,
        )
        decision = rules.decide_delivery(facts, now=tx.now)
        match decision.cause:
            case None:
                pass
            case "attempted":
                deliveries.move(tx, row, "attempted", attempts=row.attempts + 1, epoch=tx.epoch, mark=mark, due_at=None)
            case "channel_lacking":
                why = f"it waits: {channel.detail}" if channel is not None else "it does not exist"
                deliveries.move(tx, row, "channel_lacking", mark="", detail=why)
                _tell(tx, request, row, "RequestUndelivered", detail=why)
            case cause:
                deliveries.move(tx, row, cause, due_at=None)
        return Step(effects=decision.effects, look_at=decision.look_at, at_rest=decision.at_rest)

    async def perform(self, effect: Effect, transact: Transact, /) -> None:
        """Tell a request, or its end, on its channel."""
        prepared = await self._store.read(lambda tx: self._prepare(tx, effect))
        if prepared is None:
            return
        row, request, channel_type, told = prepared
        said: Delivered | Undelivered = Undelivered("the channel does not exist any more", for_now=False)
        try:
            in_use_now = await self._in_use(row.channel)
        except BadInput as error:
            said, in_use_now = Undelivered(str(error), for_now=False), None
        async with self._places.setdefault(channel_type, asyncio.Semaphore(_AT_A_TIME)):
            if effect.name == "tell_end":
                if in_use_now is not None:
                    await self._tell_end(channel_type, self._delivery(row, in_use_now, told), deciding.too_late(request))
                await transact(lambda tx: _ended(tx, row.id))
                return
            if in_use_now is not None:
                said = await self._deliver(channel_type, self._delivery(row, in_use_now, told))
        await transact(lambda tx: _record(tx, row.id, row.attempts, said))

    def lost(self, tx: Tx, effect: Effect, error: str, /) -> None:
        """A telling that ended by a fault of ours is tried again after a while; the end of one is not."""
        if effect.name == "tell_end":
            _ended(tx, effect.target)
        else:
            _record(tx, effect.target, effect.attempt, Undelivered(error, for_now=True))

    def keys(self, tx: Tx, /) -> list[str]:
        """The deliveries that a loop can move."""
        return deliveries.live_ids(tx)

    def _prepare(self, tx: Tx, effect: Effect) -> tuple[DeliveryRow, HumanRequest, str, Told] | None:
        row = deliveries.find(tx, effect.target)
        wanted = DeliveryPhase.CLOSING if effect.name == "tell_end" else DeliveryPhase.DELIVERING
        if row is None or row.phase is not wanted or row.attempts != effect.attempt:
            return None
        request = requests.find(tx, row.request_id)
        channel = resources.get(tx, "channel", row.channel)
        if request is None:
            return None
        return row, request, typed(channel).type if channel is not None else "", told_of(tx, request)

    async def _in_use(self, name: str) -> ChannelInUse | None:
        written = await self._store.read(lambda tx: resources.get(tx, "channel", name))
        return await in_use(written, self._secrets) if written is not None else None

    def _delivery(self, row: DeliveryRow, channel: ChannelInUse, told: Told) -> Delivery:
        return Delivery(
            id=row.id,
            channel=channel,
            told=told,
            attempt=row.attempts,
            reminder=row.reminder,
            reference=row.reference,
            code=codes.code_of(self._key, row.request_id),
            callback_key=codes.callback_key_of(self._key, row.request_id),
            callback_url=self._callback_url,
        )

    async def _deliver(self, channel_type: str, delivery: Delivery) -> Delivered | Undelivered:
        channel = self._channels.get(channel_type)
        if channel is None:
            return Undelivered(f"channel '{delivery.channel.name}' can't be used any more", for_now=False)
        try:
            async with asyncio.timeout(_PATIENCE_S):
                return await channel.deliver(delivery)
        except TimeoutError:
            return Undelivered(f"no answer within {_PATIENCE_S:g} s", for_now=True)

    async def _tell_end(self, channel_type: str, delivery: Delivery, sentence: str) -> None:
        channel = self._channels.get(channel_type)
        if channel is None:
            return
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await channel.tell_end(delivery, sentence)
        except TimeoutError:
            return


def told_of(tx: Tx, request: HumanRequest, /) -> Told:
    """A request as it is told to people."""
    run = runs.find(tx, request.run_id) if request.run_id else None
    return Told(
        request_id=request.id,
        kind=request.kind,
        run=run.name if run is not None else "",
        path=request.path,
        tool=request.tool,
        question=request.question,
        choices=tuple(json.loads(request.choices)) if request.choices else (),
        arguments=request.arguments,
        digest=request.digest,
        risk=request.risk,
        why=request.why,
        outcomes=tuple((verb, outcome(request.kind, verb, tool=request.tool)) for verb in VERBS[request.kind]),
        opened_at=request.created_at,
        expires_at=request.expires_at,
        on_expiry=request.on_expiry,
    )


def _record(tx: Tx, id: str, attempt: int, said: Delivered | Undelivered) -> None:
    """What came of an attempt."""
    row = deliveries.find(tx, id)
    if row is None or row.phase is not DeliveryPhase.DELIVERING or row.attempts != attempt:
        return
    request = requests.find(tx, row.request_id)
    if isinstance(said, Delivered):
        reference = row.reference or said.reference[:1000]
        deliveries.move(tx, row, "taken", failures=0, detail="", reference=reference, delivered_at=row.delivered_at or tx.now)
        if row.delivered_at is None:
            _tell(tx, request, row, "RequestDelivered")
        return
    detail, failures = said.message[:500], row.failures + 1
    if said.for_now:
        due_at = tx.now + delay(failures, key=row.id, at_least=said.retry_after)
        deliveries.move(tx, row, "refused_for_now", failures=failures, detail=detail, due_at=due_at)
    else:
        deliveries.move(tx, row, "refused", failures=failures, detail=detail)
    if detail != row.detail:
        _tell(tx, request, row, "RequestUndelivered", detail=detail)


def _ended(tx: Tx, id: str) -> None:
    row = deliveries.find(tx, id)
    if row is not None and row.phase is DeliveryPhase.CLOSING:
        deliveries.move(tx, row, "end_told")


def _tell(tx: Tx, request: HumanRequest | None, row: DeliveryRow, reason: str, **facts: str) -> None:
    if request is not None:
        requests.tell(tx, reason, request, channel=row.channel, **facts)
