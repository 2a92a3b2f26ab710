"""The border where a chat-completions body becomes a `Reply`: nothing a provider sends can raise, and nothing is lost silently.

What is mended is noted, a sentence each; what cannot be read is a `Failure`. `raw` keeps all of it, reasoning included.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from smallchain.model.llm import AskedCall, Failure, FailureKind, Reply
from smallchain.model.money import Usage
from smallchain.services.llm.classify import classify

_MOST_TOKENS = 1_000_000_000
_LONGEST_RAW = 4_000
_ILLEGAL_IN_NAME = re.compile(r"[^a-zA-Z0-9_-]")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def translate(raw: bytes | str) -> Reply | Failure:
    """The reply in an OpenAI chat-completions body that came with a 2xx status, or why there is none in it."""
    text = _UNSTORABLE.sub("\ufffd", raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw)
    body = _read(text)
    if isinstance(body, Failure):
        return body
    message = _message(body, text)
    if isinstance(message, Failure):
        return message
    choice, said = message
    notes: list[str] = []
    calls = _Calls(text, notes).read(said)
    content = _content(said, notes)
    sent_back: dict[str, Any] = {"role": "assistant", "content": content}
    if calls:
        sent_back = {"role": "assistant", "content": content or None, "tool_calls": [_sent_back(call, notes) for call in calls]}
    return Reply(
        message=sent_back,
        raw=text,
        content=content,
        calls=tuple(calls),
        finish_reason=_word(choice.get("finish_reason")),
        usage=_usage(body.get("usage"), notes),
        model=_word(body.get("model")),
        notes=tuple(notes),
    )


def _read(text: str) -> dict[str, Any] | Failure:
    start = text.lstrip("\ufeff \t\r\n")[:512].lower()
    if not start:
        return _unread("the endpoint answered with an empty body", text)
    if start.startswith("<"):
        return _unread("the endpoint answered with an HTML page instead of a chat completion; is `base_url` right?", text)
    if start.startswith(("data:", "event:")):
        sentence = "the endpoint answered with an event stream; `stream` must not be among the parameters"
        return Failure(FailureKind.REFUSED, sentence, raw=text[:_LONGEST_RAW])
    try:
        body = json.loads(text.lstrip("\ufeff"), parse_int=_whole)
    except RecursionError:
        return _unread("the endpoint's reply is nested too deeply to be read", text)
    except ValueError as error:
        cut = _is_cut(text, error)
        what = "the endpoint's reply was cut off" if cut else "the endpoint's reply is not JSON"
        return _unread(f"{what}: {error}", text)
    if not isinstance(body, dict):
        return _unread(f"the endpoint's reply is JSON, but {_kind(body)} instead of an object", text)
    return body


def _message(body: dict[str, Any], text: str) -> tuple[dict[str, Any], dict[str, Any]] | Failure:
    choices = body.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if isinstance(choice, dict) and isinstance(message, dict):
        return choice, message
    error = body.get("error") or (choice.get("error") if isinstance(choice, dict) else None)
    if error:
        # Gateways answer 200 and put the error of the provider behind them, with its status as `code`, into the body.
        code = error.get("code") if isinstance(error, dict) else None
        status = code if isinstance(code, int) and 300 <= code <= 599 else 502
        return classify(status, json.dumps({"error": error}).encode(), {})
    if choice is None:
        return _unread("the endpoint's reply holds no choices", text)
    return _unread("the first choice of the endpoint's reply holds no message", text)


def _content(said: dict[str, Any], notes: list[str]) -> str:
    """The text the model said: a text, null, or parts of which the texts are joined; a refusal stands in when there is none."""
    content = said.get("content")
    if content is None:
        text = ""
    elif isinstance(content, str):
        text = content
    elif isinstance(content, list):
        text = _joined(content, notes)
    else:
        notes.append(f"the content was {_kind(content)} instead of a text; it is kept as its JSON")
        text = json.dumps(content, ensure_ascii=False)
    refusal = said.get("refusal")
    if not text and isinstance(refusal, str) and refusal:
        notes.append("the model refused; its refusal stands as the content")
        text = refusal
    return _storable(text, "the content", notes)


def _joined(parts: list[Any], notes: list[str]) -> str:
    texts = []
    for part in parts:
        text = part if isinstance(part, str) else None
        if isinstance(part, dict):
            text = next((part[key] for key in ("text", "refusal") if isinstance(part.get(key), str)), None)
            if part.get("type") in ("thinking", "reasoning"):
                text = None
        if text is None:
            kind = part.get("type") if isinstance(part, dict) else _kind(part)
            notes.append(f"a part of the content is no text ({str(kind)[:40]}); it is kept in the raw reply only")
        else:
            texts.append(text)
    return "".join(texts)


@dataclass(slots=True)
class _Calls:
    """Reads the calls of one message, in order, giving each an id of its own."""

    text: str
    notes: list[str]
    taken: set[str] = field(default_factory=set)

    def read(self, said: dict[str, Any]) -> list[AskedCall]:
        asked = said.get("tool_calls")
        if asked is None and isinstance(said.get("function_call"), dict):
            self.notes.append("the reply used the old `function_call`; it is read as a tool call")
            asked = [{"function": said["function_call"]}]
        if isinstance(asked, dict):
            self.notes.append("`tool_calls` was one call instead of a list")
            asked = [asked]
        if asked is None:
            return []
        if not isinstance(asked, list):
            self.notes.append(f"`tool_calls` was {_kind(asked)} instead of a list; it is left out")
            return []
        return [call for number, entry in enumerate(asked, 1) if (call := self._call(number, entry)) is not None]

    def _call(self, number: int, entry: Any) -> AskedCall | None:
        function = entry.get("function") if isinstance(entry, dict) else None
        name = function.get("name") if isinstance(function, dict) else None
        if function is None or not isinstance(name, str) or not name:
            self.notes.append(f"tool call {number} names no function; it is left out")
            return None
        name = _storable(name, f"the name in tool call {number}", self.notes)
        return AskedCall(self._id(number, entry.get("id")), name, self._arguments(number, function.get("arguments")))

    def _id(self, number: int, given: Any) -> str:
        mended = _storable(given, f"the id of tool call {number}", self.notes) if isinstance(given, str) else ""
        if mended.strip() and mended not in self.taken:
            self.taken.add(mended)
            return mended
        # A digest of the reply keeps ids of different turns apart, and the same reply always gets the same ids.
        made = f"call_{hashlib.sha256(self.text.encode()).hexdigest()[:12]}_{number}"
        self.taken.add(made)
        what = f"had the id {mended[:80]!r} of an earlier one" if mended.strip() else "had no id"
        self.notes.append(f"tool call {number} {what}; it is {made} here")
        return made

    def _arguments(self, number: int, given: Any) -> str:
        if given is None or (isinstance(given, str) and not given.strip()):
            return "{}"
        if isinstance(given, str):
            return _storable(given, f"the arguments of tool call {number}", self.notes)
        self.notes.append(f"the arguments of tool call {number} were {_kind(given)} instead of a text")
        return _storable(json.dumps(given, ensure_ascii=False), f"the arguments of tool call {number}", self.notes)


def _sent_back(call: AskedCall, notes: list[str]) -> dict[str, Any]:
    name = _ILLEGAL_IN_NAME.sub("_", call.name)[:64]
    if name != call.name:
        notes.append(f"the function name {call.name[:80]!r} is not legal; the history says {name!r}")
    return {"id": call.id, "type": "function", "function": {"name": name, "arguments": call.arguments}}


def _usage(given: Any, notes: list[str]) -> Usage | None:
    """The counts if they can be true; None, with a note, where money must be booked at the worst case instead."""
    if not isinstance(given, dict):
        notes.append("the reply says no usage")
        return None
    prompt, completion = given.get("prompt_tokens"), given.get("completion_tokens")
    if not _is_count(prompt) or not _is_count(completion) or not prompt:
        shown = f"prompt_tokens {str(prompt)[:20]}, completion_tokens {str(completion)[:20]}"
        notes.append(f"the usage cannot be true ({shown}); it is left out")
        return None
    details = given.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    if cached is None:
        cached = 0
    elif not _is_count(cached) or cached > prompt:
        notes.append(f"the count of cached tokens cannot be true ({str(cached)[:20]}); it is taken as none")
        cached = 0
    return Usage(prompt, completion, cached)


def _is_count(value: Any) -> TypeGuard[int]:
    return type(value) is int and 0 <= value <= _MOST_TOKENS


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= 20 else float("inf")


def _word(value: Any) -> str | None:
    return _UNSTORABLE.sub("\ufffd", value)[:200] if isinstance(value, str) and value else None


def _storable(text: str, what: str, notes: list[str]) -> str:
    mended, count = _UNSTORABLE.subn("\ufffd", text)
    if count:
        notes.append(f"{what} held {count} characters that cannot be stored (NUL, half a surrogate pair); they are U+FFFD here")
    return mended


def _is_cut(text: str, error: ValueError) -> bool:
    at_end = isinstance(error, json.JSONDecodeError) and error.pos >= len(text.rstrip())
    return at_end or str(error).startswith("Unterminated")


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "a truth value", type(None): "null"}
    return names.get(type(value), "a number")


def _unread(sentence: str, text: str) -> Failure:
    return Failure(FailureKind.TRANSIENT, sentence, raw=text[:_LONGEST_RAW])
