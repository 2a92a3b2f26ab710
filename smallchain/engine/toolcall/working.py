"""Work beside the caller: a delegation that is answered at once, and the built-in tools that look after it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smallchain.engine.run.acts import cancel, prioritise
from smallchain.engine.specs import pins_of
from smallchain.engine.toolcall import policy
from smallchain.model.detached import Work, wait_of
from smallchain.model.errors import BadInput
from smallchain.model.run import Run, status_word
from smallchain.model.sections import AgentTool
from smallchain.model.steps import PRIORITIES
from smallchain.model.toolcall import Outcome, OutcomeKind, ToolCall
from smallchain.store import approvals, detached, runs
from smallchain.store.contract import Tx

_SHOWN = 200
"""Characters of its message that tell work apart."""


def entry_of(tx: Tx, run: Run, call: ToolCall, /) -> AgentTool | None:
    """The entry by which an agent may hand work of a call to another; None for what is no delegation."""
    pins = pins_of(tx, run.root_id)
    agent, function = pins.agent(run.agent), pins.function(run.agent, call.function)
    if agent is None or function is None or function.kind != "agent":
        return None
    return next((entry for entry in agent.tools if entry.agent == function.target), None)


def is_detached(tx: Tx, run: Run, call: ToolCall, /) -> bool:
    """Whether a delegation is to go on beside its caller: the model says so, and the agent's entry allows it."""
    entry = entry_of(tx, run, call)
    if entry is None or entry.detach != "allowed":
        return False
    try:
        return policy.arguments_of(call, approvals.of_call(tx, call)).get("detach") is True
    except BadInput:  # answered as such
        return False


def begin(tx: Tx, run: Run, call: ToolCall, child: Run, /) -> Work:
    """Record a call's child as work. Its name counts turns, which go on in a run that `retry` or `fork` makes: it is never used twice."""
    entry = entry_of(tx, run, call)
    waits = entry is None or entry.on_finish != "cancel"
    work = Work(run.id, f"work-{call.turn}-{call.position + 1}", child.id, child.agent, waits, None, told=False)
    detached.begin(tx, work)
    return work


def list_work(tx: Tx, run: Run, arguments: Mapping[str, Any], /) -> Outcome:
    """All work of a run, and how it is."""
    works = detached.of_run(tx, run.id)
    return _said("\n".join(_line(tx, work) for work in works) or "There is no work in the background.")


def cancel_work(tx: Tx, run: Run, arguments: Mapping[str, Any], /) -> Outcome:
    """Cancel a piece of work with all that it has begun."""
    work = _named(tx, run, arguments.get("id"))
    if isinstance(work, Outcome):
        return work
    if work.finished is not None:
        return _said(f"{work.name} had ended already: {_status(tx, work)}.")
    note = str(arguments.get("note") or "")[:_SHOWN]
    cancel(tx, runs.get(tx, work.child_id), by=f"run '{run.name}'", note=note)
    detached.tell(tx, work)  # by this very result
    return _said(f"{work.name} was cancelled.")


def set_priority(tx: Tx, run: Run, arguments: Mapping[str, Any], /) -> Outcome:
    """Set the priority of a piece of work and of all that it has begun."""
    work = _named(tx, run, arguments.get("id"))
    if isinstance(work, Outcome):
        return work
    priority = arguments.get("priority")
    if isinstance(priority, bool) or not isinstance(priority, int) or priority not in PRIORITIES:
        return _no(f"`priority` is a whole number from {PRIORITIES.start} to {PRIORITIES[-1]}")
    if work.finished is not None:
        return _said(f"{work.name} had ended already: {_status(tx, work)}.")
    prioritise(tx, runs.get(tx, work.child_id), priority, by=f"run '{run.name}'")
    return _said(f"The priority of {work.name} is {priority}.")


def wait_for_work(tx: Tx, run: Run, arguments: Mapping[str, Any], /) -> Outcome:
    """Say what is waited for; the run itself waits, once all calls of the reply are answered (`engine.run.work`)."""
    try:
        wait = wait_of(arguments)
    except BadInput as error:
        return _no(error.message)
    works = detached.of_run(tx, run.id)
    unknown = sorted(wait.names - {work.name for work in works})
    if unknown:
        return _no(_unknown(tx, run, unknown[0]))
    left = wait.left(works)
    if not left and all(work.told for work in works):
        return _no("there is nothing to wait for: you were told what came of all your work")
    if not left:
        return _said("What you wait for has ended; what came of it follows.")
    return _said(f"You wait for {wait.mode} of {', '.join(work.name for work in left)}; what came of it follows.")


def _named(tx: Tx, run: Run, name: Any) -> Work | Outcome:
    found = next((work for work in detached.of_run(tx, run.id) if work.name == name), None)
    return found if found is not None else _no(_unknown(tx, run, str(name)))


def _unknown(tx: Tx, run: Run, name: str) -> str:
    names = ", ".join(work.name for work in detached.of_run(tx, run.id))
    return f"you have no work {name[:64]!r}; there is {names or 'none'}"


def _line(tx: Tx, work: Work) -> str:
    child = runs.get(tx, work.child_id)
    message = " ".join((child.user_message or "").split())
    message = message if len(message) <= _SHOWN else message[: _SHOWN - 1] + "…"
    return f"{work.name}: {work.agent}, {_status(tx, work)}, priority {child.priority}: {message}"


def _status(tx: Tx, work: Work) -> str:
    child = runs.get(tx, work.child_id)
    return status_word(child.phase, child.paused, ()).lower()


def _said(text: str) -> Outcome:
    return Outcome(OutcomeKind.SUCCEEDED, text)


def _no(text: str) -> Outcome:
    return Outcome(OutcomeKind.FAILED, text)
