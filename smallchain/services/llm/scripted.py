"""Replies from YAML: the demo's model and the offline double of a real one. The same request always gets the same reply.

A script is a list of replies taken in order, indexed by the run's turn, or a list of `{when, reply}`: the first match wins.
"""

from __future__ import annotations

import asyncio
import json
import re
from datetime import timedelta
from typing import Any

from smallchain.model.durations import parse_duration, show_duration
from smallchain.model.errors import BadInput
from smallchain.model.llm import Endpoint, Failure, FailureKind, ModelRequest, Reply
from smallchain.services.llm.classify import classify
from smallchain.services.llm.translate import translate


class ScriptedProvider:
    """Implements `Provider`. Opens nothing and keeps nothing."""

    async def complete(self, endpoint: Endpoint, request: ModelRequest, /) -> Reply | Failure:
        """The reply the script has for this turn, after its delay."""
        messages = _messages(request.body)
        try:
            said = _choose(endpoint.script, request, messages)
            if isinstance(said, Failure):
                return said
            delay = parse_duration(str(said["delay"])) if said.get("delay") is not None else timedelta()
            failure = _failure(said["error"]) if said.get("error") is not None else None
        except BadInput as error:
            return Failure(FailureKind.REFUSED, f"the script cannot be followed: {error}")
        await asyncio.sleep(min(delay, endpoint.timeout).total_seconds())
        if delay > endpoint.timeout:
            return Failure(FailureKind.TRANSIENT, f"no reply from the script within {show_duration(endpoint.timeout)}")
        return failure or translate(_completion(said, endpoint.model, request, messages), asked=request.body)

    async def check(self, endpoint: Endpoint, /) -> Failure | None:
        """A script needs no credentials."""
        return None

    async def close(self) -> None:
        """Nothing is open."""


_Entry = dict[str, Any]


def _choose(script: tuple[_Entry, ...], request: ModelRequest, messages: list[_Entry]) -> _Entry | Failure:
    if not any("when" in entry or "reply" in entry for entry in script):
        if request.turn < len(script):
            return script[request.turn]
        count = f"{len(script)} {'reply' if len(script) == 1 else 'replies'}"
        return Failure(FailureKind.REFUSED, f"the script has {count} and this is call {request.turn + 1}")
    for entry in script:
        if _matches(entry.get("when") or {}, request, messages):
            reply: dict[str, Any] = entry.get("reply") or {}
            return reply
    last = _text(messages[-1])[:300] if messages else "nothing"
    where = f"agent {request.agent!r}, turn {request.turn + 1}"
    return Failure(FailureKind.REFUSED, f"no `when` of the script matches ({where}); the last message is: {last}")


def _matches(when: dict[str, Any], request: ModelRequest, messages: list[dict[str, Any]]) -> bool:
    """Whether all that is named fits: `agent` by name, `turn` from 1, `last` and `any` as patterns found in a message."""
    texts = [_text(message) for message in messages]
    return (
        when.get("agent") in (None, request.agent)
        and when.get("turn") in (None, request.turn + 1)
        and (when.get("last") is None or _found(when["last"], texts[-1:]))
        and (when.get("any") is None or _found(when["any"], texts))
    )


def _found(pattern: Any, texts: list[str]) -> bool:
    try:
        return any(re.search(str(pattern), text) for text in texts)
    except re.error as error:
        raise BadInput(f"{str(pattern)[:40]!r} is not a pattern: {error}") from error


def _failure(said: Any) -> Failure:
    """An error as the wire would have brought it: a text is a fault of the network, a mapping an answer with a status."""
    if not isinstance(said, dict):
        return Failure(FailureKind.TRANSIENT, str(said)[:500])
    status = said.get("status", 500)
    if type(status) is not int or not 300 <= status <= 599:
        raise BadInput(f"{str(status)[:40]!r} is not the status of an error", hint="write one from 300 to 599")
    body = json.dumps({"error": {"message": str(said.get("message") or "an error from the script")}})
    after = said.get("retry_after")
    seconds = after if isinstance(after, int | float) or after is None else parse_duration(str(after)).total_seconds()
    return classify(status, body.encode(), {} if seconds is None else {"retry-after": str(seconds)})


def _completion(said: dict[str, Any], model: str, request: ModelRequest, messages: list[dict[str, Any]]) -> str:
    """The reply in the form an OpenAI endpoint would have sent; tokens are words."""
    content = said.get("content")
    calls = [_call(entry, request.turn, number) for number, entry in enumerate(said.get("tool_calls") or (), 1)]
    message: dict[str, Any] = {"role": "assistant", "content": content if content is None else str(content)}
    if calls:
        message["tool_calls"] = calls
    prompt = max(1, sum(_words(message) for message in messages))
    completion = _words(message)
    return json.dumps(
        {
            "id": f"scripted-{request.turn + 1}",
            "object": "chat.completion",
            "created": 0,
            "model": model,
            "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}],
            "usage": {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion},
        },
        ensure_ascii=False,
    )


def _call(entry: Any, turn: int, number: int) -> dict[str, Any]:
    said = entry if isinstance(entry, dict) else {"name": entry}
    arguments = said.get("arguments")
    text = arguments if isinstance(arguments, str) or arguments is None else json.dumps(arguments, ensure_ascii=False)
    name = said.get("id") or f"call_{turn + 1}_{number}"
    return {"id": str(name), "type": "function", "function": {"name": str(said.get("name") or ""), "arguments": text}}


def _messages(body: bytes) -> list[dict[str, Any]]:
    """The messages of a request; none where a context strategy sends another form."""
    try:
        request = json.loads(body)
    except ValueError:
        return []
    messages = request.get("messages") if isinstance(request, dict) else None
    return [message for message in messages if isinstance(message, dict)] if isinstance(messages, list) else []


def _text(message: dict[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return " ".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    return "" if content is None else str(content)


def _words(message: dict[str, Any]) -> int:
    calls = message.get("tool_calls")
    asked = (call.get("function") for call in calls if isinstance(call, dict)) if isinstance(calls, list) else ()
    texts = [_text(message), *(f"{each.get('name')} {each.get('arguments')}" for each in asked if isinstance(each, dict))]
    return sum(len(text.split()) for text in texts)
