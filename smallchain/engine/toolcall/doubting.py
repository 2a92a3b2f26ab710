"""Attempts that the daemon's end cut off, and calls of which nobody knows whether they happened: run again, or settled by a person.

The one rule: what must not be doubled is never run again by itself.
"""

from __future__ import annotations

from smallchain.engine.human.asking import ask, stop_and_ask
from smallchain.engine.run import decide as run_rules
from smallchain.engine.toolcall import arguments as args
from smallchain.engine.toolcall.decide import CallFacts
from smallchain.engine.toolcall.ending import end
from smallchain.model.decision import Decision
from smallchain.model.errors import Refused
from smallchain.model.human import HumanRequest, RequestKind
from smallchain.model.lifecycles import CallPhase
from smallchain.model.run import Run
from smallchain.model.toolcall import OutcomeKind, ToolCall
from smallchain.store import eventlog, meta, runs, toolcalls
from smallchain.store.contract import Tx


def interrupted(tx: Tx, run: Run, call: ToolCall, facts: CallFacts, decision: Decision, /) -> None:
    """Let a call run again whose attempt the daemon's end cut off; after too many such ends a person is asked first."""
    toolcalls.settle_attempt(tx, call, outcome="interrupted", detail="the daemon ended while it ran")
    crashes = call.crashes + (str(facts.attempt_epoch) != meta.get(tx, meta.CLEAN_EPOCH))
    call = toolcalls.move(tx, call, "interrupted", crashes=crashes)
    eventlog.tell(tx, "ToolCallInterrupted", eventlog.about_call(call), of=run, tool=call.function)
    question = run_rules.after_crash(crashes)
    if question and not run.paused:
        stop_and_ask(tx, run, RequestKind.QUARANTINE, question)


def in_doubt(tx: Tx, run: Run, call: ToolCall, facts: CallFacts, decision: Decision, /) -> None:
    """Leave to a person what became of a call that must not be doubled, and that the daemon's end cut off."""
    put_in_doubt(tx, run, call, "the daemon ended while it ran", crashes=1)


def told_in_doubt(tx: Tx, run: Run, call: ToolCall, facts: CallFacts, decision: Decision, /) -> None:
    """The same for one that was being handed out."""
    put_in_doubt(tx, run, call, "the daemon ended while it was handed out", crashes=1, cause="telling_in_doubt")


def put_in_doubt(tx: Tx, run: Run, call: ToolCall, why: str, /, *, crashes: int = 0, cause: str = "interrupted_once") -> None:
    """Record that nobody knows whether an attempt happened, and ask a person."""
    toolcalls.settle_attempt(tx, call, outcome=OutcomeKind.UNKNOWN, detail=why)
    call = toolcalls.move(tx, call, cause, crashes=call.crashes + crashes, detail=why)
    eventlog.tell(tx, "ToolCallInDoubt", eventlog.about_call(call), of=run, tool=call.function, detail=why)
    ask_to_settle(tx, run, call)


def ask_to_settle(tx: Tx, run: Run, call: ToolCall, /) -> HumanRequest:
    """Ask a person what became of a call in doubt."""
    question = f"{call.function}: {call.detail}; did it happen? `smallchain settle {call.id[-8:]}` tells it"
    return ask(tx, run, kind=RequestKind.SETTLE, question=question, call=call, arguments=args.read(call.arguments))


def settle(tx: Tx, call: ToolCall, /, *, happened: str | None, run_again: bool, by: str, note: str = "") -> ToolCall:
    """Settle a call in doubt: it happened (with this result), it did not (neither given), or run it again under a new key.

    The request about it is closed by `human.deciding`, which alone calls this. Raises Refused when the call is not in doubt.
    """
    if call.phase is not CallPhase.IN_DOUBT:
        raise Refused(f"tool call {call.id} is {call.phase}, not in doubt")
    run = runs.get(tx, call.run_id)
    detail = f"settled by {by}"
    if run_again:
        return toolcalls.move(tx, call, "run_again", generation=call.generation + 1, detail="")
    if happened is None:
        note = f": {note}" if note else ""
        return end(tx, run, call, "it_did_not_happen", "settled_not", detail=detail, name=call.function, note=note)
    if happened.strip():
        return toolcalls.move(tx, call, "it_happened", result=happened, detail=detail)
    return end(tx, run, call, "it_happened", "no_output", detail=detail)
