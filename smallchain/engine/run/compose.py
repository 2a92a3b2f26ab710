"""Requests other than the plain one: `tool_mode: json`, and a context strategy of a person's own.

`tool_mode: json` is computed from what is recorded, like the plain one. What a person's function makes can't be made again, and nobody
knows what it may cost before it is made: so it is made and kept first, the attempt that holds for it is recorded then, and what is sent
is what is kept.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from smallchain.engine.agent import kind as agent_loop
from smallchain.engine.agent import strategy
from smallchain.engine.llm import kind as llm_loop
from smallchain.engine.ports import Code
from smallchain.engine.specs import Pins, pins_of
from smallchain.model import context, jsonmode
from smallchain.model.canonical import canonical
from smallchain.model.code import Fault, Function
from smallchain.model.errors import Unknown
from smallchain.model.functions import as_openai_tools
from smallchain.model.llm import Failure, FailureKind
from smallchain.model.llmspec import LLMSpec
from smallchain.model.run import Run
from smallchain.model.sections import AgentSpec
from smallchain.store import composed, messages, runs
from smallchain.store.contract import Tx

TIMEOUT = timedelta(seconds=60)
"""Of one call of a context strategy."""
LARGEST = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Composition:
    """A person's function and what it is given, for the next attempt of a run on an LLM, of so many messages."""

    function: Function
    arguments: list[Any]
    llm: str
    messages: int


def code_changed(tx: Tx, /) -> None:
    """People's own code may say something else now: look at it again, and let the runs that wait after a failure of it try at once."""
    agents, llms = agent_loop.code_changed(tx), llm_loop.code_changed(tx)
    for id in runs.backing_off_ids(tx, agents=agents, llms=llms):
        runs.save(tx, runs.get(tx, id), due_at=tx.now)
        tx.wake("run", id)


def in_json(agent: AgentSpec, llm: LLMSpec, pins: Pins, /) -> bool:
    """Whether a model is told of its tools in words and answers in JSON: only where there are tools."""
    return llm.tool_mode == "json" and bool(pins.functions(agent))


def json_body(agent: AgentSpec, llm: LLMSpec, pins: Pins, lines: Sequence[tuple[str, str]], /) -> bytes:
    """The exact request of `tool_mode: json` with these messages, each a text with its template."""
    functions = as_openai_tools(pins.functions(agent))
    around = context.envelope(llm.model or llm.name, jsonmode.parameters(functions, llm.parameters), ())
    sent = jsonmode.as_sent([(json.loads(wire), template) for wire, template in lines], functions, pins.templates())
    return context.body(around, [canonical(message) for message in sent])


def composition_of(tx: Tx, run: Run, llm: LLMSpec, /) -> Composition:
    """What an agent's own strategy is given for the next attempt: the agent, the run, the messages as they would be sent without it.

    Raises Unknown when the run is not pinned to its agent.
    """
    pins = pins_of(tx, run.root_id)
    agent = pins.agent(run.agent)
    if agent is None:
        raise Unknown(f"run {run.name!r} is not pinned to its agent")
    functions = as_openai_tools(pins.functions(agent))
    lines = [(json.loads(row["wire"]), row["template"]) for row in messages.of_run(tx, run.id)]
    sent = [message for message, _ in lines]
    tools, parameters = functions, dict(llm.parameters)
    if in_json(agent, llm, pins):
        sent = jsonmode.as_sent(lines, functions, pins.templates())
        tools, parameters = [], jsonmode.parameters(functions, llm.parameters)
    about_agent = {
        "name": agent.name,
        "description": agent.description,
        "system_prompt": agent.system_prompt,
        "llm": llm.name,
        "model": llm.model or llm.name,
        "parameters": parameters,
        "tools": tools,
    }
    about_run = {
        "id": run.id,
        "name": run.name,
        "task": run.task,
        "parent_id": run.parent_id,
        "depth": run.depth,
        "turn": run.turns + 1,
        "attempt": run.attempts + 1,
    }
    function = strategy.function_of(agent, pins.folder("agent", agent.name))
    return Composition(function, [about_agent, about_run, sent], llm.name, run.messages)


async def compose(code: Code, wanted: Composition, /) -> str | Failure:
    """The body a strategy makes, or why there is none."""
    made = await code.call(wanted.function, wanted.arguments, timeout=TIMEOUT)
    if isinstance(made, Fault):
        return Failure(FailureKind.TRANSIENT, f"the context strategy {made.message}", retry_after=made.retry_after)
    body = _as_text(made)
    if body is None or len(body) > LARGEST:
        what = "is larger than 16 MiB" if body else "is neither an object nor a text that can be sent"
        return Failure(FailureKind.TRANSIENT, f"what the context strategy {wanted.function.name} returned {what}")
    return body


def made_for(tx: Tx, run: Run, llm: str, /) -> str | None:
    """The body that is kept for the next attempt of a run, where it was made for this LLM and of the conversation as it stands."""
    made = composed.find(tx, run.id, run.attempts + 1)
    return made.body if made is not None and (made.llm, made.messages) == (llm, run.messages) else None


def _as_text(made: Any) -> str | None:
    """The text that is sent: an object as JSON in the order of its keys, a text as it is; None for all else, and for what no text holds."""
    if isinstance(made, dict):
        made = json.dumps(made, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    if not isinstance(made, str) or not made or "\0" in made:
        return None
    try:
        made.encode()
    except UnicodeEncodeError:
        return None
    return made
