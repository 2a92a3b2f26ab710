"""Model calls: every attempt, recorded before it is sent and settled with what came back."""

from __future__ import annotations

from smallchain.model.money import Usage
from smallchain.model.run import Run
from smallchain.store.contract import Row, Tx
from smallchain.store.times import to_text


def open_call(tx: Tx, run: Run, /, *, attempt: int, llm: str, model: str) -> None:
    """Record that attempt `attempt` of a run is about to go out in this epoch, with the conversation as it stands."""
    tx.run(
        "modelcalls.open",
        run_id=run.id,
        attempt=attempt,
        turn=run.turns,
        epoch=tx.epoch,
        llm=llm,
        model=model,
        messages=run.messages,
        started_at=to_text(tx.now),
    )


def get(tx: Tx, run_id: str, attempt: int, /) -> Row | None:
    """The row of an attempt, or None."""
    return tx.one("modelcalls.get", run_id=run_id, attempt=attempt)


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
    touched = tx.run(
        "modelcalls.settle",
        run_id=run_id,
        attempt=attempt,
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
    return touched == 1


def of_run(tx: Tx, run_id: str, /) -> list[Row]:
    """All attempts of a run, in order."""
    return tx.all("modelcalls.of_run", run_id=run_id)
