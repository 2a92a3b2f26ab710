"""Limits of calls: which of them are over a call, whether one is used up, and the count of those that start.

The one rule: a call is looked at and counted in the transaction that starts it, once, however often it is tried.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from smallchain.engine.memo import Memo
from smallchain.engine.specs import Pins, pins_of, typed
from smallchain.engine.toolcall import policy
from smallchain.engine.toolcall.decide import CallFacts
from smallchain.model.calllimit import CallLimit
from smallchain.model.cap import window_end, window_start
from smallchain.model.run import Run
from smallchain.model.sections import AgentSpec
from smallchain.model.toolcall import ToolCall
from smallchain.store import countedcalls, resources
from smallchain.store.contract import Tx
from smallchain.store.times import show_moment


@dataclass(frozen=True, slots=True)
class Counted:
    """A limit that counts a call. `by` tells its count apart; `of` is where it is written, as people see it."""

    by: str
    of: str
    limit: CallLimit
    of_tree: bool
    """Per run, it counts a run with its children; else the run alone."""


def observe(tx: Tx, pins: Pins, run: Run, call: ToolCall, facts: CallFacts, /) -> None:
    """Put that a limit of calls is used up, if one is, to the other facts; what has begun once is not counted again."""
    if call.attempts == 0:
        facts.used_up = next((why for each in _over(tx, pins, run, call) if (why := _used_up(tx, run, each))), "")


def count(tx: Tx, run: Run, call: ToolCall, /) -> None:
    """Count a call that starts."""
    if call.attempts == 0:
        for each in _over(tx, pins_of(tx, run.root_id), run, call):
            countedcalls.add(tx, each.by, _subject(run, each))


def used_of(tx: Tx, kind: str, name: str, limit: CallLimit, /) -> int | None:
    """How much of the limit of a tool or an MCP server is used now; None where each run has its own."""
    since = _since(tx, limit)
    return countedcalls.count(tx, f"{kind}/{name}", since) if since is not None else None


def _used_up(tx: Tx, run: Run, counted: Counted) -> str:
    limit = counted.limit
    reached = f"the limit `{limit.shown}` of {counted.of} is reached"
    since = _since(tx, limit)
    if since is None:
        full = countedcalls.has(tx, counted.by, limit.limit, _subject(run, counted))
        return f"{reached}: this run has no more of them" if full else ""
    oldest = countedcalls.nth_since(tx, counted.by, limit.limit, since)
    if oldest is None:
        return ""
    room_at = window_end(limit.per, limit.window, now=oldest)
    return f"{reached}: there is room again at {show_moment(room_at)}" if room_at is not None else reached


def _since(tx: Tx, limit: CallLimit) -> datetime | None:
    """From when on calls count; one that was made a whole rolling window ago does no more. None: those of a run count."""
    start = window_start(limit.per, limit.window, now=tx.now)
    return start + timedelta.resolution if start is not None and limit.window == "rolling" else start


def _subject(run: Run, counted: Counted) -> str:
    return run.root_id if counted.of_tree else run.id


def _over(tx: Tx, pins: Pins, run: Run, call: ToolCall) -> tuple[Counted, ...]:
    """The limits over a call as they are written now; of what was deleted, as it was pinned. Most often there is none."""
    kind, name, target = _behind(pins, run, call)
    agent, behind = (_digest_now(tx, pins, each, named) for each, named in (("agent", run.agent), (kind, name)))
    key = (call.function, call.target_kind, call.tool, agent, behind)
    return _KNOWN.get(key, lambda: _written(tx, pins, run, call, kind, name, target))


def _behind(pins: Pins, run: Run, call: ToolCall) -> tuple[str, str, str]:
    """The kind and the name of what carries out a call, and what the agent's entry for it names."""
    function = pins.function(run.agent, call.function)
    if function is None:
        return "tool", call.tool, ""
    if call.target_kind == "mcp":
        return "mcp_server", function.server, function.server
    return "tool", call.tool, function.target


def _digest_now(tx: Tx, pins: Pins, kind: str, name: str) -> str:
    row = resources.get(tx, kind, name)
    return row.digest if row is not None else pins.digest(kind, name)


def _written(tx: Tx, pins: Pins, run: Run, call: ToolCall, kind: str, name: str, target: str) -> tuple[Counted, ...]:
    found = []
    behind = _spec(tx, pins, kind, name) if call.target_kind in ("tool", "timer", "mcp") else None
    if behind is not None and behind.limits is not None and behind.limits.calls is not None:
        word = "tool" if kind == "tool" else "MCP server"
        found.append(Counted(f"{kind}/{name}", f"{word} '{name}'", behind.limits.calls, of_tree=True))
    agent: AgentSpec | None = _spec(tx, pins, "agent", run.agent)
    entry = policy.entry_of(agent, call, target) if agent is not None else None
    if entry is not None and entry.limits is not None and entry.limits.calls is not None:
        by = f"agent/{run.agent}/{'/'.join(entry.uses)}"
        found.append(Counted(by, f"agent '{run.agent}' for '{entry.uses[1]}'", entry.limits.calls, of_tree=False))
    return tuple(found)


def _spec(tx: Tx, pins: Pins, kind: str, name: str) -> Any:
    row = resources.get(tx, kind, name)
    if row is not None:
        return typed(row)
    match kind:
        case "agent":
            return pins.agent(name)
        case "tool":
            tool = pins.tool(name)
            return tool.spec if tool is not None else None
        case _:
            server = pins.server(name)
            return server.spec if server is not None else None


_KNOWN: Memo[tuple[Counted, ...]] = Memo()
