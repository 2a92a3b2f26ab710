"""What model calls have cost: `GET /v1/spend`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query

from smallchain.store import spend
from smallchain.store.contract import Tx
from smallchain.store.spend import By
from smallchaind.api import finding, items
from smallchaind.api.lists import aware
from smallchaind.compose import House


def routes(house: House) -> APIRouter:
    """The routes of this family."""
    router = APIRouter()

    @router.get("/v1/spend")
    async def of_calls(
        by: Annotated[list[By] | None, Query()] = None, since: datetime | None = None, run: str | None = None
    ) -> dict[str, Any]:
        """Sums of what settled model calls came to, told apart `by` what is named: oldest first, then the dearest; else one of all.

        `since`: of calls settled from a moment on; `run`: of a run and its descendants. Hours and days are UTC's. What a sum is not
        told apart by is null. `unpriced` calls told their tokens but are in no price list: they count as nothing.
        """
        start = aware(since) if since is not None else None

        def look(tx: Tx) -> dict[str, Any]:
            tree_of = finding.find_run(tx, run).id if run else None
            return {"items": [items.spent(each) for each in spend.sums(tx, by or (), since=start, tree_of=tree_of)]}

        return await house.database.read(look)

    return router
