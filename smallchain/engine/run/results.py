"""The results of a reply's calls, handed to the model in the order it asked."""

from __future__ import annotations

import hashlib

from smallchain.engine.human.telling import results_of
from smallchain.model.run import Run
from smallchain.model.toolcall import ToolCall
from smallchain.store import messages
from smallchain.store.contract import Tx


def repeats(run: Run, calls: list[ToolCall]) -> tuple[str, int]:
    """What tells the last call apart (function, arguments and result), and how often it was made in a row."""
    last, count = run.last_call, run.same_calls
    for call in calls:
        if call.target_kind == "timer":  # an agent that looks at something each hour is no loop
            continue
        mark = hashlib.sha256(f"{call.function}\0{call.arguments}\0{call.result}".encode()).hexdigest()[:32]
        last, count = mark, count + 1 if mark == last else 1
    return last, count


def append_results(tx: Tx, run: Run, calls: list[ToolCall]) -> int:
    """Append one result for each call, in the order the model asked; how many messages the run has then."""
    for number, (call, (content, template)) in enumerate(zip(calls, results_of(tx, run, calls), strict=True), run.messages + 1):
        message = {"role": "tool", "tool_call_id": call.asked_id, "content": content}
        messages.append(tx, run, message, number=number, template=template)
    return run.messages + len(calls)
