"""Where a conversation may be cut: where the model has the next word, never between a reply and the results of its calls; pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


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
