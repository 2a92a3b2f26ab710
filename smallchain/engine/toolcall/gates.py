"""What stands before a call's start: rules and people. How it is observed, and how it is recorded that one is asked."""

from __future__ import annotations

import json

from smallchain.engine.human.asking import ask
from smallchain.engine.specs import Pins, pins_of
from smallchain.engine.toolcall import arguments as args
from smallchain.engine.toolcall import policy
from smallchain.engine.toolcall.decide import CallFacts
from smallchain.engine.toolcall.ending import end
from smallchain.model.approval import Word, terms_of_question
from smallchain.model.decision import Decision
from smallchain.model.human import HumanRequest, RequestKind
from smallchain.model.lifecycles import CallPhase
from smallchain.model.run import Run
from smallchain.model.toolcall import ToolCall
from smallchain.store import approvals, eventlog, requests, runs, toolcalls
from smallchain.store.contract import Tx

_MOST_CHOICES = 50


def observe(tx: Tx, pins: Pins, run: Run, call: ToolCall, facts: CallFacts, /) -> None:
    """Put the facts about rules and people, which a decision over a call needs, to the others."""
    found = policy.look(tx, pins, run, call)
    facts.rule, facts.why, facts.approved = found.verdict.word, found.verdict.why, found.approved
    asks = found.verdict.word is Word.REQUIRED and not found.approved
    if asks or (call.target_kind == "human" and call.phase is CallPhase.READY):
        facts.open_requests = requests.count_open(tx, run.id)


def is_open(tx: Tx, call: ToolCall, /) -> bool:
    """Whether the rules, and what people have let through, allow what a call would start now."""
    run = runs.get(tx, call.run_id)
    found = policy.look(tx, pins_of(tx, run.root_id), run, call)
    return found.verdict.word is not Word.DENY and (found.verdict.word is not Word.REQUIRED or found.approved)


def approval_needed(tx: Tx, run: Run, call: ToolCall, facts: CallFacts, decision: Decision, /) -> None:
    """Ask a person whether a call may start."""
    ask_approval(tx, run, call)
    toolcalls.move(tx, call, "approval_needed", detail=decision.detail)


def ask_approval(tx: Tx, run: Run, call: ToolCall, /) -> HumanRequest:
    """Put what would run before a person, bound to its digest."""
    pins = pins_of(tx, run.root_id)
    found = policy.look(tx, pins, run, call)
    if found.outdated:
        eventlog.tell(tx, "ApprovalOutdated", eventlog.about_call(call), of=run, tool=call.function)
    target = policy.target_of(pins, run, call)
    arguments = policy.arguments_of(call, approvals.of_call(tx, call))
    return ask(
        tx,
        run,
        kind=RequestKind.APPROVAL,
        question=f"May {call.function} run? {found.verdict.why}",
        call=call,
        arguments=arguments,
        terms=found.verdict.terms,
        digest=target.digest(arguments),
        rule=found.verdict.why,
        risk=policy.risk_of(tx, target),
    )


def refused_by_policy(tx: Tx, run: Run, call: ToolCall, facts: CallFacts, decision: Decision, /) -> None:
    """End a call that a rule forbids."""
    ended = end(tx, run, call, "refused_by_policy", "refused_by_policy", detail=decision.detail, name=call.function)
    eventlog.tell(tx, "ToolCallRefused", eventlog.about_call(ended), of=run, tool=call.function, detail=decision.detail)


def asked(tx: Tx, run: Run, call: ToolCall, facts: CallFacts, decision: Decision, /) -> None:
    """Put a model's question before a person."""
    pins = pins_of(tx, run.root_id)
    agent = pins.agent(run.agent)
    function = pins.functions(agent).get(call.function) if agent is not None else None
    target = function.target if function is not None else ""
    entry = policy.entry_of(agent, call, target) if agent is not None else None
    arguments = args.read(call.arguments)
    choices = arguments.get("choices")
    shown = [str(each) for each in choices[:_MOST_CHOICES]] if isinstance(choices, list) else []
    ask(
        tx,
        run,
        kind=RequestKind.QUESTION,
        question=str(arguments.get("question", "")),
        call=call,
        terms=terms_of_question(entry, channel=target),
        choices=json.dumps(shown, ensure_ascii=False) if shown else "",
    )
    toolcalls.move(tx, call, "asked", detail="")
    eventlog.tell(tx, "ToolCallStarted", eventlog.about_call(call), of=run, tool=call.function)
