"""What keeps a conversation legal: where it may be cut (where the model has the next word, never between a reply and the results of its
calls), and calls whose ids no other has; pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from smallchain.model.llm import Reply


def legal_cuts(messages: Sequence[dict[str, Any]]) -> list[int]:
    """The numbers of messages (from 0) after which every call has its result and the model is to speak, in rising order.

    After a prompt alone, or after an answer, it is not: many servers refuse a request without a user's word or a result at its end.
    """
    cuts = [0]
    asked: set[str] = set()
    for number, message in enumerate(messages, 1):
        if message["role"] == "tool":
            asked.discard(message.get("tool_call_id", ""))
        else:
            asked = {call["id"] for call in message.get("tool_calls") or ()}
        if not asked and message["role"] in ("user", "tool"):
            cuts.append(number)
    return cuts


def turns_in(messages: Sequence[dict[str, Any]]) -> int:
    """How many replies of the model stand in a conversation."""
    return sum(message["role"] == "assistant" for message in messages)


def with_own_ids(reply: Reply, asked: bytes, /) -> Reply:
    """A reply to a request that left older turns out, whose calls have ids of ours: the model's may stand in what it was not shown.

    A digest of request and reply keeps ids of different turns apart; the same reply to the same request gets the same ids.
    """
    if not reply.calls:
        return reply
    mark = hashlib.sha256(asked + b"\0" + reply.raw.encode("utf-8", "replace")).hexdigest()[:12]
    ids = [f"call_{mark}_{number}" for number in range(1, len(reply.calls) + 1)]
    entries = [{**entry, "id": id} for entry, id in zip(reply.message["tool_calls"], ids, strict=True)]
    calls = tuple(replace(call, id=id) for call, id in zip(reply.calls, ids, strict=True))
    return replace(reply, message={**reply.message, "tool_calls": entries}, calls=calls)
