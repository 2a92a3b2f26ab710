"""Whether a call may start: the strictest of all rules over it, and the digest that ties a person's approval to what will run.

The one rule: deny > required > never, whoever wrote it and wherever it stands; what cannot be told counts as required.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Literal

from smallchain.model.canonical import digest
from smallchain.model.durations import parse_duration
from smallchain.model.matchers import Holds, holds
from smallchain.model.sections import AgentTool
from smallchain.model.toolspec import ApprovalRule, DenyRule

REMIND = (timedelta(hours=1), timedelta(days=1))
"""When a channel is told again where no rule says it: after an hour, then every day."""
LEAST = timedelta(minutes=1)
"""No reminder comes sooner than this after the last."""
OnExpiry = Literal["", "deny", "approve", "escalate"]


@dataclass(frozen=True, slots=True)
class Rule:
    """What is written at one place; `where` names the place in words."""

    where: str
    approval: Literal["required", "never"] | ApprovalRule | None = None
    deny: DenyRule | None = None


class Word(StrEnum):
    """What the rules say of a call, strictest first."""

    DENY = "deny"
    REQUIRED = "required"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Terms:
    """How a person is asked. No `channel`: in the inbox alone. No `expires`: it waits for ever."""

    channel: str | None = None
    expires: timedelta | None = None
    on_expiry: OnExpiry = ""
    remind: tuple[timedelta, ...] = ()
    escalate_after: timedelta | None = None
    escalate_to: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What holds for a call. `why` says which rule decides and where it is written."""

    word: Word
    why: str = ""
    terms: Terms = Terms()


FREE = Verdict(Word.NEVER)


def verdict(rules: Sequence[Rule], arguments: Mapping[str, Any], /) -> Verdict:
    """The strictest of the rules over a call, in whatever order they come; how to ask is told by the first that says so."""
    asking: list[tuple[Rule, str]] = []
    for rule in rules:
        if rule.deny is not None:
            match holds(rule.deny.when, arguments):
                case Holds.YES:
                    return Verdict(Word.DENY, f"the `deny` rule of {rule.where} forbids it")
                case Holds.CANNOT_TELL:
                    asking.append((rule, f"whether the `deny` rule of {rule.where} forbids it can't be told"))
        why = _why_required(rule, arguments)
        if why:
            asking.append((rule, why))
    if not asking:
        return FREE
    return Verdict(Word.REQUIRED, asking[0][1], _terms([rule for rule, _ in asking]))


def terms_of_question(entry: AgentTool | None, /, *, channel: str) -> Terms:
    """How a question is asked: on its channel, for as long as the agent's entry says. Nothing is denied or approved by its expiry."""
    if entry is None:
        return Terms(channel=channel or None)
    expires = parse_duration(entry.expires) if entry.expires is not None else None
    return Terms(channel=channel or None, expires=expires, remind=_ladder(entry.remind))


def _ladder(gaps: Sequence[str]) -> tuple[timedelta, ...]:
    return tuple(max(LEAST, parse_duration(gap)) for gap in gaps)


def digest_of(tool: str, generation: str, executor: Any, arguments: Mapping[str, Any], /) -> str:
    """What an approval is bound to: SHA-256 over the canonical JSON of the tool, what it is pinned to, its executor and the arguments.

    `generation` is the digest of the pinned words, `executor` what runs. The same call asked about again has the same digest.
    """
    return digest({"tool": tool, "generation": generation, "executor": digest(executor), "arguments": dict(arguments)})


def _why_required(rule: Rule, arguments: Mapping[str, Any]) -> str:
    match rule.approval:
        case None | "never":
            return ""
        case ApprovalRule(when=when) if when is not None:
            match holds(when, arguments):
                case Holds.YES:
                    return f"the `approval` rule of {rule.where} holds"
                case Holds.CANNOT_TELL:
                    return f"whether the `approval` rule of {rule.where} holds can't be told"
            return ""
    return f"{rule.where} requires approval"


def _terms(rules: Sequence[Rule]) -> Terms:
    """How to ask: each word from the first rule that has it; and no rule's silence is overruled by another's `on_expiry: approve`."""
    written = [rule.approval for rule in rules if isinstance(rule.approval, ApprovalRule)]
    expiring = next((each for each in written if each.expires is not None), None)
    escalate = next((each.escalate for each in written if each.escalate is not None), None)
    expires = parse_duration(expiring.expires) if expiring is not None and expiring.expires is not None else None
    on_expiry: OnExpiry = (expiring.on_expiry or "deny") if expiring is not None else ""
    if on_expiry == "approve" and not all(
        isinstance(rule.approval, ApprovalRule) and rule.approval.on_expiry == "approve" for rule in rules
    ):
        expires, on_expiry = None, ""
    return Terms(
        channel=next((each.channel for each in written if each.channel is not None), None),
        expires=expires,
        on_expiry=on_expiry,
        remind=next((_ladder(each.remind) for each in written if each.remind), ()),
        escalate_after=parse_duration(escalate.after) if escalate is not None else None,
        escalate_to=escalate.to if escalate is not None else None,
    )
