"""Applying and taking back manifests."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request

from smallchain.protocol.faults import problem_to_wire
from smallchain.protocol.messages import ApplyMessage, DeleteMessage
from smallchain.services.config.service import Answer, Source
from smallchaind.api import keyed
from smallchaind.compose import House


def routes(house: House) -> APIRouter:
    """The routes of this family."""
    router = APIRouter(dependencies=[Depends(keyed.headers)])

    @router.post("/v1/apply")
    async def apply(message: ApplyMessage, request: Request) -> dict[str, Any]:
        """Apply manifests: all of them, or none with every reason. Answered after the commit."""
        before = await keyed.recall(house, request)
        if before is not None:
            return before
        sources = [Source(each.source, each.folder, each.text, each.shown or each.source) for each in message.sources]
        answer = await house.config.apply(
            sources, by=keyed.actor(request), prune=message.prune, accept=message.accept_deletes, dry_run=message.dry_run
        )
        return await keyed.keep(house, request, _answer(answer))

    @router.post("/v1/delete")
    async def delete(message: DeleteMessage, request: Request) -> dict[str, Any]:
        """Take back what was applied from these sources."""
        before = await keyed.recall(house, request)
        if before is not None:
            return before
        answer = await house.config.delete(message.sources, by=keyed.actor(request), prune=message.prune)
        return await keyed.keep(house, request, _answer(answer))

    @router.post("/v1/accept-deletes")
    async def accept_deletes(request: Request) -> dict[str, Any]:
        """Carry out the deletions that are held back."""
        before = await keyed.recall(house, request)
        if before is not None:
            return before
        return await keyed.keep(house, request, _answer(await house.config.reconcile(accept=True)))

    return router


def _answer(answer: Answer) -> dict[str, Any]:
    applied = answer.applied
    lists = {word: getattr(applied, word) for word in ("created", "changed", "removed", "unchanged", "held")}
    return {
        **{word: [{"kind": kind, "name": name} for kind, name in keys] for word, keys in lists.items()},
        "warnings": [problem_to_wire(problem) for problem in answer.warnings],
        "runs": [{"name": name, "id": id} for name, id in applied.runs],
        "seq": applied.seq,
    }
