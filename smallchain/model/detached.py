"""Detached work: a delegation that goes on beside its caller, which is told what came of it between its turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from smallchain.model.errors import BadInput


class Mode(StrEnum):
    """How much of some work is waited for."""

    ANY = "any"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Work:
    """One piece of work. `name` is what its caller calls it, unlike that of any other in its conversation; `finished` counts the
    work of the caller that has ended, in that order, up to this (None: it goes on); `told`: what came of it is in the conversation."""

    run_id: str
    name: str
    child_id: str
    agent: str
    waits_at_end: bool
    """Whether the caller's last answer waits for it; else it is cancelled then."""
    finished: int | None
    told: bool


@dataclass(frozen=True, slots=True)
class Wait:
    """What a call of `wait_for_work` waits for; no names: whatever goes on."""

    mode: Mode
    names: frozenset[str]

    def left(self, works: Sequence[Work], /) -> tuple[Work, ...]:
        """What it still waits for; nothing once it is satisfied."""
        meant = [work for work in works if work.name in self.names] if self.names else [work for work in works if not work.told]
        going_on = tuple(work for work in meant if work.finished is None)
        return () if self.mode is Mode.ANY and len(going_on) < len(meant) else going_on


def wait_of(arguments: Mapping[str, Any], /) -> Wait:
    """What the arguments of `wait_for_work` ask for; raises BadInput in words the model can act on."""
    mode, names = arguments.get("mode") or Mode.ALL, arguments.get("ids") or []
    if mode not in list(Mode):
        raise BadInput("`mode` is any or all")
    if isinstance(names, str):
        names = [names]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BadInput("`ids` is a list of ids, as list_work tells them")
    return Wait(Mode(mode), frozenset(names))
