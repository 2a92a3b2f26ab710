"""What a model call may use at most, told before it goes out: for caps, and for limits of tokens a minute."""

from __future__ import annotations

import json

from smallchain.engine.specs import pins_of
from smallchain.model import context
from smallchain.model.agent import summarise_of
from smallchain.model.canonical import canonical
from smallchain.model.functions import as_openai_tools
from smallchain.model.llmspec import LLMSpec
from smallchain.model.run import Run
from smallchain.store import messages, paces
from smallchain.store.contract import Tx

_MAXIMA = ("max_completion_tokens", "max_tokens")


def prompt_bound(tx: Tx, run: Run, spec: LLMSpec, /) -> int:
    """Tokens of the next prompt at most: one for each byte of the request, until a reply of this run has told its usage; then that
    reply's tokens and a token for each byte since."""
    pins = pins_of(tx, run.root_id)
    agent = pins.agent(run.agent)
    ours = 0
    if agent is not None and summarise_of(agent) is not None:  # whether this one asks for a summary or not
        ours = len(canonical(context.asks_for_summary(pins.templates())).encode()) + 1
    usage = paces.last_usage(tx, run.id)
    if usage is not None:
        told, known = int(usage["input_tokens"] + usage["output_tokens"]), int(usage["messages"])
        following = messages.one(tx, run.id, known + 1)
        if following and json.loads(following).get("role") == "assistant":  # a silent reply left no message
            known += 1
        return ours + told + paces.bytes_since(tx, run.id, known, run.messages)
    around = {
        "model": spec.model or spec.name,
        "tools": as_openai_tools(pins.functions(agent)) if agent is not None else [],
        **spec.parameters,
    }
    return ours + paces.bytes_since(tx, run.id, 0, run.messages) + run.messages + len(canonical(around).encode()) + len('{"messages":[]}')


def written_output(spec: LLMSpec, /) -> int | None:
    """Tokens of a reply at most, as the LLM's parameters say it for all its choices; None where they say nothing."""
    maxima = [spec.parameters[name] for name in _MAXIMA if type(spec.parameters.get(name)) is int]
    choices = spec.parameters.get("n")
    return max(0, *maxima, 0) * (choices if type(choices) is int and choices > 0 else 1) if maxima else None
