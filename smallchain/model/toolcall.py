"""What a tool call's execution is: the start that goes to an executor, and the outcome that comes back as a value."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from smallchain.model.artifact import TOLD, Artifact
from smallchain.model.fence import Limits, Mount
from smallchain.model.lifecycles import CALL_TERMINAL, CallPhase


class Effects(StrEnum):
    """What starting a tool twice would mean (design rule 4)."""

    NONE = "none"
    IDEMPOTENT = "idempotent"
    ONCE = "once"


@dataclass(frozen=True, slots=True)
class HandOut:
    """What whoever does the work of a call needs to bring its result. `url` is empty where no callback is heard."""

    url: str
    key: bytes
    secret: str
    """What signs the telling itself; empty for nothing."""
    expires_at: datetime | None

    def __repr__(self) -> str:
        return f"HandOut({self.url})"


@dataclass(frozen=True, slots=True)
class Start:
    """One attempt at a tool call. `arguments` were validated; `idempotency_key` is the same for all attempts of a call."""

    call_id: str
    run_id: str
    tool: str
    executor: dict[str, Any]
    """One key, the executor's name, and its spec: `{"python": {"command": ...}}` or `{"builtin": "add"}`."""
    arguments: dict[str, Any]
    parameters: tuple[str, ...]
    """All top-level argument names that the tool's schema has, given or not."""
    idempotency_key: str
    attempt: int
    timeout: timedelta
    deadline: datetime
    env: dict[str, str] = field(default_factory=dict)
    """What the tool's `env` resolved to."""
    headers: dict[str, str] = field(default_factory=dict)
    """What the `headers` of the executor resolved to."""
    hand_out: HandOut | None = None
    """Where the work is done elsewhere: what whoever does it is given."""
    folder: str = ""
    """The folder of the YAML file: relative paths start there; empty: the job folder."""
    isolation: str = "auto"
    """`auto`, `required`, `container` or `none`, as in YAML."""
    network: bool = False
    mounts: tuple[Mount, ...] = ()
    limits: Limits = field(default_factory=Limits)

    def __repr__(self) -> str:
        return f"Start({self.tool}, call {self.call_id}, attempt {self.attempt})"


class OutcomeKind(StrEnum):
    """How an attempt ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """It ran and said no: an exit code, an answer that is an error."""
    TIMED_OUT = "timed_out"
    OUT_OF_MEMORY = "out_of_memory"
    KILLED = "killed"
    """A signal ended it: it crashed, or somebody else ended it."""
    FLOODED = "flooded"
    """It printed more than anybody would read, and was ended."""
    NOT_STARTED = "not_started"
    """Nothing ran: the one failure that may be tried again even for `once`."""
    UNKNOWN = "unknown"
    """It was started or sent, and what became of it is not known: for `once`, a person must say."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt. `text` is what the model is told: never empty, bounded, an error it can act on."""

    kind: OutcomeKind
    text: str
    exit_code: int | None = None
    cut: bool = False
    """The output was longer than the cap."""
    retry_after: timedelta | None = None
    """No other attempt should be made sooner, as what answered has said."""
    artifacts: tuple[Artifact, ...] = ()
    """What is stored with the outcome, in its transaction; see `model.artifact` for the bounds."""

    @property
    def is_large(self) -> bool:
        """Whether to go through it takes longer than others should wait."""
        return bool(self.artifacts) or len(self.text) > TOLD


@dataclass(frozen=True)  # without slots, for `changed`
class ToolCall:
    """A tool call's row. `arguments` is the model's own text; `generation` rises with each human "run again" (a new key)."""

    id: str
    run_id: str
    turn: int
    position: int
    asked_id: str
    function: str
    target_kind: str
    """`tool`, `agent`, `human`, `mcp`, or empty when no function has the name."""
    tool: str
    arguments: str
    effects: Effects
    phase: CallPhase
    attempts: int
    crashes: int
    generation: int
    result: str
    template: str
    """The template whose words `result` is, when they are ours; empty when they are the tool's."""
    detail: str
    due_at: datetime | None
    created_at: datetime
    finished_at: datetime | None
    version: int

    @property
    def is_over(self) -> bool:
        """Whether the call has its one result."""
        return self.phase in CALL_TERMINAL

    @property
    def idempotency_key(self) -> str:
        """The same for all attempts of the call; another after a person said "run it again"."""
        return f"{self.id}.{self.generation}"
