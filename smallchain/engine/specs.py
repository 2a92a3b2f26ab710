"""Typed specs by digest: what a person wrote is parsed once, however many runs go on with it."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import Any, cast

from smallchain.model.canonical import canonical
from smallchain.model.durations import parse_duration
from smallchain.model.functions import Function, functions_of, tool_named
from smallchain.model.llmspec import LLMSpec
from smallchain.model.manifest import SPECS
from smallchain.model.sections import AgentSpec, DefaultsSpec, TaskSpec
from smallchain.model.toolcall import Effects
from smallchain.model.toolspec import ToolSpec
from smallchain.store import resources
from smallchain.store.contract import Tx


@functools.lru_cache(maxsize=2048)
def _parse(kind: str, digest: str, text: str) -> Any:
    return SPECS[kind].model_validate(json.loads(text))


def typed(kind: str, digest: str, spec: dict[str, Any]) -> Any:
    """The typed model of a spec."""
    return _parse(kind, digest, canonical(spec))


@dataclass(frozen=True, slots=True)
class ToolInUse:
    """A tool as it is used: its spec with the defaults for what it names none, and the folder it runs in."""

    spec: ToolSpec
    folder: str
    effects: Effects
    timeout_s: float


def in_use(spec: ToolSpec, defaults: DefaultsSpec | None, folder: str) -> ToolInUse:
    """A tool with the defaults of what its entry leaves out."""
    given = {
        name: getattr(defaults, name)
        for name in ("approval", "isolation", "timeout")
        if defaults is not None and getattr(spec, name) is None and getattr(defaults, name) is not None
    }
    whole = spec.model_copy(update=given)
    effects = spec.effects or (defaults.effects if defaults and spec.executor else None)
    if effects is None:
        effects = "none" if spec.executor is None else "once"
    timeout = parse_duration(whole.timeout).total_seconds() if whole.timeout else 60.0
    return ToolInUse(whole, folder, Effects(effects), timeout)


class Pins:
    """What one run's tree goes on with, read through a transaction; nothing here follows the files any more."""

    def __init__(self, tx: Tx, root_id: str) -> None:
        self._tx = tx
        self._root_id = root_id

    def _typed(self, kind: str, name: str) -> tuple[Any, str] | None:
        found = resources.pinned(self._tx, self._root_id, kind, name)
        return (typed(kind, found.digest, found.spec), found.folder) if found else None

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

    def defaults(self) -> DefaultsSpec | None:
        """The pinned defaults, if there were any."""
        found = self._typed("defaults", "defaults")
        return cast("DefaultsSpec", found[0]) if found else None

    def llm_names(self) -> list[str]:
        """The LLMs that are pinned."""
        return [row["name"] for row in resources.pins(self._tx, self._root_id) if row["kind"] == "llm"]

    def tool(self, name: str) -> ToolInUse | None:
        """A pinned tool with its defaults; a built-in without an entry is there under its own name."""
        found = self._typed("tool", name)
        spec, folder = found if found else (tool_named(name, {}), "")
        return in_use(spec, self.defaults(), folder) if spec is not None else None

    def functions(self, agent: AgentSpec) -> dict[str, Function]:
        """What the model may call as this agent."""
        wanted = [entry.uses for entry in agent.tools]
        tools = {name: found[0] for kind, name in wanted if kind == "tool" and (found := self._typed("tool", name))}
        agents = {name: found[0] for kind, name in wanted if kind == "agent" and (found := self._typed("agent", name))}
        return functions_of(agent, tools=tools, agents=agents)

    def templates(self) -> dict[str, str]:
        """The sentences that replace ours."""
        defaults = self.defaults()
        return dict(defaults.templates) if defaults else {}
