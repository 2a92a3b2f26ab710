"""Nothing starts that the rules, or a person, did not let through, whatever order files, decisions, deaths and moves to the present come in.

Hypothesis plays against the real loops on a real database. What may start is told by a second reading of the rules, in this file: the
stricter of what a run is pinned to and what is written now; a person's word holds for one call, its arguments and what it was pinned to.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from smallchain.engine.human.deciding import resume
from smallchain.engine.run.acts import adopt, cancel, pause
from smallchain.model.delivery import Verb
from smallchain.model.errors import Refused
from smallchain.model.human import HumanRequest, RequestKind
from smallchain.model.run import Run
from smallchain.model.toolcall import OutcomeKind, Start
from smallchain.store import approvals, requests, runs
from smallchain.store.contract import Tx
from support.asking import Words, publish, text
from support.house import PATIENCE_S, House
from support.machines import play
from support.rows import all_runs
from support.starts import FixedClock

_TURN_S = 0.001
TITLES = ("A", "B", "secret")


def tool_of(approval: Any, deny: Words | None, command: str, effects: str) -> Words:
    """The tool, with rules."""
    rules = {"approval": approval} | ({"deny": deny} if deny else {})
    return publish(executor={"python": {"command": command}}, effects=effects, retries=1, **rules)


tools = st.builds(
    tool_of,
    st.sampled_from(["never", "required", "required", {"when": {"title": {"matches": "A"}}}]),
    st.sampled_from([None, None, {"when": {"title": {"matches": "secret"}}}]),
    st.sampled_from(["one", "two"]),
    st.sampled_from(["once", "idempotent"]),
)
turns = st.lists(st.lists(st.sampled_from(TITLES), min_size=1, max_size=2), min_size=3, max_size=6)


@dataclass
class Let:
    """What a run is pinned to, and what people let through of it, as the test was told."""

    pinned: Words
    calls: dict[str, tuple[Words, Words]] = field(default_factory=dict)
    """Of a call: the tool as it was pinned, and the arguments, that somebody approved last."""
    grants: list[Words] = field(default_factory=list)
    """The tools that may run until the run's end, as they were pinned."""


class LetThrough(RuleBasedStateMachine):
    """One folder, many lives of a daemon on it, and people who change their minds."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="sc-"))
        self.loop = asyncio.Runner()
        self.house: House = self.loop.run(self._begin())
        self.let: dict[str, Let] = {}
        self.seen = 0
        self.written: Words = publish()
        self.replies: list[Words] = []

    @initialize(tool=tools, turns=turns)
    def it_begins(self, tool: Words, turns: list[list[str]]) -> None:
        asked = [{"tool_calls": [{"name": "publish", "arguments": {"title": title}} for title in titles]} for titles in turns]
        self.replies = [*asked, {"content": "done"}]
        self.a_file_is_written(tool)

    async def _begin(self) -> House:
        return (await House.open(self.folder, FixedClock())).start()

    def _do(self, move: Callable[[], Awaitable[Any]]) -> None:
        async def whole() -> None:
            with suppress(Refused):  # what may not be is refused; that is no fault
                await move()
            async with asyncio.timeout(PATIENCE_S):
                while len(self.house.driver.under_way()) > self.house.gate.waiting:
                    await asyncio.sleep(_TURN_S)
                await self.house.quiet()
                while len(self.house.driver.under_way()) > self.house.gate.waiting:
                    await asyncio.sleep(_TURN_S)

        self.loop.run(whole())
        for run in self._runs():
            if run.started_at is not None:
                self.let.setdefault(run.id, Let(self.written))
        self._look_at_starts()

    def _act(self, act: Callable[[Tx, Run], Any], pick: int) -> None:
        found = self._runs()
        run = found[pick % len(found)]
        self._do(lambda: self.house.driver.transact(lambda tx: act(tx, runs.get(tx, run.id))))

    def _runs(self) -> list[Run]:
        return self.loop.run(self.house.database.read(lambda tx: [runs.get(tx, row["id"]) for row in all_runs(tx)]))

    def _open(self) -> list[HumanRequest]:
        def look(tx: Tx) -> list[HumanRequest]:
            return [each for row in all_runs(tx) for each in requests.open_of_run(tx, row["id"])]

        return self.loop.run(self.house.database.read(look))

    # ---- what people do

    @rule(tool=tools)
    def a_file_is_written(self, tool: Words) -> None:
        self.written = tool
        self._do(lambda: self.house.apply(text(tool, replies=self.replies)))

    @rule(pick=st.integers(0, 9), edits=st.none() | st.sampled_from(TITLES), for_run=st.booleans(), old=st.integers(0, 7))
    def somebody_approves(self, pick: int, edits: str | None, for_run: bool, old: int) -> None:
        asked = [each for each in self._open() if each.kind is RequestKind.APPROVAL]
        if not asked:
            return
        request = asked[pick % len(asked)]
        shown = json.loads(request.arguments)
        arguments = shown if edits is None else {"title": edits}
        words: dict[str, Any] = {"for_run": for_run, "edits": None if edits is None else arguments}
        if old == 0:
            words["expect_digest"] = "0" * 64

        async def approve() -> None:
            heard = await self.house.say(Verb.APPROVE, request, **words)
            if heard.counted:
                let = self.let[request.run_id]
                let.calls[request.call_id or ""] = (let.pinned, arguments)
                let.grants += [let.pinned] if for_run else []

        self._do(approve)

    @rule(pick=st.integers(0, 9))
    def somebody_denies(self, pick: int) -> None:
        asked = [each for each in self._open() if each.kind is RequestKind.APPROVAL]
        if asked:
            self._do(lambda: self.house.say(Verb.DENY, asked[pick % len(asked)]))

    @rule(pick=st.integers(0, 9))
    def a_grant_is_taken_back(self, pick: int) -> None:
        def revoke(tx: Tx, run: Run) -> None:
            for row in tx.all("grants.list"):
                grant = approvals.find_grant(tx, row["id"])
                if grant is not None and grant.run_id == run.id and grant.revoked_at is None:
                    approvals.revoke(tx, grant, by="ann")
            if run.id in self.let:
                self.let[run.id].grants.clear()

        self._act(revoke, pick)

    @rule(pick=st.integers(0, 9), resumes=st.booleans())
    def a_run_moves_to_the_present(self, pick: int, resumes: bool) -> None:
        def move(tx: Tx, run: Run) -> None:
            if run.is_over:
                raise Refused("it is over")
            adopt(tx, run, by="ann")
            if run.id in self.let:
                self.let[run.id].pinned = self.written
            if resumes:
                resume(tx, runs.get(tx, run.id), by="ann")

        self._act(move, pick)

    @rule(pick=st.integers(0, 9))
    def a_run_is_paused(self, pick: int) -> None:
        self._act(lambda tx, run: pause(tx, run, by="ann"), pick)

    @rule(pick=st.integers(0, 9))
    def a_run_is_resumed(self, pick: int) -> None:
        self._act(lambda tx, run: resume(tx, run, by="ann"), pick)

    @rule(pick=st.integers(0, 29))
    def a_run_is_cancelled(self, pick: int) -> None:
        if pick < 3:
            self._act(lambda tx, run: cancel(tx, run, by="ann"), pick)

    @rule()
    def a_run_is_started(self) -> None:
        if len(self.let) < 3:
            self._do(
                lambda: self.house.driver.transact(
                    lambda tx: runs.create(tx, name=runs.next_name(tx, "write"), task="write", user_message=None, priority=0)
                )
            )

    @rule(pick=st.integers(0, 9), verb=st.sampled_from([Verb.HAPPENED, Verb.DID_NOT_HAPPEN, Verb.RUN_AGAIN]))
    def a_call_is_settled(self, pick: int, verb: Verb) -> None:
        asked = [each for each in self._open() if each.kind is RequestKind.SETTLE]
        if asked:
            self._do(lambda: self.house.say(verb, asked[pick % len(asked)], text="it did" if verb is Verb.HAPPENED else ""))

    # ---- much of it at once: a run has to come far for anything to go wrong

    @rule(turns=st.integers(1, 3), old=st.integers(0, 3))
    def some_turns_go_well(self, turns: int, old: int) -> None:
        for _ in range(turns):
            self.somebody_approves(0, None, False, old)
            while self.house.gate.waiting:
                self.a_tool_ends(OutcomeKind.SUCCEEDED)

    @rule(tool=tools, pick=st.integers(0, 9), edits=st.none() | st.sampled_from(TITLES), adopts=st.booleans())
    def a_file_is_written_between_a_decision_and_the_start(self, tool: Words, pick: int, edits: str | None, adopts: bool) -> None:
        self.a_run_is_paused(pick)
        self.somebody_approves(pick, edits, False, 1)
        self.a_file_is_written(tool)
        if adopts:
            self.a_run_moves_to_the_present(pick, True)
        self.a_run_is_resumed(pick)

    @rule(tool=tools, pick=st.integers(0, 9), adopts=st.booleans())
    def a_file_is_written_between_two_attempts(self, tool: Words, pick: int, adopts: bool) -> None:
        self.a_tool_ends(OutcomeKind.FAILED)
        self.a_file_is_written(tool)
        if adopts:
            self.a_run_moves_to_the_present(pick, True)
        self.time_passes(400)

    # ---- what the world does

    @rule(kind=st.sampled_from([OutcomeKind.SUCCEEDED, OutcomeKind.SUCCEEDED, OutcomeKind.FAILED, OutcomeKind.UNKNOWN]))
    def a_tool_ends(self, kind: OutcomeKind) -> None:
        async def end() -> None:
            before = self.house.gate.waiting
            if before:
                self.house.gate.let_through("done", kind)
                while self.house.gate.waiting == before:
                    await asyncio.sleep(_TURN_S)

        self._do(end)

    @rule(seconds=st.sampled_from([1, 400]))
    def time_passes(self, seconds: int) -> None:
        self._do(lambda: self.house.wait(timedelta(seconds=seconds)))

    @rule()
    def the_daemon_dies(self) -> None:
        async def die() -> None:
            self.house = (await self.house.crash()).start()
            self.seen = 0

        self._do(die)

    # ---- what has to hold

    def _look_at_starts(self) -> None:
        starts = self.house.gate.starts[self.seen :]
        self.seen += len(starts)
        for start in starts:
            self._check(start)

    def _check(self, start: Start) -> None:
        let = self.let[start.run_id]
        told = f"{start} while pinned to {let.pinned} and written {self.written}; let through {let.calls}, {let.grants}"
        word = max(_says(each, start.arguments) for each in (let.pinned, self.written))
        assert start.executor["python"]["command"] == let.pinned["executor"]["python"]["command"], told
        assert word < _DENIED, told
        if word == _ASKED:
            assert let.calls.get(start.call_id) == (let.pinned, start.arguments) or let.pinned in let.grants, told

    @invariant()
    def each_call_that_waits_is_asked_about_once(self) -> None:
        asked = [(each.kind, each.call_id) for each in self._open() if each.call_id]
        assert len(asked) == len(set(asked)), asked

    def teardown(self) -> None:
        """Once everybody answers, every run comes to its end."""
        try:
            for _ in range(40):
                for run in self._runs():
                    if run.paused:
                        self._do(lambda run=run: self.house.driver.transact(lambda tx: resume(tx, runs.get(tx, run.id), by="ann")))  # type: ignore[misc]
                while self.house.gate.waiting:
                    self.a_tool_ends(OutcomeKind.SUCCEEDED)
                self.somebody_approves(0, None, False, 1)
                self.a_call_is_settled(0, Verb.DID_NOT_HAPPEN)
                self.time_passes(400)
                if all(run.is_over for run in self._runs()):
                    break
            assert [run for run in self._runs() if not run.is_over] == []
        finally:
            self.loop.run(self.house.close())
            self.loop.close()
            shutil.rmtree(self.folder)


_FREE, _ASKED, _DENIED = range(3)


def _says(tool: Words, arguments: Words) -> int:
    """What a tool's rules say of arguments; the second reading of them."""

    def matches(when: Words) -> bool:
        return re.search(when["title"]["matches"], arguments["title"]) is not None

    if tool.get("deny") and matches(tool["deny"]["when"]):
        return _DENIED
    approval = tool["approval"]
    return _ASKED if approval == "required" or (isinstance(approval, dict) and matches(approval["when"])) else _FREE


@pytest.mark.slow
def test_nothing_starts_that_was_not_let_through() -> None:
    play(LetThrough)
