"""Calls of the tools of MCP servers: what holds one, and the start that its attempt begins with.

The one rule: a call goes out only to a server that is ready, and only to a tool whose words a person would recognise: those the run is
pinned to, or those that somebody has accepted since.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from smallchain.engine.specs import Pins, ServerInUse, server_in_use, typed
from smallchain.engine.toolcall import arguments as args
from smallchain.engine.toolcall import policy
from smallchain.engine.toolcall.decide import CallFacts
from smallchain.model.errors import BadInput, Unknown
from smallchain.model.functions import Function
from smallchain.model.lifecycles import Readiness
from smallchain.model.run import Run
from smallchain.model.toolcall import Start, ToolCall
from smallchain.store import mcptools, resources
from smallchain.store.contract import Tx

RETRIES = 2
"""Further attempts at what may be tried again: what never started, and what is harmless twice."""


def observe(tx: Tx, pins: Pins, run: Run, call: ToolCall, facts: CallFacts, /) -> None:
    """Put what the server and its tool are now to the facts about a call."""
    function = pins.function(run.agent, call.function)
    if function is None:
        return
    server, name = function.server, function.target
    row = resources.get(tx, "mcp_server", server)
    if row is None:
        facts.held = f"MCP server '{server}' does not exist any more"
        return
    tool = mcptools.get(tx, server, name)
    if tool is not None and tool.digest != _pinned(pins, function):
        match tool.state:
            case mcptools.REFUSED:
                facts.lost = f"its MCP server changed it, and that was refused: {tool.detail}"
                return
            case mcptools.CHANGED:
                facts.held = f"MCP server '{server}' changed it: `smallchain inbox` asks whether it may be used"
                return
            case mcptools.ACCEPTED:
                facts.fault_in_arguments = facts.fault_in_arguments or _fault(call, tool.now.schema)
    if row.status is not Readiness.READY:
        facts.held = facts.held or f"MCP server '{server}' is not ready: {row.detail}"


def start_of(tx: Tx, pins: Pins, run: Run, call: ToolCall, arguments: dict[str, Any], /) -> Start:
    """The start of an attempt at a server's tool."""
    function = pins.function(run.agent, call.function)
    pinned = pins.server(function.server) if function is not None else None
    if function is None or pinned is None:
        raise Unknown(f"run {run.name!r} is not pinned to a tool {call.tool!r}")
    executor = policy.mcp_executor(pins, function)
    tool = mcptools.get(tx, function.server, function.target)
    if tool is not None and tool.accepted_digest:
        executor["mcp"]["digest"] = tool.accepted_digest  # what its server must have listed last, or nothing goes out
    timeout = timedelta(seconds=(_now(tx, function.server) or pinned).timeout_s)
    return Start(
        call_id=call.id,
        run_id=run.id,
        tool=call.tool,
        executor=executor,
        arguments=arguments,
        parameters=tuple(function.fits.get("properties", {})),
        idempotency_key=call.idempotency_key,
        attempt=call.attempts,
        timeout=timeout,
        deadline=tx.now + timeout,
    )


def _now(tx: Tx, server: str) -> ServerInUse | None:
    """The server as it is written now, whose time-out holds."""
    row = resources.get(tx, "mcp_server", server)
    defaults = resources.get(tx, "defaults", "defaults")
    return server_in_use(typed(row), typed(defaults) if defaults is not None else None) if row is not None else None


def _pinned(pins: Pins, function: Function) -> str:
    return next((each.digest for each in pins.server_tools(function.server) if each.name == function.target), "")


def _fault(call: ToolCall, schema: dict[str, Any]) -> str:
    """What does not fit the words that were accepted since the run began."""
    try:
        return args.fault(args.read(call.arguments), schema)
    except BadInput as error:
        return error.message
