"""What a decision is: what happened (a cause, an edge of the lifecycle table), what to do, and when to look again."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Effect:
    """Something to do in the world. `key` is stable: an effect whose key is under way is not begun again, so a phase may ask
    for it every time it is looked at."""

    kind: str
    name: str
    target: str
    attempt: int = 0
    carries: object = field(default=None, compare=False, repr=False)
    """What the step has read for it already, so that nothing is read twice; no part of what tells it apart."""

    def carrying(self, carries: object, /) -> Effect:
        """The same effect with what was read for it."""
        return Effect(self.kind, self.name, self.target, self.attempt, carries)

    @property
    def key(self) -> str:
        """What tells it apart from every other: kind, target, name and attempt."""
        return f"{self.kind}/{self.target}/{self.name}/{self.attempt}"

    @property
    def owner(self) -> tuple[str, str]:
        """Whose effect it is: the kind and key of the row that asked for it."""
        return self.kind, self.target


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer of a `decide`. No cause: the phase stays. `look_at`: when to look again without being woken; None: never."""

    cause: str | None = None
    effects: tuple[Effect, ...] = ()
    look_at: datetime | None = None
    detail: str = ""
    to: str = ""
    """The LLM that a run calls; without a cause, at which it waits for its place."""
    at_rest: bool = False
    """Nothing of this row may be under way any more: what is, is stopped."""


STAY = Decision()
