"""Calls that sleep: a row with a moment, and no task, thread or timer of its own."""

from __future__ import annotations

from smallchain.engine.specs import pins_of
from smallchain.engine.toolcall import arguments as args
from smallchain.engine.toolcall.decide import CallFacts
from smallchain.engine.toolcall.ending import end
from smallchain.model.decision import Decision
from smallchain.model.errors import BadInput
from smallchain.model.run import Run
from smallchain.model.sleep import wake_time
from smallchain.model.toolcall import ToolCall
from smallchain.store import eventlog, toolcalls
from smallchain.store.contract import Tx
from smallchain.store.times import show_moment


def fault_in(tx: Tx, run: Run, call: ToolCall, /) -> str:
    """Why a call's arguments name no moment, in words for the model; empty when they do."""
    try:
        wake_time(_builtin(tx, run, call), args.read(call.arguments), now=tx.now)
    except BadInput as error:
        return f"{error.message}; {error.hint}" if error.hint else error.message
    return ""


def fell_asleep(tx: Tx, run: Run, call: ToolCall, facts: CallFacts, decision: Decision, /) -> None:
    """Let a call sleep until the moment it names, counted from now."""
    until = wake_time(_builtin(tx, run, call), args.read(call.arguments), now=tx.now)
    shown = show_moment(until)
    toolcalls.move(tx, call, "fell_asleep", due_at=until, detail=f"until {shown}")
    about = eventlog.about_call(call)
    eventlog.tell(tx, "ToolCallStarted", about, of=run, tool=call.function)
    eventlog.tell(tx, "RunAsleep", about, of=run, until=shown)


def woke(tx: Tx, run: Run, call: ToolCall, facts: CallFacts, decision: Decision, /) -> None:
    """Tell the model what time it is."""
    ended = end(tx, run, call, "woke", "woke", until=show_moment(call.due_at or tx.now), now=show_moment(tx.now))
    eventlog.tell(tx, "ToolCallSucceeded", eventlog.about_call(ended), of=run, tool=call.function)


def _builtin(tx: Tx, run: Run, call: ToolCall) -> str:
    """Which of the two it is; a tool of another name may stand for either."""
    pins = pins_of(tx, run.root_id)
    agent = pins.agent(run.agent)
    function = pins.functions(agent).get(call.function) if agent is not None else None
    return function.target if function is not None else ""
