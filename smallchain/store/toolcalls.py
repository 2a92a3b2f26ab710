"""Tool calls and their attempts: rows made with the reply that asked for them, written against the version that was read."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from smallchain.model import lifecycles
from smallchain.model.errors import Conflict, Unknown
from smallchain.model.lifecycles import CallPhase
from smallchain.model.run import Run
from smallchain.model.toolcall import Effects, ToolCall
from smallchain.store.contract import Row, Tx, Value
from smallchain.store.times import from_text, maybe, to_text

KIND = "toolcall"


_COLUMNS = tuple(field.name for field in fields(ToolCall))


def _values(call: ToolCall) -> dict[str, Value]:
    values: dict[str, Any] = {name: getattr(call, name) for name in _COLUMNS}
    for name in ("due_at", "created_at", "finished_at"):
        values[name] = to_text(values[name]) if values[name] else None
    return values


def from_row(row: Row) -> ToolCall:
    """The value of a row (which may hold more columns)."""
    found: dict[str, Any] = {name: row[name] for name in _COLUMNS}
    found["due_at"], found["finished_at"] = maybe(found["due_at"]), maybe(found["finished_at"])
    found["created_at"] = from_text(found["created_at"])
    found["phase"] = CallPhase(found["phase"])
    found["effects"] = Effects(found["effects"])
    return ToolCall(**found)


def create(
    tx: Tx,
    run: Run,
    /,
    *,
    position: int,
    asked_id: str,
    function: str,
    target_kind: str,
    tool: str,
    arguments: str,
    effects: Effects,
) -> ToolCall:
    """A new call in `pending`, at its place among those of the run's present turn."""
    call = ToolCall(
        id=tx.new_id(),
        run_id=run.id,
        turn=run.turns,
        position=position,
        asked_id=asked_id,
        function=function,
        target_kind=target_kind,
        tool=tool,
        arguments=arguments,
        effects=effects,
        phase=CallPhase.PENDING,
        attempts=0,
        crashes=0,
        generation=1,
        result="",
        template="",
        detail="",
        due_at=None,
        created_at=tx.now,
        finished_at=None,
        version=1,
    )
    tx.run("toolcalls.insert", **_values(call))
    tx.wake(KIND, call.id)
    return call


def save(tx: Tx, call: ToolCall, /, **changes: Any) -> ToolCall:
    """Write changes of a call; raises Conflict when its row has another version."""
    changed = replace(call, **changes)
    values = _values(changed)
    for fixed in (
        "run_id",
        "turn",
        "position",
        "asked_id",
        "function",
        "target_kind",
        "tool",
        "arguments",
        "effects",
        "created_at",
    ):
        del values[fixed]
    if tx.run("toolcalls.save", **values) != 1:
        raise Conflict(f"tool call {call.id} was changed meanwhile")
    tx.wake(KIND, call.id)
    return replace(changed, version=call.version + 1)


def move(tx: Tx, call: ToolCall, cause: str, /, **changes: Any) -> ToolCall:
    """Move a call along an edge of its lifecycle, with other changes; one that is over is stamped and wakes its run."""
    phase = CallPhase(lifecycles.move(lifecycles.TOOLCALL, call.phase, cause))
    if phase in lifecycles.CALL_TERMINAL:
        changes = {"finished_at": tx.now, "due_at": None, **changes}
        tx.wake("run", call.run_id)
    return save(tx, call, phase=phase, **changes)


def get(tx: Tx, id: str, /) -> ToolCall:
    """A call by id; raises Unknown."""
    call = find(tx, id)
    if call is None:
        raise Unknown(f"there is no tool call with the id {id}")
    return call


def find(tx: Tx, id: str, /) -> ToolCall | None:
    """A call by id, or None."""
    row = tx.one("toolcalls.get", id=id)
    return from_row(row) if row else None


def of_turn(tx: Tx, run_id: str, turn: int, /) -> list[ToolCall]:
    """The calls of one reply, in the order the model asked."""
    return [from_row(row) for row in tx.all("toolcalls.of_turn", run_id=run_id, turn=turn)]


def of_run(tx: Tx, run_id: str, /) -> list[ToolCall]:
    """All calls of a run, in order."""
    return [from_row(row) for row in tx.all("toolcalls.of_run", run_id=run_id)]


def open_of_run(tx: Tx, run_id: str, /) -> list[ToolCall]:
    """The calls of a run that have no result yet."""
    return [from_row(row) for row in tx.all("toolcalls.open_of_run", run_id=run_id)]


def unsettled_ids(tx: Tx, /) -> list[str]:
    """Ids of the calls that a loop, and not only the world, can move."""
    return [row["id"] for row in tx.all("toolcalls.unsettled")]


def pending_ids(tx: Tx, /) -> list[str]:
    """Ids of the calls that were not let through yet."""
    return [row["id"] for row in tx.all("toolcalls.pending")]


def executing(tx: Tx, /) -> list[ToolCall]:
    """The calls that execute, or did when the daemon ended."""
    return [from_row(row) for row in tx.all("toolcalls.executing")]


def repeats(tx: Tx, run: Run, /, *, most: int) -> int:
    """How often the run's last call was made in a row with the same arguments and the same result, up to `most`."""
    rows = tx.all("toolcalls.last", run_id=run.id, from_turn=run.loop_from, most=most)
    first = tuple(rows[0]) if rows else None
    count = 0
    for row in rows:
        if tuple(row) != first:
            break
        count += 1
    return count


def open_attempt(tx: Tx, call: ToolCall, /, *, attempt: int) -> None:
    """Record that an attempt is about to start in this epoch."""
    tx.run(
        "toolcalls.open_attempt",
        call_id=call.id,
        attempt=attempt,
        epoch=tx.epoch,
        idempotency_key=call.idempotency_key,
        started_at=to_text(tx.now),
    )


def attempt_of(tx: Tx, call: ToolCall, /) -> Row | None:
    """The row of the call's newest attempt, or None before the first."""
    return tx.one("toolcalls.attempt", call_id=call.id, attempt=call.attempts)


def settle_attempt(tx: Tx, call: ToolCall, /, *, outcome: str, exit_code: int | None = None, detail: str = "") -> bool:
    """Record what came of the newest attempt; False when it was settled before."""
    touched = tx.run(
        "toolcalls.settle_attempt",
        call_id=call.id,
        attempt=call.attempts,
        outcome=outcome,
        exit_code=exit_code,
        detail=detail,
        finished_at=to_text(tx.now),
    )
    return touched == 1
