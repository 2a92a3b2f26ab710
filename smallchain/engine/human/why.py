"""What a request to a person says of itself to whoever asks why a run stands still: the question, since when, and how it is answered."""

from __future__ import annotations

from datetime import datetime

from smallchain.model.human import DeliveryRow, HumanRequest, RequestKind
from smallchain.model.lifecycles import DeliveryPhase, RequestPhase
from smallchain.model.reason import Command, Reason
from smallchain.store import deliveries
from smallchain.store.contract import Tx

_SHORT = 8
"""Digits of an id's end that a person types."""
_EXPIRY = {"deny": "it is denied then", "approve": "it is approved then", "": "the model is told so then"}


def why_asked(tx: Tx, request: HumanRequest, /, *, goes_on_by: bool = False) -> Reason:
    """A request as a link of the chain. `goes_on_by`: what waits moves by a yes alone, so that is all that is named."""
    id = short(request)
    if request.phase is not RequestPhase.OPEN:
        return Reason("request", id, f"the {_named(request.kind)} was decided by {request.decided_by}, and is being carried out")
    words = f"a person has to decide ({_named(request.kind)}): {request.question}"
    until: datetime | None = None
    if request.expires_at is not None and request.on_expiry != "escalate":
        until = request.expires_at
        words += f" ({_EXPIRY.get(request.on_expiry, _EXPIRY[''])})"
    untold = tuple(_untold(each) for each in deliveries.of_request(tx, request.id) if _is_untold(each))
    return Reason("request", id, words, request.created_at, until, _commands(request)[: 1 if goes_on_by else None], untold)


def short(request: HumanRequest, /) -> str:
    """What a person types for a request."""
    return request.id[-_SHORT:]


def _named(kind: RequestKind) -> str:
    return kind.value.replace("_", " ")


def _commands(request: HumanRequest) -> tuple[Command, ...]:
    """The command lines of which each moves what waits; a cap that is refused stays, which moves nothing, and a loop or a quarantine
    is answered by what is said to its run."""
    id = short(request)
    match request.kind:
        case RequestKind.APPROVAL | RequestKind.TOOL_CHANGED:
            return (("approve", id), ("deny", id))
        case RequestKind.QUESTION:
            return (("answer", id, "TEXT"),)
        case RequestKind.SETTLE:
            return (("settle", id, "--happened", "RESULT"), ("settle", id, "--did-not-happen"), ("settle", id, "--run-again"))
        case RequestKind.BUDGET:
            return (("approve", id),)
        case RequestKind.LOOP | RequestKind.QUARANTINE:
            return ()


def _is_untold(row: DeliveryRow) -> bool:
    return row.phase is DeliveryPhase.HELD or (row.phase is DeliveryPhase.WAITING and row.failures > 0)


def _untold(row: DeliveryRow) -> Reason:
    """That nobody was told there: who waits for an answer from a channel that is down should know."""
    return Reason("channel", row.channel, f"nobody has been told there: {row.detail}", until=row.due_at)
