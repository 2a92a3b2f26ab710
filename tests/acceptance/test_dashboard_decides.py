"""The dashboard's deciding half on the real daemon: one of two wins, `kill -9` loses nothing, and an edit is judged by the daemon's own rules."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from smallchain.settings import Settings
from smallchain_tui.desk import Desk
from smallchain_tui.viewmodel.decision import Stage
from smallchain_tui.widgets.textfield import TextField
from support.daemon import Daemon
from support.deciding import Deciding, deciding

pytestmark = pytest.mark.long  # test_dashboard walks the same ways in a terminal

TEAM = """
llms:
- name: m
  provider: scripted
  replies: [{{content: ready, tool_calls: [{{name: post, arguments: {{title: news}}}}]}}, {{content: done}}]
agents: [{{name: clerk, tools: [post]}}]
tools:
- name: post
  parameters: {{type: object, properties: {{title: {{type: string, maxLength: 12}}}}, required: [title]}}
  isolation: none
  executor: {{local_bash: {{command: 'echo "$title" >> {log}'}}}}
  approval: required
  deny: {{when: {{title: {{matches: secret}}}}}}
tasks: [{{name: job, agent: clerk, user_message: go}}]
runs: [{{name: r, task: job}}]
"""


async def asked(daemon: Daemon) -> tuple[str, Path, Path]:
    """The id of an open approval, where the posts go, and the daemon's socket."""
    log = daemon.folder / "posts"
    daemon.drop("team.yaml", TEAM.format(log=log))
    await asyncio.to_thread(daemon.start)
    found = await asyncio.to_thread(lambda: daemon.until(lambda: daemon.items("requests")))
    return str(found[0]["id"]), log, Settings.read(daemon.environ).socket_path


def posts(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


async def approve(seen: Deciding) -> None:
    """The verdict key, alone, and the time of its hold."""
    await seen.alone("y")
    await seen.wait()
    await seen.comes_to(Stage.ENDED)


async def test_of_two_dashboards_one_decides_and_the_other_is_told_by_whom(daemon: Daemon) -> None:
    id, log, socket = await asked(daemon)
    both = asyncio.Barrier(2)

    async def first() -> str:
        async with deciding(socket) as one:
            await one.open(id)
            await both.wait()
            await approve(one)
            return one.text()

    async def second() -> str:
        async with deciding(socket) as other:
            await other.open(id)
            await both.wait()
            await other.comes_to(Stage.ENDED)
            await other.alone("y")
            await other.wait()
            return other.text()

    decided, told = await asyncio.gather(first(), second())  # each in a task of its own: Textual keeps its app in the context

    assert "approved post" in decided
    assert "approved by" in told
    await asyncio.to_thread(daemon.over, "r")
    assert posts(log) == ["news"]
    (request,) = daemon.items("requests", all=True)
    assert (request["answered_via"], request["answer"]["verb"]) == ("dashboard", "approve")


async def test_killed_while_an_approval_is_open_the_note_stays_and_it_is_decided_once(daemon: Daemon) -> None:
    id, log, socket = await asked(daemon)
    async with deciding(socket, desk=Desk.of(daemon.state)) as seen:
        await seen.open(id)
        await seen.alone("tab")
        await seen.type("mind the date")
        await seen.alone("ctrl+s")
        daemon.kill()
        await seen.until(lambda: seen.app.may_act() is not None, "the loss")
        await seen.alone("y")
        await seen.wait()
        assert seen.stage is Stage.OPENED
        await asyncio.to_thread(daemon.start)
        await seen.until(lambda: seen.app.may_act() is None, "the daemon")
        await seen.wait()
        assert seen.stage is Stage.OPENED, "what was refused is not sent later"
        await approve(seen)
    await asyncio.to_thread(daemon.over, "r")

    assert posts(log) == ["news"]
    (request,) = daemon.items("requests", all=True)
    assert request["note"] == "mind the date"


async def test_an_edit_is_judged_by_the_pinned_schema_and_the_rules_and_runs_as_it_was_approved(daemon: Daemon) -> None:
    id, log, socket = await asked(daemon)
    async with deciding(socket) as seen:
        await seen.open(id)
        await seen.alone("e")
        await seen.comes_to(Stage.EDITING)
        field = seen.screen.query_one("#editor", TextField)
        for text, said in (
            ('title: "far too long a title"', "longer than 12"),
            ('title: "secret"', "forbids it"),
            ('title: "Week 47"', "fits"),
        ):
            field.load_text(text)
            await seen.sees(said)
        await seen.alone("ctrl+s")
        await seen.comes_to(Stage.OPENED)
        await approve(seen)
    await asyncio.to_thread(daemon.over, "r")

    assert posts(log) == ["Week 47"]
