"""A daemon without its socket: store, loops and services in one process, on a clock that a test moves.

The one rule: nothing sleeps. A test moves the clock, and waits for what the database says (`until`), which is asked after each commit.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from smallchain.engine.agent.kind import AgentKind
from smallchain.engine.alarms import Alarms
from smallchain.engine.channel.kind import EARS, ChannelKind
from smallchain.engine.human import deciding
from smallchain.engine.human.ears import Ears
from smallchain.engine.human.kind import DeliveryKind, RequestKind
from smallchain.engine.kind import Kind
from smallchain.engine.llm.kind import LLMKind
from smallchain.engine.loop import Driver
from smallchain.engine.mcpserver.kind import McpServerKind
from smallchain.engine.pace.kind import PaceKind
from smallchain.engine.ports import Channel, Executor
from smallchain.engine.readiness import ReadinessKind
from smallchain.engine.run.execute import ModelCaller
from smallchain.engine.run.kind import RunKind
from smallchain.engine.schedule.kind import ScheduleKind
from smallchain.engine.timekeeper import Timekeeper
from smallchain.engine.tool.kind import ToolKind
from smallchain.engine.toolcall.hearing import ToolCallbacks
from smallchain.engine.toolcall.kind import ToolCallKind
from smallchain.model.delivery import Heard, Said, Verb
from smallchain.model.human import HumanRequest
from smallchain.model.lifecycles import CallPhase, RunPhase
from smallchain.model.money import Price
from smallchain.model.run import Run
from smallchain.model.toolcall import Outcome, OutcomeKind, Start, ToolCall
from smallchain.model.toolspec import ToolSpec
from smallchain.services.config.service import ConfigService
from smallchain.services.humans.terminal import TerminalChannel
from smallchain.services.llm.openai import OpenAIProvider
from smallchain.services.llm.python import Providers, PythonProvider
from smallchain.services.llm.scripted import ScriptedProvider
from smallchain.services.mcp.servers import Servers
from smallchain.services.python.workers import Workers
from smallchain.services.sandbox.sandbox import Sandbox
from smallchain.services.secrets import SecretStore
from smallchain.services.tools.bash import BashExecutor
from smallchain.services.tools.builtin import BuiltinExecutor
from smallchain.services.tools.callback import CallbackExecutor
from smallchain.services.tools.function import FunctionExecutor
from smallchain.services.tools.http import HttpExecutor
from smallchain.services.tools.outbound import Outbound
from smallchain.services.tools.process import end_leftovers
from smallchain.services.tools.registry import Tools
from smallchain.store import alarms, eventlog, messages, requests, runs, toolcalls
from smallchain.store.contract import Tx
from smallchain.store.database import Database
from support.mcpservers import Plain
from support.rows import all_runs, all_toolcalls
from support.starts import FixedClock

T = TypeVar("T")
PATIENCE_S = 20.0
CALLBACK_URL = "http://127.0.0.1:1/callbacks/toolcalls"
KEY = b"k" * 32
"""The house's key, from which codes are derived."""


class Gate:
    """An executor (`python`, in a house) that takes each start and answers when the test says so."""

    def __init__(self) -> None:
        self.starts: list[Start] = []
        self.ended: list[str] = []
        """Calls that were stopped before they were let through."""
        self.waiting = 0
        """Starts that have no answer yet."""
        self.fault = ""
        """Why its tools can't run now."""
        self.around = ""
        """What is around its tools."""
        self.checks: list[tuple[str, str]] = []
        """The tools that were looked at, with their isolation."""
        self._came = asyncio.Condition()
        self._outcomes: asyncio.Queue[Outcome] = asyncio.Queue()

    async def execute(self, start: Start, /) -> Outcome:
        """Wait for an outcome."""
        async with self._came:
            self.starts.append(start)
            self._came.notify_all()
        self.waiting += 1
        try:
            return await self._outcomes.get()
        except asyncio.CancelledError:
            self.ended.append(start.call_id)
            raise
        finally:
            self.waiting -= 1

    async def check(self, tool: ToolSpec, /, *, folder: str) -> str:
        """Whatever the test says."""
        self.checks.append((tool.name, tool.isolation or ""))
        return self.fault

    def fence(self, tool: ToolSpec, /) -> str:
        """Whatever the test says."""
        return self.around

    def let_through(self, text: str = "done", kind: OutcomeKind = OutcomeKind.SUCCEEDED, **more: Any) -> None:
        """Answer one start, the one that waits or the next to come."""
        self._outcomes.put_nowait(Outcome(kind, text, **more))

    async def came(self, count: int) -> list[Start]:
        """The starts, as soon as there are so many."""
        async with asyncio.timeout(PATIENCE_S), self._came:
            await self._came.wait_for(lambda: len(self.starts) >= count)
        return self.starts


class Boxes(Gate):
    """An executor (`docker`, in a house) whose attempts can be looked up: what it knows outlives every life."""

    def __init__(self) -> None:
        super().__init__()
        self.known: Outcome | None = None
        """What a look-up finds, as soon as it is let through."""
        self.looked_up: list[Start] = []
        self.let_gone: list[tuple[str, int]] = []
        self._opened = asyncio.Event()

    async def look_up(self, start: Start, /) -> Outcome | None:
        """Wait until the test says that it is over."""
        self.looked_up.append(start)
        await self._opened.wait()
        return self.known

    async def let_go(self, start: Start, /) -> None:
        """Note it."""
        self.let_gone.append((start.call_id, start.attempt))

    def say(self, known: Outcome | None) -> None:
        """What every look-up finds from now on."""
        self.known = known
        self._opened.set()


class _NoPrices:
    async def price(self, provider: str, model: str, base_url: str | None, /) -> tuple[Price | None, str]:
        return None, ""


class House:
    """One life of a daemon on a folder; `open` begins it, `crash` ends it as `kill -9` would."""

    def __init__(
        self,
        folder: Path,
        clock: FixedClock,
        gate: Gate,
        database: Database,
        environ: Mapping[str, str],
        channels: Mapping[str, Channel],
        boxes: Boxes,
    ) -> None:
        self.folder = folder
        self.boxes = boxes
        self.clock = clock
        self.gate = gate
        self.database = database
        self.channels = channels
        self.config = folder / "config"
        secrets = SecretStore(config_dir=self.config, environ=environ, pid=os.getpid(), started_at=clock.now(), clock=clock)
        self._providers = Providers({"openai": OpenAIProvider(), "scripted": ScriptedProvider()})
        self.workers = Workers(at_most=2)
        self._providers["python"] = PythonProvider(self.workers)
        processes: dict[str, Executor] = {
            "python": gate,
            "docker": boxes,
            "local_bash": BashExecutor(sandbox=Sandbox(unfenced_as_root=True), jobs=folder / "jobs"),
            "function": FunctionExecutor(self.workers),
        }
        self.servers = Servers(
            homes=folder / "mcp", marks={"SMALLCHAIN_MCP_SERVERS_OF": str(folder)}, end_leftovers=end_leftovers, sandbox=Plain()
        )
        outside: dict[str, Executor] = {
            "mcp": self.servers,
            "http": HttpExecutor(Outbound()),
            "callback": CallbackExecutor(Outbound(), now=clock.now),
        }
        tools = Tools(in_process={"builtin": BuiltinExecutor(clock=clock)}, processes=processes, outside=outside)
        self.caller = ModelCaller(database, self._providers, secrets, _NoPrices(), self.workers)
        every: list[Kind] = [
            RunKind(self.caller),
            ToolCallKind(database, tools, secrets, key=KEY, callback_url=CALLBACK_URL),
            LLMKind(database, self._providers, secrets, _NoPrices()),
            AgentKind(database, self.workers),
            ToolKind(database, tools),
            ChannelKind(database, self.channels, secrets),
            McpServerKind(database, self.servers, secrets),
            RequestKind(),
            DeliveryKind(database, self.channels, secrets, key=KEY),
            ReadinessKind(),
            PaceKind(),
            ScheduleKind(),
        ]
        self.driver = Driver(database, {kind.name: kind for kind in every}, Timekeeper(clock))
        self.handed_out = ToolCallbacks(database, self.driver.transact, secrets, key=KEY)
        self._ears = Ears(database, self.driver.transact, self.channels, secrets, key=KEY)
        self._alarms = Alarms(database, self.driver, clock)
        self._service = ConfigService(self.config, self.driver)
        self._bell = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        database.on_commit = self._heard

    @classmethod
    async def open(
        cls,
        folder: Path,
        clock: FixedClock,
        *,
        gate: Gate | None = None,
        environ: Mapping[str, str] | None = None,
        channels: Mapping[str, Channel] | None = None,
        boxes: Boxes | None = None,
    ) -> House:
        """Begin a life; the loops stand still until `start`."""
        for name in ("config", "state", "jobs"):
            (folder / name).mkdir(mode=0o700, exist_ok=True)
        database = await Database.open(folder / "state", now=clock.now)
        known = channels or {"terminal": TerminalChannel()}
        return cls(folder, clock, gate or Gate(), database, environ or {}, known, boxes or Boxes())

    def start(self) -> House:
        """Let the loops run."""
        self._tasks = [
            asyncio.create_task(self.driver.run()),
            asyncio.create_task(self._alarms.run()),
            asyncio.create_task(self._ears.run()),
        ]
        return self

    async def apply(self, text: str, file: str = "smallchain.yaml") -> None:
        """Write a file into the config folder and make the database say what it says."""
        (self.config / file).write_text(text, encoding="utf-8")
        await self._service.reconcile()
        problems = await self.database.read(lambda tx: [row["problems"] for row in tx.all("files.all") if row["status"] != "Applied"])
        assert problems == []

    async def wait(self, length: timedelta) -> None:
        """Let time pass (below zero: set the clock back); what becomes due is looked at."""
        if length < timedelta():
            self.clock.moment += length
        else:
            self.clock.passes(length)
        await self.look_at_the_clock()

    async def look_at_the_clock(self) -> None:
        """What the daemon does every few seconds: settle a jump, and ring for what is due."""
        await self.driver.transact(lambda tx: None)
        self._alarms.ring()

    async def until(self, look: Callable[[Tx], T]) -> T:
        """What `look` finds, as soon as it finds anything."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                self._bell.clear()
                found = await self.database.read(look)
                if found:
                    return found
                await self._bell.wait()

    async def quiet(self) -> None:
        """Return once a look at every row moves nothing any more."""
        while True:
            before = await self.database.read(_everything)
            await self.driver.transact(lambda tx: [tx.wake("run", id) for id in runs.live_ids(tx)])
            await self.driver.transact(lambda tx: [tx.wake("toolcall", id) for id in toolcalls.unsettled_ids(tx)])
            if before == await self.database.read(_everything):
                return

    async def idle(self) -> None:
        """Return once nothing is under way any more."""
        keys = {effect.key for effect in self.driver.under_way()}
        tasks = [task for task in asyncio.all_tasks() if task.get_name() in keys]
        if tasks:
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.wait(tasks)

    async def crash(self) -> House:
        """End as `kill -9` would, nothing recorded, and begin the next life on the same folder; its loops stand still."""
        await self._freeze()
        following = await House.open(
            self.folder, self.clock, channels=self.channels, boxes=self.boxes
        )  # the first database is still open, and fenced out from here on
        await self._let_go()
        return following

    async def close(self) -> None:
        """End this life."""
        await self._freeze()
        await self._let_go()

    async def _freeze(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.driver.close()

    async def _let_go(self) -> None:
        for provider in self._providers.values():
            await provider.close()
        await self.workers.close()
        await self.database.close()

    def _heard(self, wakes: list[tuple[str, str]]) -> None:
        self.driver.heard(wakes)
        kinds = {kind for kind, _ in wakes}
        if alarms.KIND in kinds:
            self._alarms.ring()
        if EARS in kinds:
            self._ears.ring()
        self._bell.set()

    async def say(self, verb: Verb, request: HumanRequest | str, by: str = "ann", via: str = "terminal", **words: Any) -> Heard:
        """Answer a request, as every way of answering does; raises what it raises."""
        id = request if isinstance(request, str) else request.id
        said = Said(id, verb, by, via, **words)
        return await self.driver.transact(lambda tx: deciding.decide_request(tx, said, key=KEY))

    # ---- what is there

    async def run(self, name: str, phase: RunPhase | None = None) -> Run:
        """A run, once it is there and stands in a phase (in any where none is given)."""

        def look(tx: Tx) -> Run | None:
            run = runs.by_name(tx, name)
            return run if run is not None and phase in (None, run.phase) else None

        try:
            found = await self.until(look)
        except TimeoutError:
            stands = await self.database.read(lambda tx: runs.by_name(tx, name))
            raise AssertionError(f"{name} does not come to {phase}; it is {stands}\n" + "\n".join(await self.told())) from None
        assert found is not None
        return found

    async def now(self, name: str) -> Run:
        """A run as it stands."""
        found = await self.database.read(lambda tx: runs.by_name(tx, name))
        assert found is not None
        return found

    async def calls(self, name: str) -> list[ToolCall]:
        """All tool calls of a run, in order."""
        run = await self.now(name)

        def look(tx: Tx) -> list[ToolCall]:
            return [call for turn in range(run.turns + 1) for call in toolcalls.of_turn(tx, run.id, turn)]

        return await self.database.read(look)

    async def call(self, name: str, phase: CallPhase, position: int = 0) -> ToolCall:
        """A call of a run's present turn, once it stands in a phase."""

        def look(tx: Tx) -> ToolCall | None:
            run = runs.by_name(tx, name)
            found = toolcalls.of_turn(tx, run.id, run.turns) if run is not None else []
            return found[position] if len(found) > position and found[position].phase is phase else None

        found = await self.until(look)
        assert found is not None
        return found

    async def conversation(self, name: str) -> list[dict[str, Any]]:
        """The messages of a run."""
        run = await self.now(name)
        wires = await self.database.read(lambda tx: messages.wire(tx, run.id, run.messages))
        return [json.loads(wire) for wire in wires]

    async def results(self, name: str) -> list[str]:
        """What a run was told of its tool calls, in order."""
        return [message["content"] for message in await self.conversation(name) if message["role"] == "tool"]

    async def asked(self, name: str) -> list[str]:
        """The kinds of open requests of a run."""
        run = await self.now(name)
        return [request.kind for request in await self.database.read(lambda tx: requests.open_of_run(tx, run.id))]

    async def request(self, name: str, kind: str = "approval", position: int = 0) -> HumanRequest:
        """An open request of a run, once it is there."""

        def look(tx: Tx) -> HumanRequest | None:
            run = runs.by_name(tx, name)
            found = [each for each in requests.open_of_run(tx, run.id) if each.kind == kind] if run is not None else []
            return found[position] if len(found) > position else None

        try:
            found = await self.until(look)
        except TimeoutError:
            raise AssertionError(f"{name} asks nobody\n" + "\n".join(await self.told())) from None
        assert found is not None
        return found

    async def told(self) -> list[str]:
        """Every event: its reason and its sentence."""
        rows = await self.database.read(lambda tx: eventlog.after(tx, 0, most=10_000))
        return [f"{row['reason']}: {row['message']}" for row in rows]

    async def reasons(self) -> list[str]:
        """The reasons of every event, in order."""
        return [line.partition(":")[0] for line in await self.told()]


def _everything(tx: Tx) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in all_runs(tx)] + [tuple(row) for row in all_toolcalls(tx)]


def is_legal(conversation: list[dict[str, Any]]) -> bool:
    """Whether each call of a conversation has exactly one result, in the order the model asked, before anyone else speaks."""
    waiting: list[str] = []
    for message in conversation:
        if message["role"] == "tool":
            if not waiting or message["tool_call_id"] != waiting.pop(0) or not message["content"]:
                return False
        elif waiting:
            return False
        else:
            waiting = [call["id"] for call in message.get("tool_calls") or ()]
    return not waiting


@asynccontextmanager
async def a_house(folder: Path, text: str = "", channels: Mapping[str, Channel] | None = None) -> AsyncIterator[House]:
    """A house whose loops run, with a file applied."""
    house = (await House.open(folder, FixedClock(), channels=channels)).start()
    try:
        if text:
            await house.apply(text)
        yield house
    finally:
        await house.close()
