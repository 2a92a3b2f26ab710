"""What a decision over a tool call depends on: read from its row and those around it."""

from __future__ import annotations

from smallchain.engine.limits import limits_over
from smallchain.engine.specs import Pins, pins_of, why_unsupported
from smallchain.engine.toolcall import arguments as args
from smallchain.engine.toolcall import atserver, counting, gates, handing, sleeping, working
from smallchain.engine.toolcall import decide as rules
from smallchain.model.errors import BadInput
from smallchain.model.lifecycles import CallPhase
from smallchain.model.run import Run
from smallchain.model.toolcall import ToolCall
from smallchain.store import callbacks, resources, runs, toolcalls
from smallchain.store.contract import Tx


def observe(tx: Tx, run: Run, call: ToolCall, /) -> rules.CallFacts:
    """What the next step of a call depends on, as far as the database knows it."""
    facts = rules.CallFacts(
        id=call.id,
        phase=call.phase,
        effects=call.effects,
        target_kind=call.target_kind,
        position=call.position,
        paused=run.paused,
        run_is_over=run.is_over,
        epoch=tx.epoch,
        attempts=call.attempts,
        due_at=call.due_at,
    )
    if call.phase in (CallPhase.PENDING, CallPhase.READY) and call.target_kind:
        pins = pins_of(tx, run.root_id)
        if is_gone(pins, run, call):
            facts.target_kind = ""
            return facts
        gates.observe(tx, pins, run, call, facts)
        counting.observe(tx, pins, run, call, facts)
    match call.phase:
        case CallPhase.PENDING if call.target_kind:
            facts.fault_in_arguments = _fault_in_arguments(pins, run, call)
            if call.target_kind == "timer":
                facts.fault_in_arguments = facts.fault_in_arguments or sleeping.fault_in(tx, run, call)
            facts.held = _held(tx, pins, run, call)
            if call.target_kind == "mcp":
                atserver.observe(tx, pins, run, call, facts)
        case CallPhase.READY if call.target_kind == "mcp":
            atserver.observe(tx, pins, run, call, facts)
        case CallPhase.READY if call.target_kind == "agent":
            limits = limits_over(tx, run)
            facts.beyond_depth = run.depth + 1 > limits.depth
            facts.beyond_children = runs.children_of(tx, run.id) + 1 > limits.children
            facts.detaches = working.is_detached(tx, run, call)
        case CallPhase.READY if call.target_kind == "tool":
            facts.hands_out = handing.spec_of(tx, run, call) is not None
        case CallPhase.EXECUTING | CallPhase.AWAITING_CALLBACK:
            handout = callbacks.find(tx, call.id) if call.phase is CallPhase.AWAITING_CALLBACK else None
            if handout is not None:
                facts.tell_at, facts.expires_at = handout.tell_at, handout.expires_at
            attempt = toolcalls.attempt_of(tx, call)
            if attempt is not None:
                facts.attempt_epoch, facts.attempt_is_open = attempt.epoch, attempt.outcome == "open"
        case CallPhase.DELEGATED:
            child = runs.by_call(tx, call.id)
            if child is not None:
                facts.child = rules.Child(child.phase, child.agent, child.output, child.error)
    return facts


def is_gone(pins: Pins, run: Run, call: ToolCall, /) -> bool:
    """Whether what a call is of is nothing that its agent may call: there never was such, or its run was moved to a present without."""
    function = pins.function(run.agent, call.function)
    return function is None or function.kind != call.target_kind


def _fault_in_arguments(pins: Pins, run: Run, call: ToolCall) -> str:
    try:
        given = args.read(call.arguments)
    except BadInput as error:
        return error.message
    tool = pins.tool(call.tool) if call.target_kind == "tool" else None
    if tool is not None and tool.spec.builtin is not None:
        return ""  # a built-in reads numbers in texts too, and answers what it cannot read
    function = pins.function(run.agent, call.function)
    return args.fault(given, function.fits) if function is not None else ""


def _held(tx: Tx, pins: Pins, run: Run, call: ToolCall) -> str:
    """Why a call may not start although it was pinned: the rules written now are stricter than this version can keep."""
    agent = resources.get(tx, "agent", run.agent)
    if agent is not None and (why := why_unsupported(agent)):
        return f"agent '{run.agent}': {why}"
    defaults = resources.get(tx, "defaults", "defaults")
    if defaults is not None and (why := why_unsupported(defaults)):
        return f"the defaults: {why}"
    if call.target_kind != "tool":
        return ""
    row = resources.get(tx, "tool", call.tool)
    if row is not None and (why := why_unsupported(row)):
        return f"tool '{call.tool}': {why}"
    return ""


def why_held(tx: Tx, run: Run, call: ToolCall, /) -> str:
    """Why a call that has not begun may not begin, as things stand; empty when nothing holds it."""
    decision = rules.decide(observe(tx, run, call), now=tx.now)
    return decision.detail if decision.cause is None else ""
