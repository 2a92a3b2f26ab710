"""One thing with all that belongs to it, and a run's conversation."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Query

from smallchain.engine.agent import strategy
from smallchain.engine.run import why as reasons
from smallchain.engine.run.compose import in_json
from smallchain.engine.run.execute import body_of
from smallchain.engine.specs import Pins, pins_of, typed
from smallchain.model import context
from smallchain.model.errors import Unknown
from smallchain.model.functions import as_openai_tools
from smallchain.model.ids import did_you_mean
from smallchain.model.jsonmode import tools_text
from smallchain.model.mcp import LISTING
from smallchain.model.money import show_dollars
from smallchain.model.reason import Reason
from smallchain.model.references import references
from smallchain.model.run import Run
from smallchain.store import (
    artifacts,
    composed,
    detached,
    eventlog,
    ledger,
    mcptools,
    messages,
    modelcalls,
    plans,
    requests,
    resources,
    runs,
    schedules,
    toolcalls,
)
from smallchain.store.contract import Row, Tx
from smallchain.store.resources import Written
from smallchain.store.times import to_text
from smallchaind.api import budgets, finding, items, lists, written
from smallchaind.api.items import Item
from smallchaind.api.pages import HISTORIES, one
from smallchaind.compose import House

_EVENTS = 20
_RUNS = 10


def routes(house: House) -> APIRouter:
    """The routes of this family."""
    router = APIRouter()

    @router.get("/v1/describe/{kind}/{ref:path}")
    async def describe(kind: str, ref: str) -> dict[str, Any]:
        """One item and what is related to it."""

        def look(tx: Tx) -> dict[str, Any]:
            found = _describe(tx, kind.removesuffix("s"), ref)
            if found["item"]["kind"] == "tool":
                found["item"] = written.with_fence(tx, found["item"], house.tools)
            if found["item"]["kind"] == "mcp_server":
                found["item"] |= written.stands(house.mcp.standing(found["item"]["name"]), house.secrets.mask)
            return found

        return await house.database.read(look)

    @router.get("/v1/transcript/{ref:path}")
    async def transcript(ref: str) -> dict[str, Any]:
        """The whole conversation of a run: what was sent to the model and what it said, ours marked as ours."""
        return await house.database.read(lambda tx: _transcript(tx, ref))

    @router.get("/v1/exchange/{ref:path}")
    async def exchange(ref: str, attempt: Annotated[int | None, Query(ge=1, le=2**31)] = None) -> dict[str, Any]:
        """One model call of a run (the last, or `attempt`): the exact request, the raw reply, and where it went."""
        return await house.database.read(lambda tx: _exchange(tx, ref, attempt))

    @router.get("/v1/why/{ref:path}")
    async def why(ref: str) -> dict[str, Any]:
        """Why a run does not go on: a chain of reasons down to what would move it, with the commands that do."""
        return await house.database.read(lambda tx: _why(tx, ref, stopping=house.stopping.is_set()))

    @router.get("/v1/diff/{ref:path}")
    async def diff(ref: str) -> dict[str, Any]:
        """What a run is pinned to that is no longer what is written: both writings of each (`current` null: it is gone)."""
        return await house.database.read(lambda tx: _diff(tx, ref))

    return router


_STOPPING = Reason(
    "daemon", "smallchaind", "it is stopping and begins nothing new; what is not over goes on once it runs again", commands=(("restart",),)
)


def _why(tx: Tx, ref: str, *, stopping: bool) -> dict[str, Any]:
    run = finding.find_run(tx, ref)
    reason = reasons.why(tx, run)
    if stopping and not run.is_over:
        reason = replace(reason, because=(_STOPPING, *reason.because))
    return {"run": items.run_item(tx, run.id), "reason": _reason(reason)}


def _reason(reason: Reason) -> Item:
    return {
        "kind": reason.kind,
        "name": reason.name,
        "words": reason.words,
        "since": items.when(reason.since),
        "until": items.when(reason.until),
        "commands": [["smallchain", *command] for command in reason.commands],
        "because": [_reason(each) for each in reason.because],
    }


def _diff(tx: Tx, ref: str) -> dict[str, Any]:
    run = finding.find_run(tx, ref)
    found = []
    for (kind, name), digest in sorted(resources.pinned(tx, run.root_id).items()):
        now = mcptools.listing(tx, name) if kind == LISTING else resources.get(tx, kind, name)
        if now is None or now.digest != digest:
            current = _spec(tx, now.digest) if now is not None else None
            found.append({"kind": kind, "name": name, "id": digest, "pinned": _spec(tx, digest), "current": current})
    return {"run": run.name, "run_id": run.id, "items": found}


def _spec(tx: Tx, digest: str) -> Any:
    words = resources.words(tx, digest)
    return json.loads(words.text) if words is not None else None


def _exchange(tx: Tx, ref: str, attempt: int | None) -> dict[str, Any]:
    run = finding.find_run(tx, ref)
    calls = modelcalls.of_run(tx, run.id)
    row = next((each for each in reversed(calls) if attempt in (None, each["attempt"])), None)
    if row is None:
        raise Unknown(f"run {run.name!r} has made {len(calls)} model calls", hint=f"choose one from 1 to {len(calls)}" if calls else "")
    pins = pins_of(tx, run.root_id)
    llm = resources.get(tx, "llm", row["llm"])
    spec = typed(llm) if llm is not None else pins.llm(row["llm"])
    return {
        "run": run.name,
        "run_id": run.id,
        **_modelcall(row),
        "provider": spec.provider if spec is not None else None,
        "base_url": spec.base_url if spec is not None else None,
        "api_key": spec.api_key.model_dump(exclude_none=True) if spec is not None and spec.api_key is not None else None,
        "request": _sent(tx, run, pins, row),
        "reply": row["raw"],
        "max_output": row["max_output"],
    }


def _sent(tx: Tx, run: Run, pins: Pins, row: Row) -> str | None:
    """The body of an attempt; None where a context strategy failed to make one."""
    agent = pins.agent(run.agent)
    if agent is not None and strategy.is_own(agent):
        return composed.get(tx, run.id, row["attempt"])
    return body_of(tx, run, pins, modelcalls.from_row(row)).decode()


def _describe(tx: Tx, kind: str, ref: str) -> dict[str, Any]:
    if kind == "run":
        return _run(tx, ref)
    if kind == "event":
        return {"item": _event(tx, ref), "related": {}}
    if kind == "budget":
        (found,) = lists.named("budgets", budgets.written(tx), [ref])[:1]
        return {"item": found, "related": {"runs": budgets.parked(tx, found)}}
    if kind in lists.WRITTEN.values():
        row = finding.find_resource(tx, kind, ref)
        tools = {"mcp_tools": written.mcp_tools(tx, row.name)} if kind == "mcp_server" else {}
        made = {"runs": _made(tx, row)} if kind == "schedule" else {}
        return {"item": written.resource(tx, row), "related": {**tools, **made, "used_by": _users(tx, row)}}
    plural = f"{kind}s"
    if plural not in lists.KINDS or kind == "spend":
        raise Unknown(f"there is no kind {kind!r} to describe", hint=did_you_mean(plural, lists.KINDS))
    ref = ref.removeprefix(f"{kind}/")
    found = one(tx, plural, ref) if plural in HISTORIES else lists.named(plural, lists.listed(tx, plural, None), [ref])[0]
    related: dict[str, Any] = {}
    if kind == "request":
        found["told"] = _told(tx, found["toolcall_id"])
        related["deliveries"] = found["deliveries"]
    if kind == "toolcall":
        related["artifacts"] = [
            items.artifact(row) for row in artifacts.of_descendants(tx, found["run_id"]) if row["call_id"] == found["id"]
        ]
        found["handed_out"] = items.handed_out(tx, found["id"])
        related["attempts"] = [dict(row) for row in tx.all("toolcalls.attempts", call_id=found["id"])]
    return {"item": found, "related": related}


def _made(tx: Tx, schedule: Written) -> list[Item]:
    """The runs that a schedule made last, the newest at the end."""
    return items.run_items(tx, [start.run_id for start in schedules.starts(tx, schedule.name, most=_RUNS)])


def _users(tx: Tx, used: Written) -> list[Item]:
    """Who names a resource: what waits, or would, if it went."""
    named = (used.kind, used.name)
    users = [each for each in resources.everything(tx) if each.kind != "run" and named in references(each.kind, each.spec)]
    return [
        {name: item[name] for name in ("kind", "name", "id", "status", "detail")} for item in (written.resource(tx, user) for user in users)
    ]


def _event(tx: Tx, ref: str) -> Item:
    seq = int(ref) if ref.isascii() and ref.isdecimal() and len(ref) < 19 else 0
    found = eventlog.after(tx, seq - 1, most=1) if seq else []
    if not found or found[0]["seq"] != seq:
        raise Unknown(f"there is no event {ref!r}", hint=f"events go by their numbers; the newest is {eventlog.last(tx)}")
    return items.event(found[0])


def _told(tx: Tx, call_id: str | None) -> str | None:
    """What the model was told of a call, in its conversation's own words; None before that."""
    call = toolcalls.find(tx, call_id) if call_id else None
    if call is None or not call.is_over:
        return None
    made = to_text(call.created_at)
    for row in messages.of_run(tx, call.run_id):
        if row["role"] == "tool" and row["created_at"] >= made:
            message = json.loads(row["wire"])
            if message.get("tool_call_id") == call.asked_id:
                return str(message.get("content"))
    return None


def _run(tx: Tx, ref: str) -> dict[str, Any]:
    run = finding.find_run(tx, ref)
    item, *children = items.run_items(tx, [run.id, *runs.children_ids(tx, run.id)])
    calls = items.toolcalls(tx, toolcalls.ids_of_run(tx, run.id))
    after = eventlog.before_tail(tx, _EVENTS, run_id=run.id)
    return {
        "item": item
        | {
            "tree_held_usd": show_dollars(ledger.held_by_tree(tx, run.id)),
            "limits": items.limits(tx, run),
            "plan": [step.shown() for step in plans.of_run(tx, run)],
        },
        "related": {
            "toolcalls": calls,
            "children": children,
            "work": _work(tx, run, children),
            "budgets": budgets.over(tx, run),
            "requests": items.requests(tx, requests.ids_of_run(tx, run.id)),
            "artifacts": [items.artifact(row) for row in artifacts.of_descendants(tx, run.id)],
            "events": [items.event(row) for row in eventlog.after(tx, after, most=_EVENTS, run_id=run.id)],
            "pins": [
                {"kind": row["kind"], "name": row["name"], "digest": row["digest"], "current": bool(row["current"])}
                for row in resources.pins(tx, run.root_id)
            ],
            "modelcalls": [_modelcall(row) for row in modelcalls.of_run(tx, run.id)],
        },
    }


def _work(tx: Tx, run: Run, children: list[Item]) -> list[Item]:
    """What a run has begun beside itself, by the ids that its agent knows it under, each as its child stands."""
    made = {child["id"]: child for child in children}
    return [
        {
            "kind": "work",
            "name": work.name,
            "id": work.name,
            "agent": work.agent,
            **{name: made[work.child_id][name] for name in ("run", "run_id", "status", "detail", "priority")},
            "since": made[work.child_id]["created_at"],
            "finished_at": made[work.child_id]["finished_at"],
            "told": work.told,
        }
        for work in detached.of_run(tx, run.id)
        if work.child_id in made
    ]


def _modelcall(row: Row) -> Item:
    columns = ("attempt", "llm", "model", "outcome", "error", "finish_reason", "input_tokens", "output_tokens", "cached_tokens")
    cost = row["cost_nanousd"]
    return {
        "turn": row["turn"] + 1,  # people count from 1, as tool calls and `when: {turn: 1}` do
        **{name: row[name] for name in (*columns, "priced_by", "started_at", "finished_at")},
        "cost_usd": show_dollars(cost) if cost is not None else None,
    }


def _told_beside(tx: Tx, run: Run, attempts: Iterable[Row]) -> list[Item]:
    """What requests hold and is no message of its own, told first, as ours: `tool_mode: json`, and the wish for a summary."""
    pins = pins_of(tx, run.root_id)
    agent, llm = pins.agent(run.agent), pins.llm(run.llm)
    found = []
    if agent is not None and llm is not None and in_json(agent, llm, pins):
        found.append(("json_tools", "system", tools_text(as_openai_tools(pins.functions(agent)), pins.templates())))
    if any(row["summarises"] for row in attempts):
        found.append((context.SUMMARISE_WORDS, "user", context.asks_for_summary(pins.templates())["content"]))
    nothing = dict.fromkeys(("tool_call_id", "tool", "attempt", "finish_reason", "llm", "model", "cost_usd"))
    told: Item = {"seq": 0, "time": to_text(run.started_at or run.created_at), "tool_calls": [], "ours": True, **nothing}
    return [{**told, "role": role, "content": content, "template": template} for template, role, content in found]


def _transcript(tx: Tx, ref: str) -> dict[str, Any]:
    run = finding.find_run(tx, ref)
    attempts = {row["attempt"]: row for row in modelcalls.of_run(tx, run.id)}
    asked: dict[str, str] = {}
    found = _told_beside(tx, run, attempts.values())
    for row in messages.of_run(tx, run.id):
        message = json.loads(row["wire"])
        calls = [
            {"id": call["id"], "name": call["function"]["name"], "arguments": call["function"]["arguments"]}
            for call in message.get("tool_calls") or ()
        ]
        asked |= {call["id"]: call["name"] for call in calls}
        attempt = attempts.get(row["attempt"]) if row["attempt"] is not None else None
        found.append(
            {
                "seq": row["seq"],
                "time": row["created_at"],
                "role": row["role"],
                "content": message.get("content"),
                "tool_calls": calls,
                "tool_call_id": message.get("tool_call_id"),
                "tool": asked.get(message.get("tool_call_id", "")),
                "ours": bool(row["template"]),
                "template": row["template"] or None,
                "attempt": row["attempt"],
                "finish_reason": attempt["finish_reason"] if attempt else None,
                "llm": attempt["llm"] if attempt else None,
                "model": attempt["model"] if attempt else None,
                "cost_usd": show_dollars(attempt["cost_nanousd"]) if attempt and attempt["cost_nanousd"] is not None else None,
            }
        )
    return {"run": items.run_item(tx, run.id), "messages": found}
