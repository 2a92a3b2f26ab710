"""Calls that are handed to another agent: a child run is made, and what comes of it is the call's result."""

from __future__ import annotations

from smallchain.engine.specs import pins_of
from smallchain.engine.toolcall import policy, working
from smallchain.engine.toolcall.decide import CallFacts
from smallchain.engine.toolcall.ending import end
from smallchain.model.decision import Decision
from smallchain.model.run import Run
from smallchain.model.toolcall import ToolCall
from smallchain.store import approvals, eventlog, runs, toolcalls
from smallchain.store.contract import Tx


def child_made(tx: Tx, run: Run, call: ToolCall, facts: CallFacts, decision: Decision, /) -> None:
    """Hand a call to a run of its own, and wait for it."""
    if _make_child(tx, run, call) is not None:
        toolcalls.move(tx, call, "child_made")
        eventlog.tell(tx, "ToolCallStarted", eventlog.about_call(call), of=run, tool=call.function)


def detached(tx: Tx, run: Run, call: ToolCall, facts: CallFacts, decision: Decision, /) -> None:
    """The child goes on beside its caller: the call is answered at once."""
    child = _make_child(tx, run, call)
    if child is not None:
        work = working.begin(tx, run, call, child)
        eventlog.tell(tx, "ToolCallStarted", eventlog.about_call(call), of=run, tool=call.function)
        ended = end(tx, run, call, "detached", "detached", work=work.name, agent=child.agent)
        eventlog.tell(tx, "WorkBegun", eventlog.about_call(ended), of=run, work=work.name, child=child.name)


def _make_child(tx: Tx, run: Run, call: ToolCall) -> Run | None:
    pins = pins_of(tx, run.root_id)
    agent = pins.agent(run.agent)
    function = pins.functions(agent)[call.function] if agent is not None else None
    if function is None:
        return None
    number = runs.children_of(tx, run.id, agent=function.target) + 1
    name = f"{run.name}/{function.target}-{number}"
    while runs.by_name(tx, name) is not None:  # a person may have given a run this very name
        number += 1
        name = f"{run.name}/{function.target}-{number}"
    message = str(policy.arguments_of(call, approvals.of_call(tx, call)).get("message", ""))
    return runs.create(
        tx,
        name=name,
        task=run.task,
        agent=function.target,
        user_message=message,
        parent=run,
        parent_call_id=call.id,
        priority=run.priority,
    )


def child_succeeded(tx: Tx, run: Run, call: ToolCall, facts: CallFacts, decision: Decision, /) -> None:
    """End a call with what its child said."""
    output = facts.child.output if facts.child else ""
    if output.strip():
        ended = toolcalls.move(tx, call, "child_succeeded", result=output)
    else:
        ended = end(tx, run, call, "child_succeeded", "child_said_nothing")
    eventlog.tell(tx, "ToolCallSucceeded", eventlog.about_call(ended), of=run, tool=call.function)


def child_failed(tx: Tx, run: Run, call: ToolCall, facts: CallFacts, decision: Decision, /) -> None:
    """End a call whose child failed or was cancelled, with the reason."""
    cause = decision.cause or ""
    detail = facts.child.error if facts.child else ""
    agent = facts.child.agent if facts.child else ""
    ended = end(tx, run, call, cause, cause, detail=detail, agent=agent)
    eventlog.tell(tx, "ToolCallFailed", eventlog.about_call(ended), of=run, tool=call.function, detail=detail)
