"""The stream of events: server-sent events that resume after any sequence number, across restarts of either side."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse

from smallchain.model.errors import BadInput
from smallchain.store import eventlog
from smallchaind.api import finding, items
from smallchaind.compose import House

_PAGE = 500
_ALIVE_S = 15.0


def routes(house: House) -> APIRouter:
    """The routes of this family."""
    router = APIRouter()

    @router.get("/v1/events/stream", response_class=StreamingResponse)
    async def stream(
        after: Annotated[int, Query(ge=0, le=2**62)] = 0,
        run: str | None = None,
        last_event_id: Annotated[str | None, Header()] = None,
    ) -> StreamingResponse:
        """Each event after `after` (or after Last-Event-ID, which comes first) once, in order, for ever (text/event-stream)."""
        start = after
        if last_event_id is not None:
            if not last_event_id.isascii() or not last_event_id.isdecimal() or len(last_event_id) > 18:
                raise BadInput("Last-Event-ID is not the id of an event")
            start = int(last_event_id)
        run_id = await house.database.read(lambda tx: finding.find_run(tx, run).id) if run else None
        headers = {"Cache-Control": "no-store"}
        return StreamingResponse(_lines(house, start, run_id), media_type="text/event-stream", headers=headers)

    return router


async def _lines(house: House, after: int, run_id: str | None) -> AsyncIterator[str]:
    yield ": smallchain\n\n"
    while not house.feed.closed:
        bell = house.feed.listen()
        seen = after
        rows = await house.database.read(lambda tx, seen=seen: eventlog.after(tx, seen, most=_PAGE, run_id=run_id))  # type: ignore[misc]
        if rows:
            after = rows[-1]["seq"]
            yield "".join(f"id: {row['seq']}\nevent: event\ndata: {json.dumps(items.event(row), ensure_ascii=True)}\n\n" for row in rows)
            continue
        try:
            async with asyncio.timeout(_ALIVE_S):
                await bell.wait()
        except TimeoutError:
            yield ": still here\n\n"
