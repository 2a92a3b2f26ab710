"""What people decide: approve, deny, answer, settle, and take grants back. All of it goes through the engine's one deciding function."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from smallchain.engine.human.deciding import check_edits, decide_request
from smallchain.engine.toolcall import handing
from smallchain.engine.toolcall.handing import Brought, Word
from smallchain.model.delivery import Heard, Said, Verb
from smallchain.model.errors import Refused
from smallchain.model.human import HumanRequest
from smallchain.protocol.messages import AnswerMessage, ApproveMessage, CallbackMessage, CheckMessage, DenyMessage, Message, SettleMessage
from smallchain.store import approvals, eventlog, runs, toolcalls
from smallchain.store.contract import Tx
from smallchaind.api import finding, items, keyed
from smallchaind.api.items import Item
from smallchaind.compose import House

_SETTLES = (Verb.HAPPENED, Verb.DID_NOT_HAPPEN, Verb.RUN_AGAIN)


def routes(house: House) -> APIRouter:
    """The routes of this family."""
    router = APIRouter()

    @router.post("/v1/approve/{ref:path}")
    async def approve(ref: str, message: ApproveMessage, request: Request) -> dict[str, Any]:
        """Let a call run that waits for an approval."""
        words = {"edits": message.arguments, "for_run": message.for_run, "expect_digest": message.expect_digest, "note": message.note}
        return await _decide(house, request, ref, Verb.APPROVE, **words)

    @router.post("/v1/check/{ref:path}")
    async def check(ref: str, message: CheckMessage) -> dict[str, Any]:
        """Whether `arguments` could take the place of the model's: `fault` says why not, `changes` what differs. Decides nothing."""

        def look(tx: Tx) -> dict[str, Any]:
            fault, changes = check_edits(tx, finding.find_request(tx, ref), message.arguments)
            return {"fault": fault, "changes": list(changes)}

        return await house.database.read(look)

    @router.post("/v1/deny/{ref:path}")
    async def deny(ref: str, message: DenyMessage, request: Request) -> dict[str, Any]:
        """Let a call not run that waits for an approval."""
        return await _decide(house, request, ref, Verb.DENY, expect_digest=message.expect_digest, note=message.note)

    @router.post("/v1/answer/{ref:path}")
    async def answer(ref: str, message: AnswerMessage, request: Request) -> dict[str, Any]:
        """Answer a question that a model has asked."""
        return await _decide(house, request, ref, Verb.ANSWER, text=message.text, note=message.note)

    @router.post("/v1/settle/{ref:path}")
    async def settle(ref: str, message: SettleMessage, request: Request) -> dict[str, Any]:
        """Say what became of a tool call in doubt, by the call's id or the request's."""
        verb = Verb.RUN_AGAIN if message.run_again else Verb.DID_NOT_HAPPEN if message.happened is None else Verb.HAPPENED
        return await _decide(house, request, ref, verb, text=message.happened or "", note=message.note)

    @router.post("/v1/callback/{ref:path}")
    async def callback(ref: str, message: CallbackMessage, request: Request) -> dict[str, Any]:
        """Bring the result of a call whose work is done elsewhere, by hand."""
        by = keyed.actor(request)
        brought = Brought(error=message.error) if message.error is not None else Brought(result=message.result)
        call = await house.database.read(lambda tx: finding.find_toolcall(tx, ref))
        await house.handed_out.learn(call.id)
        return await keyed.act(house, request, lambda tx: _bring(tx, house, call.id, brought, by))

    @router.post("/v1/revoke/{ref:path}")
    async def revoke(ref: str, message: Message, request: Request) -> dict[str, Any]:
        """Take a grant back: the tool is asked about again."""
        by = keyed.actor(request)
        return await keyed.act(house, request, lambda tx: {"grant": _revoke(tx, ref, by)})

    return router


async def _decide(house: House, request: Request, ref: str, verb: Verb, **words: Any) -> dict[str, Any]:
    by, via = keyed.actor(request), keyed.way(request)

    def carry_out(tx: Tx) -> dict[str, Any]:
        found = (finding.find_settle if verb in _SETTLES else finding.find_request)(tx, ref)
        heard = decide_request(tx, Said(found.id, verb, by, via, **words), key=house.key)
        return _told(tx, found, heard)

    answer = await keyed.act(house, request, carry_out)
    if not answer["counted"]:  # what it changed instead (it asks anew) is kept
        raise Refused(answer["sentence"])
    return answer


def _bring(tx: Tx, house: House, call_id: str, brought: Brought, by: str) -> dict[str, Any]:
    call = toolcalls.get(tx, call_id)
    if handing.spec_of(tx, runs.get(tx, call.run_id), call) is None:
        raise Refused(f"tool call {call_id} is not handed out: {call.function} has no `callback` executor")
    taken = house.handed_out.bring(tx, call_id, brought, by=by)
    if taken.word not in (Word.TAKEN, Word.AGAIN):
        raise Refused(taken.sentence)
    (item,) = items.toolcalls(tx, [call_id])
    return {"sentence": taken.sentence, "toolcall": item}


def _told(tx: Tx, request: HumanRequest, heard: Heard) -> dict[str, Any]:
    answer: dict[str, Any] = {"counted": heard.counted, "sentence": heard.sentence, "request": request_item(tx, request.id)}
    if request.call_id is not None:
        (answer["toolcall"],) = items.toolcalls(tx, [request.call_id])
    return answer


def request_item(tx: Tx, id: str, /) -> Item:
    """One request."""
    (item,) = items.requests(tx, [id])
    return item


def _revoke(tx: Tx, ref: str, by: str) -> Item:
    grant = finding.find_grant(tx, ref)
    run = runs.get(tx, grant.run_id)
    if not approvals.revoke(tx, grant, by=by):
        raise Refused(f"already revoked by {grant.revoked_by} at {grant.revoked_at:%Y-%m-%d %H:%M:%S} UTC")
    eventlog.tell(tx, "GrantRevoked", eventlog.about(run), of=run, tool=grant.tool, by=by)
    return next(items.grant(row) for row in tx.all("grants.list") if row["id"] == grant.id)
