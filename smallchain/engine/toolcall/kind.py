"""The tool-call loop, assembled: what is observed for a decision, and how each cause is recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from smallchain.engine.backoff import delay
from smallchain.engine.human.asking import ask, stop_and_ask
from smallchain.engine.kind import Step, Transact
from smallchain.engine.memo import Memo
from smallchain.engine.ports import Secrets, Toolbox
from smallchain.engine.run import decide as run_rules
from smallchain.engine.specs import Pins, ToolInUse, in_use, pins_of, typed, why_unsupported
from smallchain.engine.toolcall import arguments as args
from smallchain.engine.toolcall import atserver, gates, handing, keeping, policy, sleeping, working
from smallchain.engine.toolcall import decide as rules
from smallchain.engine.toolcall.ending import end as _end
from smallchain.engine.toolcall.hearing import key_of
from smallchain.model.agent import MOST_CALLS, limits_of
from smallchain.model.decision import Decision, Effect
from smallchain.model.errors import BadInput, Refused, Unknown
from smallchain.model.fence import strictest
from smallchain.model.human import HumanRequest, RequestKind
from smallchain.model.lifecycles import CallPhase
from smallchain.model.run import Run
from smallchain.model.toolcall import Effects, HandOut, Outcome, OutcomeKind, Start, ToolCall
from smallchain.model.toolspec import mounts_of, tool_limits_of
from smallchain.store import approvals, callbacks, eventlog, meta, resources, runs, toolcalls
from smallchain.store.contract import Store, Tx
from smallchain.store.times import from_text


class ToolCallKind:
    """Moves tool calls. `key` is the house's; `callback_url` is where results of calls that are handed out are heard, empty for nowhere."""

    name = "toolcall"

    def __init__(self, store: Store, tools: Toolbox, secrets: Secrets, *, key: bytes, callback_url: str = "") -> None:
        self._key = key
        self._callback_url = callback_url
        self._store = store
        self._tools = tools
        self._secrets = secrets

    def step(self, tx: Tx, key: str, /) -> Step:
        """Take the next step of a call; one that is let in starts in the same step."""
        call = toolcalls.find(tx, key)
        if call is None or call.is_over:
            return Step(at_rest=True)
        run = runs.get(tx, call.run_id)
        facts = self._observe(tx, run, call)
        decision = rules.decide(facts, now=tx.now)
        if decision.cause == "admitted":
            call = toolcalls.move(tx, call, "admitted", detail="")
            facts = self._observe(tx, run, call)
            decision = rules.decide(facts, now=tx.now)
        if decision.cause is not None:
            _RECORD[decision.cause](tx, run, call, facts, decision)
        elif decision.detail and decision.detail != call.detail:
            toolcalls.save(tx, call, detail=decision.detail)
            eventlog.tell(tx, "ToolCallHeld", eventlog.about_call(call), of=run, tool=call.function, detail=decision.detail)
        instant = self._instant(tx, run, call) if decision.effects else None
        if instant is not None:
            return Step(effects=decision.effects, at_once=lambda: self._compute(tx, run, call, instant))
        return Step(effects=decision.effects, look_at=decision.look_at, at_rest=decision.at_rest)

    async def perform(self, effect: Effect, transact: Transact, /) -> None:
        """Execute an attempt through the port, or look up what came of one, and record its outcome."""
        if effect.name == "look_up":
            await self._look_up(effect, transact)
            return
        try:
            start = await self._store.read(lambda tx: _let_through(tx, effect.target, effect.attempt))
        except Outdated:
            await transact(lambda tx: _not_as_approved(tx, effect.target, effect.attempt))
            return
        if start is None:
            return
        try:
            outcome = await self._execute(start)
            told = await self._masked(outcome)
            await transact(lambda tx: record_outcome(tx, effect.target, effect.attempt, told))
        finally:
            await self._let_go_if_over(start.start)

    async def _execute(self, start: Prepared) -> Outcome:
        try:
            env = {name: await self._value(value) for name, value in start.references.items()}
            headers = {name: await self._value(value) for name, value in start.headers.items()}
            hand_out = self._hand_out(start, await self._value(start.secret))
        except BadInput as error:
            return Outcome(OutcomeKind.NOT_STARTED, f"{start.start.tool} could not start: {error}")
        return await self._tools.execute(replace(start.start, env=env, headers=headers, hand_out=hand_out))

    async def _masked(self, outcome: Outcome) -> Outcome:
        """What is kept and told of an outcome; large ones are looked through in a thread."""
        if outcome.is_large:
            return await asyncio.to_thread(keeping.masked, outcome, self._secrets)
        return keeping.masked(outcome, self._secrets)

    async def _look_up(self, effect: Effect, transact: Transact) -> None:
        """What its executor can't tell is left to the rules for what was interrupted."""
        start = await self._store.read(lambda tx: begun(tx, effect.target, effect.attempt))
        if start is None:
            await transact(lambda tx: self._interrupted(tx, effect.target, effect.attempt, nothing_ran=False))
            return
        try:
            outcome = await self._tools.look_up(start)
            if outcome is None or outcome.kind is OutcomeKind.NOT_STARTED:
                await transact(lambda tx: self._interrupted(tx, effect.target, effect.attempt, nothing_ran=outcome is not None))
            else:
                told = await self._masked(outcome)
                await transact(lambda tx: _looked_up(tx, effect.target, effect.attempt, told))
        finally:
            await self._let_go_if_over(start)

    def _interrupted(self, tx: Tx, call_id: str, attempt: int, *, nothing_ran: bool) -> None:
        call = toolcalls.find(tx, call_id)
        if call is None or call.phase is not CallPhase.EXECUTING or call.attempts != attempt:
            return
        run = runs.get(tx, call.run_id)
        facts = self._observe(tx, run, call)
        facts.can_be_looked_up, facts.nothing_ran = False, nothing_ran
        decision = rules.decide(facts, now=tx.now)
        if decision.cause is not None:
            _RECORD[decision.cause](tx, run, call, facts, decision)

    async def _let_go_if_over(self, start: Start) -> None:
        """Let the executor remove what it kept of an attempt, once nobody will look it up: its outcome is recorded, or its call is
        over. A cancellation (which comes with the commit that ends the call) goes on afterwards; what is killed in here is swept."""
        (name,) = start.executor
        if not self._tools.is_recoverable(name):
            return

        def open_still(tx: Tx) -> bool:
            call = toolcalls.find(tx, start.call_id)
            return call is not None and call.phase is CallPhase.EXECUTING and call.attempts == start.attempt

        if not await self._store.read(open_still):
            await self._tools.let_go(start)

    def _observe(self, tx: Tx, run: Run, call: ToolCall) -> rules.CallFacts:
        facts = _observe(tx, run, call)
        if call.phase is CallPhase.EXECUTING and facts.attempt_epoch != facts.epoch:
            tool = pins_of(tx, run.root_id).tool(call.tool)
            executor = tool.spec.executor if tool is not None else None
            facts.can_be_looked_up = executor is not None and self._tools.is_recoverable(executor.kind)
        return facts

    def _hand_out(self, start: Prepared, secret: str) -> HandOut | None:
        """What whoever does the work is given, where it is handed out: all they need to bring its result."""
        if "callback" not in start.start.executor:
            return None
        key = key_of(self._key, start.start.idempotency_key, start.start.tool).secret
        return HandOut(f"{self._callback_url}/{start.start.call_id}" if self._callback_url else "", key, secret, start.expires_at)

    def _instant(self, tx: Tx, run: Run, call: ToolCall) -> ToolInUse | None:
        """The tool of a call that is done at once; None for every other."""
        tool = pins_of(tx, run.root_id).tool(call.tool) if call.target_kind == "tool" else None
        return tool if tool is not None and tool.spec.executor is None and self._tools.is_instant("builtin") else None

    def _compute(self, tx: Tx, run: Run, call: ToolCall, tool: ToolInUse) -> None:
        """Start and outcome in one commit: a crash leaves neither, and a pure tool may be started again."""
        arguments = policy.arguments_of(call, approvals.of_call(tx, call))
        looks = keeping.LOOKS.get(tool.spec.builtin or "")
        outcome = looks(tx, run, arguments) if looks else self._tools.compute({"builtin": tool.spec.builtin}, arguments)
        record_outcome(tx, call.id, call.attempts, keeping.masked(outcome, self._secrets))

    async def _value(self, value: str | dict[str, Any]) -> str:
        return value if isinstance(value, str) else await self._secrets.resolve(value)

    def lost(self, tx: Tx, effect: Effect, error: str, /) -> None:
        """An attempt that ended by a fault of ours: whether it happened is not known."""
        call = toolcalls.find(tx, effect.target)
        if call is None or call.phase not in _OUT or call.attempts != effect.attempt:
            return
        if call.phase is CallPhase.AWAITING_CALLBACK:
            record_outcome(tx, call.id, effect.attempt, Outcome(OutcomeKind.UNKNOWN, error))
        elif call.effects is Effects.ONCE:
            _put_in_doubt(tx, runs.get(tx, call.run_id), call, error, crashes=1)
        else:
            record_outcome(tx, call.id, effect.attempt, Outcome(OutcomeKind.FAILED, error))

    def keys(self, tx: Tx, /) -> list[str]:
        """The calls that a loop can move."""
        return [*toolcalls.unsettled_ids(tx), *callbacks.to_tell(tx)]


# ---- observing


def _observe(tx: Tx, run: Run, call: ToolCall) -> rules.CallFacts:
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
        gates.observe(tx, pins, run, call, facts)
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
            agent = pins.agent(run.agent)
            made = runs.children_of(tx, run.id)
            if agent is not None:
                limits = limits_of(agent)
                facts.beyond_depth = run.depth + 1 > limits.depth
                facts.beyond_children = made + 1 > limits.children
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


# ---- recording


def _not_possible(tx: Tx, run: Run, call: ToolCall, facts: rules.CallFacts, decision: Decision) -> None:
    pins = pins_of(tx, run.root_id)
    agent = pins.agent(run.agent)
    limits = limits_of(agent) if agent is not None else None
    names = ", ".join(pins.functions(agent)) if agent is not None else ""
    detail, most = "", ""
    match decision.detail:
        case "too_many_calls":
            detail = most = str(MOST_CALLS)
        case "unknown_function":
            detail = f"there is no function named {call.function}"
        case "bad_arguments":
            detail = facts.fault_in_arguments
        case "too_deep" if limits is not None:
            detail = most = str(limits.depth)
        case "too_many_children" if limits is not None:
            detail = most = str(limits.children)
    if decision.detail in ("too_deep", "too_many_children", "too_many_calls"):
        detail = f"the limit of {most} is reached"
    ended = _end(tx, run, call, "not_possible", decision.detail, detail=detail, name=call.function, names=names or "(none)", most=most)
    eventlog.tell(tx, "ToolCallFailed", eventlog.about_call(ended), of=run, tool=call.function, detail=detail)


def _started(tx: Tx, run: Run, call: ToolCall, facts: rules.CallFacts, decision: Decision) -> None:
    attempt = call.attempts + 1
    toolcalls.open_attempt(tx, call, attempt=attempt)
    toolcalls.move(tx, call, "started", attempts=attempt, due_at=None, detail="")
    if attempt == 1:
        eventlog.tell(tx, "ToolCallStarted", eventlog.about_call(call), of=run, tool=call.function)


def _child_made(tx: Tx, run: Run, call: ToolCall, facts: rules.CallFacts, decision: Decision) -> None:
    if _make_child(tx, run, call) is not None:
        toolcalls.move(tx, call, "child_made")
        eventlog.tell(tx, "ToolCallStarted", eventlog.about_call(call), of=run, tool=call.function)


def _detached(tx: Tx, run: Run, call: ToolCall, facts: rules.CallFacts, decision: Decision) -> None:
    """The child goes on beside its caller: the call is answered at once."""
    child = _make_child(tx, run, call)
    if child is not None:
        work = working.begin(tx, run, call, child)
        eventlog.tell(tx, "ToolCallStarted", eventlog.about_call(call), of=run, tool=call.function)
        ended = _end(tx, run, call, "detached", "detached", work=work.name, agent=child.agent)
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


def _interrupted(tx: Tx, run: Run, call: ToolCall, facts: rules.CallFacts, decision: Decision) -> None:
    toolcalls.settle_attempt(tx, call, outcome="interrupted", detail="the daemon ended while it ran")
    crashes = call.crashes + (str(facts.attempt_epoch) != meta.get(tx, meta.CLEAN_EPOCH))
    call = toolcalls.move(tx, call, "interrupted", crashes=crashes)
    eventlog.tell(tx, "ToolCallInterrupted", eventlog.about_call(call), of=run, tool=call.function)
    question = run_rules.after_crash(crashes)
    if question and not run.paused:
        stop_and_ask(tx, run, RequestKind.QUARANTINE, question)


def _in_doubt(tx: Tx, run: Run, call: ToolCall, facts: rules.CallFacts, decision: Decision) -> None:
    _put_in_doubt(tx, run, call, "the daemon ended while it ran", crashes=1)


def _told_in_doubt(tx: Tx, run: Run, call: ToolCall, facts: rules.CallFacts, decision: Decision) -> None:
    _put_in_doubt(tx, run, call, "the daemon ended while it was handed out", crashes=1, cause="telling_in_doubt")


def _put_in_doubt(tx: Tx, run: Run, call: ToolCall, why: str, *, crashes: int = 0, cause: str = "interrupted_once") -> None:
    toolcalls.settle_attempt(tx, call, outcome=OutcomeKind.UNKNOWN, detail=why)
    call = toolcalls.move(tx, call, cause, crashes=call.crashes + crashes, detail=why)
    eventlog.tell(tx, "ToolCallInDoubt", eventlog.about_call(call), of=run, tool=call.function, detail=why)
    ask_to_settle(tx, run, call)


def ask_to_settle(tx: Tx, run: Run, call: ToolCall, /) -> HumanRequest:
    """Ask a person what became of a call in doubt."""
    question = f"{call.function}: {call.detail}; did it happen? `smallchain settle {call.id[-8:]}` tells it"
    return ask(tx, run, kind=RequestKind.SETTLE, question=question, call=call, arguments=args.read(call.arguments))


def _child_succeeded(tx: Tx, run: Run, call: ToolCall, facts: rules.CallFacts, decision: Decision) -> None:
    output = facts.child.output if facts.child else ""
    if output.strip():
        ended = toolcalls.move(tx, call, "child_succeeded", result=output)
    else:
        ended = _end(tx, run, call, "child_succeeded", "child_said_nothing")
    eventlog.tell(tx, "ToolCallSucceeded", eventlog.about_call(ended), of=run, tool=call.function)


def _child_failed(tx: Tx, run: Run, call: ToolCall, facts: rules.CallFacts, decision: Decision) -> None:
    cause = decision.cause or ""
    detail = facts.child.error if facts.child else ""
    agent = facts.child.agent if facts.child else ""
    ended = _end(tx, run, call, cause, cause, detail=detail, agent=agent)
    eventlog.tell(tx, "ToolCallFailed", eventlog.about_call(ended), of=run, tool=call.function, detail=detail)


_Record = Callable[[Tx, Run, ToolCall, rules.CallFacts, Decision], None]
_RECORD: dict[str, _Record] = {
    "approval_needed": gates.approval_needed,
    "refused_by_policy": gates.refused_by_policy,
    "asked": gates.asked,
    "fell_asleep": sleeping.fell_asleep,
    "woke": sleeping.woke,
    "not_possible": _not_possible,
    "started": _started,
    "child_made": _child_made,
    "detached": _detached,
    "interrupted": _interrupted,
    "interrupted_once": _in_doubt,
    "handed_out": handing.handed_out,
    "telling": handing.telling,
    "telling_in_doubt": _told_in_doubt,
    "took_too_long": handing.expired,
    "child_succeeded": _child_succeeded,
    "child_failed": _child_failed,
    "child_cancelled": _child_failed,
}


# ---- starting


_OUT = (CallPhase.EXECUTING, CallPhase.AWAITING_CALLBACK)
"""The phases in which an attempt may be out: at the work itself, or at telling whoever does it."""


class Prepared:
    """A start, and its environment, headers and secret, whose references are still to be resolved."""

    __slots__ = ("expires_at", "headers", "references", "secret", "start")

    def __init__(self, start: Start, references: dict[str, Any], executor: Any, expires_at: datetime | None) -> None:
        self.start = start
        self.references = references
        self.headers: dict[str, Any] = executor.get("headers", {}) if isinstance(executor, dict) else {}
        self.secret = executor.get("secret", "") if isinstance(executor, dict) else ""
        self.expires_at = expires_at


class Outdated(Exception):
    """What would run now is not what the rules, or a person, let through: it must not start."""


def _let_through(tx: Tx, call_id: str, attempt: int) -> Prepared | None:
    """The same as `prepare`, right before a start: what stands between a call and its start is looked at again. Raises Outdated."""
    prepared = prepare(tx, call_id, attempt)
    if prepared is not None and not gates.is_open(tx, toolcalls.get(tx, call_id)):
        raise Outdated
    return prepared


def prepare(tx: Tx, call_id: str, attempt: int, /) -> Prepared | None:
    """The start of an attempt from what is recorded; None when the call moved on before it began."""
    call = toolcalls.find(tx, call_id)
    if call is None or call.phase not in _OUT or call.attempts != attempt:
        return None
    run = runs.get(tx, call.run_id)
    pins = pins_of(tx, run.root_id)
    arguments = policy.arguments_of(call, approvals.of_call(tx, call))
    if call.target_kind == "mcp":
        return Prepared(atserver.start_of(tx, pins, run, call, arguments), {}, None, None)
    tool = pins.tool(call.tool)
    if tool is None:
        raise Unknown(f"run {run.name!r} is not pinned to a tool {call.tool!r}")
    row = resources.get(tx, "tool", call.tool)
    current = _current(tx, call.tool) or tool
    executor: dict[str, Any] = {"builtin": tool.spec.builtin}
    if tool.spec.executor is not None:
        executor = tool.spec.executor.model_dump(mode="json", exclude_none=True)
    timeout = timedelta(seconds=current.timeout_s if row is not None else tool.timeout_s)
    env = {name: value if isinstance(value, str) else value.model_dump(exclude_none=True) for name, value in tool.spec.env.items()}
    start = Start(
        call_id=call.id,
        run_id=run.id,
        tool=call.tool,
        executor=executor,
        arguments=arguments,
        parameters=tuple((tool.spec.parameters or {}).get("properties", {})),
        idempotency_key=call.idempotency_key,
        attempt=attempt,
        timeout=timeout,
        deadline=tx.now + timeout,
        folder=tool.folder,
        isolation=strictest(tool.spec.isolation, current.spec.isolation),
        network=bool(tool.spec.network and current.spec.network),
        mounts=tuple(mount for mount in mounts_of(tool.spec) if mount in mounts_of(current.spec)),
        limits=tool_limits_of(current.spec),
    )
    (spec,) = executor.values()
    handout = callbacks.find(tx, call.id) if call.phase is CallPhase.AWAITING_CALLBACK else None
    return Prepared(start, env, spec, handout.expires_at if handout is not None else None)


def begun(tx: Tx, call_id: str, attempt: int, /) -> Start | None:
    """The start of an attempt that an earlier life of the daemon began, with what is left of its time; without its environment.

    None when the call moved on, or when what it would be started with now is not what it was started with.
    """
    prepared, call = prepare(tx, call_id, attempt), toolcalls.get(tx, call_id)
    row = toolcalls.attempt_of(tx, call)
    if prepared is None or row is None or policy.is_other_than_approved(tx, call):
        return None
    deadline = from_text(row.started_at) + prepared.start.timeout
    return replace(prepared.start, timeout=max(timedelta(0), deadline - tx.now), deadline=deadline)


def _not_as_approved(tx: Tx, call_id: str, attempt: int) -> None:
    """Nothing ran: the call is ready again, and what would run now is asked about anew."""
    call = toolcalls.find(tx, call_id)
    if call is None or call.phase not in _OUT or call.attempts != attempt:
        return
    toolcalls.settle_attempt(tx, call, outcome="not_started", detail="what would run is not what was approved")
    toolcalls.move(tx, call, "taken_back" if call.phase is CallPhase.AWAITING_CALLBACK else "interrupted")


def _current(tx: Tx, name: str) -> ToolInUse | None:
    row = resources.get(tx, "tool", name)
    if row is None:
        return None
    defaults = resources.get(tx, "defaults", "defaults")
    key = (row.digest, defaults.digest if defaults else "")
    return _IN_USE.get(key, lambda: in_use(typed(row), typed(defaults) if defaults else None, row.folder))


_IN_USE: Memo[ToolInUse] = Memo()


# ---- recording what came back

_TEMPLATES = {
    OutcomeKind.FAILED: "tool_failed",
    OutcomeKind.TIMED_OUT: "tool_timed_out",
    OutcomeKind.OUT_OF_MEMORY: "tool_out_of_memory",
    OutcomeKind.KILLED: "tool_killed",
    OutcomeKind.FLOODED: "tool_flooded",
    OutcomeKind.NOT_STARTED: "tool_not_started",
    OutcomeKind.UNKNOWN: "tool_unknown",
}


def record_outcome(tx: Tx, call_id: str, attempt: int, outcome: Outcome, /) -> None:
    """Record what came of an attempt; a call that moved on meanwhile (cancelled, settled) keeps its result."""
    call = toolcalls.find(tx, call_id)
    if call is None or call.phase not in _OUT or call.attempts != attempt:
        return
    run = runs.get(tx, call.run_id)
    toolcalls.settle_attempt(tx, call, outcome=outcome.kind, exit_code=outcome.exit_code, detail=outcome.text[:500])
    if call.phase is CallPhase.AWAITING_CALLBACK:
        doubt = handing.record_told(tx, run, call, outcome)
        if doubt:
            _put_in_doubt(tx, run, call, doubt, cause="telling_in_doubt")
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
        _put_in_doubt(tx, run, call, first_line)
    else:
        keeping.finish(tx, run, call, cause, outcome, template=_TEMPLATES[outcome.kind])
        reason = "ToolCallTimedOut" if cause == "took_too_long" else "ToolCallFailed"
        eventlog.tell(tx, reason, about, of=run, tool=call.function, detail=first_line)


def _retries(tx: Tx, run: Run, call: ToolCall) -> int:
    if call.target_kind == "mcp":
        return atserver.RETRIES
    tool = pins_of(tx, run.root_id).tool(call.tool)
    return tool.spec.retries if tool is not None else 0


def _looked_up(tx: Tx, call_id: str, attempt: int, outcome: Outcome) -> None:
    """Record what came of an attempt of an earlier life, as if it had been seen."""
    call = toolcalls.find(tx, call_id)
    if call is None or call.phase is not CallPhase.EXECUTING or call.attempts != attempt:
        return
    eventlog.tell(tx, "ToolCallLookedUp", eventlog.about_call(call), of=runs.get(tx, call.run_id), tool=call.function)
    record_outcome(tx, call_id, attempt, outcome)


# ---- what people do


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
        return _end(tx, run, call, "it_did_not_happen", "settled_not", detail=detail, name=call.function, note=note)
    if happened.strip():
        return toolcalls.move(tx, call, "it_happened", result=happened, detail=detail)
    return _end(tx, run, call, "it_happened", "no_output", detail=detail)
