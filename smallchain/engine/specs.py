"""Typed specs by digest: what a person wrote is parsed once, however many runs go on with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, cast

from smallchain.model.durations import parse_duration
from smallchain.model.functions import Function, functions_of, tool_named
from smallchain.model.llmspec import LLMSpec
from smallchain.model.manifest import SPECS
from smallchain.model.references import unsupported
from smallchain.model.sections import AgentSpec, DefaultsSpec, TaskSpec
from smallchain.model.toolcall import Effects
from smallchain.model.toolspec import ToolSpec
from smallchain.store import resources
from smallchain.store.contract import Tx

_MOST_KEPT = 4096


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
    """Things made from words, kept by kind and digest; the oldest go first."""

    def __init__(self, make: Callable[[str, dict[str, Any]], Any]) -> None:
        self._make = make
        self._kept: dict[tuple[str, str], Any] = {}

    def __call__(self, written: Written) -> Any:
        key = (written.kind, written.digest)
        if key not in self._kept:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.pop(next(iter(self._kept)), None)
            self._kept[key] = self._make(written.kind, json.loads(written.text))
        return self._kept[key]


typed = _Known(lambda kind, spec: SPECS[kind].model_validate(spec))
"""The typed model of words."""
why_unsupported = _Known(unsupported)
"""Why this version cannot keep what words ask for, a sentence, or None when it can."""


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
        self._digests = resources.pinned(tx, root_id)

    def _typed(self, kind: str, name: str) -> tuple[Any, str] | None:
        digest = self._digests.get((kind, name))
        if digest is None:
            return None
        found = _WORDS.get(digest)
        if found is None:
            words = resources.words(self._tx, digest)
            if words is None:
                return None
            if len(_WORDS) >= _MOST_KEPT:
                _WORDS.pop(next(iter(_WORDS)), None)
            found = _WORDS[digest] = (typed(words), words.folder)
        return found

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

    def llm_names(self) -> list[str]:
        """The LLMs that are pinned."""
        return [name for kind, name in self._digests if kind == "llm"]

    def tool(self, name: str) -> ToolInUse | None:
        """A pinned tool with its defaults; a built-in without an entry is there under its own name."""
        found = self._typed("tool", name)
        spec, folder = found if found else (tool_named(name, {}), "")
        return in_use(spec, self.defaults(), folder) if spec is not None else None

    def functions(self, agent: AgentSpec) -> dict[str, Function]:
        """What the model may call as this agent."""
        wanted = [entry.uses for entry in agent.tools]
        key = (agent.name, tuple(self._digests.get(use, "") for use in (("agent", agent.name), *wanted)))
        found = _FUNCTIONS.get(key)
        if found is None:
            tools = {name: each[0] for kind, name in wanted if kind == "tool" and (each := self._typed("tool", name))}
            agents = {name: each[0] for kind, name in wanted if kind == "agent" and (each := self._typed("agent", name))}
            if len(_FUNCTIONS) >= _MOST_KEPT:
                _FUNCTIONS.pop(next(iter(_FUNCTIONS)), None)
            found = _FUNCTIONS[key] = functions_of(agent, tools=tools, agents=agents)
        return found

    def templates(self) -> dict[str, str]:
        """The sentences that replace ours."""
        defaults = self.defaults()
        return dict(defaults.templates) if defaults else {}


_WORDS: dict[str, tuple[Any, str]] = {}
_FUNCTIONS: dict[tuple[str, tuple[str, ...]], dict[str, Function]] = {}
