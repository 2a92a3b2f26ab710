"""Knows all concrete classes and joins them; nobody else does."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from smallchain.engine.agent.kind import AgentKind
from smallchain.engine.alarms import Alarms
from smallchain.engine.channel.kind import EARS, ChannelKind
from smallchain.engine.human.ears import Ears
from smallchain.engine.human.kind import DeliveryKind, RequestKind
from smallchain.engine.kind import Kind
from smallchain.engine.llm.kind import LLMKind
from smallchain.engine.loop import Driver
from smallchain.engine.mcpserver.kind import McpServerKind
from smallchain.engine.pace.kind import PaceKind
from smallchain.engine.ports import Channel, Clock, Provider, Secrets, Toolbox
from smallchain.engine.readiness import ReadinessKind
from smallchain.engine.run.compose import code_changed
from smallchain.engine.run.execute import ModelCaller
from smallchain.engine.run.kind import RunKind
from smallchain.engine.schedule.kind import ScheduleKind
from smallchain.engine.timekeeper import Timekeeper
from smallchain.engine.tool.kind import ToolKind
from smallchain.engine.toolcall.hearing import ToolCallbacks
from smallchain.engine.toolcall.kind import ToolCallKind
from smallchain.model.money import Price
from smallchain.services.config.service import ConfigService
from smallchain.services.humans import housekey
from smallchain.services.humans.email import EmailChannel
from smallchain.services.humans.inbox import Inbox
from smallchain.services.humans.installed import installed
from smallchain.services.humans.slack import SlackChannel
from smallchain.services.humans.terminal import TerminalChannel
from smallchain.services.humans.webhook import RequestCallbacks, WebhookChannel
from smallchain.services.llm import pricing
from smallchain.services.llm.openai import OpenAIProvider
from smallchain.services.llm.python import Providers, PythonProvider
from smallchain.services.llm.scripted import ScriptedProvider
from smallchain.services.mcp.servers import Servers
from smallchain.services.python.workers import Workers
from smallchain.services.sandbox.sandbox import Sandbox
from smallchain.services.secrets import SecretStore
from smallchain.services.tools.backend import Backends
from smallchain.services.tools.bash import BashExecutor
from smallchain.services.tools.builtin import BuiltinExecutor
from smallchain.services.tools.callback import CallbackExecutor
from smallchain.services.tools.container import Containers
from smallchain.services.tools.docker import DockerExecutor
from smallchain.services.tools.function import FunctionExecutor
from smallchain.services.tools.http import HttpExecutor
from smallchain.services.tools.job import marks
from smallchain.services.tools.node import NodeExecutor
from smallchain.services.tools.outbound import Outbound
from smallchain.services.tools.process import end_leftovers
from smallchain.services.tools.python import PythonExecutor
from smallchain.services.tools.pythons import PythonTools
from smallchain.services.tools.registry import Tools
from smallchain.services.tools.requirements import Requirements
from smallchain.settings import Callbacks, Settings
from smallchain.store import alarms, eventlog, requests, toolcalls
from smallchain.store.contract import Tx
from smallchain.store.database import Database
from smallchaind.callbacks import ROOT, Subject
from smallchaind.feed import Feed
from smallchaind.people import People

REQUESTS, TOOLCALLS = "requests", "toolcalls"
"""The words in the paths of callbacks."""
_STRATEGIES_AT_A_TIME = 4
_MODELS_AT_A_TIME = 16
_SWEEP_EVERY_S = 600.0


@dataclass(slots=True)
class House:
    """Everything that runs in one daemon."""

    settings: Settings
    started_at: datetime
    clock: Clock
    database: Database
    driver: Driver
    timekeeper: Timekeeper
    alarms: Alarms
    config: ConfigService
    feed: Feed
    providers: Mapping[str, Provider]
    channels: Mapping[str, Channel]
    ears: Ears
    key: bytes
    """What one-time codes of requests are derived from."""
    inbox: Inbox
    handed_out: ToolCallbacks
    """What takes the results of tool calls that are done elsewhere."""
    callbacks: Mapping[str, Subject]
    """What callbacks can be about, by the word in their path."""
    sandbox: Sandbox
    containers: Containers
    requirements: Requirements
    tools: Toolbox
    secrets: Secrets
    mcp: Servers
    code: tuple[Workers, ...]
    """The processes of context strategies, models and tools that are a person's own functions."""
    stopping: asyncio.Event
    stop_now: asyncio.Event

    async def close(self) -> None:
        """Let go of what is outside, the database last."""
        for provider in self.providers.values():
            await provider.close()
        for channel in self.channels.values():
            await channel.close()
        for workers in self.code:
            await workers.close()
        await self.database.close()


class _Prices:
    """`genai-prices`, looked up in a thread (its data takes half a second to load) and kept."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, str | None], Price | None] = {}

    async def price(self, provider: str, model: str, base_url: str | None, /) -> tuple[Price | None, str]:
        key = (provider, model, base_url)
        if key not in self._known:
            self._known[key] = await asyncio.to_thread(pricing.price_of, provider, model, base_url=base_url)
        return self._known[key], pricing.data_version()


async def compose(
    settings: Settings,
    clock: Clock,
    environ: Mapping[str, str],
    heard_at: Callbacks | None = None,
    *,
    accept_rollback: bool = False,
    unfenced_as_root: bool = False,
) -> House:
    """Open the database and put everything together; nothing runs yet. `heard_at`: where callbacks are; `unfenced_as_root`: whether
    a daemon of root may run a tool with `isolation: none`. Raises Damaged."""
    key = housekey.read_or_make(settings.state_dir)
    database = await Database.open(settings.state_dir, now=clock.now, accept_rollback=accept_rollback)
    started_at = clock.now()
    secrets = SecretStore(config_dir=settings.config_dir, environ=environ, pid=os.getpid(), started_at=started_at, clock=clock)
    own = _marks_of_own_code(settings)
    strategies, models = Workers(at_most=_STRATEGIES_AT_A_TIME, marks=own), Workers(at_most=_MODELS_AT_A_TIME, marks=own)
    functions = Workers(marks=own)
    providers = Providers({"openai": OpenAIProvider(), "scripted": ScriptedProvider(), "python": PythonProvider(models)})
    prices = _Prices()
    outbound = Outbound()
    jobs = _empty(settings.state_dir / "jobs")
    private = (settings.state_dir, settings.socket_path.parent)
    sandbox = Sandbox(private=private, config=settings.config_dir, unfenced_as_root=unfenced_as_root)
    homes = _empty(settings.state_dir / "mcp")
    servers = Servers(homes=homes, marks=_marks_of_servers(settings), end_leftovers=end_leftovers, sandbox=sandbox)
    requirements = Requirements(settings.state_dir / "requirements", environ)
    containers = Containers(Backends(environ, jobs), sandbox=sandbox, folder=settings.state_dir / "containers", home=_home(settings))
    tools = Tools(
        in_process={"builtin": BuiltinExecutor(clock=clock)},
        processes={
            "python": PythonTools(PythonExecutor(sandbox=sandbox, requirements=requirements, jobs=jobs), containers),
            "docker": DockerExecutor(containers),
            "local_bash": BashExecutor(sandbox=sandbox, jobs=jobs),
            "local_nodejs": NodeExecutor(sandbox=sandbox, jobs=jobs),
            "function": FunctionExecutor(functions),
        },
        outside={"mcp": servers, "http": HttpExecutor(outbound), "callback": CallbackExecutor(outbound, now=clock.now)},
    )
    channels: dict[str, Channel] = {
        **await asyncio.to_thread(installed),
        "terminal": TerminalChannel(),
        "webhook": WebhookChannel(now=clock.now),
        "slack": SlackChannel(secrets=secrets),
        "email": EmailChannel(now=clock.now),
    }
    every: list[Kind] = [
        RunKind(ModelCaller(database, providers, secrets, prices, strategies)),
        ToolCallKind(database, tools, secrets, key=key, callback_url=f"{heard_at.url}{ROOT}/{TOOLCALLS}" if heard_at else ""),
        LLMKind(database, providers, secrets, prices),
        AgentKind(database, strategies),
        ToolKind(database, tools),
        ChannelKind(database, channels, secrets),
        McpServerKind(database, servers, secrets),
        RequestKind(),
        DeliveryKind(database, channels, secrets, key=key, callback_url=f"{heard_at.url}{ROOT}/{REQUESTS}" if heard_at else ""),
        ReadinessKind(),
        PaceKind(),
        ScheduleKind(),
    ]
    timekeeper = Timekeeper(clock)
    driver = Driver(database, {kind.name: kind for kind in every}, timekeeper)
    handed_out = ToolCallbacks(database, driver.transact, secrets, key=key)
    ears = Ears(database, driver.transact, channels, secrets, key=key)
    people = People(database, key)
    inbox = Inbox(settings.state_dir / "inbox", waiting=people.waiting, hear=ears.hear)
    timer = Alarms(database, driver, clock)
    feed = Feed()

    def heard(wakes: list[tuple[str, str]]) -> None:
        driver.heard(wakes)
        kinds = {kind for kind, _ in wakes}
        if eventlog.FEED in kinds:
            feed.ring()
        if alarms.KIND in kinds:
            timer.ring()
        if EARS in kinds:
            ears.ring()
        if requests.INBOX in kinds:
            inbox.ring()

    database.on_commit = heard
    return House(
        settings=settings,
        started_at=started_at,
        clock=clock,
        database=database,
        driver=driver,
        timekeeper=timekeeper,
        alarms=timer,
        config=ConfigService(settings.config_dir, driver),
        feed=feed,
        providers=providers,
        channels=channels,
        ears=ears,
        key=key,
        inbox=inbox,
        secrets=secrets,
        mcp=servers,
        handed_out=handed_out,
        callbacks={REQUESTS: RequestCallbacks(known=people.known, hear=ears.hear, now=clock.now), TOOLCALLS: handed_out},
        sandbox=sandbox,
        containers=containers,
        requirements=requirements,
        tools=tools,
        code=(strategies, models, functions),
        stopping=asyncio.Event(),
        stop_now=asyncio.Event(),
    )


async def watch_code(house: House) -> None:
    """Look again at what runs a person's own code when its files change; until cancelled."""
    async with asyncio.TaskGroup() as tasks:
        for workers in house.code:
            tasks.create_task(workers.watch(lambda: house.driver.transact(code_changed)))


async def end_orphans(database: Database, settings: Settings) -> None:
    """End the processes that an earlier daemon left behind, before any call is looked at again."""

    def left(tx: Tx) -> list[dict[str, str]]:
        return [marks(call.id, attempt=call.attempts) for call in toolcalls.executing(tx)]

    for each in [*await database.read(left), _marks_of_own_code(settings), _marks_of_servers(settings)]:
        await asyncio.to_thread(end_leftovers, each)


def _marks_of_servers(settings: Settings) -> dict[str, str]:
    return {"SMALLCHAIN_MCP_SERVERS_OF": str(settings.state_dir.resolve())}


async def sweep(house: House) -> None:
    """Remove the containers that no call needs any more, and packages that no tool has used for long; again and again."""

    async def live() -> list[tuple[str, int]]:
        return await house.database.read(lambda tx: [(call.id, call.attempts) for call in toolcalls.executing(tx)])

    while True:
        await house.containers.sweep(live)
        await house.requirements.sweep()
        await asyncio.sleep(_SWEEP_EVERY_S)


def _home(settings: Settings) -> str:
    """What marks the containers of one state folder."""
    return hashlib.sha256(str(settings.state_dir.resolve()).encode()).hexdigest()[:16]


def _marks_of_own_code(settings: Settings) -> dict[str, str]:
    return {"SMALLCHAIN_OWN_CODE_OF": str(settings.state_dir.resolve())}


def _empty(folder: Path) -> Path:
    """A folder for the jobs of this life; what a daemon that was killed left in it is removed."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    return folder
