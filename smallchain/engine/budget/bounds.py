"""What a model call may use at most, told before it goes out: for caps, and for limits of tokens a minute."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sized
from typing import Any

from smallchain.engine.memo import Memo
from smallchain.engine.run import contexts
from smallchain.engine.specs import Pins, pins_of
from smallchain.model import context, jsonmode
from smallchain.model.agent import summarise_of
from smallchain.model.canonical import canonical
from smallchain.model.context import Part
from smallchain.model.functions import as_openai_tools
from smallchain.model.llmspec import LLMSpec
from smallchain.model.run import Run
from smallchain.model.sections import AgentSpec
from smallchain.store import messages, paces
from smallchain.store.contract import Row, Tx

MAXIMA = ("max_completion_tokens", "max_tokens")
"""The parameters that bound one reply."""
MEDIUM = 50_000
"""Tokens of a part that is no text (a picture, a sound), at most, where its bytes say nothing: the most that a picture is known to
count is 2,833 and 5,667 for each of eight tiles (gpt-4o-mini, https://platform.openai.com/docs/guides/images-vision)."""
_MAXIMUM = len(',"max_completion_tokens":1000000000')
"""Bytes of a bound that is sent where none is written."""
_AROUND: Memo[int] = Memo()


def prompt_bound(tx: Tx, run: Run, spec: LLMSpec, /) -> int:
    """Tokens of the next prompt at most: one for each byte of the request, until a reply to this run of the same model has told its
    usage; then that reply's tokens and a token for each byte since, or those of the whole request where that is less."""
    part = Part(run.messages, contexts.first_message(tx, run), run.summary)
    usage = paces.last_usage(tx, run, llm=spec.name, model=spec.model or spec.name)
    if usage is None:
        return _summing_up(tx, run) + _whole(tx, run, spec, part)
    told = _summing_up(tx, run) + _since(tx, run, spec, usage)
    is_shorter = (part.first, part.summary) != (usage["first_message"], usage["summary"])
    return min(told, _summing_up(tx, run) + _whole(tx, run, spec, part)) if is_shorter else told


def around(tx: Tx, run: Run, spec: LLMSpec, /) -> int:
    """How many bytes stand around the messages of a request of a run: the model, the parameters, the functions."""
    pins = pins_of(tx, run.root_id)
    agent = pins.agent(run.agent)

    def count() -> int:
        functions = _functions(pins, agent)
        told = len(jsonmode.tools_text(functions, pins.templates()).encode()) if _is_in_json(spec, functions) else 0
        return 2 * told + len(context.body(_envelope(spec, functions), ()))  # where quotes are escaped, it is longer

    if agent is None or not (digest := pins.digest("llm", spec.name)):
        return count()
    return _AROUND.get((digest, pins.digest("defaults", "defaults"), *pins.mark(agent)), count)


def _functions(pins: Pins, agent: AgentSpec | None) -> list[dict[str, Any]]:
    return as_openai_tools(pins.functions(agent)) if agent is not None else []


def _is_in_json(spec: LLMSpec, functions: Sized) -> bool:
    return spec.tool_mode == "json" and len(functions) > 0


def _envelope(spec: LLMSpec, functions: list[dict[str, Any]]) -> context.Envelope:
    if _is_in_json(spec, functions):
        return context.envelope(spec.model or spec.name, jsonmode.parameters(functions, spec.parameters), [])
    return context.envelope(spec.model or spec.name, spec.parameters, functions)


def _summing_up(tx: Tx, run: Run) -> int:
    """What asks for a summary, where the agent has them made, whether this request does or not."""
    pins = pins_of(tx, run.root_id)
    agent = pins.agent(run.agent)
    if agent is None or summarise_of(agent) is None:
        return 0
    return len(canonical(context.asks_for_summary(pins.templates())).encode()) + 1


def _whole(tx: Tx, run: Run, spec: LLMSpec, part: Part) -> int:
    pins = pins_of(tx, run.root_id)
    functions = _functions(pins, pins.agent(run.agent))
    lines = [(json.loads(row["wire"]), row["template"]) for row in messages.sent(tx, run.id, part)]
    sent = [message for message, _ in lines]
    if _is_in_json(spec, functions):
        sent = jsonmode.as_sent(lines, functions, pins.templates())
    body = context.body(_envelope(spec, functions), [canonical(message) for message in sent])
    ours = _MAXIMUM if written_output(spec.parameters) is None else 0
    return len(body) + ours + MEDIUM * sum(media_in(message) for message in sent)


def _since(tx: Tx, run: Run, spec: LLMSpec, usage: Row) -> int:
    """The tokens of a request and its reply, and the bytes of what came after them, or stands around more than then."""
    told, known = int(usage["input_tokens"] + usage["output_tokens"]), int(usage["messages"])
    told += max(0, around(tx, run, spec) - int(usage["around"]))
    pins = pins_of(tx, run.root_id)
    if not _is_in_json(spec, _functions_of(pins, run)):
        following = messages.following(tx, run.id, known, run.messages)
        if following and json.loads(following[0]).get("role") == "assistant":  # a silent reply left no message
            del following[0]
        return told + sum(len(wire.encode()) for wire in following)
    rows = messages.sent(tx, run.id, Part(run.messages, first=known + 1))  # the head comes along: that is too much, never too little
    sent = jsonmode.as_sent([(json.loads(row["wire"]), row["template"]) for row in rows], (), pins.templates())
    return told + sum(len(canonical(message).encode()) for message in sent)


def _functions_of(pins: Pins, run: Run) -> Sized:
    agent = pins.agent(run.agent)
    return pins.functions(agent) if agent is not None else ()


def of_body(body: str, /) -> tuple[int, dict[str, Any]]:
    """Tokens of the prompt of a whole request at most, and its parameters; nothing where it is no object of JSON."""
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        asked = None
    if not isinstance(asked, dict):
        return len(body.encode()), {}
    said = asked.get("messages")
    media = sum(media_in(each) for each in said if isinstance(each, dict)) if isinstance(said, list) else 0
    return len(body.encode()) + MEDIUM * media, asked


def media_in(message: dict[str, Any], /) -> int:
    """How many parts of a message are no text."""
    content = message.get("content")
    parts = content if isinstance(content, list) else ()
    return sum(not (isinstance(part, dict) and part.get("type", "text") in ("text", "refusal")) for part in parts)


def written_output(parameters: Mapping[str, Any], /) -> int | None:
    """Tokens of one reply at most, as the parameters of a request say it; None where they say nothing, or what no server takes for a
    bound (-1 is none for many)."""
    maxima = [whole(parameters[name]) for name in MAXIMA if parameters.get(name) is not None]
    return max(maxima) if maxima and min(maxima) > 0 else None


def replies_asked(parameters: Mapping[str, Any], /) -> int:
    """How many replies a request asks for."""
    return max(1, whole(parameters.get("n")))


def whole(value: Any, /) -> int:
    """A parameter as the whole number that a lenient server reads in it; 0 for what is none."""
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 19:
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if type(value) is int else 0
