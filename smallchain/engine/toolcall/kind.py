"""The tool-call loop, assembled: what is observed for a decision, and how each cause is recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from smallchain.engine.kind import Step, Transact
from smallchain.engine.limits import limits_over
from smallchain.engine.ports import Secrets, Toolbox
from smallchain.engine.specs import ToolInUse, pins_of
from smallchain.engine.toolcall import counting, delegating, doubting, gates, handing, keeping, policy, sleeping
from smallchain.engine.toolcall import decide as rules
from smallchain.engine.toolcall.ending import end
from smallchain.engine.toolcall.hearing import key_of
from smallchain.engine.toolcall.observing import observe
from smallchain.engine.toolcall.recording import record_looked_up, record_outcome
from smallchain.engine.toolcall.starting import OUT, Outdated, Prepared, begun, let_through, take_back
from smallchain.model.agent import MOST_CALLS
from smallchain.model.decision import Decision, Effect
from smallchain.model.errors import BadInput
from smallchain.model.lifecycles import CallPhase
from smallchain.model.run import Run
from smallchain.model.toolcall import Effects, HandOut, Outcome, OutcomeKind, Start, ToolCall
from smallchain.store import approvals, callbacks, eventlog, runs, toolcalls
from smallchain.store.contract import Store, Tx


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
        if decision.cause in rules.STARTS:
            counting.count(tx, run, call)
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
            start = await self._store.read(lambda tx: let_through(tx, effect.target, effect.attempt))
        except Outdated:
            await transact(lambda tx: take_back(tx, effect.target, effect.attempt))
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
                await transact(lambda tx: record_looked_up(tx, effect.target, effect.attempt, told))
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
        facts = observe(tx, run, call)
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
        if call is None or call.phase not in OUT or call.attempts != effect.attempt:
            return
        if call.phase is CallPhase.AWAITING_CALLBACK:
            record_outcome(tx, call.id, effect.attempt, Outcome(OutcomeKind.UNKNOWN, error))
        elif call.effects is Effects.ONCE:
            doubting.put_in_doubt(tx, runs.get(tx, call.run_id), call, error, crashes=1)
        else:
            record_outcome(tx, call.id, effect.attempt, Outcome(OutcomeKind.FAILED, error))

    def keys(self, tx: Tx, /) -> list[str]:
        """The calls that a loop can move."""
        return [*toolcalls.unsettled_ids(tx), *callbacks.to_tell(tx)]


# ---- recording


def _not_possible(tx: Tx, run: Run, call: ToolCall, facts: rules.CallFacts, decision: Decision) -> None:
    pins = pins_of(tx, run.root_id)
    agent = pins.agent(run.agent)
    limits = limits_over(tx, run)
    names = ", ".join(pins.functions(agent)) if agent is not None else ""
    detail, most = "", ""
    match decision.detail:
        case "too_many_calls":
            most = str(MOST_CALLS)
            detail = f"{most} calls in one reply are the most"
        case "unknown_function":
            detail = f"there is no function named {call.function}"
        case "bad_arguments":
            detail = facts.fault_in_arguments
        case "calls_used_up":
            detail = facts.used_up
        case "too_deep":
            detail = limits.reached("depth", run.agent)
        case "too_many_children":
            detail = limits.reached("children", run.agent)
    ended = end(tx, run, call, "not_possible", decision.detail, detail=detail, name=call.function, names=names or "(none)", most=most)
    eventlog.tell(tx, "ToolCallFailed", eventlog.about_call(ended), of=run, tool=call.function, detail=detail)


def _started(tx: Tx, run: Run, call: ToolCall, facts: rules.CallFacts, decision: Decision) -> None:
    attempt = call.attempts + 1
    toolcalls.open_attempt(tx, call, attempt=attempt)
    toolcalls.move(tx, call, "started", attempts=attempt, due_at=None, detail="")
    if attempt == 1:
        eventlog.tell(tx, "ToolCallStarted", eventlog.about_call(call), of=run, tool=call.function)


_Record = Callable[[Tx, Run, ToolCall, rules.CallFacts, Decision], None]
_RECORD: dict[str, _Record] = {
    "approval_needed": gates.approval_needed,
    "refused_by_policy": gates.refused_by_policy,
    "asked": gates.asked,
    "fell_asleep": sleeping.fell_asleep,
    "woke": sleeping.woke,
    "not_possible": _not_possible,
    "started": _started,
    "child_made": delegating.child_made,
    "detached": delegating.detached,
    "interrupted": doubting.interrupted,
    "interrupted_once": doubting.in_doubt,
    "handed_out": handing.handed_out,
    "telling": handing.telling,
    "telling_in_doubt": doubting.told_in_doubt,
    "took_too_long": handing.expired,
    "child_succeeded": delegating.child_succeeded,
    "child_failed": delegating.child_failed,
    "child_cancelled": delegating.child_failed,
}
