"""Facts about agents: which LLM one uses, and the limits that hold where its YAML names none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from smallchain.model.context import SUMMARISE, WINDOW
from smallchain.model.durations import parse_duration, show_duration
from smallchain.model.sections import AgentSpec

MOST_CALLS = 32
"""Tool calls of one reply that are carried out; the rest are answered with the reason."""
SAME_CALLS = 5
"""The same call with the same arguments and result, so often in a row, pauses the run."""
MOST_CRASHES = 3
"""Deaths of the daemon within one step of a run, after which it is paused."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Where a run of an agent ends; None: nothing is written, and nothing ends it."""

    turns: int = 50
    depth: int = 5
    children: int = 20
    wall_time: timedelta | None = None
    """Of being at work: the model is called, or a tool executes."""
    wall_time_total: timedelta | None = None
    """Since the start."""

    def reached(self, name: str, agent: str) -> str:
        """That one of them is reached, with its name and figure as YAML has them."""
        most = getattr(self, name)
        shown = show_duration(most) if isinstance(most, timedelta) else most
        return f"the limit `{name}: {shown}` of agent '{agent}' is reached"


STANDARD = Limits()


def limits_of(agent: AgentSpec) -> Limits:
    """The limits of an agent, with the defaults for what its YAML leaves out."""
    written, standard = agent.limits, STANDARD
    if written is None:
        return standard
    return Limits(
        turns=standard.turns if written.turns is None else written.turns,
        depth=standard.depth if written.depth is None else written.depth,
        children=standard.children if written.children is None else written.children,
        wall_time=parse_duration(written.wall_time) if written.wall_time is not None else None,
        wall_time_total=parse_duration(written.wall_time_total) if written.wall_time_total is not None else None,
    )


def window_of(agent: AgentSpec) -> int | None:
    """Turns of a conversation that an agent sends; None: it counts none."""
    written = agent.context
    if isinstance(written, str):
        return WINDOW if written == "window" else None
    return written.window


def summarise_of(agent: AgentSpec) -> int | None:
    """Turns beyond which an agent has the older half of them summed up; None: it has nothing summed up."""
    written = agent.context
    if isinstance(written, str):
        return SUMMARISE if written == "summarise" else None
    return written.summarise


def llm_of(agent: AgentSpec, /, *, default: str | None, llms: Sequence[str], caller: str | None) -> str | None:
    """The LLM of an agent: its own, else the default, else the only one, else the calling agent's; None when nothing decides."""
    if agent.llm is not None:
        return agent.llm
    if default is not None:
        return default
    if len(llms) == 1:
        return llms[0]
    return caller
