"""Deliveries: one row for each channel that a request is told on, under an id that never changes."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from smallchain.model import lifecycles
from smallchain.model.errors import Conflict
from smallchain.model.human import DeliveryRow
from smallchain.model.lifecycles import DeliveryPhase
from smallchain.store.contract import Row, Tx, Value
from smallchain.store.times import from_text, maybe, to_text

KIND = "delivery"

_COLUMNS = tuple(field.name for field in fields(DeliveryRow))


def _values(delivery: DeliveryRow) -> dict[str, Value]:
    values: dict[str, Any] = {name: getattr(delivery, name) for name in _COLUMNS}
    values["created_at"] = to_text(delivery.created_at)
    for name in ("due_at", "delivered_at"):
        values[name] = to_text(values[name]) if values[name] else None
    return values


def from_row(row: Row) -> DeliveryRow:
    """The value of a row."""
    found: dict[str, Any] = {name: row[name] for name in _COLUMNS}
    found["created_at"] = from_text(found["created_at"])
    found["due_at"], found["delivered_at"] = maybe(found["due_at"]), maybe(found["delivered_at"])
    found["phase"] = DeliveryPhase(found["phase"])
    return DeliveryRow(**found)


def create(tx: Tx, request_id: str, channel: str, /) -> None:
    """Tell a request on a channel; one that is told there already stays one telling."""
    delivery = DeliveryRow(
        id=tx.new_id(),
        request_id=request_id,
        channel=channel,
        phase=DeliveryPhase.WAITING,
        attempts=0,
        failures=0,
        reminder=0,
        reference="",
        detail="",
        epoch=0,
        mark="",
        due_at=None,
        created_at=tx.now,
        delivered_at=None,
        version=1,
    )
    if tx.run("deliveries.insert", **_values(delivery)):
        tx.wake(KIND, delivery.id)


def move(tx: Tx, delivery: DeliveryRow, cause: str, /, **changes: Any) -> DeliveryRow:
    """Move a delivery along an edge of its lifecycle, with other changes; raises Conflict when its row has another version."""
    phase = DeliveryPhase(lifecycles.move(lifecycles.DELIVERY, delivery.phase, cause))
    changed = replace(delivery, phase=phase, **changes)
    values = _values(changed)
    for fixed in ("request_id", "channel", "created_at"):
        del values[fixed]
    if tx.run("deliveries.save", **values) != 1:
        raise Conflict(f"delivery {delivery.id} was changed meanwhile")
    tx.wake(KIND, delivery.id)
    return replace(changed, version=delivery.version + 1)


def find(tx: Tx, id: str, /) -> DeliveryRow | None:
    """A delivery by id, or None."""
    row = tx.one("deliveries.get", id=id)
    return from_row(row) if row else None


def of_request(tx: Tx, request_id: str, /) -> list[DeliveryRow]:
    """Where a request is told."""
    return [from_row(row) for row in tx.all("deliveries.of_request", request_id=request_id)]


def live_ids(tx: Tx, /) -> list[str]:
    """Ids of the deliveries that a loop can move."""
    return [row["id"] for row in tx.all("deliveries.live")]


def held_ids(tx: Tx, channel: str, /) -> list[str]:
    """Ids of the deliveries that wait for a channel to be changed."""
    return [row["id"] for row in tx.all("deliveries.held", channel=channel)]
