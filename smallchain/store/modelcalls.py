"""Model calls: every attempt, recorded before it is sent and settled with what came back."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime

from smallchain.model.changed import changed
from smallchain.model.context import Part
from smallchain.model.money import Usage
from smallchain.model.run import Run
from smallchain.store.contract import Row, Shape, Tx
from smallchain.store.times import from_text, to_text


@dataclass(frozen=True)  # without slots, for `changed`
class ModelCall:
    """A row of an attempt; `outcome` is `open` until it is settled, `messages` counts those its request holds."""

    run_id: str
    attempt: int
    turn: int
    epoch: int
    llm: str
    model: str
    messages: int
    outcome: str
    error: str
    finish_reason: str | None
    input_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None
    cost_nanousd: int | None
    priced_by: str
    raw: str
    started_at: str
    finished_at: str | None
    held_nanousd: int | None
    """What it holds of the caps over it while it is out; None where no cap is."""
    max_output: int | None
    """Tokens of the reply that a cap makes it ask for at most; None: the request is as it is written."""
    first_message: int
    """After the head of the conversation, the request holds the messages from this one on; 0: all."""
    summary: int
    """The message that stands for those that are left out; 0: none does."""
    summarises: int
    """The request asks for a summary of what stands before this message; 0: it is a turn."""
    around: int | None
    """How many bytes stand around the messages of its request, as far as a cap wanted to know."""


_COLUMNS = tuple(field.name for field in fields(ModelCall))
_CALL: Shape[ModelCall] = Shape(
    table="modelcalls",
    word="model call",
    get="modelcalls.get",
    insert="modelcalls.insert",
    save="modelcalls.settle",
    key_names=("run_id", "attempt"),
    key=lambda call: (call.run_id, call.attempt),
    mark=lambda call: call.outcome,
    name=lambda call: f"{call.attempt} of run {call.run_id}",
    from_row=lambda row: ModelCall(*[row[name] for name in _COLUMNS]),
    values=lambda call: dict(call.__dict__),
    is_over=lambda call: call.outcome != "open",
)


def open_call(
    tx: Tx,
    run: Run,
    /,
    *,
    attempt: int,
    llm: str,
    model: str,
    first_message: int = 0,
    summarises: int = 0,
    around: int | None = None,
    held_nanousd: int | None = None,
    max_output: int | None = None,
) -> None:
    """Record that attempt `attempt` of a run is about to go out in this epoch, with the conversation as it stands."""
    call = ModelCall(
        run_id=run.id,
        attempt=attempt,
        turn=run.turns,
        epoch=tx.epoch,
        llm=llm,
        model=model,
        messages=run.messages,
        outcome="open",
        error="",
        finish_reason=None,
        input_tokens=None,
        output_tokens=None,
        cached_tokens=None,
        cost_nanousd=None,
        priced_by="",
        raw="",
        started_at=to_text(tx.now),
        finished_at=None,
        held_nanousd=held_nanousd,
        max_output=max_output,
        first_message=first_message,
        summary=run.summary,
        summarises=summarises,
        around=around,
    )
    tx.add(_CALL, call)


def get(tx: Tx, run_id: str, attempt: int, /) -> ModelCall | None:
    """An attempt, or None."""
    return tx.find(_CALL, run_id, attempt)


def part_of(call: ModelCall, /) -> Part:
    """What of the conversation the request of an attempt holds."""
    return Part(call.summarises - 1 if call.summarises else call.messages, call.first_message, call.summary)


def from_row(row: Row) -> ModelCall:
    """The value of a row."""
    return _CALL.from_row(row)


def began(call: ModelCall, /) -> datetime:
    """When an attempt was recorded, which is just before it went out."""
    return from_text(call.started_at)


def settle(
    tx: Tx,
    run_id: str,
    attempt: int,
    /,
    *,
    outcome: str,
    error: str = "",
    finish_reason: str | None = None,
    usage: Usage | None = None,
    cost_nanousd: int | None = None,
    priced_by: str = "",
    raw: str = "",
) -> bool:
    """Record what came of an attempt (`replied`, `failed`, `interrupted` or `abandoned`); False when it was settled before."""
    call = get(tx, run_id, attempt)
    if call is None or call.outcome not in ("open", "abandoned"):
        return False
    settled = changed(
        call,
        outcome=outcome,
        error=error,
        finish_reason=finish_reason,
        input_tokens=usage.input_tokens if usage else None,
        output_tokens=usage.output_tokens if usage else None,
        cached_tokens=usage.cached_tokens if usage else None,
        cost_nanousd=cost_nanousd,
        priced_by=priced_by,
        raw=raw,
        finished_at=to_text(tx.now),
    )
    tx.change(_CALL, call, settled)
    return True


def of_run(tx: Tx, run_id: str, /) -> list[Row]:
    """All attempts of a run, in order."""
    return tx.all("modelcalls.of_run", run_id=run_id)
