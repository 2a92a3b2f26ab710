"""What a tool's manifest entry says: how it runs, what it may touch, and who must agree first."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Protocol, Self

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, field_validator, model_validator

from smallchain.model import fence
from smallchain.model.addresses import fault_in_allowed
from smallchain.model.builtins import fault_in_builtin
from smallchain.model.calllimit import Calls
from smallchain.model.code import CALLABLE, PLUGIN
from smallchain.model.fields import (
    Duration,
    Effects,
    Env,
    FilePath,
    Flag,
    Headers,
    Isolation,
    Name,
    Number,
    Parameters,
    Pattern,
    Section,
    Size,
    TextOrSecret,
    ToolName,
    Url,
    Whole,
    by_shape,
    exactly_one,
    fault,
)
from smallchain.model.sizes import parse_size

Code = Annotated[str, Field(min_length=1)]


def _callable(value: str) -> str:
    if not CALLABLE.fullmatch(value) and not PLUGIN.fullmatch(value):
        raise fault(f"{value[:60]!r} is not module:function", hint="nor can it be the name that an installed package gives")
    return value


def _list(value: Any) -> Any:
    return value if isinstance(value, list | tuple) or value is None else [value]


Reminders = Annotated[tuple[Duration, ...], BeforeValidator(_list, json_schema_input_type=list[str] | str)]
"""The gaps between tellings; the last repeats."""


def _headers(value: dict[str, Any]) -> dict[str, Any]:
    for name, text in value.items():
        if not _HEADER.fullmatch(name):
            raise fault(f"{name[:60]!r} is not the name of a header")
        if name.lower() in _OWN_HEADERS:
            raise fault(f"the header {name} is ours to set")
        if isinstance(text, str) and any(char in "\r\n\0" for char in text):
            raise fault(f"the header {name} holds a line break")
    return value


def _allowed(value: str) -> str:
    why = fault_in_allowed(value)
    if why:
        raise fault(f"{value[:80]!r} in `allow`: {why}", hint="write an address, a network such as 10.0.0.0/8, or a host's name")
    return value


_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_OWN_HEADERS = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "te", "trailer", "upgrade", "expect", "idempotency-key"}
    | {"proxy-authorization", "smallchain-signature"}
)
RequestHeaders = Annotated[Headers, AfterValidator(_headers)]
Allow = Annotated[tuple[Annotated[str, AfterValidator(_allowed)], ...], Field(max_length=100)]


class PythonExecutor(Section):
    """Runs Python: a command line, or code."""

    command: Code | None = Field(None, description="A command line for the shell; arguments are on standard input and in `__main__`")
    code: Code | None = Field(None, description="Python code; each argument is a variable")
    image: Code | None = Field(None, description="A container image to prefer when Docker or Podman answers")
    requirements: tuple[Code, ...] = Field((), description="Packages that the code needs")

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, "command", "code")
        return self


class NodeExecutor(Section):
    """Runs JavaScript with the node of this machine."""

    command: Code | None = Field(None, description="A command line for the shell")
    code: Code | None = Field(None, description="JavaScript; each argument is a global")
    script: FilePath | None = Field(None, description="A file of JavaScript")

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, "command", "code", "script")
        return self


class BashExecutor(Section):
    """Runs a bash script."""

    command: Code = Field(description="The script; each argument is a variable, and standard input is all of them as JSON")


class DockerExecutor(Section):
    """Runs a command in a container."""

    image: Code = Field(description="The image")
    command: Annotated[Code, Tag("<text>")] | Annotated[tuple[Code, ...], Tag("<list>")] = Field(
        discriminator=Discriminator(lambda value: "<list>" if isinstance(value, list | tuple) else "<text>"),
        description="A command line for the image's shell, or a program and its arguments",
    )


class HttpExecutor(Section):
    """Sends one HTTP request."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"] = Field("POST", description="GET and HEAD count as harmless")
    url: Url = Field(description="Where to; the arguments go as JSON in the body, or in the query of GET and HEAD")
    headers: RequestHeaders = Field(default_factory=dict, description="Text, or references to secrets")
    body: dict[str, Any] | str | None = Field(None, description="What to send in place of the arguments")
    allow: Allow = Field((), description="Addresses, networks and hosts beyond the public internet that it may speak to")


class CallbackExecutor(Section):
    """Hands the work out; the result comes back from outside."""

    url: Url | None = Field(None, description="Where to tell that there is work; left out, a person or a program looks for it")
    headers: RequestHeaders = Field(default_factory=dict, description="Text, or references to secrets")
    secret: TextOrSecret | None = Field(None, description="Signs what is sent to `url`")
    allow: Allow = Field((), description="Addresses, networks and hosts beyond the public internet that `url` may lead to")
    expires: Duration | None = Field(None, description="How long the result may take; it is waited for without end unless this is given")
    result: Parameters | None = Field(None, description="A JSON Schema of `type: object` that the result has to fit")

    @model_validator(mode="after")
    def _signed(self) -> Self:
        if self.url is None and (self.headers or self.secret or self.allow):
            raise fault("`headers`, `secret` and `allow` are for `url`", hint="write `url`, or leave them out")
        return self


class FunctionExecutor(Section):
    """Calls a person's own Python function, in a process of its own and without a fence."""

    call: Annotated[str, AfterValidator(_callable)] = Field(description="module:function, or the name that an installed package gives")
    options: dict[str, Any] = Field(default_factory=dict, description="Handed to the function as they are")


class ExecutorSpec(Section):
    """One way to run a tool."""

    python: PythonExecutor | None = Field(None, description="Python, as a command or code")
    docker: DockerExecutor | None = Field(None, description="A command in a container")
    local_nodejs: NodeExecutor | None = Field(None, description="JavaScript with the node of this machine")
    local_bash: BashExecutor | None = Field(None, description="A bash script on this machine")
    function: FunctionExecutor | None = Field(None, description="A Python function of one's own")
    http: HttpExecutor | None = Field(None, description="One HTTP request")
    callback: CallbackExecutor | None = Field(None, description="Work done elsewhere")

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, *type(self).model_fields)
        return self

    @property
    def kind(self) -> str:
        """The one executor's name."""
        return next(name for name in type(self).model_fields if getattr(self, name) is not None)


class Condition(Section):
    """What one argument must be; all that is given must hold."""

    null_is_a_value = ("equals",)
    matches: Pattern | None = Field(None, description="A regular expression found in the text")
    equals: str | int | float | bool | None = Field(None, description="Exactly this")
    one_of: tuple[str | int | float | bool, ...] | None = Field(None, min_length=1, description="One of these")
    gt: Number = Field(None, description="Above")
    ge: Number = Field(None, description="At least")
    lt: Number = Field(None, description="Below")
    le: Number = Field(None, description="At most")

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.model_fields_set:
            raise fault("says nothing about the argument", hint="write matches, equals, one_of, gt, ge, lt or le")
        return self


When = Annotated[dict[str, Condition], Field(min_length=1)]


class Escalation(Section):
    """Whom to ask when nobody answers."""

    after: Duration = Field(description="How long nobody answered")
    to: Name = Field(description="The channel to ask next")


class ApprovalRule(Section):
    """When a person must agree, and how they are asked. Without `when`, always."""

    when: When | None = Field(None, description="Arguments for which a person must agree: {ARGUMENT: {matches: ..., gt: ...}}")
    channel: Name | None = Field(None, description="Where to ask")
    expires: Duration | None = Field(None, description="A request waits for ever unless this is given")
    on_expiry: Literal["deny", "approve", "escalate"] | None = Field(None, description="What an expired request counts as")
    remind: Reminders = Field((), description="When to ask again")
    escalate: Escalation | None = Field(None, description="Whom to ask when nobody answers")

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.on_expiry is not None and self.expires is None:
            raise fault("`on_expiry` needs `expires`", hint="a request waits for ever unless `expires` is given")
        if self.on_expiry == "escalate" and self.escalate is None:
            raise fault("`on_expiry: escalate` needs `escalate`", hint="write escalate: {after: 30m, to: CHANNEL}")
        return self


Approval = Annotated[
    Annotated[Literal["required", "never"], Tag("<text>")] | Annotated[ApprovalRule, Tag("<mapping>")], Discriminator(by_shape)
]


class DenyRule(Section):
    """Arguments that are refused without asking anyone."""

    when: When = Field(description="{ARGUMENT: {matches: ..., gt: ...}}")


class Mount(Section):
    """A folder or file that the fence lets through."""

    source: FilePath = Field(description="Outside")
    target: str = Field(description="Inside, an absolute path")
    read_only: Flag = Field(True, description="Whether it can only be read")

    @field_validator("target")
    @classmethod
    def _absolute(cls, value: str) -> str:
        if not value.startswith("/"):
            raise fault(f"{value[:60]!r} is not an absolute path")
        return value


class ToolLimits(Section):
    """What one execution may use, and how many there may be."""

    calls: Calls | None = Field(None, description="Calls by all runs together: 100/day, or 5 for a run and its children")

    memory: Size | None = Field(None, description="512MB, 2GiB")
    output: Size | None = Field(None, description="Of standard output; the rest is cut")
    files: Size | None = Field(None, description="Of the largest file it may write")
    processes: Annotated[Whole, Field(ge=1, le=100_000)] | None = Field(None, description="Processes and threads at once")
    cpu: Number = Field(None, description="CPUs")

    @field_validator("cpu")
    @classmethod
    def _some(cls, value: float | None) -> float | None:
        if value is not None and not 0 < value <= 1024:
            raise fault("is out of range", hint="a number of CPUs above zero")
        return value


class ToolSpec(Section):
    """Something an agent can do."""

    name: ToolName = Field(description="A legal function name; the model sees it")
    description: str | None = Field(None, description="What the model is told about it")
    parameters: Parameters | None = Field(None, description="A JSON Schema of `type: object`")
    builtin: str | None = Field(None, description="A tool that comes with Smallchain: add, now, sleep_for, ask_human, read_artifact, ...")
    executor: ExecutorSpec | None = Field(None, description="How it runs")
    approval: Approval | None = Field(None, description="required, never, or a rule")
    deny: DenyRule | None = Field(None, description="Arguments that are refused")
    risk: Literal["low", "normal", "high"] = Field("normal", description="Shown to who must agree")
    effects: Effects | None = Field(None, description="What doing it twice would mean; `once` is asked about after a crash")
    timeout: Duration | None = Field(None, description="Of one attempt that executes; never of waiting")
    retries: Annotated[Whole, Field(ge=0, le=10)] = Field(0, description="Further attempts after a failure")
    isolation: Isolation | None = Field(None, description="auto: the best layer there is; required: refuse without a sandbox")
    network: Flag = Field(False, description="Whether the fence lets the network through")
    env: Env = Field(default_factory=dict, description="Variables: text, or references to secrets")
    mounts: tuple[Mount, ...] = Field((), description="Folders that the fence lets through")
    limits: ToolLimits | None = Field(None, description="What one execution may use, and how many calls there may be")

    @field_validator("builtin")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        found = fault_in_builtin(value) if value is not None else None
        if found is not None:
            raise fault(found[0], hint=found[1])
        return value

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, "builtin", "executor")
        return self


class Fenced(Protocol):
    """An entry that says what its fence lets through."""

    @property
    def mounts(self) -> tuple[Mount, ...]:
        """Folders of this machine."""
        ...

    @property
    def limits(self) -> ToolLimits | None:
        """Amounts."""
        ...


def mounts_of(tool: Fenced, /) -> tuple[fence.Mount, ...]:
    """What a fence lets through of this machine's folders."""
    return tuple(fence.Mount(mount.source, mount.target, bool(mount.read_only)) for mount in tool.mounts)


def tool_limits_of(tool: Fenced, /) -> fence.Limits:
    """What one process may use."""
    given = tool.limits
    if given is None:
        return fence.Limits()
    memory, output, files = (parse_size(size) if size is not None else None for size in (given.memory, given.output, given.files))
    return fence.Limits(memory, output, files, given.processes, float(given.cpu) if given.cpu is not None else None)
