"""Tools that are HTTP requests, in their runs: what is harmless goes again, what is not is a person's to settle, and secrets stay out."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from smallchain.model.lifecycles import CallPhase, RunPhase
from smallchain.model.toolcall import Effects
from smallchain.store import artifacts
from support.house import House
from support.starts import FixedClock
from support.webserver import Bytes, Request, WebServer, answers, ok

RUN = "monday"
SECRET = "sk-canary/0123456789+x"


def team(url: str, **words: Any) -> str:
    http = {"url": url, "allow": ["127.0.0.1"], "headers": {"Authorization": {"env": "TOKEN"}}} | words.pop("http", {})
    tool = {"name": "order", "executor": {"http": http}} | words
    replies = [{"tool_calls": [{"name": "order", "arguments": {"what": "tea"}}]}, {"content": "done"}]
    return json.dumps(
        {
            "llms": [{"name": "fast", "provider": "scripted", "replies": replies}],
            "agents": [{"name": "buyer", "tools": ["order"]}],
            "tools": [tool],
            "tasks": [{"name": "buy", "agent": "buyer", "user_message": "buy tea"}],
            "runs": [{"name": RUN, "task": "buy"}],
        }
    )


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    opened = (await House.open(tmp_path, FixedClock(), environ={"TOKEN": SECRET})).start()
    yield opened
    await opened.close()


async def test_a_request_is_sent_with_its_secret_which_is_stored_nowhere(house: House, tmp_path: Path) -> None:
    def brain(asked: Request) -> Bytes:
        return ok(f"you are {asked.headers['authorization']}, or sk-canary%2F0123456789%2Bx " + "x" * 40_000)

    async with WebServer(brain) as server:
        await house.apply(team(server.url))
        await house.run(RUN, RunPhase.SUCCEEDED)
        assert server.requests[0].headers["authorization"] == SECRET

    (told,) = await house.results(RUN)
    assert told.startswith("you are [secret:TOKEN], or [secret:TOKEN] xxx")
    (row,) = await house.database.read(artifacts.everything)
    kept = await house.database.read(lambda tx: artifacts.data(tx, row["id"]))
    assert kept.startswith(b"you are [secret:TOKEN], or [secret:TOKEN] xxx")
    await house.close()
    stored = [path.read_bytes() for path in (tmp_path / "state").iterdir() if path.is_file()]
    assert not any(b"canary" in data for data in stored)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_a_request_without_an_answer_is_in_doubt_and_sent_once(house: House, method: str) -> None:
    async with WebServer(lambda asked: Bytes(reset=True)) as server:
        await house.apply(team(server.url, http={"method": method}, retries=3))
        call = await house.call(RUN, CallPhase.IN_DOUBT)

    assert (call.effects, len(server.requests)) == (Effects.ONCE, 1)
    request = await house.request(RUN, "settle")
    assert "sent, and no answer came" in request.question


async def test_get_is_harmless_and_goes_again_when_it_failed(house: House) -> None:
    left = [answers(503, retry_after="90"), Bytes(reset=True), ok("tea")]
    async with WebServer(lambda asked: left.pop(0)) as server:
        await house.apply(team(server.url, http={"method": "GET"}, retries=2))
        await server.came(1)
        call = await house.call(RUN, CallPhase.READY)
        assert call.effects is Effects.NONE
        assert call.due_at is not None
        assert call.due_at - house.clock.now() >= timedelta(seconds=90), "as Retry-After says"
        await house.wait(timedelta(seconds=120))
        await server.came(2)
        await house.call(RUN, CallPhase.READY)
        await house.wait(timedelta(minutes=10))
        await house.run(RUN, RunPhase.SUCCEEDED)

    assert [asked.headers["idempotency-key"] for asked in server.requests] == [f"{call.id}.1"] * 3
    assert await house.results(RUN) == ["tea"]


async def test_what_was_not_sent_is_tried_again_even_for_once(house: House) -> None:
    async with WebServer(lambda asked: ok("tea")) as server:
        port = server.port
    await house.apply(team(f"http://127.0.0.1:{port}", retries=1))
    call = await house.call(RUN, CallPhase.READY)
    assert "Connection refused" in call.detail
    await house.wait(timedelta(minutes=10))
    await house.run(RUN, RunPhase.SUCCEEDED)

    (told,) = await house.results(RUN)
    assert told.startswith("Error: could not be sent: http://127.0.0.1:")
