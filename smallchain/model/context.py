"""The request that goes to a model: `full`, the strategy that sends the whole conversation, as bytes that grow by appending."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from smallchain.model.canonical import canonical

RESERVED = ("messages", "model", "tools", "functions", "stream", "stream_options")
"""What a request holds that `parameters` may not set: these are ours."""


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
