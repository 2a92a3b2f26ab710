"""Models behind a person's own function: `provider: python`, and the names that installed packages give.

The function gets the request and what the endpoint is, and returns what it would have sent as an OpenAI server: a chat completion, its
message alone, or a plain text. What it raises is a failure as a value.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from smallchain.engine.ports import Code, Provider
from smallchain.model.code import Fault, FaultKind, Function
from smallchain.model.llm import Endpoint, Failure, FailureKind, ModelRequest, Reply
from smallchain.services.llm.classify import classify
from smallchain.services.llm.translate import translate

_SHORTEST_SECRET = 8


class Providers(dict[str, Provider]):
    """The ways to reach models, by name; a name that is none of ours is an installed package's, reached as a person's own code is."""

    def __missing__(self, name: str) -> Provider:
        return self["python"]


class PythonProvider:
    """Implements `Provider` with functions that run elsewhere."""

    def __init__(self, code: Code) -> None:
        self._code = code

    async def complete(self, endpoint: Endpoint, request: ModelRequest, /) -> Reply | Failure:
        """Call the function once, within the endpoint's time-out."""
        arguments = [_request(request.body), _facts(endpoint, request)]
        made = await self._code.call(function_of(endpoint), arguments, timeout=endpoint.timeout)
        if isinstance(made, Fault):
            return _failure(made, endpoint)
        return _reply(made, endpoint, request.body)

    async def check(self, endpoint: Endpoint, /) -> Failure | None:
        """Load the function."""
        fault = await self._code.check(function_of(endpoint))
        return _failure(fault, endpoint) if fault is not None else None

    async def close(self) -> None:
        """The processes belong to whoever gave them."""


def function_of(endpoint: Endpoint, /) -> Function:
    """The function behind an endpoint: `model` names it, or the provider's own name as an entry point."""
    return Function("providers", endpoint.model if endpoint.provider == "python" else endpoint.provider, endpoint.folder)


def _request(body: bytes) -> Any:
    """The body as the value it is the JSON of, or as its text where a context strategy sends another form."""
    text = body.decode()
    try:
        return json.loads(text)
    except ValueError:
        return text


def _facts(endpoint: Endpoint, request: ModelRequest) -> dict[str, Any]:
    return {
        "model": endpoint.model,
        "base_url": endpoint.base_url,
        "api_key": endpoint.api_key,
        "parameters": dict(endpoint.parameters),
        "timeout_s": endpoint.timeout.total_seconds(),
        "run_id": request.run_id,
        "agent": request.agent,
        "turn": request.turn + 1,
        "attempt": request.attempt,
    }


def _reply(made: Any, endpoint: Endpoint, asked: bytes) -> Reply | Failure:
    if isinstance(made, dict) and ("choices" in made or "error" in made):
        return translate(_told(json.dumps(made, ensure_ascii=False), endpoint), asked=asked)
    message = {"role": "assistant", "content": made} if isinstance(made, str) else made
    if not isinstance(message, dict) or not {"content", "tool_calls"} & set(message):
        what = f"{endpoint.model} returned neither a chat completion, nor a message, nor a text"
        return Failure(FailureKind.TRANSIENT, what, raw=json.dumps(made)[:4000], may_have_cost=True)
    calls = message.get("tool_calls")
    whole = {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}]}
    found = translate(_told(json.dumps(whole, ensure_ascii=False), endpoint), asked=asked)
    return replace(found, raw=found.content) if isinstance(found, Reply) and isinstance(made, str) else found


def _failure(fault: Fault, endpoint: Endpoint) -> Failure:
    """A module that can't be loaded makes the LLM unusable until it can; what raises is tried again, unless its `status` says no."""
    message = _told(fault.message, endpoint)
    if fault.kind is FaultKind.NOT_LOADED:
        return Failure(FailureKind.UNUSABLE, message)
    if fault.status is not None and 300 <= fault.status <= 599:
        headers = {} if fault.retry_after is None else {"retry-after": str(fault.retry_after.total_seconds())}
        return classify(fault.status, json.dumps({"error": {"message": message}}).encode(), headers)
    return Failure(FailureKind.TRANSIENT, message, retry_after=fault.retry_after, may_have_cost=True)


def _told(text: str, endpoint: Endpoint) -> str:
    """What came, without the key."""
    key = endpoint.api_key
    return text.replace(key, "[secret]") if key is not None and len(key) >= _SHORTEST_SECRET else text
