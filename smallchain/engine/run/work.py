"""Detached work as its caller meets it: what it still waits for, and what came of it, told between turns, once.

The one rule: what is told and that it is told are one transaction.
"""

from __future__ import annotations

from smallchain.engine.specs import pins_of
from smallchain.engine.toolcall import arguments as args
from smallchain.model.builtins import WAIT_FOR_WORK
from smallchain.model.detached import Wait, Work, wait_of
from smallchain.model.lifecycles import CallPhase, RunPhase
from smallchain.model.run import Run
from smallchain.model.templates import render
from smallchain.model.toolcall import ToolCall
from smallchain.store import approvals, detached, eventlog, messages, runs, toolcalls
from smallchain.store.contract import Tx

TEMPLATE = "work_finished"


def enter(tx: Tx, run: Run, /) -> Run:
    """Tell a run that is about to call the model what came of its work, in the order it ended."""
    ended = sorted(
        ((work.finished, work) for work in detached.of_run(tx, run.id) if work.finished is not None and not work.told),
        key=lambda each: each[0],
    )
    if not ended:
        return run
    templates = pins_of(tx, run.root_id).templates()
    said = []
    for _, work in ended:
        child = runs.get(tx, work.child_id)
        result = _result(child, templates)
        said.append(render(TEMPLATE, templates, work=work.name, agent=work.agent, outcome=child.phase, result=result))
        detached.tell(tx, work)
        eventlog.tell(tx, "WorkTold", eventlog.about(child), of=run, work=work.name)
    number = run.messages + 1
    messages.append(tx, run, {"role": "user", "content": "\n\n".join(said)}, number=number, template=TEMPLATE)
    return runs.save(tx, run, messages=number)


def left_at_end(tx: Tx, run: Run, /) -> tuple[Work, ...]:
    """The work without which a run's answer is not its last: it goes on, or the run was not told of it."""
    return tuple(work for work in detached.of_run(tx, run.id) if work.waits_at_end and not work.told)


def waited_for(tx: Tx, run: Run, /) -> tuple[Work, ...]:
    """What a run waits for before its next turn: what its calls of `wait_for_work` say; after an answer, all that is not cancelled then."""
    works = detached.of_run(tx, run.id)
    if not works:
        return ()
    calls = toolcalls.of_turn(tx, run.id, run.turns)
    if not calls:
        return tuple(work for work in works if work.waits_at_end and work.finished is None)
    left = [work for call in waits(tx, run, calls) for work in _wait_of(tx, call).left(works)]
    return tuple(dict.fromkeys(left))


def waits(tx: Tx, run: Run, calls: list[ToolCall], /) -> list[ToolCall]:
    """Those of some calls that wait for work."""
    pins = pins_of(tx, run.root_id)

    def is_wait(call: ToolCall) -> bool:
        tool = pins.tool(call.tool) if call.target_kind == "tool" and call.phase is CallPhase.SUCCEEDED else None
        return tool is not None and tool.spec.builtin == WAIT_FOR_WORK

    return [call for call in calls if is_wait(call)]


def shown(works: tuple[Work, ...], /) -> str:
    """What is waited for, as a status says it."""
    return "for " + ", ".join(f"{work.name} ({work.agent})" for work in works) if works else ""


def is_left_behind(tx: Tx, run: Run, /) -> bool:
    """Whether a run is work whose caller has ended: nobody would be told what comes of it. A caller that was cancelled alone leaves it."""
    if run.parent_id is None or run.is_over:
        return False
    if detached.of_child(tx, run.parent_id, run.id) is None:
        return False
    return runs.get(tx, run.parent_id).phase in (RunPhase.SUCCEEDED, RunPhase.FAILED)


def _result(child: Run, templates: dict[str, str]) -> str:
    """What came of a child, in the words that a call which waits for one gets as its result."""
    match child.phase:
        case RunPhase.SUCCEEDED:
            return child.output if child.output.strip() else render("child_said_nothing", templates)
        case RunPhase.CANCELLED:
            return render("child_cancelled", templates, agent=child.agent, detail=child.error)
        case _:
            return render("child_failed", templates, agent=child.agent, detail=child.error)


def _wait_of(tx: Tx, call: ToolCall) -> Wait:
    given = approvals.of_call(tx, call)
    return wait_of(args.read(given.arguments if given is not None and given.arguments else call.arguments))
