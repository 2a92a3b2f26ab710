"""What came of an attempt, recorded: the attempt, the call's move and the event, all in one transaction."""

from __future__ import annotations

from datetime import timedelta

from smallchain.engine.backoff import delay
from smallchain.engine.specs import pins_of
from smallchain.engine.toolcall import atserver, handing, keeping
from smallchain.engine.toolcall import decide as rules
from smallchain.engine.toolcall.doubting import put_in_doubt
from smallchain.engine.toolcall.starting import OUT
from smallchain.model.lifecycles import CallPhase
from smallchain.model.run import Run
from smallchain.model.toolcall import Outcome, OutcomeKind, ToolCall
from smallchain.store import eventlog, runs, toolcalls
from smallchain.store.contract import Tx

TEMPLATES = {
    OutcomeKind.FAILED: "tool_failed",
    OutcomeKind.TIMED_OUT: "tool_timed_out",
    OutcomeKind.OUT_OF_MEMORY: "tool_out_of_memory",
    OutcomeKind.KILLED: "tool_killed",
    OutcomeKind.FLOODED: "tool_flooded",
    OutcomeKind.NOT_STARTED: "tool_not_started",
    OutcomeKind.UNKNOWN: "tool_unknown",
}
"""The words around what the model is told, where it is no success."""


def record_outcome(tx: Tx, call_id: str, attempt: int, outcome: Outcome, /) -> None:
    """Record what came of an attempt; a call that moved on meanwhile (cancelled, settled) keeps its result."""
    call = toolcalls.find(tx, call_id)
    if call is None or call.phase not in OUT or call.attempts != attempt:
        return
    run = runs.get(tx, call.run_id)
    toolcalls.settle_attempt(tx, call, outcome=outcome.kind, exit_code=outcome.exit_code, detail=outcome.text[:500])
    if call.phase is CallPhase.AWAITING_CALLBACK:
        doubt = handing.record_told(tx, run, call, outcome)
        if doubt:
            put_in_doubt(tx, run, call, doubt, cause="telling_in_doubt")
        return
    retries = _retries(tx, run, call)
    cause = rules.after_outcome(outcome, effects=call.effects, attempts=call.attempts, retries=retries)
    about = eventlog.about_call(call)
    first_line = outcome.text.strip().partition("\n")[0][:300]
    if cause == "retry_due":
        wait = max(delay(call.attempts, key=call.id), outcome.retry_after or timedelta())
        toolcalls.move(tx, call, cause, due_at=tx.now + wait, detail=first_line)
        eventlog.tell(tx, "ToolCallRetried", about, of=run, tool=call.function, detail=first_line)
    elif cause == "finished":
        keeping.finish(tx, run, call, cause, outcome)
        eventlog.tell(tx, "ToolCallSucceeded", about, of=run, tool=call.function)
    elif cause == "interrupted_once":
        put_in_doubt(tx, run, call, first_line)
    else:
        keeping.finish(tx, run, call, cause, outcome, template=TEMPLATES[outcome.kind])
        reason = "ToolCallTimedOut" if cause == "took_too_long" else "ToolCallFailed"
        eventlog.tell(tx, reason, about, of=run, tool=call.function, detail=first_line)


def _retries(tx: Tx, run: Run, call: ToolCall) -> int:
    if call.target_kind == "mcp":
        return atserver.RETRIES
    tool = pins_of(tx, run.root_id).tool(call.tool)
    return tool.spec.retries if tool is not None else 0


def record_looked_up(tx: Tx, call_id: str, attempt: int, outcome: Outcome, /) -> None:
    """Record what came of an attempt of an earlier life, as if it had been seen."""
    call = toolcalls.find(tx, call_id)
    if call is None or call.phase is not CallPhase.EXECUTING or call.attempts != attempt:
        return
    eventlog.tell(tx, "ToolCallLookedUp", eventlog.about_call(call), of=runs.get(tx, call.run_id), tool=call.function)
    record_outcome(tx, call_id, attempt, outcome)
