"""All that an agent can reach: its LLM, its tools, the agents it delegates to and theirs; what of it is lacking, and what to pin."""

from __future__ import annotations

from dataclasses import dataclass, field

from smallchain.engine.agent import strategy
from smallchain.engine.pace import desk
from smallchain.engine.pace.fallback import choose
from smallchain.engine.specs import mentions, typed, why_unsupported
from smallchain.model.agent import llm_of
from smallchain.model.functions import tool_named
from smallchain.model.ids import did_you_mean
from smallchain.model.lifecycles import Readiness
from smallchain.model.sections import AgentSpec, AgentTool, DefaultsSpec
from smallchain.store import mcptools, resources
from smallchain.store.contract import Tx
from smallchain.store.mcptools import Listing
from smallchain.store.resources import Written

SETTLING = "what it needs is being looked at"
"""What a run waits for while something was not looked at yet."""


@dataclass(slots=True)
class Reach:
    """What stands behind an agent. `lacking` and `broken` are sentences: what is waited for, and what is wrong."""

    found: dict[tuple[str, str], Written | Listing] = field(default_factory=dict)
    lacking: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    llm: str | None = None
    """The LLM of the agent itself, if that is decided."""
    asked: list[str] = field(default_factory=list)
    """Ids of the requests of which an answer lets what is lacking be used."""
    settling: bool = False
    """Something was not looked at yet: there will be news in a moment, and until then nothing is worth telling."""


def reach_of(tx: Tx, name: str, /) -> Reach:
    """Everything that the agent `name` can reach, as it is written now."""
    reach = Reach()
    defaults_row = resources.get(tx, "defaults", "defaults")
    defaults: DefaultsSpec | None = None
    if defaults_row is not None:
        reach.found["defaults", "defaults"] = defaults_row
        defaults = typed(defaults_row)
        _note_unsupported(reach, "the defaults", defaults_row)
        _take_channels(tx, reach, defaults_row)
    llms = resources.names(tx, "llm")
    waiting: list[tuple[str, str | None]] = [(name, None)]
    while waiting:
        agent_name, caller_llm = waiting.pop(0)
        if ("agent", agent_name) in reach.found:
            continue
        row = resources.get(tx, "agent", agent_name)
        if row is None:
            reach.lacking.append(_missing(tx, "agent", "agent", agent_name))
            continue
        reach.found["agent", agent_name] = row
        _note_unsupported(reach, f"agent '{agent_name}'", row)
        _note_strategy(reach, row, of=name)
        spec: AgentSpec = typed(row)
        llm = llm_of(spec, default=defaults.llm if defaults else None, llms=llms, caller=caller_llm)
        if agent_name == name:
            reach.llm = llm
        if llm is not None:
            _take_llm(tx, reach, llm)
        _take_channels(tx, reach, row)
        for entry in spec.tools:
            kind, used = entry.uses
            if kind == "mcp_server":
                _take_server(tx, reach, used, entry)
            elif kind == "agent":
                waiting.append((used, llm))
            elif kind == "tool" and (tool_named(used, {}) is None or resources.get(tx, "tool", used) is not None):
                _take(tx, reach, "tool", "tool", used)
                if (tool := resources.get(tx, "tool", used)) is not None:
                    _take_channels(tx, reach, tool)
    return reach


def why_no_llm(tx: Tx, agent: str, /) -> str:
    """Why an agent has no LLM, a sentence that lists those there are."""
    llms = resources.names(tx, "llm")
    if not llms:
        return f"agent '{agent}' has no LLM: none is written yet"
    return f"agent '{agent}' names no LLM and there are several: {', '.join(llms)}; write `llm:` on it, or defaults: {{llm: ...}}"


def _take_llm(tx: Tx, reach: Reach, name: str) -> None:
    """An LLM and those that take its place. An error of one is none of the agent's as long as another can be called."""
    own = resources.get(tx, "llm", name)
    if own is None:
        _take(tx, reach, "llm", "LLM", name)
        return
    chain = desk.chain_of(tx, own)
    for row in chain:
        reach.found["llm", row.name] = row
        reach.settling |= row.status is Readiness.PENDING and not row.checked
    last = typed(chain[-1]).fallback
    if last is not None and ("llm", last) not in reach.found:
        _say(reach.lacking, f"{_missing(tx, 'llm', 'LLM', last)} (the fallback of LLM '{chain[-1].name}')")
    lacking = choose([desk.link_of(tx, row) for row in chain], now=tx.now).lacking
    if lacking:
        _say(reach.lacking if own.status is Readiness.PENDING else reach.broken, lacking)


def _say(sentences: list[str], sentence: str) -> None:
    if sentence not in sentences:
        sentences.append(sentence)


def _take(tx: Tx, reach: Reach, kind: str, word: str, name: str) -> None:
    if (kind, name) in reach.found:
        return
    row = resources.get(tx, kind, name)
    if row is None:
        reach.lacking.append(_missing(tx, kind, word, name))
        return
    reach.found[kind, name] = row
    if row.status is Readiness.PENDING and not row.checked:
        reach.settling = True
    if row.status is Readiness.PENDING:
        reach.lacking.append(f"{word} '{name}' waits: {row.detail}")
    elif row.status is Readiness.ERROR:
        reach.broken.append(f"{word} '{name}' can't be used: {row.detail}")


def _take_server(tx: Tx, reach: Reach, name: str, entry: AgentTool) -> None:
    """An MCP server and what an agent uses of its tools: those it names, or all. One that is held by a change is waited for."""
    _take(tx, reach, "mcp_server", "MCP server", name)
    row = resources.get(tx, "mcp_server", name)
    if row is None:
        return
    _take_channels(tx, reach, row)
    listing = mcptools.listing(tx, name)
    if listing is None:
        if row.status is Readiness.READY:
            _say(reach.lacking, f"MCP server '{name}' has not told its tools yet")
        return
    reach.found[listing.kind, name] = listing
    known = {each.name: each for each in mcptools.of_server(tx, name)}
    for tool in entry.only or [each.name for each in known.values() if each.accepted is not None and each.state == mcptools.CHANGED]:
        each = known.get(tool)
        if each is None or not each.offered:
            near = did_you_mean(tool, [other.name for other in known.values() if other.offered])
            _say(reach.lacking, f"MCP server '{name}' has no tool '{tool}'" + (f"; {near}" if near else ""))
        elif each.state == mcptools.CHANGED:
            _say(reach.lacking, f"MCP server '{name}' changed its tool '{tool}': `smallchain inbox` asks whether it may be used")
            if each.request_id:
                reach.asked.append(each.request_id)
        elif each.state == mcptools.REFUSED:
            _say(reach.lacking, f"the tool '{tool}' of MCP server '{name}' was refused: {each.detail}")
        elif each.state == mcptools.UNUSABLE:
            _say(reach.broken, f"the tool '{tool}' of MCP server '{name}' can't be used: {each.detail}")


def _take_channels(tx: Tx, reach: Reach, row: Written) -> None:
    """The channels that words name: to ask a person on, or to be approved on."""
    for kind, name in mentions(row):
        if kind == "channel":
            _take(tx, reach, "channel", "channel", name)


def _missing(tx: Tx, kind: str, word: str, name: str) -> str:
    near = did_you_mean(name, resources.names(tx, kind))
    return f"{word} '{name}' does not exist" + (f"; {near}" if near else "")


def _note_unsupported(reach: Reach, subject: str, row: Written) -> None:
    why = why_unsupported(row)
    if why is not None:
        reach.lacking.append(f"{subject}: {why}")


def _note_strategy(reach: Reach, row: Written, *, of: str) -> None:
    """A context strategy of a person's own that is not looked at yet, or can't be loaded."""
    if strategy.is_own(typed(row)):
        fault = strategy.verdict(row)
        if fault is None:
            reach.settling = True
        elif fault:
            reach.broken.append(fault if row.name == of else f"agent '{row.name}' can't be used: {fault}")
