"""What an attempt starts with: from what is recorded, as it is pinned, and as strict as what is written now."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from smallchain.engine.memo import Memo
from smallchain.engine.specs import ToolInUse, in_use, pins_of, typed
from smallchain.engine.toolcall import atserver, gates, policy
from smallchain.model.errors import Unknown
from smallchain.model.fence import strictest
from smallchain.model.lifecycles import CallPhase
from smallchain.model.toolcall import Start
from smallchain.model.toolspec import mounts_of, tool_limits_of
from smallchain.store import approvals, callbacks, resources, runs, toolcalls
from smallchain.store.contract import Tx
from smallchain.store.times import from_text

OUT = (CallPhase.EXECUTING, CallPhase.AWAITING_CALLBACK)
"""The phases in which an attempt may be out: at the work itself, or at telling whoever does it."""


class Prepared:
    """A start, and its environment, headers and secret, whose references are still to be resolved."""

    __slots__ = ("expires_at", "headers", "references", "secret", "start")

    def __init__(self, start: Start, references: dict[str, Any], executor: Any, expires_at: datetime | None) -> None:
        self.start = start
        self.references = references
        self.headers: dict[str, Any] = executor.get("headers", {}) if isinstance(executor, dict) else {}
        self.secret = executor.get("secret", "") if isinstance(executor, dict) else ""
        self.expires_at = expires_at


class Outdated(Exception):
    """What would run now is not what the rules, or a person, let through: it must not start."""


def let_through(tx: Tx, call_id: str, attempt: int, /) -> Prepared | None:
    """The same as `prepare`, right before a start: what stands between a call and its start is looked at again. Raises Outdated."""
    prepared = prepare(tx, call_id, attempt)
    if prepared is not None and not gates.is_open(tx, toolcalls.get(tx, call_id)):
        raise Outdated
    return prepared


def prepare(tx: Tx, call_id: str, attempt: int, /) -> Prepared | None:
    """The start of an attempt from what is recorded; None when the call moved on before it began."""
    call = toolcalls.find(tx, call_id)
    if call is None or call.phase not in OUT or call.attempts != attempt:
        return None
    run = runs.get(tx, call.run_id)
    pins = pins_of(tx, run.root_id)
    arguments = policy.arguments_of(call, approvals.of_call(tx, call))
    if call.target_kind == "mcp":
        return Prepared(atserver.start_of(tx, pins, run, call, arguments), {}, None, None)
    tool = pins.tool(call.tool)
    if tool is None:
        raise Unknown(f"run {run.name!r} is not pinned to a tool {call.tool!r}")
    row = resources.get(tx, "tool", call.tool)
    current = _current(tx, call.tool) or tool
    executor: dict[str, Any] = {"builtin": tool.spec.builtin}
    if tool.spec.executor is not None:
        executor = tool.spec.executor.model_dump(mode="json", exclude_none=True)
    timeout = timedelta(seconds=current.timeout_s if row is not None else tool.timeout_s)
    env = {name: value if isinstance(value, str) else value.model_dump(exclude_none=True) for name, value in tool.spec.env.items()}
    start = Start(
        call_id=call.id,
        run_id=run.id,
        tool=call.tool,
        executor=executor,
        arguments=arguments,
        parameters=tuple((tool.spec.parameters or {}).get("properties", {})),
        idempotency_key=call.idempotency_key,
        attempt=attempt,
        timeout=timeout,
        deadline=tx.now + timeout,
        folder=tool.folder,
        isolation=strictest(tool.spec.isolation, current.spec.isolation),
        network=bool(tool.spec.network and current.spec.network),
        mounts=tuple(mount for mount in mounts_of(tool.spec) if mount in mounts_of(current.spec)),
        limits=tool_limits_of(current.spec),
    )
    (spec,) = executor.values()
    handout = callbacks.find(tx, call.id) if call.phase is CallPhase.AWAITING_CALLBACK else None
    return Prepared(start, env, spec, handout.expires_at if handout is not None else None)


def begun(tx: Tx, call_id: str, attempt: int, /) -> Start | None:
    """The start of an attempt that an earlier life of the daemon began, with what is left of its time; without its environment.

    None when the call moved on, or when what it would be started with now is not what it was started with.
    """
    prepared, call = prepare(tx, call_id, attempt), toolcalls.get(tx, call_id)
    row = toolcalls.attempt_of(tx, call)
    if prepared is None or row is None or policy.is_other_than_approved(tx, call):
        return None
    deadline = from_text(row.started_at) + prepared.start.timeout
    return replace(prepared.start, timeout=max(timedelta(0), deadline - tx.now), deadline=deadline)


def take_back(tx: Tx, call_id: str, attempt: int, /) -> None:
    """Nothing ran: the call is ready again, and what would run now is asked about anew."""
    call = toolcalls.find(tx, call_id)
    if call is None or call.phase not in OUT or call.attempts != attempt:
        return
    toolcalls.settle_attempt(tx, call, outcome="not_started", detail="what would run is not what was approved")
    toolcalls.move(tx, call, "taken_back" if call.phase is CallPhase.AWAITING_CALLBACK else "interrupted")


def _current(tx: Tx, name: str) -> ToolInUse | None:
    row = resources.get(tx, "tool", name)
    if row is None:
        return None
    defaults = resources.get(tx, "defaults", "defaults")
    key = (row.digest, defaults.digest if defaults else "")
    return _IN_USE.get(key, lambda: in_use(typed(row), typed(defaults) if defaults else None, row.folder))


_IN_USE: Memo[ToolInUse] = Memo()
