"""What a manifest's sections hold, LLMs and tools aside: one model a kind, each field with the words an editor shows."""

from __future__ import annotations

import itertools
import re
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, ValidationInfo, field_validator, model_validator

from smallchain.model import channelspec
from smallchain.model.builtins import ASK_HUMAN
from smallchain.model.calllimit import Calls
from smallchain.model.channelspec import CHANNEL_TYPES
from smallchain.model.durations import parse_duration
from smallchain.model.fields import (
    Amount,
    Context,
    Duration,
    Effects,
    Env,
    Flag,
    Headers,
    Isolation,
    Name,
    Secret,
    Section,
    TimeZone,
    Turns,
    Url,
    Whole,
    a_word_or,
    by_shape,
    exactly_one,
    fault,
    one_of_or_installed,
)
from smallchain.model.ids import did_you_mean
from smallchain.model.templates import TEMPLATES
from smallchain.model.toolspec import Approval, Mount, Reminders, ToolLimits

OWN_WAYS = ("terminal", "file", "dashboard")
"""Ways of answering on the owner's own machine: whoever can use them may decide. No channel has one of these names."""
PERIODS = ("run", "minute", "hour", "day", "week", "month")
_SHORTEST_INTERVAL = timedelta(seconds=1)
_GAPS_LOOKED_AT = 64
_CRON = 'five fields: minute, hour, day of month, month, day of week, as "0 7 * * 1-5"'
_LONGEST_CRON = 500


class Budget(Section):
    """A cap on what is spent."""

    limit: Amount = Field(description="$5, 200000 tokens or 2h")
    per: Literal["run", "minute", "hour", "day", "week", "month"] = Field("run", description="What the cap is counted over")
    window: Literal["rolling", "calendar"] = Field("rolling", description="The last 24 hours, or since midnight")
    time_zone: TimeZone = Field("UTC", description="Of `window: calendar`, as Europe/Berlin")
    on_limit: Literal["wait", "ask", "stop"] = Field("wait", description="wait until there is room, ask a person, or stop the run")

    @model_validator(mode="after")
    def _zone_of_a_calendar(self) -> Self:
        if self.time_zone != "UTC" and (self.window != "calendar" or self.per == "run"):
            raise fault("`time_zone` goes with `window: calendar`")
        return self

    @model_validator(mode="after")
    def _window_of_what(self, info: ValidationInfo) -> Self:
        """Of what a person writes (the context is theirs): what was taken before is still read."""
        if info.context is not None and self.per == "run" and "window" in self.model_fields_set:
            raise fault("`window` goes with a `per` that is a time", hint="a run is counted from its start to its end")
        return self


def _budget(value: Any) -> Any:
    """`$5/day` is short for `{limit: $5, per: day}`."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return {"limit": value}  # whose own check says how to write it
    if not isinstance(value, str):
        return value
    limit, slash, per = (part.strip() for part in value.partition("/"))
    if slash and per not in PERIODS:
        raise fault(f"{per[:40]!r} is not a period", hint=did_you_mean(per, PERIODS) or "one of " + ", ".join(PERIODS))
    return {"limit": limit, "per": per} if slash else {"limit": limit}


BudgetField = Annotated[Budget, BeforeValidator(_budget, json_schema_input_type=str | Budget)]


class EntryLimits(Section):
    """How often an agent may use what an entry of its `tools` names."""

    calls: Calls | None = Field(None, description="By this agent: 100/day by all its runs, or 5 in each")


def _entry(value: Any) -> Any:
    return {"tool": value} if isinstance(value, str) else value


class AgentTool(Section):
    """Something an agent may use: a tool, another agent, an MCP server's tools, or a person."""

    tool: Name | None = Field(None, description="A tool, by name")
    agent: Name | None = Field(None, description="An agent to delegate to")
    mcp: Name | None = Field(None, description="An MCP server")
    human: Name | None = Field(None, description="A channel to ask a person")
    only: tuple[str, ...] | None = Field(None, min_length=1, description="With `mcp`: these of its tools")
    approval: Approval | None = Field(None, description="Makes the tool's own rule stricter")
    expires: Duration | None = Field(None, description="Of a question: it waits for ever unless this is given")
    remind: Reminders = Field((), description="Of a question: when to ask again")
    limits: EntryLimits | None = Field(None, description="How often this agent may use it, beside the tool's own limit")
    detach: Literal["allowed", "never"] | None = Field(None, description="With `agent`: whether the call may go on in the background")
    on_finish: Literal["wait", "cancel"] | None = Field(None, description="With `agent`: what becomes of detached work at the end")

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, "tool", "agent", "mcp", "human")
        if self.only is not None and self.mcp is None:
            raise fault("`only` goes with `mcp`")
        if (self.expires is not None or self.remind) and self.human is None and self.tool != ASK_HUMAN:
            raise fault(
                f"`{'remind' if self.expires is None else 'expires'}` goes with `human` or `{ASK_HUMAN}`",
                hint="when an approval expires stands in its rule: approval: {expires: 2h}",
            )
        for name in ("detach", "on_finish"):
            if getattr(self, name) is not None and self.agent is None:
                raise fault(f"`{name}` goes with `agent`")
        return self

    @property
    def uses(self) -> tuple[str, str]:
        """The kind of resource the entry names, and its name."""
        kinds = (("tool", self.tool), ("agent", self.agent), ("mcp_server", self.mcp), ("channel", self.human))
        return next((kind, name) for kind, name in kinds if name is not None)


class AgentLimits(Section):
    """Where a run of the agent ends."""

    turns: Turns | None = Field(None, description="Model calls of one run")
    depth: Annotated[Whole, Field(ge=0, le=100)] | None = Field(None, description="Levels of delegation below")
    children: Annotated[Whole, Field(ge=0, le=100_000)] | None = Field(None, description="Delegations of one run")
    wall_time: Duration | None = Field(None, description="Active time; waiting does not count")
    wall_time_total: Duration | None = Field(None, description="Time from start to end, waiting included")


class AgentSpec(Section):
    """A prompt, a model, and what it may use."""

    name: Name = Field(description="What others call it")
    description: str | None = Field(None, description="What a caller should know")
    system_prompt: str | None = Field(None, description="Sent first, as it is")
    llm: Name | None = Field(None, description="Else defaults.llm, else the only LLM, else the caller's")
    tools: tuple[Annotated[AgentTool, BeforeValidator(_entry, json_schema_input_type=str | AgentTool)], ...] = Field(
        (), description="Names of tools, {agent: N}, {mcp: S, only: [...]}, {human: C}, {tool: N, approval: ...}"
    )
    limits: AgentLimits | None = Field(None, description="Where a run of it ends")
    budget: BudgetField | None = Field(None, description="$5/day, or {limit, per, window, on_limit}")
    context: Context = Field(
        "full",
        description="full, window, summarise, {window: N}, {summarise: N}, module:function, or the name that a package gives",
    )

    @field_validator("tools")
    @classmethod
    def _each_once(cls, value: tuple[AgentTool, ...]) -> tuple[AgentTool, ...]:
        seen: set[tuple[str, str]] = set()
        for entry in value:
            if entry.uses in seen:
                raise fault(f"lists the {entry.uses[0].replace('_', ' ')} {entry.uses[1]!r} twice")
            seen.add(entry.uses)
        return value


class FunctionCall(Section):
    """The function of a given tool call."""

    name: str = Field(min_length=1, description="The function")
    arguments: str = Field(description="A JSON text")


class GivenCall(Section):
    """A tool call of a given transcript, as chat completions write it."""

    id: str = Field(min_length=1, description="Repeated by the result")
    type: Literal["function"] = Field("function", description="Always function")
    function: FunctionCall = Field(description="Name and arguments")


class ChatMessage(Section):
    """A message of a given transcript."""

    null_is_a_value = ("content",)
    role: Literal["system", "user", "assistant", "tool"] = Field(description="Who says it")
    content: str | tuple[dict[str, Any], ...] | None = Field(None, description="Text, or content parts")
    name: str | None = Field(None, description="Which of several speakers")
    tool_calls: tuple[GivenCall, ...] = Field((), description="Of the assistant")
    tool_call_id: str | None = Field(None, description="Of a tool's result")


class TaskSpec(Section):
    """Work for an agent."""

    name: Name = Field(description="What runs call it")
    agent: Name = Field(description="Who does it")
    user_message: str | None = Field(None, min_length=1, description="What it is told")
    context_window: tuple[ChatMessage, ...] | None = Field(None, min_length=1, description="A given transcript to go on from")

    @field_validator("context_window")
    @classmethod
    def _legal(cls, value: tuple[ChatMessage, ...] | None) -> tuple[ChatMessage, ...] | None:
        """Each call is answered once, before anyone else speaks: model servers refuse everything else."""
        asked: set[str] = set()
        for number, message in enumerate(value or (), 1):
            if message.role == "tool":
                if message.tool_call_id not in asked:
                    raise fault(f"message {number} answers a tool call that nobody asked")
                asked.discard(message.tool_call_id)
                continue
            if asked:
                raise fault(f"message {number} comes before the result of the tool call {min(asked)!r}")
            if message.tool_call_id is not None:
                raise fault(f"message {number} has a `tool_call_id`, which belongs to the role tool")
            if message.tool_calls and message.role != "assistant":
                raise fault(f"message {number} has `tool_calls`, which belong to the role assistant")
            asked = {call.id for call in message.tool_calls}
            if len(asked) < len(message.tool_calls):
                raise fault(f"message {number} has the same id on two tool calls")
            if message.content is None and not message.tool_calls:
                raise fault(f"message {number} has no `content`")
        if asked:
            raise fault(f"ends before the result of the tool call {min(asked)!r}")
        return value

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, "user_message", "context_window")
        return self


class RunSpec(Section):
    """One time that a task is done."""

    name: Name = Field(description="Unique among all runs")
    task: Name = Field(description="What is done")
    user_message: str | None = Field(None, min_length=1, description="In place of the task's")
    budget: BudgetField | None = Field(None, description="For this run and its children")
    priority: Annotated[Whole, Field(ge=-1000, le=1000)] = Field(0, description="Higher goes first")


class McpServerSpec(Section):
    """An MCP server whose tools agents may use."""

    name: Name = Field(description="What agents call it")
    transport: Literal["stdio", "http"] | None = Field(None, description="stdio with `command`, http with `url`")
    command: tuple[Annotated[str, Field(min_length=1)], ...] | None = Field(None, min_length=1, description="The program and its arguments")
    url: Url | None = Field(None, description="The endpoint")
    env: Env = Field(default_factory=dict, description="Variables: text, or references to secrets")
    headers: Headers = Field(default_factory=dict, description="Text, or references to secrets")
    approval: Approval | None = Field(None, description="Of all its tools")
    effects: Effects | None = Field(None, description="Of all its tools; once when not given")
    timeout: Duration | None = Field(None, description="Of one call")
    isolation: Isolation | None = Field(None, description="Of `command`: auto, required or none")
    network: Flag = Field(False, description="Whether the fence around `command` lets the network through")
    mounts: tuple[Mount, ...] = Field((), description="Folders that the fence around `command` lets through")
    limits: ToolLimits | None = Field(None, description="What `command` may use, and how many calls of all its tools there may be")

    @model_validator(mode="before")
    @classmethod
    def _infer_transport(cls, value: Any) -> Any:
        if isinstance(value, dict) and "transport" not in value and ("command" in value) != ("url" in value):
            return {**value, "transport": "stdio" if "command" in value else "http"}
        return value

    @model_validator(mode="after")
    def _fits_transport(self) -> Self:
        exactly_one(self, "command", "url")
        wanted = "stdio" if self.command is not None else "http"
        if self.transport not in (None, wanted):
            raise fault(f"`transport: {self.transport}` needs `{'command' if self.transport == 'stdio' else 'url'}`")
        if self.headers and wanted == "stdio":
            raise fault("`headers` go with `url`")
        for name in ("env", "isolation", "network", "mounts"):
            if getattr(self, name) and wanted == "http":
                raise fault(f"`{name}` goes with `command`")
        beside = sorted((self.limits.model_fields_set if self.limits is not None else set()) - {"calls"})
        if beside and wanted == "http":
            raise fault(f"`limits: {beside[0]}` goes with `command`")
        return self


class ChannelSpec(Section):
    """A way to reach a person."""

    name: Name = Field(description="What agents and approvals call it")
    type: Annotated[str, one_of_or_installed(CHANNEL_TYPES, what="a type of channel")] = Field(
        description="terminal, slack, email, webhook, or the name that an installed package gives"
    )
    to: str | None = Field(None, description="The room, address or URL")
    about: str | None = Field(None, description="Who answers there; the model is told")
    allowed: tuple[str, ...] = Field((), description="Who may approve; without it, only questions are asked there")
    token: Secret | None = Field(None, description="A reference to the channel's key")
    parameters: dict[str, Any] = Field(default_factory=dict, description="What else this type of channel takes", validate_default=True)

    @field_validator("parameters")
    @classmethod
    def _of_type(cls, value: dict[str, Any], info: ValidationInfo) -> Any:
        return channelspec.check_parameters(info.data["type"], value, info.context) if "type" in info.data else value

    @model_validator(mode="after")
    def _whole(self) -> Self:
        channelspec.check_whole(self.type, self.to, self.token is not None, self.allowed, self.parameters)
        return self

    @field_validator("name")
    @classmethod
    def _not_ours(cls, value: str) -> str:
        """Whoever answers through one of these is at the owner's own machine: no channel may pass for one."""
        if value in OWN_WAYS:
            raise fault(f"{value!r} is the name of a way to answer that is always there", hint="choose another name")
        return value


class Over(Section):
    """What a budget counts."""

    agent: Name | None = Field(None, description="All runs of an agent")
    llm: Name | None = Field(None, description="All calls of an LLM")
    task: Name | None = Field(None, description="All runs of a task")
    run: Name | None = Field(None, description="A run and its children")

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, "agent", "llm", "task", "run")
        return self

    @property
    def counts(self) -> tuple[str, str]:
        """The kind and the name."""
        return next((kind, getattr(self, kind)) for kind in type(self).model_fields if getattr(self, kind) is not None)


_OVER = "everything, {agent: N}, {llm: N}, {task: N} or {run: N}"


class BudgetSpec(Budget):
    """A cap over several runs."""

    name: Name = Field(description="What messages call it")
    over: Annotated[
        Annotated[Literal["everything"], Tag("<text>")] | Annotated[Over, Tag("<mapping>")],
        Discriminator(by_shape),
        a_word_or(("everything",), hint=_OVER),
    ] = Field(description=_OVER)


class ScheduleSpec(Section):
    """When a task starts by itself."""

    name: Name = Field(description="What messages call it")
    task: Name = Field(description="What starts")
    cron: str | None = Field(None, description="Minute, hour, day of month, month, day of week")
    every: Duration | None = Field(None, description="An interval")
    time_zone: TimeZone = Field("UTC", description="Of `cron`, as Europe/Berlin")
    overlap: Literal["skip", "queue", "replace"] = Field("skip", description="When the last one still runs")
    misfire: Literal["once", "skip"] = Field("once", description="What becomes of starts that were missed")
    jitter: Duration | None = Field(None, description="Start up to so much later, less than what lies between two starts")

    @field_validator("cron")
    @classmethod
    def _cron(cls, value: str | None) -> str | None:
        if value is None:
            return None
        from cronsim import CronSim, CronSimError

        if len(value.split()) != 5 or len(value) > _LONGEST_CRON:
            raise fault(f"{value[:60]!r} is not a cron line", hint=_CRON)
        try:
            first = next(CronSim(value, datetime(2024, 1, 1)), None)
        except CronSimError as error:
            raise fault(f"{value[:60]!r} is not a cron line: {str(error).lower()}", hint=_CRON) from error
        if first is None:
            raise fault(f"{value[:60]!r} names a day that never comes", hint=_CRON)
        return re.sub(r"\s+", " ", value.strip())

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, "cron", "every")
        if self.every is not None and parse_duration(self.every) < _SHORTEST_INTERVAL:
            raise fault(f"`every: {self.every}` is too often", hint="a task starts every second at most")
        if self.cron is None and self.time_zone != "UTC":
            raise fault("`time_zone` goes with `cron`")
        if self.jitter is not None and parse_duration(self.jitter) >= self._shortest_gap():
            raise fault(f"`jitter: {self.jitter}` is as long as what lies between two starts", hint="choose a shorter one")
        return self

    def _shortest_gap(self) -> timedelta:
        """What lies between two starts, at the least; of a cron line, among the first of them."""
        from cronsim import CronSim

        if self.every is not None:
            return parse_duration(self.every)
        moments = list(itertools.islice(CronSim(self.cron or "", datetime(2024, 1, 1)), _GAPS_LOOKED_AT))
        return min((after - before for before, after in itertools.pairwise(moments)), default=timedelta.max)


class DefaultsSpec(Section):
    """What holds for what names none."""

    name: Literal["defaults"] = Field("defaults", description="Always defaults")
    llm: Name | None = Field(None, description="Of agents")
    approval: Approval | None = Field(None, description="Of tools, beside their own: the strictest rule wins")
    channel: Name | None = Field(None, description="Where requests go that name no channel; else to the inbox alone")
    effects: Effects | None = Field(None, description="Of tools with an executor")
    timeout: Duration | None = Field(None, description="Of tools")
    isolation: Isolation | None = Field(None, description="Of tools")
    templates: dict[str, str] = Field(default_factory=dict, description="Sentences of ours in contexts, by name")

    @field_validator("templates")
    @classmethod
    def _ours(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if name not in TEMPLATES:
                raise fault(
                    f"{name[:60]!r} is not a template", hint=did_you_mean(name, TEMPLATES) or "`smallchain get templates` lists them"
                )
        return value
