"""Tools that are a person's own function: `executor: {function: {call: module:function}}`, or the name that an installed package gives.

The function gets the arguments and what the call is, and returns a text or JSON. It runs in a worker process (the port `Code`), with the
rights of the daemon's user: there is no fence around it, which is why `isolation: required` refuses it.
"""

from __future__ import annotations

import json
from datetime import UTC
from typing import Any

from smallchain.engine.ports import Code
from smallchain.model.code import Fault, FaultKind, Function
from smallchain.model.toolcall import Outcome, OutcomeKind, Start

KEPT = 256 * 1024
_KINDS = {
    FaultKind.NOT_LOADED: OutcomeKind.NOT_STARTED,
    FaultKind.TOO_LATE: OutcomeKind.TIMED_OUT,
    FaultKind.RAISED: OutcomeKind.FAILED,
    FaultKind.NO_ANSWER: OutcomeKind.FAILED,
}


class FunctionExecutor:
    """Implements `Executor`."""

    def __init__(self, code: Code) -> None:
        self._code = code

    async def execute(self, start: Start, /) -> Outcome:
        """Call the function once, within the attempt's time-out."""
        spec = start.executor["function"]
        function = Function("executors", spec["call"], start.folder)
        made = await self._code.call(function, [start.arguments, _facts(start, spec)], timeout=start.timeout)
        if isinstance(made, Fault):
            return Outcome(_KINDS[made.kind], made.message)
        text = made if isinstance(made, str) else "" if made is None else json.dumps(made, ensure_ascii=False)
        text = text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
        return Outcome(OutcomeKind.SUCCEEDED, text[:KEPT].strip() or "(no output)", cut=len(text) > KEPT)


def _facts(start: Start, spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "tool": start.tool,
        "options": spec.get("options") or {},
        "env": start.env,
        "call_id": start.call_id,
        "run_id": start.run_id,
        "idempotency_key": start.idempotency_key,
        "attempt": start.attempt,
        "timeout_s": start.timeout.total_seconds(),
        "deadline": start.deadline.astimezone(UTC).isoformat(),
    }
