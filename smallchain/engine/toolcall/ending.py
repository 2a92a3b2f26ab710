"""How a call ends in words of ours: by a template, with its facts put in as they are."""

from __future__ import annotations

from smallchain.engine.specs import pins_of
from smallchain.model.run import Run
from smallchain.model.templates import render
from smallchain.model.toolcall import ToolCall
from smallchain.store import toolcalls
from smallchain.store.contract import Tx


def end(tx: Tx, run: Run, call: ToolCall, cause: str, template: str, /, *, detail: str = "", **facts: str) -> ToolCall:
    """End a call with a sentence of ours."""
    text = render(template, pins_of(tx, run.root_id).templates(), **{"detail": detail, **facts})
    return toolcalls.move(tx, call, cause, result=text, template=template, detail=detail)
