"""What stands beside a line of a run, as a document: a message, a call, a result; pure."""

from __future__ import annotations

from typing import Any

from smallchain_tui.viewmodel.conversation import Said
from smallchain_tui.viewmodel.document import read
from smallchain_tui.viewmodel.rows import Item, number, text


def of_said(said: Said) -> tuple[str, Any]:
    """What stands beside a row of the conversation, and its title."""
    if said.call is not None and said.kind == "call":
        return f"Tool call {said.who}", of_call(said.call)
    if said.kind == "call":
        return f"Call {said.who}", read(said.words.partition("(")[2].removesuffix(")"))
    return f"{'Result of ' + said.who if said.kind == 'result' else said.kind} {said.seq}", read(said.words) or "(nothing)"


def of_call(call: Item) -> dict[str, Any]:
    """A tool call: its phase, what was asked, what came of it."""
    arguments, result = call.get("arguments"), text(call, "result")
    shown: dict[str, Any] = {"phase": text(call, "phase")}
    for name in ("detail", "child"):
        if text(call, name):
            shown[name] = text(call, name)
    shown["arguments"] = read(arguments) if isinstance(arguments, str) else arguments
    shown["result"] = read(result) if result else None
    return {**shown, "attempts": number(call, "attempts"), "effects": text(call, "effects"), "id": text(call, "id")}
