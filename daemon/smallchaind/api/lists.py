"""Lists of every kind: `GET /v1/<kind>`, always `{"items": [...]}`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse

from smallchain.engine.specs import typed
from smallchain.model.artifact import Kept
from smallchain.model.errors import BadInput, Unknown
from smallchain.model.ids import did_you_mean
from smallchain.store import artifacts, eventlog, files, resources, runs
from smallchain.store.contract import Tx
from smallchain.store.times import to_text
from smallchaind.api import budgets, finding, items, written
from smallchaind.api.items import Item
from smallchaind.api.pages import HISTORIES, MOST, Wanted, page
from smallchaind.compose import House

WRITTEN = {
    "llms": "llm",
    "agents": "agent",
    "tools": "tool",
    "tasks": "task",
    "mcp_servers": "mcp_server",
    "channels": "channel",
    "budgets": "budget",
    "schedules": "schedule",
}
KINDS = (*WRITTEN, "runs", "toolcalls", "requests", "grants", "artifacts", "spend", "events", "files", "templates")

_MOST_EVENTS = 1000
_Seq = Annotated[int, Query(ge=0, le=2**62)]
_Id = Annotated[str, Query(max_length=64)]


def routes(house: House) -> APIRouter:
    """The routes of this family."""
    router = APIRouter()

    @router.get("/v1/events")
    async def events(
        after: _Seq = 0,
        tail: Annotated[int | None, Query(ge=0, le=1_000_000)] = None,
        since: datetime | None = None,
        run: str | None = None,
        limit: Annotated[int, Query(ge=1, le=_MOST_EVENTS)] = _MOST_EVENTS,
    ) -> dict[str, Any]:
        """Events after a sequence number, oldest first, at most `limit`; page on with `after`. `last` is the newest there is."""

        def look(tx: Tx) -> dict[str, Any]:
            run_id = finding.find_run(tx, run).id if run else None
            start = after
            if since is not None:
                start = max(start, eventlog.before_moment(tx, to_text(aware(since))))
            if tail is not None:
                start = max(start, eventlog.before_tail(tx, tail, run_id=run_id) if tail else eventlog.last(tx))
            rows = eventlog.after(tx, start, most=limit, run_id=run_id)
            return {"items": [items.event(row) for row in rows], "last": eventlog.last(tx)}

        return await house.database.read(look)

    @router.get("/v1/artifacts/{ref}/content", response_class=Response)
    async def content(ref: str) -> Response:
        """The bytes of an artifact, as they came from the tool."""

        def look(tx: Tx) -> tuple[Kept, bytes]:
            kept = finding.find_artifact(tx, ref)
            return kept, artifacts.data(tx, kept.id)

        kept, data = await house.database.read(look)
        headers = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
        return Response(data, media_type=kept.media_type, headers=headers)

    @router.get("/v1/{kind}", response_model=dict[str, Any])
    async def of_kind(
        kind: str,
        name: Annotated[list[str] | None, Query()] = None,
        run: str | None = None,
        status: str | None = None,
        phase: str | None = None,
        all: bool = False,
        live: bool = False,
        newest: bool = False,
        after: _Id = "",
        before: _Id | None = None,
        limit: Annotated[int, Query(ge=1, le=MOST)] = MOST,
    ) -> Response:
        """All of a kind, narrowed by names or ids, run, status, phase. Requests: the open ones, unless `all`; runs: `live` ones; budgets
        of a `run`: those over its next model call, as they stand for it.

        Runs, tool calls and requests come in pages of at most `limit` ids, oldest first, of which those that fit are shown; page on
        with `next` as `after`, until it is null. `newest`: the last page of runs; page back with `next` as `before`.
        """

        def look(tx: Tx) -> dict[str, Any]:
            if kind in HISTORIES:
                found = page(tx, kind, Wanted(name or (), run, status, phase, live, all, after, before, newest, limit))
                return {"items": found.items, "next": found.next}
            listing = listed(tx, kind, run)
            if kind == "tools":
                listing = [written.with_fence(tx, item, house.tools) for item in listing]
            listing = named(kind, listing, name) if name else listing
            if status is not None:
                listing = [item for item in listing if str(item.get("status", "")).casefold() == status.casefold()]
            if kind == "mcp_servers":
                listing = [item | written.stands(house.mcp.standing(item["name"]), house.secrets.mask) for item in listing]
            return {"items": listing, "next": None}

        return JSONResponse(await house.database.read(look))  # it is JSON already: to look through each item again costs more than all else

    return router


def listed(tx: Tx, kind: str, run: str | None) -> list[Item]:
    """All items of a kind that stays short; of a run and its descendants where it is given. Raises Unknown."""
    if kind == "budgets":
        return budgets.over(tx, finding.find_run(tx, run)) if run else budgets.written(tx)
    if kind in WRITTEN:
        return [written.resource(tx, each) for each in resources.of_kind(tx, WRITTEN[kind])]
    if kind == "grants":
        tree = {each.id for each in runs.tree(tx, finding.find_run(tx, run).id)} if run else None
        return [items.grant(row) for row in tx.all("grants.list") if tree is None or row["run_id"] in tree]
    if kind == "artifacts":
        of = finding.find_run(tx, run).id if run else None
        return [items.artifact(row) for row in (artifacts.of_descendants(tx, of) if of else artifacts.everything(tx))]
    if kind == "files":
        return [items.file(row) for row in files.everything(tx)]
    if kind == "templates":
        row = resources.get(tx, "defaults", "defaults")
        return items.templates(typed(row).templates if row else {})
    raise Unknown(f"there is no kind {kind!r}", hint=did_you_mean(kind, KINDS) or "the kinds are " + ", ".join(KINDS))


def named(kind: str, found: list[Item], names: list[str]) -> list[Item]:
    """The items of these names or ids, in the order asked; raises Unknown for one that is not there."""
    chosen: list[Item] = []
    for name in names:
        hits = [item for item in found if name in (item["name"], item["id"])]
        if not hits and len(name) >= 6:
            hits = [item for item in found if item["id"].startswith(name.lower()) or item["id"].endswith(name.lower())]
        if not hits:
            near = did_you_mean(name, (item["name"] for item in found))
            raise Unknown(f"there is no {kind.removesuffix('s')} {name!r}", hint=near or f"`smallchain get {kind}` lists them")
        chosen += hits
    return chosen


def aware(moment: datetime) -> datetime:
    """A moment that says its time zone; raises BadInput for one that does not."""
    if moment.tzinfo is None:
        raise BadInput("`since` needs a time zone", hint="write it as 2026-11-23T09:00:00Z")
    return moment
