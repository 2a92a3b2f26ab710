"""What a model call is: the request that goes out, and the two things that come back (a reply, or a failure as a value)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any

from smallchain.model.money import Usage


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a model is reached, resolved for one call. `api_key` is the secret itself: never stored, logged or shown."""

    provider: str
    model: str
    base_url: str | None
    api_key: str | None
    timeout: timedelta
    script: tuple[dict[str, Any], ...] = ()
    """The `replies` of a `scripted` LLM, as its manifest says them."""
    folder: str = ""
    """Where the LLM is written: a person's own module is found from here."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers beside the key; their values may be secrets too."""
    hidden: tuple[str, ...] = ()
    """Values of headers that are secrets, to be blotted out wherever an endpoint repeats them."""

    def __repr__(self) -> str:
        return f"Endpoint({self.provider}, {self.model}, {self.base_url})"


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One model call. `body` is the exact request as UTF-8 JSON; `turn` counts the replies before it in this run, from 0."""

    body: bytes
    run_id: str
    agent: str
    turn: int
    attempt: int


@dataclass(frozen=True, slots=True)
class AskedCall:
    """A tool call as the model asked for it. `arguments` is its text, not yet read; `id` is unique within the reply."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model said. `message` is the assistant message in the form the next request sends it back in (legal history:
    ids of calls unique and never empty, arguments a text); `raw` the reply's whole text as it came. `usage` None: none was given."""

    message: dict[str, Any]
    raw: str
    content: str
    calls: tuple[AskedCall, ...]
    finish_reason: str | None
    usage: Usage | None
    model: str | None
    notes: tuple[str, ...] = ()
    """What was mended in the translation, a sentence each."""
    unfit: str = ""
    """Why it is not what was asked for (`tool_mode: json`), as the model is told; empty when it is."""
    held_for: timedelta | None = None
    """How long the provider takes no further calls, as it says beside the reply; None: it says nothing of the kind."""

    @property
    def is_silent(self) -> bool:
        """Whether it neither asks for anything nor says a word."""
        return not self.calls and not self.content.strip()


class FailureKind(StrEnum):
    """What a failed model call means for the run (design rule 3)."""

    TRANSIENT = "transient"
    """408, 409, 429, 5xx, network and time-outs: back off and call again."""
    UNUSABLE = "unusable"
    """401, 403, exhausted quota, an unresolved secret: the LLM is in Error, its runs wait."""
    REFUSED = "refused"
    """400, 404, 422: the run fails."""
    OVERFLOW = "overflow"
    """The context is longer than the model takes."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a model call gave no reply. `message` holds the provider's words, bounded; `raw` the body as it came, bounded."""

    kind: FailureKind
    message: str
    status: int | None = None
    retry_after: timedelta | None = None
    raw: str = ""
    may_have_cost: bool = False
    """The request went out and no answer says that nothing was done: a provider may bill it."""
