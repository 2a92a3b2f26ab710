"""What the section `llms` holds: a model, how it is reached, what it costs; and the replies of a scripted one."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from smallchain.model.code import CALLABLE
from smallchain.model.fields import (
    Count,
    Dollars,
    Duration,
    Headers,
    Name,
    Pattern,
    Secret,
    Section,
    Url,
    Whole,
    a_word_or,
    by_shape,
    fault,
    one_of_or_installed,
)
from smallchain.model.money import Price, Rates, parse_dollars

PROVIDERS = ("openai", "scripted", "python")
_OURS_TO_SEND = {"messages": "the conversation", "model": "the `model` field", "tools": "the agent's tools", "stream": "`false`"}


class PriceSpec(Section):
    """Dollars per million tokens."""

    input: Dollars = Field(description="Of the prompt")
    output: Dollars = Field(description="Of the reply")
    cached_input: Dollars | None = Field(None, description="Of the part of the prompt the provider had already; else as `input`")
    cache_write: Dollars | None = Field(None, description="Of the part of the prompt the provider keeps for later; else as `input`")

    def price(self) -> Price:
        """The price as integers."""
        cached, written = (None if each is None else parse_dollars(each) for each in (self.cached_input, self.cache_write))
        return Price(Rates(parse_dollars(self.input), parse_dollars(self.output), cached, written))


class LLMLimits(Section):
    """How hard an endpoint may be used."""

    concurrency: Count | None = Field(None, description="Calls at once")
    requests_per_minute: Count | None = Field(None, description="Calls a minute")
    tokens_per_minute: Count | None = Field(None, description="Tokens a minute")


class ScriptedCall(Section):
    """A tool call of a scripted reply."""

    name: str = Field(min_length=1, description="The function")
    arguments: dict[str, Any] | str = Field(default_factory=dict, description="A mapping, or the text as a model would write it")
    id: str | None = Field(None, description="Made when not given")


class ScriptedError(Section):
    """A failure in the place of a reply."""

    status: Annotated[Whole, Field(ge=400, le=599)] = Field(description="The HTTP status")
    message: str | None = Field(None, description="The provider's words")
    retry_after: Duration | None = Field(None, description="What the provider asks for")


class ScriptedReply(Section):
    """What the scripted model says."""

    content: str | None = Field(None, description="The text")
    tool_calls: tuple[ScriptedCall, ...] = Field((), description="The calls it asks for")
    delay: Duration | None = Field(None, description="How long it thinks")
    error: Annotated[Annotated[str, Tag("<text>")] | Annotated[ScriptedError, Tag("<mapping>")], Discriminator(by_shape)] | None = Field(
        None, description="A network fault with these words, or {status, message, retry_after}"
    )

    @model_validator(mode="after")
    def _alone(self) -> Self:
        if self.error is not None and (self.content is not None or self.tool_calls):
            raise fault("a reply with `error` has no `content` and no `tool_calls`")
        return self


class ScriptedWhen(Section):
    """When a reply is taken; all that is given must hold."""

    agent: Name | None = Field(None, description="The agent that asks")
    turn: Annotated[Whole, Field(ge=1)] | None = Field(None, description="The n-th call of the run's conversation, from 1")
    last: Pattern | None = Field(None, description="A regular expression found in the last message")
    any: Pattern | None = Field(None, description="A regular expression found in any message")


class ScriptedCase(Section):
    """A reply and when it is taken."""

    when: ScriptedWhen = Field(description="agent, turn, last, any")
    reply: ScriptedReply = Field(description="What it says")


def _case_or_reply(value: Any) -> str:
    keys = value if isinstance(value, dict) else type(value).model_fields if isinstance(value, Section) else ()
    return "<case>" if "when" in keys or "reply" in keys else "<reply>"


Scripted = Annotated[Annotated[ScriptedReply, Tag("<reply>")] | Annotated[ScriptedCase, Tag("<case>")], Discriminator(_case_or_reply)]


class LLMSpec(Section):
    """A model and how it is reached."""

    name: Name = Field(description="What agents call it")
    provider: Annotated[str, one_of_or_installed(PROVIDERS, what="a provider")] = Field(
        description="openai: every OpenAI-compatible endpoint; scripted: replies from this file; python: `model` is module:callable; "
        "or the name that an installed package gives"
    )
    model: str | None = Field(None, min_length=1, description="The provider's name for the model; with `python`: module:callable")
    base_url: Url | None = Field(
        None, description="The endpoint, with a query if it wants one; else OPENAI_BASE_URL of the daemon's environment"
    )
    api_key: Secret | None = Field(None, description="A reference; else OPENAI_API_KEY of the daemon's environment")
    headers: Headers = Field(default_factory=dict, description="Sent with every request beside the key: text, or references to secrets")
    parameters: dict[str, Any] = Field(default_factory=dict, description="Sent as they are: temperature, max_tokens, ...")
    price: (
        Annotated[
            Annotated[Literal["unknown_ok"], Tag("<text>")] | Annotated[PriceSpec, Tag("<mapping>")],
            Discriminator(by_shape),
            a_word_or(("unknown_ok",), hint="write {input: $2.50, output: $10}, dollars per million tokens, or unknown_ok"),
        ]
        | None
    ) = Field(None, description="Dollars per million tokens, or unknown_ok to run without a price")
    limits: LLMLimits | None = Field(None, description="How hard the endpoint may be used")
    timeout: Duration | None = Field(None, description="Of one call")
    retry_for: Duration | None = Field(None, description="How long a call that fails for now is tried again; 6h when not given")
    fallback: Name | None = Field(None, description="The LLM to use when this one cannot be")
    tool_mode: Literal["native", "json"] = Field("native", description="json: for models without a tool template")
    replies: tuple[Scripted, ...] = Field((), description="Of `provider: scripted`: taken in order, or by {when, reply}")

    @field_validator("parameters")
    @classmethod
    def _not_ours(cls, value: dict[str, Any]) -> dict[str, Any]:
        for key, what in _OURS_TO_SEND.items():
            if key in value:
                raise fault(f"cannot hold `{key}`: Smallchain sends {what} for it", hint="take it out")
        return value

    @model_validator(mode="after")
    def _fits_provider(self) -> Self:
        if self.provider == "scripted":
            if not self.replies:
                raise fault("a scripted LLM needs `replies`")
            if len({type(reply) for reply in self.replies}) > 1:
                raise fault("`replies` are all plain or all {when, reply}, not both")
        elif self.replies:
            raise fault("`replies` belong to `provider: scripted`")
        elif self.model is None:
            raise fault("`model` is missing")
        elif self.provider == "python" and not CALLABLE.fullmatch(self.model):
            raise fault(f"`model` {self.model[:60]!r} is not module:callable, which `provider: python` needs")
        return self
