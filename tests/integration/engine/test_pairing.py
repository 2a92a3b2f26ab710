"""No sequence of replies, crashes, cancels and rejections ever breaks the pairing of calls and results (design rules 1 to 4 and 7), or gets
past a cap or a limit of calls.

Hypothesis plays against the real loops on a real database, with a real model server: what the model says, when tools end and how, when
the daemon dies, what people do. After each move the conversations have to be legal, and so has every request that the server received.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing, suppress
from contextvars import ContextVar
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from smallchain.engine.run import again
from smallchain.engine.run.acts import cancel, pause, resume
from smallchain.engine.toolcall.doubting import settle
from smallchain.model.errors import Refused, Unconfirmed
from smallchain.model.lifecycles import CallPhase, RunPhase
from smallchain.model.run import Run
from smallchain.model.toolcall import OutcomeKind, ToolCall
from smallchain.store import detached, messages, migrate, runs, toolcalls
from smallchain.store.contract import Tx
from support.house import PATIENCE_S, Gate, House, is_legal
from support.machines import play
from support.modelserver import Answer, ModelServer, says
from support.rows import all_runs
from support.starts import FixedClock

T = TypeVar("T")
_TURN_S = 0.001
OVER = (RunPhase.SUCCEEDED, RunPhase.FAILED, RunPhase.CANCELLED)


class Model(ModelServer):
    """A model server that answers when the test says so, the request first that came first."""

    def __init__(self) -> None:
        super().__init__(lambda asked: says("unused"))
        self._open: list[asyncio.Future[Answer]] = []

    @property
    def waiting(self) -> int:
        """Requests without an answer."""
        return len(self._open)

    def reply(self, answer: Answer) -> None:
        """Answer one request."""
        self._open.pop(0).set_result(answer)

    def forget(self) -> None:
        """Let go of whoever still waits."""
        while self._open:
            self.reply(says("lost"))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        _ASKING.set(reader)
        return await super()._serve(reader, writer)

    async def _answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        answer = await super()._answer(method, path, headers, body)
        if method == "GET":
            return answer
        wanted: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        hung_up = asyncio.ensure_future(_ASKING.get().read(1))
        self._open.append(wanted)
        try:
            await asyncio.wait([wanted, hung_up], return_when=asyncio.FIRST_COMPLETED)
            return wanted.result() if wanted.done() else answer
        finally:
            hung_up.cancel()
            await asyncio.gather(hung_up, return_exceptions=True)
            if wanted in self._open:
                self._open.remove(wanted)


_ASKING: ContextVar[asyncio.StreamReader] = ContextVar("asking")
"""Whose request is being answered; that it hangs up is how a server learns that nobody wants the answer."""


def tool(name: str, effects: str, **words: Any) -> dict[str, Any]:
    return {"name": name, "effects": effects, "executor": {"python": {"command": "unused"}}, **words}


MOST = 2
"""Calls of `publish` in an hour."""
TOKENS = 60_000
"""What may be spent in an hour: some calls fit, and then there is no room."""
_ACCOUNTS = """
SELECT spent, held, coalesce(sum(iif(open = 0 AND at >= counted_from, amount, 0)), 0), coalesce(sum(iif(open = 1, amount, 0)), 0)
FROM accounts JOIN charges ON charges.account = accounts.id GROUP BY accounts.id
"""
WORK = ("list_work", "cancel_work", "set_priority", "wait_for_work", "update_plan")
FILE = json.dumps(
    {
        "agents": [
            {
                "name": "boss",
                "system_prompt": "be good",
                "tools": ["add", "publish", "mail", "look", *WORK, {"agent": "helper", "detach": "allowed", "limits": {"calls": "3/hour"}}],
                "limits": {"wall_time": "2h", "wall_time_total": "2d"},
            },
            {"name": "helper", "tools": ["add", "publish"]},
        ],
        "tools": [
            tool("publish", "once", limits={"calls": f"{MOST}/hour"}, timeout="9d"),
            tool("mail", "idempotent", retries=1, timeout="9d"),
            tool("look", "none", timeout="9d"),
        ],
        "budgets": [{"name": "all", "over": "everything", "limit": f"{TOKENS} tokens", "per": "hour"}],
        "tasks": [{"name": "sums", "agent": "boss", "user_message": "go"}],
        "runs": [{"name": "monday", "task": "sums"}],
    }
)

ARGUMENTS = st.sampled_from(
    ['{"a": 3, "b": 4}', "", "{}", '{"a": ', "[1]", '"{}"', "null", '{"a": 1, "a": 2}', '{"message": "go"}', "\0", {"a": 1}, None]
)
ABOUT_WORK = st.sampled_from(
    [
        *[("delegate_to_helper", {"message": "go", "detach": True})] * 4,
        ("wait_for_work", {"mode": "any"}),
        ("wait_for_work", {}),
        ("wait_for_work", {"ids": ["work-1-1"]}),
        ("list_work", {}),
        *[("cancel_work", {"id": f"work-{turn}-1"}) for turn in (1, 2, 3)],
        ("set_priority", {"id": "work-1-1", "priority": 5}),
        ("update_plan", {"plan": ["dig"]}),
    ]
).map(lambda call: (call[0], json.dumps(call[1])))
NAMES = st.sampled_from([*["add", "publish", "mail", "look"] * 3, "delegate_to_helper", "no_such", "add two", "", None])
IDS = st.sampled_from([*["call_1", "call_2"] * 3, "", None, 7, "x" * 600, "publish"])


@st.composite
def odd_replies(draw: st.DrawFn) -> Answer:
    """What a server may answer, from good to strange."""
    kind = draw(st.sampled_from(["calls"] * 8 + ["text", "empty", "stream", "status", "body"]))
    if kind == "status":
        status, words = draw(
            st.sampled_from([(500, "down"), (429, "slow"), (401, "bad key"), (400, "no"), (400, "prompt is too long"), (200, "")])
        )
        return Answer(status, json.dumps({"error": {"message": words}}), {"retry-after": "1"})
    if kind == "body":
        return Answer(
            200, draw(st.sampled_from(["", "<html>", '{"choices": [', '{"choices": []}', "[]", '{"choices": [{"message": "x"}]}', "x"]))
        )
    message: dict[str, Any] = {
        "role": "assistant",
        "content": draw(st.sampled_from(["done", "", None, ["a", {"type": "text", "text": "b"}]])),
    }
    if kind == "empty":
        message["content"] = None
    if kind in ("calls", "stream"):
        calls = st.builds(
            lambda id, call: {"id": id, "type": "function", "function": {"name": call[0], "arguments": call[1]}},
            IDS,
            st.one_of(st.tuples(NAMES, ARGUMENTS), ABOUT_WORK),
        )
        message["tool_calls"] = draw(st.lists(calls, min_size=1, max_size=4))
        if draw(st.integers(0, 5)) == 0:
            message["function_call"] = message.pop("tool_calls")[0]["function"]
    reason = draw(st.sampled_from(["stop", "tool_calls", "length", "content_filter", None]))
    usage = draw(st.sampled_from([None, {"prompt_tokens": 10, "completion_tokens": 2}, {"prompt_tokens": "x"}]))
    if kind == "stream":
        chunk = {"choices": [{"index": 0, "delta": message, "finish_reason": reason}]}
        return Answer(200, f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n")
    return Answer(200, json.dumps({"choices": [{"message": message, "finish_reason": reason}], "usage": usage}))


class Pairing(RuleBasedStateMachine):
    """One folder, many lives of a daemon on it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="sc-"))
        self.loop = asyncio.Runner()
        self.clock = FixedClock()
        self.model = Model()
        self.ended: dict[str, RunPhase] = {}
        self.starts: Counter[str] = Counter()
        self.began: list[datetime] = []
        """When calls of `publish` began for the first time, in lives that are over."""
        self.checked = 0
        self.house: House = self.loop.run(self._begin())

    async def _begin(self) -> House:
        await self.model.__aenter__()
        house = (await House.open(self.folder, self.clock)).start()
        entry = {"name": "fast", "provider": "openai", "model": "loopback", "base_url": self.model.base_url, "retry_for": "1h"}
        await house.apply(json.dumps({"llms": [entry]}), "llm.yaml")
        await house.apply(FILE)
        self.house = house
        await self._calm()
        return house

    async def _calm(self) -> None:
        """Let everything go on that needs neither the model, nor a tool's end, nor time, nor a person."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                out = Counter(effect.kind for effect in self.house.driver.under_way())
                if not (out["llm"] or out["run"] > self.model.waiting or out["toolcall"] > self.house.gate.waiting):
                    await self.house.quiet()
                    if Counter(effect.kind for effect in self.house.driver.under_way()) == out:
                        return
                await asyncio.sleep(_TURN_S)

    def _do(self, move: Callable[[], Awaitable[Any]]) -> None:
        async def whole() -> None:
            await move()
            await self._calm()

        self.loop.run(whole())

    def _act(self, act: Callable[[Tx], Any]) -> None:
        async def whole() -> None:
            with suppress(Refused, Unconfirmed):  # what may not be is refused; that is no fault
                await self.house.driver.transact(act)

        self._do(whole)

    def _read(self, look: Callable[[Tx], T]) -> T:
        return self.loop.run(self.house.database.read(look))

    def _runs(self, *, children: bool = True) -> list[Run]:
        found = self._read(lambda tx: [runs.get(tx, row["id"]) for row in all_runs(tx)])
        return sorted((run for run in found if children or run.parent_id is None), key=lambda run: run.id)

    def _calls_in_doubt(self) -> list[ToolCall]:
        def look(tx: Tx) -> list[ToolCall]:
            live = sorted(runs.live_ids(tx))
            return [call for id in live for call in toolcalls.open_of_run(tx, id) if call.phase is CallPhase.IN_DOUBT]

        return self._read(look)

    # ---- what the outside does

    @rule(answer=odd_replies())
    def model_replies(self, answer: Answer) -> None:
        async def reply() -> None:
            if self.model.waiting:  # no precondition: which rules may be played must not depend on how fast loops run
                self.model.reply(answer)

        self._do(reply)

    @initialize(answers=st.lists(odd_replies(), min_size=2, max_size=6))
    def it_begins(self, answers: list[Answer]) -> None:
        self.turns_pass(answers)

    @rule(answers=st.lists(odd_replies(), min_size=2, max_size=6))
    def turns_pass(self, answers: list[Answer]) -> None:
        """Several turns without a fault of the world: histories have to grow for anything to break them."""
        for answer in answers:
            while self.house.gate.waiting:
                self.tool_ends(OutcomeKind.SUCCEEDED, "done")
            if self.model.waiting:
                self.model_replies(answer)
            else:
                self.time_passes(400)

    @rule(
        kind=st.sampled_from([OutcomeKind.SUCCEEDED, OutcomeKind.FAILED, OutcomeKind.TIMED_OUT]),
        text=st.sampled_from(["done", "", "\ud800\0"]),
    )
    def tool_ends(self, kind: OutcomeKind, text: str) -> None:
        async def end() -> None:
            before = self.house.gate.waiting
            if not before:
                return
            self.house.gate.let_through(text.encode("utf-8", "replace").decode(), kind)
            while self.house.gate.waiting == before:
                await asyncio.sleep(_TURN_S)

        self._do(end)

    @rule()
    def the_daemon_dies(self) -> None:
        async def die() -> None:
            self._count(self.house.gate)
            self.house = (await self.house.crash()).start()
            self.model.forget()

        self._do(die)

    @rule(seconds=st.sampled_from([1, 30, 400, 4000]))
    def time_passes(self, seconds: int) -> None:
        self._do(lambda: self.house.wait(timedelta(seconds=seconds)))

    # ---- what people do

    @rule(pick=st.integers(0, 9))
    def cancel_run(self, pick: int) -> None:
        found = self._runs()
        self._act(lambda tx: cancel(tx, runs.get(tx, found[pick % len(found)].id), by="ann", note="no"))

    @rule(pick=st.integers(0, 9), only=st.booleans())
    def pause_run(self, pick: int, only: bool) -> None:
        found = self._runs()
        self._act(lambda tx: pause(tx, runs.get(tx, found[pick % len(found)].id), by="ann", only=only))

    @rule(pick=st.integers(0, 9))
    def resume_run(self, pick: int) -> None:
        found = self._runs()
        self._act(lambda tx: resume(tx, runs.get(tx, found[pick % len(found)].id), by="ann"))

    @rule()
    def start_run(self) -> None:
        if len(self.ended) < 6 and not self.model.waiting and not self.house.gate.waiting:
            self._act(lambda tx: runs.create(tx, name=runs.next_name(tx, "sums"), task="sums", user_message=None, priority=0))

    @rule(pick=st.integers(0, 9), from_start=st.booleans())
    def retry_run(self, pick: int, from_start: bool) -> None:
        found = self._runs()
        if len(found) < 8:
            self._act(
                lambda tx: again.retry(tx, runs.get(tx, found[pick % len(found)].id), by="ann", from_start=from_start, confirmed=True)
            )

    @rule(pick=st.integers(0, 9), at=st.integers(1, 9))
    def fork_run(self, pick: int, at: int) -> None:
        found = self._runs()
        if len(found) < 8:
            self._act(lambda tx: again.fork(tx, runs.get(tx, found[pick % len(found)].id), at=at, by="ann"))

    @rule(pick=st.integers(0, 9), way=st.sampled_from(["it happened", "", None, "again"]))
    def settle_call(self, pick: int, way: str | None) -> None:
        found = self._calls_in_doubt()
        if found:
            happened = None if way == "again" else way
            self._act(
                lambda tx: settle(tx, toolcalls.get(tx, found[pick % len(found)].id), happened=happened, run_again=way == "again", by="ann")
            )

    # ---- what has to hold

    def _count(self, gate: Gate) -> None:
        published = [start for start in gate.starts if start.tool == "publish"]
        self.starts.update(start.idempotency_key for start in published)
        self.began += [start.deadline - start.timeout for start in published if start.attempt == 1]

    @invariant()
    def no_limit_of_calls_is_passed(self) -> None:
        now = [start.deadline - start.timeout for start in self.house.gate.starts if start.tool == "publish" and start.attempt == 1]
        began = sorted(self.began + now)
        for first, beyond in zip(began, began[MOST:], strict=False):
            assert beyond - first >= timedelta(hours=1), began

    @invariant()
    def no_cap_is_passed_and_its_sums_are_those_of_its_charges(self) -> None:
        with closing(sqlite3.connect(self.folder / "state" / migrate.FILE)) as connection:
            accounts = connection.execute(_ACCOUNTS).fetchall()
        for spent, held, charged, out in accounts:
            assert (spent, held) == (charged, out)
            assert spent + held <= TOKENS

    @invariant()
    def every_conversation_is_legal(self) -> None:
        for run in self._runs():
            said = self._read(lambda tx, run=run: [json.loads(text) for text in messages.wire(tx, run.id, run.messages)])  # type: ignore[misc]
            if run.phase is RunPhase.AWAITING_TOOLS:  # the one place where results are still to come
                assert [call["id"] for call in said[-1]["tool_calls"]], said
                said = said[:-1]
            _legal(said)

    @invariant()
    def every_request_was_legal(self) -> None:
        for asked in self.model.requests[self.checked :]:
            _legal(asked.messages)
            assert asked.messages[-1]["role"] in ("user", "tool"), asked.messages[-1]
        self.checked = len(self.model.requests)

    @invariant()
    def what_came_of_work_is_told_once(self) -> None:
        for run in self._runs():
            rows = self._read(lambda tx, run=run: messages.of_run(tx, run.id))  # type: ignore[misc]
            said = "\n".join(json.loads(row["wire"])["content"] for row in rows if row["template"] == "work_finished")
            works = self._read(lambda tx, run=run: detached.of_run(tx, run.id))  # type: ignore[misc]
            for work in works:
                assert said.count(f"[{work.name}, ") <= 1, said
                assert work.finished is not None or not work.told
                if work.finished is None and run.phase in (RunPhase.SUCCEEDED, RunPhase.FAILED):
                    raise AssertionError(f"{work.name} of {run.name} was left behind")
            ends = [work.finished for work in works if work.finished is not None]
            assert len(ends) == len(set(ends)), ends

    @invariant()
    def what_is_over_stays_over(self) -> None:
        for run in self._runs():
            before = self.ended.get(run.id)
            assert before in (None, run.phase), f"{run.name} was {before} and is {run.phase}"
            if run.phase in OVER:
                self.ended[run.id] = run.phase
                assert run.error or run.phase is RunPhase.SUCCEEDED
                assert not self._read(lambda tx, run=run: toolcalls.open_of_run(tx, run.id))  # type: ignore[misc]

    def teardown(self) -> None:
        """Once everything outside is well again, every run comes to its end; and nothing that acts once was started twice."""
        try:
            for _ in range(60):
                if all(run.phase in OVER for run in self._runs()):
                    break
                self._heal()
            assert not self._stuck(), self._stuck()
            self.every_conversation_is_legal()
            self.every_request_was_legal()
            self._count(self.house.gate)
            assert all(count == 1 for count in self.starts.values()), self.starts
        finally:
            self.loop.run(self._end())
            self.loop.close()
            shutil.rmtree(self.folder)

    def _stuck(self) -> list[str]:
        """The runs that are not over, each with its open calls."""
        found = []
        for run in self._runs():
            calls = self._read(lambda tx, run=run: toolcalls.open_of_run(tx, run.id))  # type: ignore[misc]
            if run.phase not in OVER:
                found.append(
                    f"{run.name} {run.phase} {run.paused} {run.detail}: {[f'{call.tool} {call.phase} {call.detail}' for call in calls]}"
                )
        return found

    def _heal(self) -> None:
        for call in self._calls_in_doubt():
            self._act(lambda tx, call=call: settle(tx, toolcalls.get(tx, call.id), happened=None, run_again=False, by="ann"))  # type: ignore[misc]
        for run in self._runs():
            if run.paused:
                self._act(lambda tx, run=run: resume(tx, runs.get(tx, run.id), by="ann"))  # type: ignore[misc]
        while self.house.gate.waiting:
            self.tool_ends(OutcomeKind.SUCCEEDED, "done")
        while self.model.waiting:
            self.model_replies(says("done"))
        self._do(lambda: self.house.wait(timedelta(seconds=400)))

    async def _end(self) -> None:
        await self.house.close()
        self.model.forget()
        await self.model.__aexit__(None, None, None)


def _legal(said: list[Mapping[str, Any]]) -> None:
    """Raise AssertionError unless any server would take these messages."""
    assert is_legal([dict(message) for message in said]), said
    assert all(message["role"] in ("system", "user", "assistant", "tool") for message in said)
    assert [message["role"] for message in said].count("system") <= 1
    calls = [call for message in said for call in message.get("tool_calls") or ()]
    ids = [call["id"] for call in calls]
    assert len(ids) == len(set(ids)), ids
    for call in calls:
        assert isinstance(json.loads(call["function"]["arguments"]), dict), call
        assert call["function"]["name"], call
    for message in said:
        assert message["content"] or message.get("tool_calls") or message["role"] == "assistant", message


@pytest.mark.slow
def test_no_sequence_of_events_parts_calls_from_their_results() -> None:
    play(Pairing)
