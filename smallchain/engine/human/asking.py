"""How a request comes to be: who asks, along which path, in whose words, where it is told, and what time brings it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from smallchain.engine.specs import typed
from smallchain.model.approval import REMIND, Terms
from smallchain.model.canonical import canonical
from smallchain.model.human import HumanRequest, RequestKind
from smallchain.model.run import Run
from smallchain.model.toolcall import ToolCall
from smallchain.store import deliveries, messages, requests, resources, runs
from smallchain.store.contract import Tx

LONGEST = 4000
"""Characters of the model's own words that a request carries."""


def ask(
    tx: Tx,
    run: Run | None,
    /,
    *,
    kind: RequestKind,
    question: str,
    call: ToolCall | None = None,
    arguments: dict[str, Any] | None = None,
    terms: Terms | None = None,
    **words: Any,
) -> HumanRequest:
    """Open a request with all that a person needs to decide it, and its deliveries, in the transaction of the phase that needs it.

    What no run asks says itself, in `words`, what it is about: `tool` and `path`.
    """
    terms = terms or Terms()
    if run is not None:
        words = {"tool": call.tool if call is not None else "", "path": path_of(tx, run, call), "why": _last_words(tx, run)} | words
    channel = terms.channel or default_channel(tx)
    remind = terms.remind or (REMIND if channel else ())
    request = requests.open_request(
        tx,
        run,
        kind=kind,
        question=_short(question),
        call_id=call.id if call is not None else None,
        arguments=canonical(arguments) if arguments is not None else "",
        channel=channel,
        expires_at=_after(tx, terms.expires),
        on_expiry=terms.on_expiry,
        remind=json.dumps([gap.total_seconds() for gap in remind]),
        remind_at=_after(tx, remind[0] if remind else None),
        escalate_at=_after(tx, terms.escalate_after),
        escalate_to=terms.escalate_to or "",
        **words,
    )
    if channel:
        deliveries.create(tx, request.id, channel)
    return request


def stop_and_ask(tx: Tx, run: Run, kind: RequestKind, question: str) -> None:
    """Pause a run and ask a person whether it should go on; `resume` is the answer."""
    run = runs.save(tx, run, paused=True, detail=question)
    ask(tx, run, kind=kind, question=question)


def default_channel(tx: Tx, /) -> str:
    """Where requests are told that name no channel, as it is written now; empty: in the inbox alone."""
    row = resources.get(tx, "defaults", "defaults")
    return (typed(row).channel or "") if row is not None else ""


def path_of(tx: Tx, run: Run, call: ToolCall | None, /) -> str:
    """Who asks through whom: `manager > publisher > publish_post`."""
    steps = [call.tool] if call is not None else []
    each: Run | None = run
    while each is not None:
        steps.append(each.agent or each.name)
        each = runs.find(tx, each.parent_id) if each.parent_id else None
    return " > ".join(reversed(steps))


def _last_words(tx: Tx, run: Run) -> str:
    """What the model said beside what it asked for; empty when the last to speak was not the model."""
    wire = messages.one(tx, run.id, run.messages)
    said = json.loads(wire) if wire else {}
    content = said.get("content") if said.get("role") == "assistant" else None
    return _short(content.strip()) if isinstance(content, str) else ""


def _after(tx: Tx, length: timedelta | None) -> Any:
    return tx.now + length if length is not None else None


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
