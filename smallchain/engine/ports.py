"""What the engine needs from outside, each a small protocol; `smallchaind.compose` gives the real ones."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol, runtime_checkable

from smallchain.model.clocks import Reading
from smallchain.model.code import Fault, Function
from smallchain.model.delivery import ChannelInUse, Delivered, Delivery, Heard, Said, Undelivered
from smallchain.model.llm import Endpoint, Failure, ModelRequest, Reply
from smallchain.model.mcp import McpEnded, McpEndpoint, McpTool
from smallchain.model.money import Price
from smallchain.model.toolcall import Outcome, Start
from smallchain.model.toolspec import ToolSpec


class Clock(Protocol):
    """The one source of time."""

    def now(self) -> datetime:
        """The moment, aware and in UTC."""
        ...

    def reading(self) -> Reading:
        """The moment beside the clocks that nobody can set."""
        ...


class Provider(Protocol):
    """A way to reach models. Failures are values; only a fault of the program raises."""

    async def complete(self, endpoint: Endpoint, request: ModelRequest, /) -> Reply | Failure:
        """Send one request, once: no retries inside, and within `endpoint.timeout` as a whole."""
        ...

    async def check(self, endpoint: Endpoint, /) -> Failure | None:
        """Whether the endpoint takes our credentials, at no cost; None when nothing speaks against it."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class Executor(Protocol):
    """A way to run tools. A tool that fails has produced an outcome; cancelling ends the whole process tree."""

    async def execute(self, start: Start, /) -> Outcome:
        """Run one attempt, once, within `start.timeout`."""
        ...


class Instant(Executor, Protocol):
    """An executor of tools that are pure and done sooner than a commit: they may run within a transaction."""

    def compute(self, executor: Mapping[str, Any], arguments: Mapping[str, Any], /) -> Outcome:
        """Run one attempt at once, on whichever thread; nothing outside is read or touched. `executor`: as in `Start`."""
        ...


@runtime_checkable
class Recoverable(Executor, Protocol):
    """An executor whose attempts can outlive the daemon: what came of one can be looked up instead of guessed."""

    async def look_up(self, start: Start, /) -> Outcome | None:
        """What came of an attempt that an earlier life of the daemon began, waited for where it still runs.

        NOT_STARTED: it is certain that nothing ran, so that it begins now. None: nothing more is known than without it.
        """
        ...

    async def let_go(self, start: Start, /) -> None:
        """Remove what was kept for looking it up: its outcome is recorded, or nobody wants it any more."""
        ...


@runtime_checkable
class Checked(Protocol):
    """An executor that may not be usable here, or that puts something around what it runs."""

    async def check(self, tool: ToolSpec, /, *, folder: str) -> str:
        """Why it can't run this tool now, in words with the next step; empty when nothing speaks against it.

        It may take long (a build, a pull), and is asked for again after an error, with backoff. `folder`: where relative paths start.
        """
        ...

    def fence(self, tool: ToolSpec, /) -> str:
        """What is around this tool when it runs, in words; empty when nothing is."""
        ...


@runtime_checkable
class Yielding(Protocol):
    """An executor that runs a tool in another way where what its entry would rather have can't be had."""

    def instead(self, tool: ToolSpec, /) -> str:
        """What it runs this tool with instead, as far as the last check saw, and why; empty when it has what it names."""
        ...


class Toolbox(Recoverable, Checked, Yielding, Protocol):
    """All executors behind one."""

    def is_instant(self, executor: str, /) -> bool:
        """Whether an executor's tools may run within a transaction."""
        ...

    def compute(self, executor: Mapping[str, Any], arguments: Mapping[str, Any], /) -> Outcome:
        """Run one attempt of an instant executor; see `Instant.compute`."""
        ...

    def is_recoverable(self, executor: str, /) -> bool:
        """Whether an executor's attempts can be looked up after a crash; see `Recoverable`."""
        ...


class McpServers(Protocol):
    """Runs or reaches MCP servers, each from one task."""

    async def keep(self, endpoint: McpEndpoint, heard: Callable[[Sequence[tuple[McpTool, str]]], Awaitable[None]], /) -> McpEnded:
        """Start a server and keep it until it ends; cancelled, it is stopped with all that it started.

        `heard` is given what it lists, each time it says that this has changed: each tool, and why it cannot be used (empty if it can).
        Another call for the same name stops the server of the first, which then ends as `wanted`.
        """
        ...


class Secrets(Protocol):
    """Resolves references to secrets at their use; nothing resolved is ever stored or logged."""

    async def resolve(self, reference: dict[str, Any], /) -> str:
        """The secret behind `{env: NAME}`, `{file: PATH}` or `{command: [...]}`.

        Raises BadInput with the daemon's pid and start time and the ways to set it when there is none.
        """
        ...

    def forget(self) -> None:
        """Drop what is kept in memory (after a 401)."""
        ...

    def mask(self, text: str, /) -> str:
        """A text with every secret that was resolved replaced by `[secret:NAME]`, in its exact and base64 forms."""
        ...


class Prices(Protocol):
    """What models cost."""

    async def price(self, provider: str, model: str, base_url: str | None, /) -> tuple[Price | None, str]:
        """The price of a model and the name and version of the list it stands in; None when no list has it."""
        ...


class Channel(Protocol):
    """A way to reach people. What it brings back is said, not done: the engine decides whether it counts."""

    async def deliver(self, delivery: Delivery, /) -> Delivered | Undelivered:
        """Tell a request once, under the delivery's stable id: telling it again must not look like another request."""
        ...

    async def tell_end(self, delivery: Delivery, sentence: str, /) -> None:
        """Say where it was told that the request is closed, and by whom; best effort."""
        ...

    async def listen(self, channels: Sequence[ChannelInUse], hear: Callable[[Said], Awaitable[Heard]], /) -> None:
        """Bring back what people say on these channels, until cancelled; a channel type that hears nothing by itself returns."""
        ...

    async def check(self, channel: ChannelInUse, /) -> str:
        """Why the channel can't be used, in words with the next step; empty when nothing speaks against it."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class Code(Protocol):
    """A person's own functions, run outside the daemon's process: they may hang, crash and print."""

    async def call(self, function: Function, arguments: list[Any], /, *, timeout: timedelta) -> Any:
        """What the function returned, as JSON, or a `Fault`; ended when it takes longer than `timeout`, or the caller is cancelled."""
        ...

    async def check(self, function: Function, /) -> Fault | None:
        """Whether the function can be loaded; None when it can."""
        ...
