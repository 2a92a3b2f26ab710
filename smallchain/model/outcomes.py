"""What each answer to a request leads to, in words; and how a decision is told afterwards."""

from __future__ import annotations

from typing import Any

from smallchain.model.delivery import Verb
from smallchain.model.human import RequestKind

_OUTCOMES: dict[tuple[RequestKind, Verb], str] = {
    (RequestKind.APPROVAL, Verb.APPROVE): "{tool} runs with these arguments, or with those you put in their place",
    (RequestKind.APPROVAL, Verb.DENY): "{tool} does not run; the model is told so, with your note, and goes on",
    (RequestKind.QUESTION, Verb.ANSWER): "the model is told your words and goes on",
    (RequestKind.SETTLE, Verb.HAPPENED): "{tool} counts as done with the result you give",
    (RequestKind.SETTLE, Verb.DID_NOT_HAPPEN): "{tool} counts as not done; the model is told so",
    (RequestKind.SETTLE, Verb.RUN_AGAIN): "{tool} runs again with the same arguments",
    (RequestKind.LOOP, Verb.RESUME): "the run goes on",
    (RequestKind.LOOP, Verb.CANCEL): "the run is cancelled",
    (RequestKind.QUARANTINE, Verb.RESUME): "the run goes on with the step at which the daemon died",
    (RequestKind.QUARANTINE, Verb.CANCEL): "the run is cancelled",
    (RequestKind.BUDGET, Verb.APPROVE): "the cap is raised",
    (RequestKind.BUDGET, Verb.DENY): "the cap stays",
    (RequestKind.TOOL_CHANGED, Verb.APPROVE): "the changed tool may be used",
    (RequestKind.TOOL_CHANGED, Verb.DENY): "the changed tool may not be used",
}
_SAID = {
    Verb.APPROVE: "approved",
    Verb.DENY: "denied",
    Verb.ANSWER: "answered",
    Verb.HAPPENED: "settled",
    Verb.DID_NOT_HAPPEN: "settled",
    Verb.RUN_AGAIN: "settled",
    Verb.RESUME: "resumed",
    Verb.CANCEL: "cancelled",
}


def outcome(kind: RequestKind, verb: Verb, /, *, tool: str) -> str:
    """What an answer leads to, a sentence."""
    return _OUTCOMES[kind, verb].replace("{tool}", tool or "the tool")


def said(verb: Verb, /) -> str:
    """How an answer is told afterwards: `approved`, `denied`, ..."""
    return _SAID[verb]


def decided(decision: dict[str, Any], /) -> str:
    """How a recorded decision is told: `approved`; rows of the first version have other words than ours."""
    verb = decision.get("verb")
    if verb in set(Verb):
        return _SAID[Verb(verb)]
    return "settled" if {"happened", "did_not_happen", "run_again"} & decision.keys() else "answered"
