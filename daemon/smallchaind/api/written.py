"""What is written in the config folder, as the items that people and programs see: LLMs, agents, tools, tasks, ..., and how each stands."""

from __future__ import annotations

from collections.abc import Callable

from smallchain.engine import reach
from smallchain.engine.pace.kind import standing
from smallchain.engine.ports import Toolbox
from smallchain.engine.schedule.kind import next_start
from smallchain.engine.specs import in_use, typed, why_unsupported
from smallchain.engine.toolcall import counting
from smallchain.model.functions import name_on_server
from smallchain.model.ids import did_you_mean
from smallchain.model.lifecycles import Readiness
from smallchain.model.mcp import McpStanding
from smallchain.store import mcptools, resources, runs, schedules
from smallchain.store.contract import Tx
from smallchain.store.resources import Written
from smallchaind.api.items import Item, when


def resource(tx: Tx, written: Written, /) -> Item:
    """An LLM, agent, tool, task, ..., and whether it can be used."""
    status, detail = _standing(tx, written)
    item = {
        "kind": written.kind,
        "name": written.name,
        "id": written.id,
        "status": status,
        "detail": detail,
        "file": written.file,
        "line": written.line,
        "generation": written.generation,
        "updated_at": when(written.updated_at),
        "spec": written.spec,
    }
    match written.kind:
        case "llm":
            return item | _use(tx, written.name)
        case "tool":
            return item | _calls(tx, written)
        case "mcp_server":
            tools = [tool["name"] for tool in mcp_tools(tx, written.name) if tool["state"] == mcptools.ACCEPTED]
            return item | {"tools": tools} | _calls(tx, written)
        case "schedule":
            return item | _starts(tx, written)
        case _:
            return item


def _calls(tx: Tx, written: Written) -> Item:
    """How many calls a limit allows, and how many of them are used now (None: each run has its own); nothing where there is no limit."""
    limits = typed(written).limits
    if limits is None or limits.calls is None:
        return {}
    used = counting.used_of(tx, written.kind, written.name, limits.calls)
    return {"calls": {"limit": limits.calls.limit, "per": limits.calls.per, "window": limits.calls.window, "used": used}}


def _starts(tx: Tx, schedule: Written) -> Item:
    """When a schedule starts its task next, what it started last, and what it skipped."""
    last = next(iter(schedules.starts(tx, schedule.name, most=1)), None)
    run = runs.find(tx, last.run_id) if last is not None else None
    stands = schedules.get(tx, schedule.name)
    return {
        "next_start_at": when(next_start(tx, schedule)),
        "last_start_at": when(run.created_at) if run is not None else None,
        "last_run": run.name if run is not None else None,
        "last_run_id": run.id if run is not None else None,
        "last_phase": run.phase if run is not None else None,
        "waiting_since": when(stands.waiting) if stands is not None else None,
        "skipped": stands.skipped if stands is not None else 0,
        "skipped_at": when(stands.skipped_at) if stands is not None else None,
        "skipped_why": stands.skipped_why if stands is not None else "",
    }


def mcp_tools(tx: Tx, server: str, /) -> list[Item]:
    """What an MCP server lists, each with its state: accepted, changed (held until somebody accepts it), refused or unusable."""
    return [
        {
            "kind": "mcp_tool",
            "name": row.name,
            "id": f"{server}/{row.name}",
            "function": name_on_server(server, row.name),
            "state": row.state,
            "detail": row.detail,
            "description": row.now.description,
            "schema": row.now.schema,
            "digest": row.digest,
            "accepted_digest": row.accepted_digest or None,
            "request_id": row.request_id or None,
        }
        for row in mcptools.of_server(tx, server)
        if row.offered
    ]


def stands(standing: McpStanding, mask: Callable[[str], str], /) -> Item:
    """How an MCP server stands in this life of the daemon."""
    return {
        "pid": standing.pid,
        "restarts": standing.restarts,
        "protocol": standing.protocol or None,
        "stderr": [mask(line) for line in standing.stderr],
    }


def with_fence(tx: Tx, tool: Item, tools: Toolbox, /) -> Item:
    """A tool's item with what is around it when it runs, in words; empty for nothing, and until the machine was looked at."""
    row, defaults = resources.get(tx, "tool", tool["name"]), resources.get(tx, "defaults", "defaults")
    if row is None:
        return tool
    used = in_use(typed(row), typed(defaults) if defaults is not None else None, row.folder)
    return tool | {"fence": tools.fence(used.spec)}


def _use(tx: Tx, llm: str) -> Item:
    """How hard an LLM is used now: calls that are out, runs that wait for a place, and until when it takes no calls."""
    found = standing(tx, llm)
    held = {"held_until": when(found.held_until), "held_why": found.held_why}
    return {"in_use": found.out, "waiting": found.waiting, "full": found.why, **held}


def _standing(tx: Tx, written: Written) -> tuple[str, str]:
    """What has a loop says how it is; a task is as its agent is; what this version cannot keep is Pending."""
    if written.kind in resources.CHECKED_KINDS:
        return written.status, written.detail
    why = why_unsupported(written)
    if why is not None:
        return Readiness.PENDING, why
    if written.kind != "task":
        return Readiness.READY, ""
    name = written.spec["agent"]
    agent = resources.get(tx, "agent", name)
    if agent is not None and agent.status is Readiness.READY and reach.reach_of(tx, name).llm is None:
        return Readiness.PENDING, reach.why_no_llm(tx, name)
    if agent is not None:
        return agent.status, agent.detail
    near = did_you_mean(name, resources.names(tx, "agent"))
    return Readiness.PENDING, f"agent '{name}' does not exist" + (f"; {near}" if near else "")
