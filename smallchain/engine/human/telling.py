"""What the model is told of a call that a person let through: that it was, by whom, and what of it was changed."""

from __future__ import annotations

from collections.abc import Sequence

from smallchain.engine.specs import pins_of
from smallchain.engine.toolcall import arguments as args
from smallchain.model.differences import differences
from smallchain.model.errors import BadInput
from smallchain.model.human import Approved
from smallchain.model.lifecycles import CallPhase
from smallchain.model.run import Run
from smallchain.model.templates import render
from smallchain.model.toolcall import ToolCall
from smallchain.store import approvals
from smallchain.store.contract import Tx

_CAME_TO_SOMETHING = (CallPhase.SUCCEEDED, CallPhase.FAILED, CallPhase.TIMED_OUT)


def results_of(tx: Tx, run: Run, calls: Sequence[ToolCall], /) -> list[tuple[str, str]]:
    """For each call, what the conversation gets as its result, and the template whose words are in it (empty: none of ours)."""
    given = approvals.of_run(tx, run.id)
    return [_result(tx, run, call, given.get(call.id)) for call in calls]


def changes_of(call: ToolCall, given: Approved, /) -> tuple[str, ...]:
    """What a person changed about the arguments, a line each."""
    if not given.arguments:
        return ()
    try:
        return differences(args.read(call.arguments), args.read(given.arguments))
    except BadInput:
        return ()


def _result(tx: Tx, run: Run, call: ToolCall, given: Approved | None) -> tuple[str, str]:
    if given is None or call.phase not in _CAME_TO_SOMETHING:
        return call.result, call.template
    changes = changes_of(call, given)
    template = "approved_with_edits" if changes else "approved"
    facts = {"by": given.by, "note": f": {given.note}" if given.note else "", "changes": "; ".join(changes), "result": call.result}
    return render(template, pins_of(tx, run.root_id).templates(), **facts), template
