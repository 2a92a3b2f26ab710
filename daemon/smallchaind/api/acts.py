"""What people do: start a task, cancel, pause, resume, set a priority. Verb first, so any name fits the path."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Depends, Request

from smallchain.engine.human import deciding
from smallchain.engine.run import acts as run_acts
from smallchain.engine.run import again
from smallchain.model.errors import BadInput, Refused
from smallchain.model.ids import fault_in_name
from smallchain.model.run import Run
from smallchain.protocol.messages import ActMessage, ForkMessage, PriorityMessage, ResumeMessage, RetryMessage, RunMessage
from smallchain.store import runs
from smallchain.store.contract import Tx
from smallchaind.api import finding, items, keyed
from smallchaind.compose import House


def routes(house: House) -> APIRouter:
    """The routes of this family."""
    router = APIRouter(dependencies=[Depends(keyed.headers)])

    @router.post("/v1/runs")
    async def start(message: RunMessage, request: Request) -> dict[str, Any]:
        """Start a task as a new run; named TASK-n where no name is given."""
        return await keyed.act(house, request, lambda tx: {"run": _start(tx, message)})

    @router.post("/v1/cancel/{ref:path}")
    async def cancel(ref: str, message: ActMessage, request: Request) -> dict[str, Any]:
        """Cancel a run and its descendants."""
        by = keyed.actor(request)
        return await keyed.act(
            house, request, lambda tx: _on_run(tx, ref, lambda run: run_acts.cancel(tx, run, by=by, note=message.note, only=message.only))
        )

    @router.post("/v1/pause/{ref:path}")
    async def pause(ref: str, message: ActMessage, request: Request) -> dict[str, Any]:
        """Pause a run and its descendants."""
        by = keyed.actor(request)
        return await keyed.act(house, request, lambda tx: _on_run(tx, ref, lambda run: run_acts.pause(tx, run, by=by, only=message.only)))

    @router.post("/v1/resume/{ref:path}")
    async def resume(ref: str, message: ResumeMessage, request: Request) -> dict[str, Any]:
        """Let a paused run and its descendants go on, with what is written now where `adopt` says so."""
        by = keyed.actor(request)

        def go_on(tx: Tx, run: Run) -> list[Run]:
            adopted = run_acts.adopt(tx, run, by=by) if message.adopt else []
            resumed = deciding.resume(tx, run, by=by, via=keyed.way(request), note=message.note, only=message.only)
            return resumed or ([run] if adopted else [])

        return await keyed.act(house, request, lambda tx: _on_run(tx, ref, lambda run: go_on(tx, run)))

    @router.post("/v1/retry/{ref:path}")
    async def retry(ref: str, message: RetryMessage, request: Request) -> dict[str, Any]:
        """A new run that goes on where a failed or cancelled one ended."""
        by = keyed.actor(request)

        def carry_out(tx: Tx) -> dict[str, Any]:
            run = again.retry(tx, finding.find_run(tx, ref), by=by, from_start=message.from_start, confirmed=message.confirmed)
            return {"run": items.run_item(tx, run.id)}

        return await keyed.act(house, request, carry_out)

    @router.post("/v1/fork/{ref:path}")
    async def fork(ref: str, message: ForkMessage, request: Request) -> dict[str, Any]:
        """A new run that goes on from a message of another."""
        by = keyed.actor(request)

        def carry_out(tx: Tx) -> dict[str, Any]:
            run = again.fork(tx, finding.find_run(tx, ref), at=message.at, by=by)
            return {"run": items.run_item(tx, run.id)}

        return await keyed.act(house, request, carry_out)

    @router.post("/v1/priority/{ref:path}")
    async def priority(ref: str, message: PriorityMessage, request: Request) -> dict[str, Any]:
        """Set the priority of a run and its descendants."""
        by = keyed.actor(request)

        def set_priority(tx: Tx, run: Run) -> list[Run]:
            return run_acts.prioritise(tx, run, message.priority, by=by)

        return await keyed.act(house, request, lambda tx: _on_run(tx, ref, lambda run: set_priority(tx, run)))

    return router


def _start(tx: Tx, message: RunMessage) -> dict[str, Any]:
    finding.find_resource(tx, "task", message.task)
    if message.name is not None:
        fault = fault_in_name(message.name)
        if fault:
            raise BadInput(f"the name {message.name[:63]!r} {fault}")
        if runs.by_name(tx, message.name) is not None:
            raise Refused(f"there is a run named {message.name!r} already", hint="choose another --name, or leave it out")
    name = message.name or runs.next_name(tx, message.task)
    run = runs.create(tx, name=name, task=message.task, user_message=message.message, priority=message.priority or 0)
    return items.run_item(tx, run.id)


def _on_run(tx: Tx, ref: str, act: Callable[[Run], list[Run]]) -> dict[str, Any]:
    run = finding.find_run(tx, ref)
    if run.is_over:
        when = f"{run.finished_at:%Y-%m-%d %H:%M:%S} UTC" if run.finished_at else "before"
        raise Refused(f"run {run.name!r} is over: it {run.phase} at {when}")
    changed = act(run)
    return {"runs": [items.run_item(tx, each.id) for each in changed]}
