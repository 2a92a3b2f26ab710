"""Requests to tell and a judge to say it to: what the engine is to channels, in memory, for tests of the channels alone.

The judge keeps the one rule that every channel relies on: the first decision wins, and everybody later hears who and when.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from smallchain.model.delivery import ChannelInUse, Delivery, Heard, Said, Told, Verb
from smallchain.model.human import RequestKind

NOW = datetime(2026, 11, 23, 11, 39, 36, tzinfo=UTC)
REQUEST = "01936d1e-5c7a-7abc-8def-0123456789ab"
DELIVERY = "01936d1e-5c7b-7abc-8def-0123456789ab"
DIGEST = "ab" * 32
SECRET = b"k" * 32


def told(**changes: Any) -> Told:
    """An approval as a person is told of it."""
    whole = Told(
        request_id=REQUEST,
        kind=RequestKind.APPROVAL,
        run="monday",
        path="manager > publisher > publish_post",
        tool="publish_post",
        question="May publish_post run?",
        choices=(),
        arguments='{"title":"AI news"}',
        digest=DIGEST,
        risk="high",
        why="The draft is ready.",
        outcomes=((Verb.APPROVE, "It runs with these arguments."), (Verb.DENY, "It does not run; the agent is told your note.")),
        opened_at=NOW,
        expires_at=None,
        on_expiry="",
    )
    return replace(whole, **changes)


def question(**changes: Any) -> Told:
    """A question as a person is told of it."""
    asked = {"kind": RequestKind.QUESTION, "tool": "ask_marketing", "question": "Which title?", "arguments": "", "digest": ""}
    return told(**asked | {"outcomes": ((Verb.ANSWER, "The agent reads it."),)} | changes)


def channel(type: str, to: str, **changes: Any) -> ChannelInUse:
    """A channel whose token is resolved."""
    whole = ChannelInUse("marketing", type, to, ("alice",), {}, "the-channels-token")
    return replace(whole, **changes)


def delivery(to: ChannelInUse, what: Told | None = None, **changes: Any) -> Delivery:
    """The first attempt at the first telling."""
    whole = Delivery(DELIVERY, to, what or told(), 1, 0, "", "K7Q2M9XD", SECRET, "http://127.0.0.1:9/callbacks/requests")
    return replace(whole, **changes)


class Judge:
    """Decides as the engine does, as far as channels can see it."""

    def __init__(self, request: Told | None = None, *channels: ChannelInUse) -> None:
        self.request = request or told()
        self.channels = {each.name: each for each in channels}
        self.said: list[Said] = []
        self.won: Said | None = None

    async def hear(self, said: Said) -> Heard:
        """The first that counts wins."""
        self.said.append(said)
        if said.request_id != self.request.request_id:
            return Heard(False, "there is no such request")
        if self.won is not None:
            facts = {"by": self.won.by, "via": self.won.via, "verb": str(self.won.verb)}
            return Heard(False, f"already decided: {self.won.verb} by {self.won.by} ({self.won.via})", facts)
        within = self.channels.get(said.via)
        if said.verb is Verb.APPROVE and within is not None and said.by not in within.allowed:
            return Heard(False, f"{said.by} may not approve here")
        if said.expect_digest is not None and said.expect_digest != self.request.digest:
            return Heard(False, "the request has changed since you saw it")
        self.won = said
        return Heard(True, f"{said.verb} by {said.by}")
