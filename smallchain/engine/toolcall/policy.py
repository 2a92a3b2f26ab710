"""What the rules say of a call, the pinned ones and those written now, and what a person has let through of it.

The one rule: what is looked at here is exactly what would run, and nothing is let through that was shown in another form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from smallchain.engine.specs import Pins, meant_by, pins_of
from smallchain.engine.toolcall import arguments as args
from smallchain.model.approval import FREE, Rule, Verdict, Word, digest_of, verdict
from smallchain.model.canonical import digest
from smallchain.model.errors import BadInput
from smallchain.model.functions import Function
from smallchain.model.human import Approved
from smallchain.model.run import Run
from smallchain.model.sections import AgentSpec, AgentTool, DefaultsSpec, McpServerSpec
from smallchain.model.toolcall import ToolCall
from smallchain.model.toolspec import ToolSpec
from smallchain.store import approvals, resources, runs
from smallchain.store.contract import Tx

_RISKS = ("low", "normal", "high")
_MOST_KEPT = 4096


@dataclass(frozen=True, slots=True)
class Target:
    """What a call starts, without its arguments: the tool, what it is pinned to, and what carries it out."""

    tool: str
    generation: str
    executor: dict[str, Any]
    risk: str = "normal"

    def digest(self, arguments: dict[str, Any]) -> str:
        """What an approval of it is bound to."""
        return digest_of(self.tool, self.generation, self.executor, arguments)

    @property
    def mark(self) -> str:
        """What a grant is bound to: the same without arguments."""
        return digest({"tool": self.tool, "generation": self.generation, "executor": self.executor})


@dataclass(frozen=True, slots=True)
class Policy:
    """What holds for a call. `approved`: a person let exactly this through; `outdated`: a person let something else through."""

    verdict: Verdict = FREE
    approved: bool = False
    outdated: bool = False


_FREE = Policy()


def look(tx: Tx, pins: Pins, run: Run, call: ToolCall, /) -> Policy:
    """What the rules say now, and whether a person has said yes to what would run."""
    rules = rules_over(tx, pins, run, call)
    if not rules:
        return _FREE
    given = approvals.of_call(tx, call)
    try:
        arguments = arguments_of(call, given)
    except BadInput:  # answered as such before anybody is asked
        return Policy()
    found = verdict(rules, arguments)
    if found.word is not Word.REQUIRED:
        return Policy(found)
    target = target_of(pins, run, call)
    if given is not None and given.digest == target.digest(arguments):
        return Policy(found, approved=True)
    return Policy(found, approved=approvals.granted(tx, run.id, target.mark) is not None, outdated=given is not None)


def is_other_than_approved(tx: Tx, call: ToolCall, /) -> bool:
    """Whether a person let something through of a call, and it is not what the call would start now."""
    given, run = approvals.of_call(tx, call), runs.get(tx, call.run_id)
    target = target_of(pins_of(tx, run.root_id), run, call)
    return given is not None and given.digest != target.digest(arguments_of(call, given))


def arguments_of(call: ToolCall, given: Approved | None, /) -> dict[str, Any]:
    """What runs: the arguments a person put in the place of the model's, else the model's. Raises BadInput for what is no object."""
    return args.read(given.arguments if given is not None and given.arguments else call.arguments)


def target_of(pins: Pins, run: Run, call: ToolCall, /) -> Target:
    """What a call would start, as its run is pinned to it."""
    if call.target_kind == "tool":
        tool = pins.tool(call.tool)
        executor: dict[str, Any] = {}
        if tool is not None:
            executor = {"builtin": tool.spec.builtin}
            if tool.spec.executor is not None:
                executor = tool.spec.executor.model_dump(mode="json", exclude_none=True)
        return Target(call.tool, pins.digest("tool", call.tool), executor, tool.spec.risk if tool is not None else "normal")
    function = pins.function(run.agent, call.function)
    if call.target_kind == "mcp":
        executor = mcp_executor(pins, function) if function is not None else {}
        return Target(call.tool, pins.digest("mcp_server", function.server) if function is not None else "", executor)
    name = function.target if function is not None else ""
    kind = "channel" if call.target_kind == "human" else call.target_kind
    generation = pins.digest(kind, name) if kind == "agent" else ""  # a channel is always as it is written now
    return Target(call.tool, generation, {kind: name})


def mcp_executor(pins: Pins, function: Function, /) -> dict[str, Any]:
    """What carries out a call of an MCP server's tool: the server, the tool, and the words it is pinned to."""
    tool = next((each for each in pins.server_tools(function.server) if each.name == function.target), None)
    return {"mcp": {"server": function.server, "tool": function.target, "digest": tool.digest if tool is not None else ""}}


def rules_over(tx: Tx, pins: Pins, run: Run, call: ToolCall, /) -> tuple[Rule, ...]:
    """Every rule over a call: of the agent's entry, the tool (or its MCP server) and the defaults, as pinned and as written now; most
    often none."""
    kind, name = "tool", call.tool
    if call.target_kind == "mcp" and (function := pins.function(run.agent, call.function)) is not None:
        kind, name = "mcp_server", function.server
    agent, tool, defaults = resources.over_call(tx, agent=run.agent, kind=kind, name=name)
    marks: tuple[str, ...] = (pins.digest("agent", run.agent), agent, pins.digest(kind, name), tool)
    if call.target_kind in ("tool", "mcp"):
        marks += (pins.digest("defaults", "defaults"), defaults)
    key = (call.function, call.tool, marks)
    found = _RULES.get(key)
    if found is None:
        if len(_RULES) >= _MOST_KEPT:
            _RULES.pop(next(iter(_RULES)), None)
        target = _target_name(pins, run, call)
        words = [meant_by(tx, mark) for mark in dict.fromkeys(marks)]
        each = [_rule(spec[0], call, target) for spec in words if spec is not None]
        found = _RULES[key] = tuple(rule for rule in each if rule is not None)
    return found


def _target_name(pins: Pins, run: Run, call: ToolCall) -> str:
    function = pins.function(run.agent, call.function)
    return (function.server or function.target) if function is not None else ""


def _rule(spec: AgentSpec | ToolSpec | McpServerSpec | DefaultsSpec, call: ToolCall, target: str) -> Rule | None:
    match spec:
        case AgentSpec():
            entry = entry_of(spec, call, target)
            name = entry.uses[1] if entry is not None else ""
            rule = Rule(f"agent '{spec.name}' for '{name}'", entry.approval if entry is not None else None)
        case ToolSpec():
            rule = Rule(f"tool '{spec.name}'", spec.approval, spec.deny)
        case McpServerSpec():
            rule = Rule(f"MCP server '{spec.name}'", spec.approval)
        case DefaultsSpec():
            rule = Rule("the defaults", spec.approval)
    return None if rule.approval in (None, "never") and rule.deny is None else rule


def entry_of(agent: AgentSpec, call: ToolCall, target: str, /) -> AgentTool | None:
    """The entry of an agent that gave the model what a call is of; `target` names what is behind the function, of an MCP server's tool
    the server."""
    return next((each for each in agent.tools if _is_of(each, call, target)), None)


def _is_of(entry: AgentTool, call: ToolCall, target: str) -> bool:
    """Whether an agent's entry is that of a call."""
    match call.target_kind:
        case "agent":
            return entry.agent == target
        case "human" if target:
            return entry.human == target
        case "mcp":
            return entry.mcp == target
        case _:
            return entry.tool == call.tool


def risk_of(tx: Tx, target: Target, /) -> str:
    """How much is at stake: the higher of what was pinned and what is written now."""
    now = meant_by(tx, resources.digest_of(tx, "tool", target.tool))
    written = now[0].risk if now is not None else "normal"
    return max(target.risk, written, key=_RISKS.index)


_RULES: dict[tuple[str, str, tuple[str, ...]], tuple[Rule, ...]] = {}
