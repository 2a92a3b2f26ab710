"""A run: one agent at work on one message. Its row as a value, and the one word (`status`) that people see of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from smallchain.model.lifecycles import RUN_TERMINAL, CallPhase, RunPhase


@dataclass(frozen=True)  # without slots, for `changed`
class Run:
    """A run's row. `agent` is empty until the run starts; `crashes` counts daemon deaths within the step it stands in, `same_calls` how
    often the last call (`last_call`, a digest of function, arguments and result) was made in a row.

    What its requests hold (`model.context`): `first_message` is where the newest began behind the head of the conversation (0: nothing was
    left out), `summary` the message that stands for what was left out (0: none does), `summarise_to` where they are to begin once there
    is a summary of what comes before (0: none is wanted).

    Its time at work (`engine.run.decide` says what that is): `active_ms` up to the last rest, and since when it is at work now (None:
    it rests).
    """

    id: str
    name: str
    root_id: str
    parent_id: str | None
    parent_call_id: str | None
    depth: int
    task: str
    agent: str
    llm: str
    user_message: str | None
    file: str
    spec_digest: str
    priority: int
    phase: RunPhase
    paused: bool
    detail: str
    turns: int
    attempts: int
    failures: int
    failing_since: datetime | None
    crashes: int
    messages: int
    first_message: int
    summary: int
    summarise_to: int
    calls_expected: int
    last_call: str
    same_calls: int
    due_at: datetime | None
    output: str
    error: str
    cost_nanousd: int
    active_ms: int
    active_since: datetime | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    version: int

    @property
    def is_over(self) -> bool:
        """Whether the run has ended, one way or another."""
        return self.phase in RUN_TERMINAL

    def worked(self, now: datetime) -> timedelta:
        """How long it has been at work; a clock that went back takes nothing away."""
        since = now - self.active_since if self.active_since is not None else timedelta()
        return timedelta(milliseconds=self.active_ms) + max(timedelta(), since)


class Status(StrEnum):
    """What people see of a run."""

    PENDING = "Pending"
    RUNNING = "Running"
    WAITING = "Waiting"
    SLEEPING = "Sleeping"
    OVER_BUDGET = "OverBudget"
    PAUSED = "Paused"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"


OVER = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELLED})
"""The words of runs that have ended."""


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A tool call that has not ended, as far as a status needs it. `held`: why a pending one may not start, or until when one sleeps."""

    phase: CallPhase
    tool: str
    held: str = ""


_PLAIN = {
    RunPhase.PENDING: Status.PENDING,
    RunPhase.READY: Status.RUNNING,
    RunPhase.CALLING_MODEL: Status.RUNNING,
    RunPhase.BACKING_OFF: Status.WAITING,
    RunPhase.AWAITING_WORK: Status.WAITING,
    RunPhase.OVER_BUDGET: Status.OVER_BUDGET,
    RunPhase.SUCCEEDED: Status.SUCCEEDED,
    RunPhase.FAILED: Status.FAILED,
    RunPhase.CANCELLED: Status.CANCELLED,
}
_WAITING_CALLS = {
    CallPhase.AWAITING_APPROVAL: "for an approval of {tool}",
    CallPhase.AWAITING_ANSWER: "for an answer to {tool}",
    CallPhase.AWAITING_CALLBACK: "for the callback of {tool}",
    CallPhase.IN_DOUBT: "for a person to settle {tool}",
}


def status_of(run: Run, open_calls: Sequence[OpenCall], *, place: str = "") -> tuple[Status, str]:
    """The word people see, and a sentence part that says what for (empty when the word says it all).

    `place` says which place at an LLM the run waits for, empty where it waits for none.
    """
    return _status(run.phase, run.paused, run.detail, open_calls, place)


def status_word(phase: RunPhase, paused: bool, open_calls: Sequence[OpenCall], *, place: str = "") -> Status:
    """The word alone."""
    return _status(phase, paused, "", open_calls, place)[0]


def _status(phase: RunPhase, paused: bool, detail: str, open_calls: Sequence[OpenCall], place: str) -> tuple[Status, str]:
    if phase in RUN_TERMINAL:
        return _PLAIN[phase], detail
    if paused:
        return Status.PAUSED, detail
    if phase is RunPhase.CALLING_MODEL:
        return Status.RUNNING, "calling the model"
    if phase is RunPhase.READY and place:
        return Status.WAITING, place
    if phase is not RunPhase.AWAITING_TOOLS:
        return _PLAIN[phase], detail
    for call in open_calls:
        if call.phase in _WAITING_CALLS:
            return Status.WAITING, _WAITING_CALLS[call.phase].format(tool=call.tool)
        if call.phase is CallPhase.PENDING and call.held:
            return Status.WAITING, f"{call.tool} may not start: {call.held}"
    if open_calls and all(call.phase is CallPhase.SLEEPING for call in open_calls):
        return Status.SLEEPING, "asleep " + min(call.held for call in open_calls)
    return Status.RUNNING, "using " + ", ".join(dict.fromkeys(call.tool for call in open_calls)) if open_calls else ""
