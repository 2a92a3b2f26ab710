"""The border where a chat-completions body becomes a `Reply`: nothing a provider sends can raise, and nothing is lost silently.

What is mended is noted, a sentence each; what cannot be read is a `Failure`. `raw` keeps all of it, reasoning included.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field, replace
from typing import Any, TypeGuard

from smallchain.model.llm import AskedCall, Failure, FailureKind, Reply
from smallchain.model.money import Usage
from smallchain.services.llm import eventstream, wordings
from smallchain.services.llm.classify import classify

_MOST_TOKENS = 1_000_000_000
_ILLEGAL_IN_NAME = re.compile(r"[^a-zA-Z0-9_-]")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_LONGEST_ID = 256


_TAKEN_ALONG = ("reasoning_content", "reasoning_details")
"""What a message with calls takes back to its endpoint: DeepSeek's thinking mode and OpenRouter refuse the next request without it
(https://api-docs.deepseek.com/guides/thinking_mode, https://openrouter.ai/docs/guides/best-practices/reasoning-tokens)."""

_TAKEN_ALONG_BY_CALLS = ("extra_content",)
"""Google's thought signature, without which Gemini refuses the next request (https://ai.google.dev/gemini-api/docs/thought-signatures)."""

_CUT = {
    "length": "the reply reached its maximum length and is cut there; `max_tokens` in the LLM's `parameters` sets it",
    "content_filter": "the provider's content filter cut the reply",
}


def translate(raw: bytes | str, *, asked: bytes = b"") -> Reply | Failure:
    """The reply in an OpenAI chat-completions body that came with a 2xx status, or why there is none in it.

    `asked` is the request it answers: the ids of calls that stand in it already are not given again.
    """
    text = _UNSTORABLE.sub("\ufffd", raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw)
    notes: list[str] = []
    body = _read(text, notes)
    if isinstance(body, Failure):
        return body
    message = _message(body, text, notes)
    if isinstance(message, Failure):
        return message
    choice, said = message
    reason = _word(choice.get("finish_reason"))
    calls = _Calls(text, notes, asked, reason).read(said)
    content = _content(said, notes)
    sent_back: dict[str, Any] = {"role": "assistant", "content": content}
    if calls:
        kept = {key: said[key] for key in _TAKEN_ALONG if said.get(key) and _is_json(said[key])}
        entries = [_sent_back(call, given, notes) for call, given in calls]
        sent_back = {"role": "assistant", "content": content or None, **kept, "tool_calls": entries}
    if reason in _CUT and (calls or content):
        notes.append(_CUT[reason])
    return Reply(
        message=sent_back,
        raw=text,
        content=content,
        calls=tuple(call for call, _ in calls),
        finish_reason=reason,
        usage=_usage(body.get("usage"), notes, has_said=bool(calls or content.strip())),
        model=_word(body.get("model")),
        notes=tuple(notes),
    )


def _read(text: str, notes: list[str]) -> dict[str, Any] | Failure:
    stripped = text.lstrip("\ufeff \t\r\n")
    if not stripped:
        return _unread("the endpoint answered with an empty body", text)
    if stripped.startswith("<"):
        return _unread("the endpoint answered with an HTML page instead of a chat completion; is `base_url` right?", text)
    try:
        if eventstream.is_stream(text):
            notes.append("the reply came as an event stream, which was not asked for; it is put together")
            return eventstream.joined(text)
        body, end = _DECODER.raw_decode(stripped)
    except RecursionError:
        return _unread("the endpoint's reply is nested too deeply to be read", text)
    except ValueError as error:
        cut = isinstance(error, eventstream.Cut) or _is_cut(stripped, error)
        what = "the endpoint's reply was cut off" if cut else "the endpoint's reply is not JSON"
        return _unread(f"{what}: {error}", text)
    if not isinstance(body, dict):
        return _unread(f"the endpoint's reply is JSON, but {_kind(body)} instead of an object", text)
    if rest := stripped[end:].strip():
        notes.append(f"{len(rest)} characters stood behind the reply; they are kept in the raw reply only")
    return body


def _message(body: dict[str, Any], text: str, notes: list[str]) -> tuple[dict[str, Any], dict[str, Any]] | Failure:
    choices = body.get("choices")
    found = [choice for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []
    usable = [choice for choice in found if isinstance(choice.get("message"), dict)]
    error = body.get("error") or next((choice["error"] for choice in found if choice.get("error")), None)
    if error:
        # Gateways answer 200 and put the error of the provider behind them, with its status as `code`, into the body.
        wrapped = json.dumps({"error": error}).encode()
        failure = classify(_status_in(error), wrapped, {})
        has_begun = bool(found) or isinstance(body.get("usage"), dict)  # what was written before the error is billed
        return replace(failure, raw=wordings.kept(text), may_have_cost=failure.may_have_cost or has_begun)
    if not found:
        return _unread("the endpoint's reply holds no choices", text)
    if not usable:
        return _unread("no choice of the endpoint's reply holds a message", text)
    if len(found) > 1:
        notes.append(f"the reply holds {len(found)} choices; the first is taken")
    return usable[0], usable[0]["message"]


def _status_in(error: Any) -> int:
    for key in ("code", "status", "status_code", "http_code") if isinstance(error, dict) else ():
        code = error.get(key)
        if isinstance(code, str) and code.isascii() and code.isdigit() and len(code) == 3:
            code = int(code)
        if type(code) is int and 300 <= code <= 599:
            return code
    return 502


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
    asked: bytes
    reason: str | None
    taken: set[str] = field(default_factory=set)

    def read(self, said: dict[str, Any]) -> list[tuple[AskedCall, dict[str, Any]]]:
        """The calls, each with the entry it was read from."""
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
        found = [(call, entry) for number, entry in enumerate(asked, 1) if (call := self._call(number, entry)) is not None]
        if self.reason == "length" and found and found[-1][0].arguments == "{}" and _is_blank(found[-1][1]["function"].get("arguments")):
            # Cut before its arguments began: run as a call without arguments, it would be one that the model did not make.
            self.notes.append(f"tool call {len(asked)} was cut off before its arguments")
            found[-1] = (replace(found[-1][0], arguments="{"), found[-1][1])
        return found

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
        if mended.strip() and len(mended) <= _LONGEST_ID and mended not in self.taken and not self._stands_already(mended):
            self.taken.add(mended)
            return mended
        # A digest of request and reply keeps ids of different turns apart; the same reply to the same request gets the same ids.
        both = hashlib.sha256(self.asked + b"\0" + self.text.encode()).hexdigest()
        made = f"call_{both[:12]}_{number}"
        self.taken.add(made)
        what = f"had the id {mended[:80]!r} of an earlier one" if mended.strip() else "had no id"
        if len(mended) > _LONGEST_ID:
            what = f"had an id of {len(mended)} characters"
        self.notes.append(f"tool call {number} {what}; it is {made} here")
        return made

    def _stands_already(self, id: str) -> bool:
        """Whether an id stands in the conversation: a text between quotes in its JSON, where quotes within texts are escaped."""
        return _ENCODER.encode(id).encode() in self.asked

    def _arguments(self, number: int, given: Any) -> str:
        if _is_blank(given):
            return "{}"
        if isinstance(given, str):
            return _storable(given, f"the arguments of tool call {number}", self.notes)
        self.notes.append(f"the arguments of tool call {number} were {_kind(given)} instead of a text")
        return _storable(json.dumps(given, ensure_ascii=False), f"the arguments of tool call {number}", self.notes)


def _sent_back(call: AskedCall, given: dict[str, Any], notes: list[str]) -> dict[str, Any]:
    """A call as the history says it: with a legal name, and with arguments that every server can read."""
    name = _ILLEGAL_IN_NAME.sub("_", call.name)[:64]
    if name != call.name:
        notes.append(f"the function name {call.name[:80]!r} is not legal; the history says {name!r}")
    kept = {key: given[key] for key in _TAKEN_ALONG_BY_CALLS if given.get(key) and _is_json(given[key])}
    return {"id": call.id, "type": "function", "function": {"name": name, "arguments": _readable(call.arguments)}, **kept}


def _readable(arguments: str) -> str:
    """The arguments as the history says them: many servers read those of earlier calls, and refuse the request when they are no object.

    What is no object (cut off, encoded twice) stands inside one, so that the model still sees what it wrote.
    """
    try:
        value = json.loads(arguments)
        if isinstance(value, str):
            arguments = value
            value = json.loads(value)
        if isinstance(value, dict) and _is_json(value):
            return arguments
    except (ValueError, RecursionError):
        pass
    return json.dumps({"unreadable": arguments}, ensure_ascii=False)


def _is_json(value: Any) -> bool:
    """Whether it can be sent as JSON: no NaN, no half of a surrogate pair."""
    try:
        _ENCODER.encode(value).encode()
    except (ValueError, RecursionError):
        return False
    return True


def _is_blank(given: Any) -> bool:
    return given is None or (isinstance(given, str) and not given.strip())


def _usage(given: Any, notes: list[str], *, has_said: bool) -> Usage | None:
    """The counts if they can be true; None, with a note, where money must be booked at the worst case instead."""
    if not isinstance(given, dict):
        notes.append("the reply says no usage")
        return None
    prompt, completion = given.get("prompt_tokens", given.get("input_tokens")), given.get("completion_tokens", given.get("output_tokens"))
    total = given.get("total_tokens")
    is_silent = not completion and not (_is_count(total) and _is_count(prompt) and total > prompt)
    if not _is_count(prompt) or not _is_count(completion) or not prompt or (has_said and is_silent):
        shown = f"prompt_tokens {str(prompt)[:20]}, completion_tokens {str(completion)[:20]}"
        notes.append(f"the usage cannot be true ({shown}); it is left out")
        return None
    if _is_count(total) and total > prompt + completion:  # reasoning, which xAI and some ways to Gemini bill and count nowhere else
        notes.append(f"{total - prompt - completion} tokens of the total stand in no other count; they are counted as the reply's")
        completion = total - prompt
    details = given.get("prompt_tokens_details", given.get("input_tokens_details"))
    details = details if isinstance(details, dict) else {}
    elsewhere = given.get("prompt_cache_hit_tokens", given.get("cached_tokens"))
    cached = _part(details.get("cached_tokens", elsewhere), "cached tokens", prompt, notes)
    written = _part(details.get("cache_write_tokens"), "tokens written to the cache", prompt - cached, notes)
    return Usage(prompt, completion, cached, written)


def _part(count: Any, what: str, most: int, notes: list[str]) -> int:
    """A count of some of the prompt's tokens; none, with a note, where it cannot be true."""
    if count is None:
        return 0
    if not _is_count(count) or count > most:
        notes.append(f"the count of {what} cannot be true ({str(count)[:20]}); it is taken as none")
        return 0
    return count


def _is_count(value: Any) -> TypeGuard[int]:
    return type(value) is int and 0 <= value <= _MOST_TOKENS


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= 20 else float("inf")


_DECODER = json.JSONDecoder(parse_int=_whole)
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


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
    return Failure(FailureKind.TRANSIENT, sentence, raw=wordings.kept(text), may_have_cost=True)
