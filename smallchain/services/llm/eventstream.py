"""A reply that came as server-sent events although none were asked for (some proxies always stream): put together into one body.

The form is https://html.spec.whatwg.org/multipage/server-sent-events.html, its data the chunks of chat completions. The one rule: a
stream is whole when it says `[DONE]` or gives a finish reason; one that was cut is no reply, however much of it came.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

_JOINED = ("content", "refusal", "reasoning_content", "reasoning")


class Cut(ValueError):
    """The stream ended before the reply did."""


def is_stream(text: str) -> bool:
    """Whether a body is an event stream: its first line is a field or a comment of one."""
    return text.lstrip("\ufeff \t\r\n")[:16].startswith(("data:", "event:", "id:", "retry:", ": ", ":\n"))


def joined(text: str) -> dict[str, Any]:
    """The chat completion that the chunks make up; raises Cut, and ValueError for data that is not JSON."""
    message: dict[str, Any] = {"role": "assistant"}
    whole: dict[str, Any] = {}
    calls: list[dict[str, Any]] = []
    reason, done = None, False
    for data in _data(text):
        if data.strip() == "[DONE]":
            done = True
            break
        chunk = _chunk(data)
        if chunk.get("error"):
            return {"error": chunk["error"]}
        for key in ("id", "model", "usage"):
            if chunk.get(key):
                whole[key] = chunk[key]
        choice = _first(chunk.get("choices"))
        if choice.get("error"):
            return {"error": choice["error"]}
        reason = choice.get("finish_reason") or reason
        part = choice.get("delta") if isinstance(choice.get("delta"), dict) else choice.get("message")
        if isinstance(part, dict):
            _add(message, calls, part)
    if reason is None and not done:
        raise Cut("the stream was cut off before the reply was whole")
    if calls:
        message["tool_calls"] = calls
    return {**whole, "choices": [{"index": 0, "message": message, "finish_reason": reason}]}


def _data(text: str) -> Iterator[str]:
    """The data of each event. Lines of one event belong together; an end without an empty line ends the last event."""
    held: list[str] = []
    for line in [*text.lstrip("\ufeff").splitlines(), ""]:
        if line.startswith("data:"):
            held.append(line[5:].removeprefix(" "))
        elif not line and held:
            yield "\n".join(held)
            held = []


def _chunk(data: str) -> dict[str, Any]:
    try:
        chunk = json.loads(data)
    except ValueError as error:
        raise Cut(f"a chunk of the stream is not whole: {error}") from error
    if not isinstance(chunk, dict):
        raise ValueError("a chunk of the stream is no object")
    return chunk


def _first(choices: Any) -> dict[str, Any]:
    """The first choice of a chunk; those of other indices (`n` above 1) are passed over."""
    if isinstance(choices, list):
        for choice in choices:
            if isinstance(choice, dict) and not choice.get("index"):
                return choice
    return {}


def _add(message: dict[str, Any], calls: list[dict[str, Any]], part: dict[str, Any]) -> None:
    for key in _JOINED:
        value = part.get(key)
        if isinstance(value, str):
            message[key] = message.get(key, "") + value if isinstance(message.get(key), str | None) else value
        elif isinstance(value, list):
            message[key] = [*(message[key] if isinstance(message.get(key), list) else ()), *value]
    for key, value in part.items():
        if key not in _JOINED and key not in ("role", "tool_calls"):
            message[key] = value
    given = part.get("tool_calls")
    for piece in given if isinstance(given, list) else ():
        if isinstance(piece, dict):
            _add_call(calls, piece)


def _add_call(calls: list[dict[str, Any]], piece: dict[str, Any]) -> None:
    """Add a piece to the call of its index. Servers that send whole calls may give all of them the same index, but their own ids."""
    index, id = piece.get("index"), piece.get("id")
    same = [call for call in calls if call.get("index") == index] if index is not None else calls[-1:]
    call = same[-1] if same else None
    if call is None or (id and call.get("id") and id != call["id"]):
        call = {"index": index, "type": "function", "function": {"name": "", "arguments": ""}}
        calls.append(call)
    if id:
        call["id"] = id
    function = piece.get("function")
    for key, value in function.items() if isinstance(function, dict) else ():
        before = call["function"].get(key)
        if isinstance(value, str) and isinstance(before, str):
            call["function"][key] = value if key == "name" and before == value else before + value
        elif value is not None:
            call["function"][key] = value
    for key, value in piece.items():
        if key not in ("index", "id", "type", "function"):
            call[key] = value
