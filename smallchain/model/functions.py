"""The functions a model sees: what an agent lists, under names that every provider takes.

The one rule: a name that a person wrote (a tool's) is kept as it is; a name that we make gives way to it. Names are never taken apart:
what is behind one stands beside it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from smallchain.model.builtins import ASK_HUMAN, BUILTINS, QUESTION, SLEEPS
from smallchain.model.ids import is_function_name, slug
from smallchain.model.mcp import SHOWN_DESCRIPTION, McpTool, reduced, shortened
from smallchain.model.sections import AgentSpec, ChannelSpec
from smallchain.model.toolspec import ToolSpec

LONGEST_FUNCTION_NAME = 64
_NO_PARAMETERS: dict[str, Any] = {"type": "object", "properties": {}}
_MESSAGE: dict[str, Any] = {
    "type": "object",
    "properties": {"message": {"type": "string", "description": "What the agent should do, with all it needs to know"}},
    "required": ["message"],
}
_DETACHABLE: dict[str, Any] = {
    **_MESSAGE,
    "properties": {
        **_MESSAGE["properties"],
        "detach": {"type": "boolean", "description": "true: go on at once, and be told between your turns what came of it"},
    },
}


@dataclass(frozen=True, slots=True)
class Function:
    """A function the model may call. `target` names the tool, agent, channel or built-in timer behind it; `ask_human` has no channel of
    its own."""

    name: str
    kind: Literal["tool", "agent", "human", "mcp", "timer"]
    target: str
    description: str
    parameters: dict[str, Any]
    """What the model is shown."""
    server: str = ""
    """The MCP server whose tool `target` is."""
    schema: dict[str, Any] | None = None
    """What arguments must fit where that is more than the model is shown."""

    @property
    def fits(self) -> dict[str, Any]:
        """What arguments must fit."""
        return self.parameters if self.schema is None else self.schema


def tool_named(name: str, tools: Mapping[str, ToolSpec]) -> ToolSpec | None:
    """The tool of a name: the one declared, else the built-in of that name, which needs no entry under `tools`."""
    if name in tools:
        return tools[name]
    return ToolSpec(name=name, builtin=name) if name in BUILTINS else None


def functions_of(
    agent: AgentSpec,
    *,
    tools: Mapping[str, ToolSpec],
    agents: Mapping[str, AgentSpec],
    channels: Mapping[str, ChannelSpec] | None = None,
    servers: Mapping[str, Sequence[McpTool]] | None = None,
) -> dict[str, Function]:
    """What an agent may call, in the order it lists it, by function name; `servers` holds the tools of each MCP server.

    An entry whose tool, agent, channel or MCP server is missing is left out.
    """
    taken = {entry.tool for entry in agent.tools if entry.tool is not None}
    found: list[Function] = []
    for entry in agent.tools:
        kind, name = entry.uses
        match kind:
            case "tool":
                tool = tool_named(name, tools)
                if tool is not None:
                    found.append(_of_tool(tool))
            case "agent" if name in agents:
                description = agents[name].description or f"Delegate to the agent '{name}'."
                parameters = _DETACHABLE if entry.detach == "allowed" else _MESSAGE
                found.append(Function(_made("delegate_to", name, taken), "agent", name, description, parameters))
            case "channel" if channels is not None and name in channels:
                about = channels[name].about or name
                description = f"Ask a person ({about}) and wait for the answer."
                found.append(Function(_made("ask", name, taken), "human", name, description, QUESTION))
            case "mcp_server" if servers is not None and name in servers:
                wanted = [each for each in servers[name] if entry.only is None or each.name in entry.only]
                found += [_of_server(name, each, taken) for each in wanted]
    return {function.name: function for function in found}


def as_openai_tools(functions: Mapping[str, Function] | Iterable[Function]) -> list[dict[str, Any]]:
    """Functions as a chat-completions request lists them."""
    listed = functions.values() if isinstance(functions, Mapping) else functions
    return [
        {
            "type": "function",
            "function": {"name": function.name, "description": function.description, "parameters": function.parameters},
        }
        for function in listed
    ]


def _of_tool(tool: ToolSpec) -> Function:
    builtin = BUILTINS.get(tool.builtin) if tool.builtin is not None else None
    description = tool.description or (builtin.description if builtin else "")
    parameters = tool.parameters or (builtin.parameters if builtin else _NO_PARAMETERS)
    if tool.builtin == ASK_HUMAN:
        return Function(tool.name, "human", "", description, parameters)
    if tool.builtin in SLEEPS:
        return Function(tool.name, "timer", tool.builtin, description, parameters)
    return Function(tool.name, "tool", tool.name, description, parameters)


def name_on_server(server: str, tool: str, /) -> str:
    """`server__tool`; cut with a digest of both when too long, or when it holds what no function's name may."""
    whole = f"{slug(server)}__{tool}"
    if is_function_name(whole):
        return whole
    mark = hashlib.sha256(f"{server}\0{tool}".encode("utf-8", "backslashreplace")).hexdigest()[:8]
    return f"{slug(server)}__{slug(tool)}"[: LONGEST_FUNCTION_NAME - 9] + f"_{mark}"


def _of_server(server: str, tool: McpTool, taken: set[str]) -> Function:
    name = _free(name_on_server(server, tool.name), taken)
    description = shortened(tool.description, SHOWN_DESCRIPTION) or f"The tool '{tool.name}' of the MCP server '{server}'."
    return Function(name, "mcp", tool.name, description, reduced(tool.schema), server, tool.schema)


def _made(verb: str, name: str, taken: set[str]) -> str:
    """`verb_slug`, cut with a digest of the name when too long, numbered when taken; and taken from now on."""
    whole = f"{verb}_{slug(name)}"
    if len(whole) > LONGEST_FUNCTION_NAME:
        whole = f"{whole[: LONGEST_FUNCTION_NAME - 9]}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return _free(whole, taken)


def _free(whole: str, taken: set[str]) -> str:
    """A name, numbered when it is taken; and taken from now on."""
    found, number = whole, 1
    while found in taken:
        number += 1
        suffix = f"_{number}"
        found = whole[: LONGEST_FUNCTION_NAME - len(suffix)] + suffix
    taken.add(found)
    return found
