"""The one function that decides a request, whichever way the answer came: first decision wins, all in one transaction.

The one rule: an answer that does not count changes nothing, and is told why in a sentence: too late and who was first, not what was
shown, not allowed there. What a person says is bound to what they were shown.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from smallchain.engine.budget import desk as money
from smallchain.engine.mcpserver import changes
from smallchain.engine.run import acts
from smallchain.engine.specs import Pins, pins_of, typed
from smallchain.engine.toolcall import arguments as args
from smallchain.engine.toolcall import doubting, gates, policy
from smallchain.engine.toolcall.ending import end
from smallchain.engine.toolcall.observing import is_gone
from smallchain.model import outcomes
from smallchain.model.approval import Word, verdict
from smallchain.model.canonical import canonical, parse
from smallchain.model.channelspec import is_forgeable
from smallchain.model.codes import is_code
from smallchain.model.delivery import UNPROVEN, VERBS, Heard, Said, Verb
from smallchain.model.differences import differences
from smallchain.model.durations import show_duration
from smallchain.model.errors import BadInput, Refused, SmallchainError, Unknown
from smallchain.model.human import HumanRequest, RequestKind
from smallchain.model.lifecycles import CallPhase, RequestPhase
from smallchain.model.run import Run
from smallchain.model.sections import OWN_WAYS, ChannelSpec
from smallchain.model.toolcall import ToolCall
from smallchain.store import approvals, deliveries, eventlog, requests, resources, runs, toolcalls
from smallchain.store.contract import Tx

_SHORTEST_DIGEST = 12
LONGEST_TEXT = 1 << 20
LONGEST_NOTE = 4096


def decide_request(tx: Tx, said: Said, /, *, key: bytes) -> Heard:
    """Decide a request as somebody said: request, call or run, grants and events together.

    `key` is the house's, from which one-time codes are derived. Raises Unknown for no such request, Refused with who was first or why
    it does not count, BadInput for what was said wrongly. What comes back with `counted` False has changed something, but not that.
    """
    request = requests.find(tx, said.request_id)
    if request is None:
        raise Unknown(f"there is no request {said.request_id!r}", hint="`smallchain inbox` lists what waits for a person")
    _check_verb(request, said)
    _check_may(tx, request, said, key)
    _check_open(tx, request)
    _check_digest(request, said)
    if len(said.note) > LONGEST_NOTE or len(said.text) > LONGEST_TEXT:
        raise BadInput("that is longer than what can be kept", hint=f"a note has at most {LONGEST_NOTE} characters")
    return _ACTS[said.verb](tx, request, said)


def hear(tx: Tx, said: Said, /, *, key: bytes) -> Heard:
    """The same for a channel: what does not count is a sentence, not an error; nothing of it is kept."""
    try:
        return tx.attempt(lambda: decide_request(tx, said, key=key))
    except SmallchainError as error:
        return Heard(False, str(error))


# ---- whether it counts


def _check_verb(request: HumanRequest, said: Said) -> None:
    verbs = VERBS[request.kind]
    if said.verb not in verbs:
        words = " or ".join(verb.value.replace("_", " ") for verb in verbs)
        raise Refused(f"request {request.id[-8:]} is {_named(request.kind)}: it takes {words}, not {said.verb.value.replace('_', ' ')}")
    if said.edits is not None and said.verb is not Verb.APPROVE:
        raise BadInput("only an approval can change arguments")
    if said.for_run and said.verb is not Verb.APPROVE:
        raise BadInput("only an approval can hold for the rest of a run")


def _check_may(tx: Tx, request: HumanRequest, said: Said, key: bytes) -> None:
    """Whoever says it may say it there: the owner's own ways always, a channel where it was asked and for whom it lists."""
    if said.code is not None and not is_code(key, request.id, said.code):
        raise Refused("the code is not that of this request")
    if said.via in OWN_WAYS:
        return
    if said.via not in {each.channel for each in deliveries.of_request(tx, request.id)}:
        raise Refused(f"the request was not asked on channel {said.via!r}")
    row = resources.get(tx, "channel", said.via)
    if row is None:
        raise Refused(f"there is no channel {said.via!r} any more")
    spec: ChannelSpec = typed(row)
    allowed = spec.allowed
    if not allowed and said.verb is not Verb.ANSWER:
        raise Refused(f"channel {said.via!r} has no `allowed`: it answers questions and decides nothing else")
    if allowed and said.by not in allowed:
        raise Refused(f"{said.by} is not among the `allowed` of channel {said.via!r}")
    if said.verb not in UNPROVEN and said.code is None and is_forgeable(spec.type):
        what = "an approval" if said.verb is Verb.APPROVE else f"`{said.verb.value.replace('_', ' ')}`"
        raise Refused(f"{what} on channel {said.via!r} needs the code of the request: anybody can write in another's name there")


def _check_open(tx: Tx, request: HumanRequest) -> None:
    if request.phase is RequestPhase.OPEN and (
        request.expires_at is None or tx.now < request.expires_at or request.on_expiry == "escalate"
    ):
        return
    raise Refused(too_late(request))


def too_late(request: HumanRequest, /) -> str:
    """Who decided a request that is closed, and when: `already approved by ann at 2026-11-24 09:12:00 UTC`."""
    at = f"{request.decided_at or request.expires_at:%Y-%m-%d %H:%M:%S} UTC"
    match request.phase:
        case RequestPhase.ANSWERED:
            decision = parse(request.decision) if request.decision else {}
            via = f" through {request.decided_via}" if request.decided_via not in ("", *OWN_WAYS) else ""
            return f"already {outcomes.decided(decision)} by {request.decided_by} at {at}{via}"
        case RequestPhase.WITHDRAWN:
            return f"withdrawn at {at}: {request.note}"
        case _:
            return f"expired at {at}: nobody had answered"


def _check_digest(request: HumanRequest, said: Said) -> None:
    wanted = said.expect_digest
    if wanted is None:
        return
    if len(wanted) < _SHORTEST_DIGEST or not request.digest.startswith(wanted.lower()):
        raise Refused(
            f"what is asked is not what was expected: its digest is {request.digest or '(none)'}",
            hint=f"look at it with `smallchain describe request {request.id[-8:]}`",
        )


def _named(kind: RequestKind) -> str:
    words = {RequestKind.APPROVAL: "an approval", RequestKind.LOOP: "a loop", RequestKind.TOOL_CHANGED: "a changed tool"}
    return words.get(kind, f"a {kind.value}")


# ---- what follows


def _approve(tx: Tx, request: HumanRequest, said: Said) -> Heard:
    if request.kind is RequestKind.TOOL_CHANGED:
        return _accept_change(tx, request, said)
    return _raise_cap(tx, request, said) if request.kind is RequestKind.BUDGET else _let_run(tx, request, said)


def _raise_cap(tx: Tx, request: HumanRequest, said: Said) -> Heard:
    """Raise a cap by what is asked, or by what the person puts in its place."""
    if said.for_run:
        raise BadInput("a cap is not raised for a run", hint="`--set for_good=true` keeps it raised")
    wanted = args.read(request.arguments) | (said.edits or {})
    by, for_good = wanted.get("by"), wanted.get("for_good")
    if wanted.keys() != {"by", "for_good"} or not isinstance(by, str) or not isinstance(for_good, bool):
        raise BadInput("a cap is raised `by` an amount, `for_good` or not", hint="as --set by=$5 --set for_good=true")
    done = money.raise_cap(tx, runs.get(tx, request.run_id), request.digest, by, for_good=for_good)
    _close(tx, request, said, f"{request.rule} is {done}", by=by, for_good=for_good)
    return Heard(True, f"{request.rule} is {done}")


def _let_run(tx: Tx, request: HumanRequest, said: Said) -> Heard:
    call, run = _call_of(tx, request)
    pins = pins_of(tx, run.root_id)
    target = policy.target_of(pins, run, call)
    shown = args.read(request.arguments)
    if target.digest(shown) != request.digest or is_gone(pins, run, call):
        return _ask_anew(tx, run, call, request, said)
    arguments = shown if said.edits is None else _edited(tx, pins, run, call, said.edits)
    changes = differences(args.read(call.arguments), arguments)
    digest = target.digest(arguments)
    approvals.put(tx, call, request_id=request.id, digest=digest, arguments=_kept(call, arguments), by=said.by, note=said.note)
    if said.for_run:
        approvals.grant(tx, run, tool=call.tool, target=target.mark, by=said.by, via=said.via, note=said.note)
    about = f"approved {call.function}" + (" for the rest of the run" if said.for_run else "")
    _close(tx, request, said, about + (f" with {'; '.join(changes)}" if changes else ""), for_run=said.for_run, changes=list(changes))
    if said.for_run:
        eventlog.tell(tx, "GrantMade", eventlog.about(run), of=run, tool=call.function, by=said.by)
    toolcalls.move(tx, call, "approved", detail=f"approved by {said.by}")
    waits = "; its run is paused, and it starts when that is resumed" if run.paused else ""
    return Heard(True, f"{about}{waits}", {"changes": list(changes)})


def _ask_anew(tx: Tx, run: Run, call: ToolCall, request: HumanRequest, said: Said) -> Heard:
    """What would run is not what was shown any more (the run was moved to the present): ask about what would run now."""
    why = "what would run has changed since it was asked"
    requests.decide(tx, request, "withdrawn", decision="", by=said.by, via=said.via, note=why)
    requests.tell(tx, "RequestWithdrawn", request, why=why)
    if is_gone(pins_of(tx, run.root_id), run, call):
        toolcalls.move(tx, call, "approved", detail=why)  # nobody is asked about what can't run: the model is told that it is gone
        return Heard(False, f"{why}: nothing runs; agent '{run.agent}' has no {call.function} any more")
    new = gates.ask_approval(tx, run, call)
    return Heard(False, f"{why}: nothing runs; request {new.id[-8:]} asks about what would run now")


def _edited(tx: Tx, pins: Pins, run: Run, call: ToolCall, edits: dict[str, Any]) -> dict[str, Any]:
    """The arguments a person put in place; raises BadInput where they don't fit the schema, Refused where a rule forbids them."""
    arguments = args.read(canonical(edits))
    function = pins.function(run.agent, call.function)
    fault = args.fault(arguments, function.fits) if function is not None else ""
    if fault:
        raise BadInput(f"the arguments don't fit {call.function}: {fault}")
    found = verdict(policy.rules_over(tx, pins, run, call), arguments)
    if found.word is Word.DENY:
        raise Refused(f"{call.function} may not run with these arguments: {found.why}")
    return arguments


def check_edits(tx: Tx, request: HumanRequest, edits: dict[str, Any], /) -> tuple[str, tuple[str, ...]]:
    """Whether arguments could be put in the place of the model's: why not (empty: they could), and what they change. Changes nothing.

    Raises Refused where the request is no approval, or is closed.
    """
    if request.kind is not RequestKind.APPROVAL:
        raise Refused(f"request {request.id[-8:]} is {_named(request.kind)}: it has no arguments to put in place")
    _check_open(tx, request)
    call, run = _call_of(tx, request)
    try:
        arguments = _edited(tx, pins_of(tx, run.root_id), run, call, edits)
    except (BadInput, Refused) as error:
        return error.message, ()
    return "", differences(args.read(call.arguments), arguments)


def _accept_change(tx: Tx, request: HumanRequest, said: Said) -> Heard:
    """Let a tool of an MCP server be used as its server describes it now."""
    if said.edits is not None or said.for_run:
        raise BadInput("a changed tool is accepted as it is, for all runs, or denied")
    _close(tx, request, said, f"accepted {request.tool} as it is now")
    changes.accept(tx, request)
    return Heard(True, f"accepted {request.tool} as it is now")


def _deny(tx: Tx, request: HumanRequest, said: Said) -> Heard:
    if request.kind is RequestKind.BUDGET:
        _close(tx, request, said, f"{request.rule} stays as it is")
        return Heard(True, f"{request.rule} stays as it is; what waits for room waits on")
    if request.kind is RequestKind.TOOL_CHANGED:
        _close(tx, request, said, f"refused {request.tool} as it is now")
        changes.refuse(tx, request, by=said.by, note=said.note)
        return Heard(True, f"refused {request.tool} as it is now: no agent may use it until its server changes it again")
    call, run = _call_of(tx, request)
    _close(tx, request, said, f"denied {call.function}")
    note = f": {said.note}" if said.note else ""
    end(tx, run, call, "denied", "denied", detail=f"denied by {said.by}{note}", name=call.function, by=said.by, note=note)
    return Heard(True, f"denied {call.function}; the model is told so")


def _answer(tx: Tx, request: HumanRequest, said: Said) -> Heard:
    call, run = _call_of(tx, request)
    if not said.text.strip():
        raise BadInput("an answer needs words")
    _close(tx, request, said, f"answered {call.function}", text=said.text)
    end(tx, run, call, "answered", "answered", detail=f"answered by {said.by}", answer=said.text, by=said.by)
    return Heard(True, "answered; the model is told your words")


def _settle(tx: Tx, request: HumanRequest, said: Said) -> Heard:
    call, _ = _call_of(tx, request)
    _close(tx, request, said, outcomes.said(said.verb), **({"text": said.text} if said.verb is Verb.HAPPENED else {}))
    doubting.settle(
        tx,
        call,
        happened=said.text if said.verb is Verb.HAPPENED else None,
        run_again=said.verb is Verb.RUN_AGAIN,
        by=said.by,
        note=said.note,
    )
    return Heard(True, f"{call.function} is {outcomes.said(said.verb)}")


def _resume(tx: Tx, request: HumanRequest, said: Said) -> Heard:
    run = runs.get(tx, request.run_id)
    resume(tx, run, by=said.by, via=said.via, note=said.note, only=True)
    return Heard(True, f"run {run.name!r} goes on")


def resume(tx: Tx, run: Run, /, *, by: str, via: str = "terminal", note: str = "", only: bool = False) -> list[Run]:
    """Let a paused run and its descendants go on; what asks whether they should (loop, quarantine) is answered by it.

    Returns the runs that were resumed.
    """
    for each in [run] if only else runs.tree(tx, run.id):
        for request in requests.open_of_run(tx, each.id) if each.paused else ():
            if request.kind in (RequestKind.LOOP, RequestKind.QUARANTINE):
                _close(tx, request, Said(request.id, Verb.RESUME, by, via, note=note), "it goes on")
    return acts.resume(tx, run, by=by, only=only)


def _cancel(tx: Tx, request: HumanRequest, said: Said) -> Heard:
    run = runs.get(tx, request.run_id)
    _close(tx, request, said, "it is cancelled")
    acts.cancel(tx, run, by=said.by, note=said.note)
    return Heard(True, f"run {run.name!r} is cancelled")


def _close(tx: Tx, request: HumanRequest, said: Said, answer: str, **facts: Any) -> None:
    """Record the decision and tell it: who, through what, with which note."""
    decision = canonical({"verb": said.verb.value, **facts})
    requests.decide(tx, request, "answered", decision=decision, by=said.by, via=said.via, note=said.note)
    told = f"{answer} (through {said.via})" + (f": {said.note}" if said.note else "")
    requests.tell(tx, "RequestAnswered", request, by=said.by, answer=told)


def _call_of(tx: Tx, request: HumanRequest) -> tuple[ToolCall, Run]:
    call = toolcalls.get(tx, request.call_id or "")
    waits_in = {
        RequestKind.APPROVAL: CallPhase.AWAITING_APPROVAL,
        RequestKind.QUESTION: CallPhase.AWAITING_ANSWER,
        RequestKind.SETTLE: CallPhase.IN_DOUBT,
    }
    if call.phase is not waits_in[request.kind]:
        raise Refused(f"tool call {call.id} is {call.phase} and waits for nobody")
    return call, runs.get(tx, call.run_id)


_ACTS: dict[Verb, Callable[[Tx, HumanRequest, Said], Heard]] = {
    Verb.APPROVE: _approve,
    Verb.DENY: _deny,
    Verb.ANSWER: _answer,
    Verb.HAPPENED: _settle,
    Verb.DID_NOT_HAPPEN: _settle,
    Verb.RUN_AGAIN: _settle,
    Verb.RESUME: _resume,
    Verb.CANCEL: _cancel,
}


# ---- what time brings


def expire(tx: Tx, request: HumanRequest, /) -> None:
    """Nobody answered in time: what was written for that happens."""
    approved = request.on_expiry == "approve"
    question = request.kind is RequestKind.QUESTION
    outcome = "approved, as its rule says" if approved else "the model is told so" if question else "denied"
    who = "its expiry"
    if approved:
        call, run = _call_of(tx, request)
        target = policy.target_of(pins_of(tx, run.root_id), run, call)
        arguments = args.read(request.arguments)
        if target.digest(arguments) != request.digest:
            requests.decide(tx, request, "expired", decision="", by=who)
            gates.ask_approval(tx, run, call)
            return
        approvals.put(tx, call, request_id=request.id, digest=request.digest, arguments=_kept(call, arguments), by=who, note="")
        toolcalls.move(tx, call, "approved", detail="approved by its expiry")
    elif request.call_id is not None:
        call, run = _call_of(tx, request)
        length = show_duration((request.expires_at or tx.now) - request.created_at)
        end(tx, run, call, "expired", "unanswered" if question else "expired", detail=length, name=call.function)
    decision = "" if question else canonical({"verb": "approve" if approved else "deny"})
    requests.decide(tx, request, "expired", decision=decision, by=who)
    requests.tell(tx, "RequestExpired", request, question=request.question, outcome=outcome)


def _kept(call: ToolCall, arguments: dict[str, Any]) -> str:
    """What runs in the place of the model's arguments; empty when it is those."""
    given = canonical(arguments)
    return given if given != canonical(args.read(call.arguments)) else ""


def escalate(tx: Tx, request: HumanRequest, /) -> None:
    """Ask on the next channel too."""
    deliveries.create(tx, request.id, request.escalate_to)
    requests.tell(tx, "RequestEscalated", request, channel=request.escalate_to, question=request.question)
