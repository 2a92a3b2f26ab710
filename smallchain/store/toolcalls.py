"""Tool calls and their attempts: rows made with the reply that asked for them, written against the version that was read."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from smallchain.model import lifecycles
from smallchain.model.changed import changed
from smallchain.model.errors import Unknown
from smallchain.model.lifecycles import CallPhase
from smallchain.model.run import Run
from smallchain.model.toolcall import Effects, ToolCall
from smallchain.store.contract import Row, Shape, Tx, Value
from smallchain.store.times import from_text, maybe, to_text

KIND = "toolcall"


_COLUMNS = tuple(field.name for field in fields(ToolCall))


def _values(call: ToolCall) -> dict[str, Value]:
    values: dict[str, Any] = dict(call.__dict__)
    for name in ("due_at", "created_at", "finished_at"):
        if values[name] is not None:
            values[name] = to_text(values[name])
    values["phase"], values["effects"] = str(call.phase), str(call.effects)
    return values


def from_row(row: Row) -> ToolCall:
    """The value of a row (which may hold more columns)."""
    found: dict[str, Any] = {name: row[name] for name in _COLUMNS}
    found["due_at"], found["finished_at"] = maybe(found["due_at"]), maybe(found["finished_at"])
    found["created_at"] = from_text(found["created_at"])
    found["phase"] = CallPhase(found["phase"])
    found["effects"] = Effects(found["effects"])
    return ToolCall(**found)


_CALL: Shape[ToolCall] = Shape(
    table="toolcalls",
    word="tool call",
    get="toolcalls.get",
    insert="toolcalls.insert",
    save="toolcalls.save",
    key_names=("id",),
    key=lambda call: (call.id,),
    mark=lambda call: call.version,
    name=lambda call: call.id,
    from_row=from_row,
    values=_values,
    is_over=lambda call: call.is_over,
    group=lambda call: ((call.run_id, call.turn), call.position == 0),
)


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
    tx.add(_CALL, call)
    tx.wake(KIND, call.id)
    return call


def save(tx: Tx, call: ToolCall, /, **changes: Any) -> ToolCall:
    """Write changes of a call; raises Conflict when its row has another version."""
    after = changed(call, **changes, version=call.version + 1)
    tx.change(_CALL, call, after)
    tx.wake(KIND, call.id)
    return after


def move(tx: Tx, call: ToolCall, cause: str, /, **changes: Any) -> ToolCall:
    """Move a call along an edge of its lifecycle, with other changes; one that is over is stamped and wakes its run."""
    phase = CallPhase(lifecycles.move(lifecycles.TOOLCALL, call.phase, cause))
    if phase in lifecycles.CALL_TERMINAL:
        changes = {"finished_at": tx.now, "due_at": None, **changes}
        tx.wake("run", call.run_id)
    elif CallPhase.EXECUTING in (call.phase, phase):
        tx.wake("run", call.run_id)  # which is at work while it executes
    return save(tx, call, phase=phase, **changes)


def get(tx: Tx, id: str, /) -> ToolCall:
    """A call by id; raises Unknown."""
    call = find(tx, id)
    if call is None:
        raise Unknown(f"there is no tool call with the id {id}")
    return call


def find(tx: Tx, id: str, /) -> ToolCall | None:
    """A call by id, or None."""
    return tx.find(_CALL, id)


def of_turn(tx: Tx, run_id: str, turn: int, /) -> list[ToolCall]:
    """The calls of one reply, in the order the model asked."""
    return tx.group(_CALL, "toolcalls.of_turn", run_id=run_id, turn=turn)


def page(tx: Tx, /, *, after: str, most: int, phase: str | None = None) -> list[str]:
    """Ids of the calls that were made after one, the oldest first; of those in a phase where it is given."""
    if phase is not None:
        return [row["id"] for row in tx.all("toolcalls.page_phase", after=after, most=most, phase=phase)]
    return [row["id"] for row in tx.all("toolcalls.page", after=after, most=most)]


def page_of_tree(tx: Tx, run_id: str, /, *, after: str, most: int) -> list[str]:
    """Ids of the calls of a run and its descendants that were made after one, the oldest first."""
    return [row["id"] for row in tx.all("toolcalls.page_tree", run_id=run_id, after=after, most=most)]


def ids_of_run(tx: Tx, run_id: str, /) -> list[str]:
    """Ids of a run's own calls."""
    return [row["id"] for row in tx.all("toolcalls.ids_of_run", run_id=run_id)]


def by_part(tx: Tx, part: str, /) -> list[str]:
    """At most two ids that begin or end with a text."""
    return [row["id"] for row in tx.all("toolcalls.by_part", part=part)]


def of_run(tx: Tx, run_id: str, /) -> list[ToolCall]:
    """All calls of a run, in order."""
    return [from_row(row) for row in tx.all("toolcalls.of_run", run_id=run_id)]


def open_of_run(tx: Tx, run_id: str, /) -> list[ToolCall]:
    """The calls of a run that have no result yet."""
    return [from_row(row) for row in tx.all("toolcalls.open_of_run", run_id=run_id)]


def unsettled_ids(tx: Tx, /) -> list[str]:
    """Ids of the calls that a loop, and not only the world, can move."""
    return [row["id"] for row in tx.all("toolcalls.unsettled", now=to_text(tx.now))]


def pending_ids(tx: Tx, /) -> list[str]:
    """Ids of the calls that were not let through yet."""
    return [row["id"] for row in tx.all("toolcalls.pending")]


def to_try_again(tx: Tx, /) -> list[ToolCall]:
    """The calls that wait after a failure."""
    return [from_row(row) for row in tx.all("toolcalls.to_try_again")]


def executing(tx: Tx, /) -> list[ToolCall]:
    """The calls that execute, or did when the daemon ended."""
    return [from_row(row) for row in tx.all("toolcalls.executing")]


@dataclass(frozen=True)  # without slots, for `changed`
class Attempt:
    """A row of an attempt; `outcome` is `open` until it is settled."""

    call_id: str
    attempt: int
    epoch: int
    idempotency_key: str
    outcome: str
    exit_code: int | None
    detail: str
    started_at: str
    finished_at: str | None


_ATTEMPT_COLUMNS = tuple(field.name for field in fields(Attempt))
_ATTEMPT: Shape[Attempt] = Shape(
    table="toolattempts",
    word="attempt at a tool call",
    get="toolcalls.attempt",
    insert="toolcalls.insert_attempt",
    save="toolcalls.settle_attempt",
    key_names=("call_id", "attempt"),
    key=lambda attempt: (attempt.call_id, attempt.attempt),
    mark=lambda attempt: attempt.outcome,
    name=lambda attempt: f"{attempt.attempt} at tool call {attempt.call_id}",
    from_row=lambda row: Attempt(*[row[name] for name in _ATTEMPT_COLUMNS]),
    values=lambda attempt: dict(attempt.__dict__),
    is_over=lambda attempt: attempt.outcome != "open",
)


def open_attempt(tx: Tx, call: ToolCall, /, *, attempt: int) -> None:
    """Record that an attempt is about to start in this epoch."""
    tx.add(_ATTEMPT, Attempt(call.id, attempt, tx.epoch, call.idempotency_key, "open", None, "", to_text(tx.now), None))


def attempt_of(tx: Tx, call: ToolCall, /) -> Attempt | None:
    """The call's newest attempt, or None before the first."""
    return tx.find(_ATTEMPT, call.id, call.attempts)


def settle_attempt(tx: Tx, call: ToolCall, /, *, outcome: str, exit_code: int | None = None, detail: str = "") -> bool:
    """Record what came of the newest attempt; False when it was settled before."""
    attempt = attempt_of(tx, call)
    if attempt is None or attempt.outcome != "open":
        return False
    settled = changed(attempt, outcome=str(outcome), exit_code=exit_code, detail=detail, finished_at=to_text(tx.now))
    tx.change(_ATTEMPT, attempt, settled)
    return True
