"""Rows as the items that people and programs see; every item has `kind`, `name` and `id`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from smallchain.engine.limits import used_of
from smallchain.engine.pace.kind import standing
from smallchain.model.delivery import VERBS
from smallchain.model.durations import show_duration
from smallchain.model.human import RequestKind
from smallchain.model.mcp import difference
from smallchain.model.money import show_dollars
from smallchain.model.outcomes import outcome
from smallchain.model.run import Run, status_of
from smallchain.model.templates import TEMPLATES
from smallchain.store import callbacks, paces, runs
from smallchain.store.contract import Row, Tx
from smallchain.store.spend import Spent
from smallchain.store.times import to_text

Item = dict[str, Any]


def when(moment: datetime | None) -> str | None:
    """A moment as it travels: RFC 3339 in UTC."""
    return to_text(moment) if moment is not None else None


def run(row: Row, /, *, places: Mapping[tuple[str, int], str]) -> Item:
    """A run of `runs.list`, with its one word of status; `places` are those of `places_waited_for`."""
    value = runs.from_row(row)
    status, detail = status_of(value, runs.open_calls(row), place=places.get((value.id, value.attempts + 1), ""))
    return {
        "kind": "run",
        "name": value.name,
        "id": value.id,
        "run": value.name,
        "run_id": value.id,
        "status": status,
        "phase": value.phase,
        "paused": value.paused,
        "detail": detail,
        "output": value.output,
        "error": value.error,
        "agent": value.agent,
        "llm": value.llm,
        "task": value.task,
        "schedule": row["schedule"],
        "scheduled_for": row["scheduled_for"],
        "parent": row["parent"],
        "parent_id": value.parent_id,
        "root": row["root"] or value.name,
        "root_id": value.root_id,
        "depth": value.depth,
        "turns": value.turns,
        "priority": value.priority,
        "cost_usd": show_dollars(value.cost_nanousd),
        "tree_cost_usd": show_dollars(row["tree_cost_nanousd"]),
        "held_usd": show_dollars(row["held_nanousd"]),
        "due_at": when(value.due_at),
        "created_at": when(value.created_at),
        "started_at": when(value.started_at),
        "finished_at": when(value.finished_at),
        "file": value.file,
    }


def limits(tx: Tx, value: Run, /) -> list[Item]:
    """What a run has used of each limit of its agent (`limit` None: nothing is written); lengths as people write them, and in seconds."""
    return [{"name": name, **_used(*each)} for name, each in used_of(tx, value).items()] if value.started_at else []


def _used(used: int | timedelta, most: int | timedelta | None) -> Item:
    if isinstance(used, int):
        return {"used": used, "limit": most}
    length = used - used % timedelta(seconds=1) if used >= timedelta(minutes=1) else used
    of = most if isinstance(most, timedelta) else None
    shown = {"used": show_duration(length), "limit": show_duration(of) if of is not None else None}
    return shown | {"used_s": round(used.total_seconds(), 3), "limit_s": of.total_seconds() if of is not None else None}


def run_items(tx: Tx, ids: Sequence[str], /) -> list[Item]:
    """These runs, in the order of their making."""
    places = places_waited_for(tx)
    return [run(row, places=places) for row in tx.all("runs.list", ids=json.dumps(ids))]


def places_waited_for(tx: Tx, /) -> dict[tuple[str, int], str]:
    """What each run (its id, and the attempt) waits for that waits for a place at an LLM: what is used up there, and until when."""
    waiting = paces.waiting_runs(tx)
    why = {llm: standing(tx, llm).why for llm in set(waiting.values())}
    return {run: f"for a place at LLM '{llm}'" + (f" ({why[llm]})" if why[llm] else "") for run, llm in waiting.items()}


def run_item(tx: Tx, id: str, /) -> Item:
    """One run."""
    (item,) = run_items(tx, [id])
    return item


def toolcalls(tx: Tx, ids: Sequence[str], /) -> list[Item]:
    """These tool calls, in the order of their making."""
    return [toolcall(row) for row in tx.all("toolcalls.list", ids=json.dumps(ids))]


def toolcall(row: Row, /) -> Item:
    """A tool call; `arguments` are the model's as an object, or its text where that is no object."""
    return {
        "kind": "toolcall",
        "name": row["tool"],
        "id": row["id"],
        "run": row["run"],
        "run_id": row["run_id"],
        "tool": row["tool"],
        "function": row["function"],
        "arguments": _arguments(row["arguments"]),
        "phase": row["phase"],
        "result": row["result"],
        "detail": row["detail"],
        "attempts": row["attempts"],
        "effects": row["effects"],
        "asked_id": row["asked_id"],
        "turn": row["turn"],
        "child": row["child"],
        "created_at": row["created_at"],
        "finished_at": row["finished_at"],
    }


def handed_out(tx: Tx, call_id: str, /) -> Item | None:
    """How a call was handed out, and who brought its result; None for one that was not."""
    found = callbacks.find(tx, call_id)
    if found is None:
        return None
    return {
        "handed_out_at": when(found.handed_out_at),
        "expires_at": when(found.expires_at),
        "tell_at": when(found.tell_at),
        "refusals": found.refusals,
        "brought_by": found.brought_by,
        "brought_at": when(found.brought_at),
    }


def requests(tx: Tx, ids: Sequence[str], /) -> list[Item]:
    """These requests to people, oldest first, with all that is needed to decide them, and where each was told."""
    wanted = json.dumps(ids)
    told: dict[str, list[Item]] = {}
    for row in tx.all("deliveries.of_requests", ids=wanted):
        told.setdefault(row["request_id"], []).append(_delivery(row))
    return [_request(row, told.get(row["id"], [])) for row in tx.all("requests.list", ids=wanted)]


def _request(row: Row, told: list[Item]) -> Item:
    """A request to a person; its `kind` is what is asked."""
    kind = RequestKind(row["kind"])
    decision = json.loads(row["decision"]) if row["decision"] else None
    arguments = _arguments(row["arguments"]) if row["arguments"] else None
    return {
        "kind": row["kind"],
        "name": row["tool"] or row["run"],
        "id": row["id"],
        "run": row["run"],
        "run_id": row["run_id"],
        "tool": row["tool"] or None,
        "toolcall_id": row["call_id"],
        "arguments": arguments,
        "difference": _difference(arguments) if kind is RequestKind.TOOL_CHANGED else [],
        "digest": row["digest"],
        "path": row["path"] or " > ".join(part for part in (row["run"], row["tool"]) if part),
        "question": row["question"],
        "why": row["why"],
        "choices": json.loads(row["choices"]) if row["choices"] else [],
        "outcomes": {verb.value: outcome(kind, verb, tool=row["tool"]) for verb in VERBS[kind]},
        "risk": row["risk"],
        "rule": row["rule"],
        "phase": row["phase"],
        "channel": row["channel"] or None,
        "deliveries": told,
        "created_at": row["created_at"],
        "expires_at": row["expires_at"],
        "on_expiry": row["on_expiry"] or None,
        "answered_at": row["decided_at"],
        "answered_by": row["decided_by"],
        "answered_via": row["decided_via"],
        "answer": decision,
        "changes": decision.get("changes", []) if decision else [],
        "note": row["note"],
    }


def _difference(arguments: Any) -> list[str]:
    """What changed of a tool, as the lines of a diff."""
    if not isinstance(arguments, dict) or not isinstance(arguments.get("now"), dict):
        return []
    return list(difference(arguments.get("before"), arguments["now"]))


def _delivery(row: Row) -> Item:
    names = ("id", "channel", "phase", "attempts", "reminder", "detail", "due_at", "created_at", "delivered_at")
    return {name: row[name] for name in names}


def grant(row: Row, /) -> Item:
    """That a tool may run in a run without being asked about again."""
    over = row["run_phase"] in ("succeeded", "failed", "cancelled")
    return {
        "kind": "grant",
        "name": row["tool"],
        "id": row["id"],
        "run": row["run"],
        "run_id": row["run_id"],
        "tool": row["tool"],
        "status": "Revoked" if row["revoked_at"] else "Ended" if over else "Active",
        "by": row["by"],
        "via": row["via"],
        "note": row["note"],
        "created_at": row["created_at"],
        "revoked_at": row["revoked_at"],
        "revoked_by": row["revoked_by"],
    }


def spent(sum: Spent, /) -> Item:
    """What model calls came to; its name says what it is a sum of."""
    hour = f"{sum.hour}:00:00Z" if sum.hour is not None else None
    name = (
        " ".join(part for part in (hour or sum.day, sum.agent, sum.llm, sum.model, sum.task, sum.run) if part is not None) or "everything"
    )
    return {
        "kind": "spend",
        "name": name,
        "id": name,
        "hour": hour,
        "day": sum.day,
        "agent": sum.agent,
        "llm": sum.llm,
        "model": sum.model,
        "task": sum.task,
        "run": sum.run,
        "run_id": sum.run_id,
        "calls": sum.calls,
        "unpriced": sum.unpriced,
        "input_tokens": sum.input_tokens,
        "output_tokens": sum.output_tokens,
        "cached_tokens": sum.cached_tokens,
        "cost_usd": show_dollars(sum.cost_nanousd),
    }


def artifact(row: Row, /) -> Item:
    """What a tool call left behind, without its bytes."""
    return {
        "kind": "artifact",
        "name": row["name"],
        "id": row["id"],
        "run": row["run"],
        "run_id": row["run_id"],
        "tool": row["tool"],
        "toolcall_id": row["call_id"],
        "media_type": row["media_type"],
        "size_bytes": row["size_bytes"],
        "digest": row["digest"],
        "created_at": row["created_at"],
    }


def event(row: Row, /) -> Item:
    """An event."""
    return {
        "kind": "event",
        "name": row["reason"],
        "id": str(row["seq"]),
        "seq": row["seq"],
        "time": row["time"],
        "level": row["level"],
        "reason": row["reason"],
        "object": {"kind": row["object_kind"], "name": row["object_name"], "id": row["object_id"]},
        "message": row["message"],
        "run": row["run"],
        "run_id": row["run_id"],
    }


def file(row: Row, /) -> Item:
    """A file of the config folder."""
    return {
        "kind": "file",
        "name": row["source"] or row["path"],
        "id": row["path"],
        "status": row["status"],
        "since": row["since"],
        "problems": json.loads(row["problems"]),
        "source": row["source"],
    }


def templates(overrides: Mapping[str, str], /) -> list[Item]:
    """Every sentence of ours, as it stands."""
    return [
        {
            "kind": "template",
            "name": name,
            "id": name,
            "used_for": used_for,
            "text": overrides.get(name, text),
            "replaced": name in overrides,
        }
        for name, (used_for, text) in TEMPLATES.items()
    ]


def _arguments(text: str) -> Any:
    """The model's arguments as an object; its own text where they are none, or spell out half a surrogate pair, which no answer holds."""
    try:
        value = json.loads(text) if text.strip() else {}
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, dict) else text
