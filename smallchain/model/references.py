"""How resources of all files stand together: clashes, missing references, what this version cannot keep, and warnings.

The one rule: an error is what cannot mean anything (two things of one name); all else is a warning that heals by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from smallchain.model.builtins import BUILTINS
from smallchain.model.canonical import JSON
from smallchain.model.errors import Problem
from smallchain.model.fields import Section, looks_like_secret
from smallchain.model.functions import tool_named
from smallchain.model.ids import did_you_mean, slug
from smallchain.model.llmspec import LLMSpec
from smallchain.model.manifest import SPECS, Resource
from smallchain.model.sections import (
    AgentSpec,
    BudgetSpec,
    DefaultsSpec,
    McpServerSpec,
    Over,
    RunSpec,
    ScheduleSpec,
    TaskSpec,
)
from smallchain.model.toolspec import ApprovalRule, ToolSpec

_WORDS = {"llm": "LLM", "mcp_server": "MCP server"}


def clashes(resources: Sequence[Resource]) -> tuple[Problem, ...]:
    """Two things of one name: in two files, or among the functions of one agent."""
    found = []
    first: dict[tuple[str, str], Resource] = {}
    for resource in resources:
        known = first.setdefault((resource.kind, resource.name), resource)
        if known is not resource:
            message = f"{_named(resource.kind, resource.name)} stands in {known.place} already"
            found.append(Problem(resource.place, message, "rename or remove one of them"))
    for resource in resources:
        if resource.kind == "agent":
            found += _function_clashes(resource)
    found += _fallback_cycles(resources)
    return tuple(found)


def missing(resources: Sequence[Resource]) -> tuple[Problem, ...]:
    """Every reference to something that is not there; it is Pending until it appears."""
    names: dict[str, list[str]] = {kind: [] for kind in SPECS}
    for resource in resources:
        names[resource.kind].append(resource.name)
    found = []
    for resource in resources:
        for kind, name in references(resource.kind, resource.spec):
            if name in names[kind] or (kind == "tool" and tool_named(name, {}) is not None):
                continue
            near = did_you_mean(name, [*names[kind], *BUILTINS] if kind == "tool" else names[kind])
            listed = ", ".join(sorted(names[kind])[:10])
            hint = near or (f"there are: {listed}" if listed else "")
            message = f"{_named(resource.kind, resource.name)} needs {_named(kind, name)}, which does not exist"
            found.append(Problem(resource.place, message, hint))
    return tuple(found)


def references(kind: str, spec: Mapping[str, JSON]) -> tuple[tuple[str, str], ...]:
    """What a resource names, as (kind, name), each once, in the order it names them."""
    return tuple(dict.fromkeys(_references(SPECS[kind].model_validate(spec))))


def warnings(resources: Sequence[Resource]) -> tuple[Problem, ...]:
    """What is allowed and worth a second look: agents that can call themselves, and secrets in clear text."""
    return (*_cycles(resources), *_clear_secrets(resources))


def unsupported(kind: str, spec: Mapping[str, JSON]) -> str | None:
    """Why this version cannot keep what a resource asks for, a sentence; None when it can."""
    model = SPECS[kind].model_validate(spec)
    for word, uses in _UNSUPPORTED.get(kind, ()):
        if uses(model):
            return f"{word} is not yet supported by this version"
    return None


def _references(model: Section) -> Iterator[tuple[str, str]]:
    match model:
        case LLMSpec(fallback=str(name)):
            yield "llm", name
        case AgentSpec():
            if model.llm is not None:
                yield "llm", model.llm
            for entry in model.tools:
                yield entry.uses
                yield from _channels(entry.approval)
        case ToolSpec() | McpServerSpec():
            yield from _channels(model.approval)
        case TaskSpec():
            yield "agent", model.agent
        case RunSpec() | ScheduleSpec():
            yield "task", model.task
        case BudgetSpec(over=Over() as over):
            yield over.counts
        case DefaultsSpec():
            if model.llm is not None:
                yield "llm", model.llm
            if model.channel is not None:
                yield "channel", model.channel
            yield from _channels(model.approval)


def _channels(approval: str | ApprovalRule | None) -> Iterator[tuple[str, str]]:
    if isinstance(approval, ApprovalRule):
        if approval.channel is not None:
            yield "channel", approval.channel
        if approval.escalate is not None:
            yield "channel", approval.escalate.to


def _function_clashes(resource: Resource) -> Iterator[Problem]:
    """A tool of ours and a tool of an MCP server under one function name."""
    agent = AgentSpec.model_validate(resource.spec)
    ours = {entry.tool for entry in agent.tools if entry.tool is not None}
    for entry in agent.tools:
        for tool in entry.only or ():
            name = f"{slug(entry.mcp or '')}__{tool}"
            if name in ours:
                message = f"{_named('agent', agent.name)} has two functions {name!r}: a tool, and one of the MCP server {entry.mcp!r}"
                yield Problem(resource.place, message, "rename the tool")


def _fallback_cycles(resources: Sequence[Resource]) -> Iterator[Problem]:
    """LLMs that take each other's place: none of them is the last to be asked."""
    llms = {resource.name: resource for resource in resources if resource.kind == "llm"}
    following = {name: names[0] for name, each in llms.items() if (names := [to for _, to in references("llm", each.spec)])}
    told: set[str] = set()
    for name, resource in llms.items():
        path = [name]
        while (after := following.get(path[-1])) is not None and after not in path:
            path.append(after)
        if after != name or told & set(path):
            continue
        told |= set(path)
        shown = " > ".join(f"'{each}'" for each in (*path, name))
        back = f"{_named('llm', path[1])} ({llms[path[1]].place}), and so to itself" if len(path) > 1 else "itself"
        message = f"{_named('llm', name)} falls back to {back}: {shown}"
        yield Problem(resource.place, message, "take one `fallback` out")


def _cycles(resources: Sequence[Resource]) -> Iterator[Problem]:
    delegates = {
        resource.name: [name for kind, name in references("agent", resource.spec) if kind == "agent"]
        for resource in resources
        if resource.kind == "agent"
    }
    for resource in resources:
        if resource.kind == "agent" and resource.name in _reachable(delegates, resource.name):
            message = f"{_named('agent', resource.name)} can delegate to itself, directly or through others"
            yield Problem(resource.place, message, "limits.depth ends it")


def _reachable(edges: Mapping[str, list[str]], start: str) -> set[str]:
    found: set[str] = set()
    waiting = list(edges.get(start, ()))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += edges.get(name, ())
    return found


def _clear_secrets(resources: Iterable[Resource]) -> Iterator[Problem]:
    for resource in resources:
        for path, text in _texts(resource.spec, ""):
            if looks_like_secret(text):
                message = f"{_named(resource.kind, resource.name)}: `{path}` looks like a secret in clear text"
                yield Problem(resource.place, message, "write {env: NAME}, {file: PATH} or {command: [...]} where the field takes it")


def _texts(value: JSON, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _texts(inner, f"{path}[{number}]")


def _named(kind: str, name: str) -> str:
    word = _WORDS.get(kind, kind)
    return f"`{word}`" if kind == "defaults" else f"{word} {name!r}"


def _has(field: str, model: Section) -> bool:
    """Whether a field says something else than what it means when it is left out."""
    return bool(getattr(model, field) != type(model).model_fields[field].get_default(call_default_factory=True))


def _fences_function(model: Section) -> bool:
    """A person's own function runs beside the daemon: what would be a fence around it is none."""
    fences = getattr(model, "isolation", None) in ("required", "container") or _has("mounts", model) or _bounds_process(model)
    return isinstance(model, ToolSpec) and _executor("function", model) and fences


def _bounds_process(model: Section) -> bool:
    limits = getattr(model, "limits", None)
    return limits is not None and bool(limits.model_fields_set - {"calls"})


def _executor(kind: str, model: Section) -> bool:
    return isinstance(model, ToolSpec) and model.executor is not None and model.executor.kind == kind


def _container(model: Section) -> bool:
    return getattr(model, "isolation", None) == "container"


_Rows = tuple[tuple[str, Callable[[Section], bool]], ...]

# THE table of what is validated and not yet kept; a version that learns to keep something deletes its row.
_UNSUPPORTED: Mapping[str, _Rows] = {
    "tool": (("a fence around `executor: function`", _fences_function),),
    "mcp_server": (("`isolation: container`", _container),),
}
