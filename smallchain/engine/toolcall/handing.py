"""Calls whose work is done elsewhere: handed out, told to whoever does it, and ended by what they bring back.

The one rule: a call has one result, whoever brings it and however often; the first to arrive counts. Who comes too early, too late
or after the end is told which, so that a good sender knows whether to send again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from smallchain.engine.backoff import delay
from smallchain.engine.ports import Secrets
from smallchain.engine.specs import pins_of
from smallchain.engine.toolcall import arguments as args
from smallchain.engine.toolcall import decide as rules
from smallchain.engine.toolcall import keeping
from smallchain.engine.toolcall.ending import end
from smallchain.model.canonical import canonical
from smallchain.model.canonical import digest as digest_of
from smallchain.model.decision import Decision
from smallchain.model.durations import parse_duration, show_duration
from smallchain.model.errors import BadInput
from smallchain.model.human import RequestKind
from smallchain.model.lifecycles import CallPhase
from smallchain.model.run import Run
from smallchain.model.toolcall import Effects, Outcome, OutcomeKind, ToolCall
from smallchain.model.toolspec import CallbackExecutor
from smallchain.store import callbacks, eventlog, requests, runs, toolcalls
from smallchain.store.callbacks import HandedOut
from smallchain.store.contract import Tx

LONGEST = 1 << 20
"""Characters of a result that is brought."""


class Word(StrEnum):
    """What became of a result that somebody brought."""

    TAKEN = "taken"
    AGAIN = "again"
    """It is the very one that was taken before."""
    EARLY = "early"
    """The call does not wait for it yet: send it again."""
    LATE = "late"
    """Another result came first."""
    GONE = "gone"
    """The call ended without it."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The same with a sentence."""

    word: Word
    sentence: str


@dataclass(frozen=True, slots=True)
class Brought:
    """What was brought: a result (any JSON), or an error in words."""

    result: Any = None
    error: str | None = None

    @property
    def digest(self) -> str:
        """What tells it from another."""
        return digest_of({"error": self.error} if self.error is not None else {"result": self.result})


def spec_of(tx: Tx, run: Run, call: ToolCall, /) -> CallbackExecutor | None:
    """How a call is handed out, as its run is pinned to it; None for one that is not."""
    tool = pins_of(tx, run.root_id).tool(call.tool) if call.target_kind == "tool" else None
    return tool.spec.executor.callback if tool is not None and tool.spec.executor is not None else None


# ---- handing out


def handed_out(tx: Tx, run: Run, call: ToolCall, facts: rules.CallFacts, decision: Decision, /) -> None:
    """Let a call wait for the outside; whom to tell is told from this phase, not by the step into it."""
    spec = spec_of(tx, run, call)
    if spec is None:
        return
    expires_at = tx.now + parse_duration(spec.expires) if spec.expires else None
    callbacks.put(tx, call.id, expires_at=expires_at, tells=spec.url is not None)
    toolcalls.move(tx, call, "handed_out", due_at=None, detail="")
    if call.attempts == 0:
        eventlog.tell(tx, "ToolCallStarted", eventlog.about_call(call), of=run, tool=call.function)
    eventlog.tell(tx, "ToolCallHandedOut", eventlog.about_call(call), of=run, tool=call.function)


def telling(tx: Tx, run: Run, call: ToolCall, facts: rules.CallFacts, decision: Decision, /) -> None:
    """Record an attempt at telling, before it is made; one that the daemon's end cut off is settled."""
    toolcalls.settle_attempt(tx, call, outcome="interrupted", detail="the daemon ended while it was told")
    toolcalls.open_attempt(tx, call, attempt=call.attempts + 1)
    toolcalls.move(tx, call, "telling", attempts=call.attempts + 1)


def record_told(tx: Tx, run: Run, call: ToolCall, outcome: Outcome, /) -> str:
    """Record what came of telling. Returns why it is not known whether the call was handed out, where a person must say; else nothing."""
    first_line = outcome.text.strip().partition("\n")[0][:300]
    if outcome.kind is OutcomeKind.SUCCEEDED:
        callbacks.tell(tx, call.id, None)
        toolcalls.save(tx, call, detail=first_line)
        eventlog.tell(tx, "ToolCallTold", eventlog.about_call(call), of=run, tool=call.function, detail=first_line)
        return ""
    if outcome.kind is OutcomeKind.FAILED:
        keeping.finish(tx, run, call, "refused", outcome, template="tool_failed")
        eventlog.tell(tx, "ToolCallFailed", eventlog.about_call(call), of=run, tool=call.function, detail=first_line)
        return ""
    if outcome.kind is not OutcomeKind.NOT_STARTED and call.effects is Effects.ONCE:
        return first_line
    handout = callbacks.find(tx, call.id)
    refusals = (handout.refusals if handout is not None else 0) + 1
    wait = max(delay(refusals, key=call.id), outcome.retry_after or timedelta())
    callbacks.tell(tx, call.id, tx.now + wait, refusals=refusals)
    toolcalls.save(tx, call, detail=first_line)
    eventlog.tell(tx, "ToolCallRetried", eventlog.about_call(call), of=run, tool=call.function, detail=first_line)
    return ""


def expired(tx: Tx, run: Run, call: ToolCall, facts: rules.CallFacts, decision: Decision, /) -> None:
    """End a call for which nothing was brought in time."""
    handout = callbacks.find(tx, call.id)
    length = show_duration((handout.expires_at or tx.now) - handout.handed_out_at) if handout is not None else ""
    _settle_attempt(tx, call)
    detail = f"no result came within {length}"
    end(tx, run, call, "took_too_long", "tool_timed_out", detail=detail)
    eventlog.tell(tx, "ToolCallTimedOut", eventlog.about_call(call), of=run, tool=call.function, detail=detail)


# ---- what is brought back


def bring(tx: Tx, call: ToolCall, brought: Brought, secrets: Secrets, /, *, by: str) -> Taken:
    """Take a result, once. Raises BadInput for one that does not fit: the call then goes on waiting."""
    handout = callbacks.find(tx, call.id)
    run = runs.get(tx, call.run_id)
    refused = _why_not(tx, call, handout, brought)
    if refused is not None:
        return refused
    outcome = keeping.masked(_outcome(tx, run, call, brought), secrets)
    callbacks.bring(tx, call.id, digest=brought.digest, by=by)
    _settle_attempt(tx, call)
    doubted = call.phase is CallPhase.IN_DOUBT
    if doubted:
        _withdraw_doubt(tx, call, by)
    about = eventlog.about_call(call)
    if outcome.kind is OutcomeKind.SUCCEEDED:
        keeping.finish(tx, run, call, "it_happened" if doubted else "called_back", outcome)
        eventlog.tell(tx, "ToolCallSucceeded", about, of=run, tool=call.function)
    else:
        cause = "it_did_not_happen" if doubted else "called_back_with_error"
        keeping.finish(tx, run, call, cause, outcome, template="tool_failed")
        eventlog.tell(tx, "ToolCallFailed", about, of=run, tool=call.function, detail=outcome.text.partition("\n")[0][:300])
    return Taken(Word.TAKEN, f"the result of {call.function} is taken")


def _why_not(tx: Tx, call: ToolCall, handout: HandedOut | None, brought: Brought) -> Taken | None:
    if handout is not None and handout.brought_at is not None:
        if handout.digest == brought.digest:
            return Taken(Word.AGAIN, "this result was taken before")
        return Taken(Word.LATE, f"a result was brought by {handout.brought_by} at {handout.brought_at:%Y-%m-%d %H:%M:%S} UTC")
    if call.is_over:
        return Taken(Word.GONE, f"the call is {call.phase.replace('_', ' ')}" + (f": {call.detail[:200]}" if call.detail else ""))
    if handout is None or call.phase not in (CallPhase.AWAITING_CALLBACK, CallPhase.IN_DOUBT):
        return Taken(Word.EARLY, f"the call is {call.phase.replace('_', ' ')}, and waits for no result yet")
    if handout.expires_at is not None and tx.now >= handout.expires_at:
        return Taken(Word.GONE, f"the call expired at {handout.expires_at:%Y-%m-%d %H:%M:%S} UTC")
    return None


def _outcome(tx: Tx, run: Run, call: ToolCall, brought: Brought) -> Outcome:
    if brought.error is not None:
        return Outcome(OutcomeKind.FAILED, _plain(brought.error).strip() or "it failed, and nobody said why")
    spec, result = spec_of(tx, run, call), brought.result
    if spec is not None and spec.result is not None:
        if isinstance(result, str):  # as a person types it
            result = args.read(result)
        if not isinstance(result, dict):
            raise BadInput("the result is no JSON object, as the tool's `result` wants it")
        fault = args.fault(result, spec.result)
        if fault:
            raise BadInput(f"the result does not fit: {fault}")
    text = result if isinstance(result, str) else "" if result is None else json.dumps(result, ensure_ascii=False)
    if len(text) > LONGEST:
        raise BadInput(f"the result has {len(text)} characters; {LONGEST} are the most")
    canonical(result)  # what no text holds is refused before it is taken
    return Outcome(OutcomeKind.SUCCEEDED, _plain(text))


def _plain(text: str) -> str:
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def _settle_attempt(tx: Tx, call: ToolCall) -> None:
    """An attempt at telling that is still out has nothing to say any more."""
    toolcalls.settle_attempt(tx, call, outcome="interrupted", detail="the call ended while it was told")


def _withdraw_doubt(tx: Tx, call: ToolCall, by: str) -> None:
    request = requests.of_call(tx, call.id)
    if request is not None and request.kind is RequestKind.SETTLE and request.phase == "open":
        requests.decide(tx, request, "withdrawn", decision="", by=by, note="its result came")
        requests.tell(tx, "RequestWithdrawn", request, why="its result came")
