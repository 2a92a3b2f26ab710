"""Typed specs by digest: what a person wrote is parsed once, however many runs go on with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, cast

from smallchain.engine.memo import Memo
from smallchain.model.durations import parse_duration
from smallchain.model.errors import Unknown
from smallchain.model.functions import Function, functions_of, tool_named
from smallchain.model.llmspec import LLMSpec
from smallchain.model.manifest import SPECS
from smallchain.model.mcp import LISTING, McpTool, listing_of
from smallchain.model.references import references, unsupported
from smallchain.model.sections import AgentSpec, DefaultsSpec, McpServerSpec, TaskSpec
from smallchain.model.toolcall import Effects
from smallchain.model.toolspec import ExecutorSpec, ToolSpec
from smallchain.store import resources
from smallchain.store.contract import Tx


class Written(Protocol):
    """Words under their digest: a resource as it stands, or what a run is pinned to."""

    @property
    def kind(self) -> str:
        """The kind of resource."""
        ...

    @property
    def digest(self) -> str:
        """What tells these words apart."""
        ...

    @property
    def text(self) -> str:
        """The words, as canonical JSON."""
        ...


class _Known:
    """Things made from words, by kind and digest."""

    def __init__(self, make: Callable[[str, dict[str, Any]], Any]) -> None:
        self._make = make
        self._kept: Memo[Any] = Memo()

    def __call__(self, written: Written) -> Any:
        return self._kept.get((written.kind, written.digest), lambda: self._make(written.kind, json.loads(written.text)))


typed = _Known(lambda kind, spec: listing_of(spec) if kind == LISTING else SPECS[kind].model_validate(spec))
"""The typed model of words; of an MCP server's listing, its tools."""
why_unsupported = _Known(unsupported)
"""Why this version cannot keep what words ask for, a sentence, or None when it can."""
mentions = _Known(references)
"""What words name, as (kind, name)."""


@dataclass(frozen=True, slots=True)
class ToolInUse:
    """A tool as it is used: its spec with the defaults for what it names none, and the folder it runs in."""

    spec: ToolSpec
    folder: str
    effects: Effects
    timeout_s: float


def in_use(spec: ToolSpec, defaults: DefaultsSpec | None, folder: str) -> ToolInUse:
    """A tool with the defaults of what its entry leaves out; approval is no default but one more rule (`toolcall.policy`)."""
    given = {
        name: getattr(defaults, name)
        for name in ("isolation", "timeout")
        if defaults is not None and getattr(spec, name) is None and getattr(defaults, name) is not None
    }
    whole = spec.model_copy(update=given)
    effects = spec.effects or (defaults.effects if defaults and spec.executor else None)
    if effects is None:
        effects = "none" if spec.executor is None or _only_reads(spec.executor) else "once"
    timeout = parse_duration(whole.timeout).total_seconds() if whole.timeout else 60.0
    return ToolInUse(whole, folder, Effects(effects), timeout)


def _only_reads(executor: ExecutorSpec) -> bool:
    return executor.http is not None and executor.http.method in ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class ServerInUse:
    """An MCP server as it is used: its spec, and the defaults for what it names none."""

    spec: McpServerSpec
    effects: Effects
    timeout_s: float


def server_in_use(spec: McpServerSpec, defaults: DefaultsSpec | None, /) -> ServerInUse:
    """A server with the defaults of what its entry leaves out; its tools happen once where nobody says otherwise."""
    effects = spec.effects or (defaults.effects if defaults else None) or "once"
    timeout = spec.timeout or (defaults.timeout if defaults else None)
    return ServerInUse(spec, Effects(effects), parse_duration(timeout).total_seconds() if timeout else 60.0)


def as_of_now(pinned: LLMSpec, now: LLMSpec, /) -> LLMSpec:
    """Endpoint, key, limits and price of an LLM as they are written now; provider, model, parameters and mode as they are pinned.

    A price is that of the model it is written beside: where another model is written now, the pinned price goes on with the pinned one.
    """
    if now is pinned:
        return pinned
    kept = {name: getattr(pinned, name) for name in ("provider", "model", "parameters", "tool_mode")}
    if (now.provider, now.model) != (pinned.provider, pinned.model):
        kept["price"] = pinned.price
    return now.model_copy(update=kept)


def pins_of(tx: Tx, root_id: str) -> Pins:
    """What a run's tree is pinned to."""
    return tx.recall("pins", root_id, lambda: _shared(tx, resources.pinned(tx, root_id)))


def _shared(tx: Tx, digests: dict[tuple[str, str], str]) -> Pins:
    """One object for all runs that are pinned to the same words: a thousand runs of a task are no thousand copies."""
    return _PINS.get(tuple(sorted(digests.items())), lambda: Pins(tx, digests))


def meant_by(tx: Tx, digest: str, /) -> tuple[Any, str] | None:
    """The typed words under a digest and the folder that relative paths in them start at; None for no digest."""
    return _WORDS.get(digest, lambda: _read(tx, digest)) if digest else None


class Pins:
    """What a run's tree goes on with, as it was when this was made; nothing here follows the files any more."""

    def __init__(self, tx: Tx, digests: dict[tuple[str, str], str]) -> None:
        self._digests = digests
        self._words = {pin: _WORDS.get(digest, lambda digest=digest: _read(tx, digest)) for pin, digest in self._digests.items()}  # type: ignore[misc]
        self._marks: dict[str, tuple[str, ...]] = {}
        self._tools: dict[str, ToolInUse | None] = {}

    def digest(self, kind: str, name: str) -> str:
        """What tells pinned words apart; empty for what is not pinned."""
        return self._digests.get((kind, name), "")

    def _typed(self, kind: str, name: str) -> tuple[Any, str] | None:
        return self._words.get((kind, name))

    def agent(self, name: str) -> AgentSpec | None:
        """A pinned agent."""
        found = self._typed("agent", name)
        return cast("AgentSpec", found[0]) if found else None

    def task(self, name: str) -> TaskSpec | None:
        """The pinned task."""
        found = self._typed("task", name)
        return cast("TaskSpec", found[0]) if found else None

    def llm(self, name: str) -> LLMSpec | None:
        """A pinned LLM."""
        found = self._typed("llm", name)
        return cast("LLMSpec", found[0]) if found else None

    def folder(self, kind: str, name: str) -> str:
        """Where the relative paths of something pinned start."""
        found = self._typed(kind, name)
        return found[1] if found else ""

    def defaults(self) -> DefaultsSpec | None:
        """The pinned defaults, if there were any."""
        found = self._typed("defaults", "defaults")
        return cast("DefaultsSpec", found[0]) if found else None

    def server(self, name: str) -> ServerInUse | None:
        """A pinned MCP server with its defaults."""
        found = self._typed("mcp_server", name)
        return server_in_use(found[0], self.defaults()) if found else None

    def server_tools(self, name: str) -> tuple[McpTool, ...]:
        """The tools of an MCP server that are pinned."""
        found = self._typed(LISTING, name)
        return cast("tuple[McpTool, ...]", found[0]) if found else ()

    def function(self, agent: str, name: str) -> Function | None:
        """What the model may call as an agent under a name, or None."""
        spec = self.agent(agent)
        return self.functions(spec).get(name) if spec is not None else None

    def llm_names(self) -> list[str]:
        """The LLMs that are pinned."""
        return [name for kind, name in self._digests if kind == "llm"]

    def tool(self, name: str) -> ToolInUse | None:
        """A pinned tool with its defaults; a built-in without an entry is there under its own name."""
        try:
            return self._tools[name]
        except KeyError:
            pass
        key = (name, self.digest("tool", name), self.digest("defaults", "defaults"))
        found = self._tools[name] = _TOOLS.get(key, lambda: self._tool(name))
        return found

    def _tool(self, name: str) -> ToolInUse | None:
        found = self._typed("tool", name)
        spec, folder = found if found else (tool_named(name, {}), "")
        return in_use(spec, self.defaults(), folder) if spec is not None else None

    def mark(self, agent: AgentSpec) -> tuple[str, ...]:
        """What tells apart what the model may call as this agent."""
        found = self._marks.get(agent.name)
        if found is None:
            used = (self.digest(*entry.uses) for entry in agent.tools)
            listings = (self.digest(LISTING, entry.mcp) for entry in agent.tools if entry.mcp is not None)
            found = self._marks[agent.name] = (agent.name, self.digest("agent", agent.name), *used, *listings)
        return found

    def functions(self, agent: AgentSpec) -> dict[str, Function]:
        """What the model may call as this agent."""
        return _FUNCTIONS.get(self.mark(agent), lambda: self._functions(agent))

    def _functions(self, agent: AgentSpec) -> dict[str, Function]:
        wanted = [entry.uses for entry in agent.tools]
        tools = {name: each[0] for kind, name in wanted if kind == "tool" and (each := self._typed("tool", name))}
        agents = {name: each[0] for kind, name in wanted if kind == "agent" and (each := self._typed("agent", name))}
        channels = {name: each[0] for kind, name in wanted if kind == "channel" and (each := self._typed("channel", name))}
        servers = {name: self.server_tools(name) for kind, name in wanted if kind == "mcp_server"}
        return functions_of(agent, tools=tools, agents=agents, channels=channels, servers=servers)

    def templates(self) -> dict[str, str]:
        """The sentences that replace ours."""
        defaults = self.defaults()
        return dict(defaults.templates) if defaults else {}


def _read(tx: Tx, digest: str) -> tuple[Any, str]:
    words = resources.words(tx, digest)
    if words is None:
        raise Unknown(f"nothing is kept under the digest {digest}")
    return typed(words), words.folder


_PINS: Memo[Pins] = Memo()
_WORDS: Memo[tuple[Any, str]] = Memo()
_TOOLS: Memo[ToolInUse | None] = Memo()
_FUNCTIONS: Memo[dict[str, Function]] = Memo()
