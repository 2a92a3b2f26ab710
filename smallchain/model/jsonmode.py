"""`tool_mode: json`: tools for a model whose server has no template for them, as JSON in plain messages, and back; pure.

What is kept stays canonical (`tool_calls`, role `tool`); this is only how it is sent. The one rule: a reply is the wanted object or it
is not, and what is not is answered with a sentence, never interpreted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from smallchain.model import canonical
from smallchain.model.errors import BadInput
from smallchain.model.llm import AskedCall, Reply
from smallchain.model.templates import render

Message = dict[str, Any]
_LONGEST_WORDS = 300
NOT_USED = "reply_not_json"
"""The template that answers a reply which was not the wanted object; the reply before it is sent back as it came."""


def parameters(functions: Sequence[Message], given: Mapping[str, Any]) -> dict[str, Any]:
    """The request's parameters with the form of the reply, where the YAML does not name a `response_format` of its own.

    `functions` are those of a chat-completions request, here and below. llama.cpp, vLLM and Ollama keep a model to the schema.
    """
    form = {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema(functions)}}
    return {"response_format": form, **given}


def schema(functions: Sequence[Message]) -> dict[str, Any]:
    """The JSON Schema of a reply: what it says, and what it calls."""
    calls = [
        {
            "type": "object",
            "properties": {"name": {"const": each["function"]["name"]}, "arguments": _arguments(each["function"]["parameters"])},
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for each in functions
    ]
    return {
        "type": "object",
        "properties": {"answer": {"type": "string"}, "calls": {"type": "array", "items": {"anyOf": calls}}},
        "required": ["answer", "calls"],
        "additionalProperties": False,
    }


def as_sent(messages: Sequence[tuple[Message, str]], functions: Sequence[Message], templates: Mapping[str, str], /) -> list[Message]:
    """A conversation for a model that knows no tools. Each message comes with the template it is of, empty where it is not ours."""
    found: list[Message] = []
    names: dict[str, str] = {}
    results: list[dict[str, Any]] = []
    for number, (message, _) in enumerate(messages):
        if message["role"] == "tool":
            results.append({"name": names.get(message.get("tool_call_id", ""), ""), "result": message.get("content")})
            continue
        _flush(results, found, templates)
        if message["role"] != "assistant":
            found.append(message)
            continue
        names = {call["id"]: call["function"]["name"] for call in message.get("tool_calls") or ()}
        answered = messages[number + 1][1] if number + 1 < len(messages) else ""
        found.append(message if answered == NOT_USED else {"role": "assistant", "content": write(message)})
    _flush(results, found, templates)
    return _with_tools(found, functions, templates)


def write(message: Message, /) -> str:
    """An assistant's message as the model itself would have written it."""
    calls = [
        {"name": call["function"]["name"], "arguments": _value(call["function"]["arguments"])} for call in message.get("tool_calls") or ()
    ]
    content = message.get("content")
    if isinstance(content, list | tuple):
        content = "".join(part["text"] for part in content if isinstance(part.get("text"), str))
    return _text({"answer": content or "", "calls": calls})


def read(text: str, /) -> tuple[str, list[tuple[str, str]]]:
    """The answer and the calls (name, and arguments as a text of JSON) of a reply. Raises BadInput when it is not the wanted object."""
    found = canonical.parse(text)
    if not isinstance(found, dict) or set(found) - {"answer", "calls"}:
        raise BadInput('one object with "answer" and "calls" is wanted, and nothing else')
    answer, asked = found.get("answer"), found.get("calls")
    if answer is not None and not isinstance(answer, str):
        raise BadInput('"answer" is not a text')
    if asked is not None and not isinstance(asked, list):
        raise BadInput('"calls" is not a list')
    calls = []
    for number, call in enumerate(asked or (), 1):
        if not isinstance(call, dict) or set(call) != {"name", "arguments"} or not isinstance(call["name"], str) or not call["name"]:
            raise BadInput(f'call {number} is not an object with "name" and "arguments"')
        if not isinstance(call["arguments"], dict):
            raise BadInput(f'the "arguments" of call {number} are not an object')
        calls.append((call["name"], _text(call["arguments"])))
    if not calls and not (answer or "").strip():
        raise BadInput("it holds neither an answer nor a call")
    return answer or "", calls


def as_canonical(reply: Reply, /, *, turn: int) -> Reply:
    """A reply in JSON as the reply it stands for; with `unfit` when it is not the wanted object. `turn` keeps ids apart."""
    if reply.calls or not reply.content.strip():
        return reply
    try:
        answer, asked = read(reply.content)
    except BadInput as error:
        return replace(reply, unfit=error.message[:_LONGEST_WORDS])
    calls = tuple(AskedCall(f"call_{turn + 1}_{number}", name, arguments) for number, (name, arguments) in enumerate(asked, 1))
    message: Message = {"role": "assistant", "content": answer}
    if calls:
        sent_back = [{"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}} for call in calls]
        message = {"role": "assistant", "content": answer or None, "tool_calls": sent_back}
    return replace(reply, message=message, content=answer, calls=calls)


def tools_text(functions: Sequence[Message], templates: Mapping[str, str], /) -> str:
    """The sentence of ours that tells the model what it can call."""
    return render("json_tools", templates, functions="\n".join(_text(each["function"]) for each in functions))


def _with_tools(messages: list[Message], functions: Sequence[Message], templates: Mapping[str, str]) -> list[Message]:
    """Tell of the functions in the one system message: many models' templates take a single one, at the beginning."""
    told = tools_text(functions, templates)
    if not messages or messages[0]["role"] != "system":
        return [{"role": "system", "content": told}, *messages]
    content = messages[0].get("content") or ""
    whole = f"{content}\n\n{told}" if isinstance(content, str) else [*content, {"type": "text", "text": told}]
    return [{**messages[0], "content": whole}, *messages[1:]]


def _flush(results: list[dict[str, Any]], found: list[Message], templates: Mapping[str, str]) -> None:
    if results:
        found.append({"role": "user", "content": render("json_results", templates, results=_text(results))})
        results.clear()


def _arguments(parameters: Any) -> Any:
    """The schema of arguments; a `$ref` counts from the root of the whole and would lead astray here."""
    return {"type": "object"} if '"$ref"' in json.dumps(parameters) else parameters


def _value(arguments: str) -> Any:
    """Arguments as a value; a text that is no JSON object (of a conversation that began natively) stays a text."""
    try:
        value = canonical.parse(arguments)
    except BadInput:
        return arguments
    return value if isinstance(value, dict) else arguments


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
