"""The request that goes to a model: the bytes of it, and which messages of a conversation it holds.

`full` sends all of them. A shorter request sends the head (the messages up to and with the first of a user: the system prompt, and what
is to be done), the summary of what is left out where one was made, and all from a reply on, so that no call is parted from its result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from smallchain.model.canonical import canonical
from smallchain.model.templates import render

RESERVED = ("messages", "model", "tools", "functions", "stream", "stream_options")
"""What a request holds that `parameters` may not set: these are ours."""


@dataclass(frozen=True, slots=True)
class Part:
    """The messages of a request: all up to number `upto`; with a `first`, the head, `summary` (0: none) and those from `first` on."""

    upto: int
    first: int = 0
    summary: int = 0


WINDOW = 20
"""Turns that `context: window` sends."""
SUMMARISE = 40
"""Turns that `context: summarise` sends at most before it has the older half of them summed up."""
SUMMARY = "summary"
"""The template of the message that stands for what it sums up; `SUMMARISE_WORDS` ask for it."""
SUMMARISE_WORDS = "summarise"


def window(replies: Sequence[int], turns: int, /) -> int:
    """Where a request begins that holds the newest `turns` turns, of the numbers of the newest replies in rising order; 0: all fit."""
    return replies[-turns] if len(replies) > turns else 0


def half(replies: Sequence[int], /) -> int:
    """Where a request begins that holds the newer half of these replies, in rising order; 0 where there is no half."""
    return replies[(len(replies) + 1) // 2] if len(replies) > 1 else 0


def asks_for_summary(templates: Mapping[str, str], /) -> dict[str, Any]:
    """The message at the end of a request that asks for a summary."""
    return {"role": "user", "content": render(SUMMARISE_WORDS, templates)}


@dataclass(frozen=True, slots=True)
class Envelope:
    """What stands around the messages of every request of a run, as texts of JSON."""

    before: str
    after: str


def envelope(model: str, parameters: Mapping[str, Any], tools: Sequence[dict[str, Any]]) -> Envelope:
    """The parts of a chat-completions request that stay: model, parameters as they are written, and the functions, if any."""
    rest = "".join(f",{canonical(name)}:{canonical(value)}" for name, value in parameters.items())
    functions = f',"tools":{canonical(list(tools))}' if tools else ""
    return Envelope(before=f'{{"model":{canonical(model)},"messages":[', after=f"]{functions}{rest}}}")


def body(around: Envelope, wires: Sequence[str]) -> bytes:
    """The exact request: the conversation's messages, each in its kept text, inside the envelope."""
    return enclosed(around, ",".join(wires).encode())


def enclosed(around: Envelope, joined: bytes) -> bytes:
    """The same from messages that are joined already."""
    return b"".join((around.before.encode(), joined, around.after.encode()))
