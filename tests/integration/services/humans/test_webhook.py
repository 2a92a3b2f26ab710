"""A webhook against a real server on the loopback: what it is sent, what its answers mean, and the way of an answer back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from smallchain.model import callback
from smallchain.model.callback import Key
from smallchain.model.delivery import Delivered, Undelivered, Verb
from smallchain.services.humans.webhook import RequestCallbacks, WebhookChannel
from smallchain.settings import Callbacks
from smallchaind import callbacks
from smallchaind.callbacks import CallbackListener
from support.modelserver import Answer, Asked, ModelServer
from support.people import DELIVERY, DIGEST, NOW, REQUEST, SECRET, Judge, channel, delivery, question, told

TOKEN = "the-channels-token"


class HookServer(ModelServer):
    """The same server, with one answer for every path."""

    def routed(self, asked: Asked) -> Answer:
        """The brain's answer."""
        return self.brain(asked)


@pytest.fixture
async def webhook() -> AsyncIterator[WebhookChannel]:
    made = WebhookChannel(now=lambda: NOW)
    yield made
    await made.close()


@pytest.fixture
async def server() -> AsyncIterator[HookServer]:
    async with HookServer(lambda asked: Answer(status=204)) as running:
        yield running


async def test_it_is_posted_with_all_that_is_told_signed_by_the_channels_token(webhook: WebhookChannel, server: HookServer) -> None:
    hostile = told(why="\x1b[2J\u202edone", question="<script>", outcomes=((Verb.APPROVE, "It runs."),))

    assert await webhook.deliver(delivery(channel("webhook", f"{server.base_url}/hook"), hostile)) == Delivered()

    [asked] = server.requests
    assert (asked.method, asked.headers["content-type"], asked.headers["idempotency-key"]) == ("POST", "application/json", DELIVERY)
    by = callback.signer(asked.headers[callback.HEADER.lower()], [Key(TOKEN.encode(), "us")], DELIVERY, asked.body, now=NOW)
    assert isinstance(by, Key)
    request = asked.json["request"]
    assert (request["id"], request["digest"], request["why"], request["question"]) == (REQUEST, DIGEST, "\x1b[2J\u202edone", "<script>")
    assert request["outcomes"] == [{"verb": "approve", "leads_to": "It runs."}]
    assert asked.json["answer"]["url"] == f"http://127.0.0.1:9/callbacks/requests/{REQUEST}"
    assert asked.json["answer"]["verbs"] == ["approve", "deny"]
    assert TOKEN.encode() not in asked.body


async def test_trying_again_looks_the_same_and_a_reminder_says_that_it_is_one(webhook: WebhookChannel, server: HookServer) -> None:
    to = channel("webhook", server.base_url)
    for attempt, reminder in ((1, 0), (2, 0), (1, 1), (2, 1)):
        await webhook.deliver(delivery(to, attempt=attempt, reminder=reminder))

    keys = [asked.headers["idempotency-key"] for asked in server.requests]
    assert keys == [DELIVERY, DELIVERY, f"{DELIVERY}.1", f"{DELIVERY}.1"]
    assert [asked.json["event"] for asked in server.requests] == ["request", "request", "reminder", "reminder"]
    assert {asked.json["delivery"] for asked in server.requests} == {DELIVERY}
    assert server.requests[0].body == server.requests[1].body


async def test_without_a_listener_nothing_is_said_of_an_answer(webhook: WebhookChannel, server: HookServer) -> None:
    await webhook.deliver(delivery(channel("webhook", server.base_url), callback_url=""))

    assert "answer" not in server.requests[0].json


async def test_the_end_is_told_with_who_and_when(webhook: WebhookChannel, server: HookServer) -> None:
    await webhook.tell_end(delivery(channel("webhook", server.base_url)), "approved by alice at 11:40")

    body = server.requests[0].json
    assert (body["event"], body["request"]["id"], body["sentence"]) == ("closed", REQUEST, "approved by alice at 11:40")


@pytest.mark.parametrize(
    ("answer", "for_now", "after"),
    [
        (Answer(status=500), True, None),
        (Answer(status=503, headers={"Retry-After": "7"}), True, 7),
        (Answer(status=429, headers={"Retry-After": "999999999999"}), True, 3600),
        (Answer(status=429, headers={"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}), True, None),
        (Answer(status=408), True, None),
        (Answer(status=400), False, None),
        (Answer(status=401), False, None),
        (Answer(status=404), False, None),
        (Answer(status=410), False, None),
        (Answer(fault="reset"), True, None),
        (Answer(fault="garbage"), True, None),
    ],
)
async def test_what_the_receiver_answers_says_whether_trying_again_helps(
    webhook: WebhookChannel, server: HookServer, answer: Answer, for_now: bool, after: int | None
) -> None:
    server.brain = lambda asked: answer

    found = await webhook.deliver(delivery(channel("webhook", f"{server.base_url}/secret-path")))

    assert isinstance(found, Undelivered)
    assert (found.for_now, found.retry_after) == (for_now, timedelta(seconds=after) if after else None)
    assert "secret-path" not in found.message
    assert TOKEN not in found.message


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(webhook: WebhookChannel, server: HookServer, status: int) -> None:
    server.brain = lambda asked: Answer(status=status, headers={"Location": f"{server.base_url}/elsewhere"})

    found = await webhook.deliver(delivery(channel("webhook", server.base_url)))

    assert isinstance(found, Undelivered)
    assert not found.for_now
    assert len(server.requests) == 1


async def test_nobody_there_is_a_reason_to_try_again(webhook: WebhookChannel) -> None:
    bound = callbacks.bind(0)
    port = bound.getsockname()[1]
    bound.close()

    found = await webhook.deliver(delivery(channel("webhook", f"http://127.0.0.1:{port}/")))

    assert isinstance(found, Undelivered)
    assert found.for_now
    assert f"http://127.0.0.1:{port}: " in found.message


async def test_without_a_token_nothing_is_sent(webhook: WebhookChannel, server: HookServer) -> None:
    to = channel("webhook", server.base_url, token=None)

    found = await webhook.deliver(delivery(to))

    assert isinstance(found, Undelivered)
    assert not found.for_now
    assert await webhook.check(to) == found.message
    assert not server.requests


class Round:
    """A webhook's receiver that answers over the callback listener, with what the POST told it and nothing else."""

    def __init__(self, webhook: WebhookChannel, server: HookServer, judge: Judge, port: int) -> None:
        self.webhook, self.server, self.judge, self.port = webhook, server, judge, port

    async def told(self, name: str) -> dict[str, Any]:
        """Deliver to a channel, and what the receiver read."""
        url = f"http://127.0.0.1:{self.port}/callbacks/requests"
        await self.webhook.deliver(delivery(self.judge.channels[name], self.judge.request, callback_url=url))
        answer: dict[str, Any] = self.server.requests[-1].json
        return answer

    async def answer(self, told: dict[str, Any], **said: Any) -> tuple[int, dict[str, Any]]:
        """Sign and send an answer."""
        body = json.dumps(said).encode()
        how = told["answer"]
        headers = {how["header"]: callback.sign(bytes.fromhex(how["key"]), told["request"]["id"], body, at=NOW)}
        async with (
            aiohttp.ClientSession() as session,
            session.post(how["url"], data=body, headers={"Content-Type": "application/json"} | headers) as response,
        ):
            return response.status, await response.json()


@asynccontextmanager
async def listening(judge: Judge, *, now: Callable[[], datetime]) -> AsyncIterator[int]:
    """The callback listener before a judge; its port."""
    bound = callbacks.bind(0)
    port = bound.getsockname()[1]

    async def known(request_id: str) -> tuple[bytes, Sequence[str]] | None:
        return (SECRET, tuple(judge.channels)) if request_id == REQUEST else None

    requests = RequestCallbacks(known=known, hear=judge.hear, now=now)
    listener = CallbackListener({"requests": requests}, hosts=callbacks.hosts(Callbacks(port, "http://x")), now=now)
    task = asyncio.create_task(listener.serve(bound))
    yield port
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def round_trip(webhook: WebhookChannel, server: HookServer) -> AsyncIterator[Round]:
    first = channel("webhook", server.base_url)
    judge = Judge(told(), first, channel("webhook", server.base_url, name="anybody", allowed=()))
    async with listening(judge, now=lambda: NOW) as port:
        yield Round(webhook, server, judge, port)


async def test_a_receiver_answers_with_what_it_was_told_alone(round_trip: Round) -> None:
    told = await round_trip.told("marketing")

    status, answer = await round_trip.answer(told, verb="approve", by="alice", expect_digest=told["request"]["digest"])

    assert (status, answer["sentence"]) == (200, "approve by alice")
    assert round_trip.judge.won is not None
    assert (round_trip.judge.won.via, round_trip.judge.won.expect_digest) == ("marketing", DIGEST)


async def test_of_fifty_approvers_at_once_one_wins_and_the_others_are_told_who(round_trip: Round) -> None:
    told = await round_trip.told("marketing")
    digest = told["request"]["digest"]

    found = await asyncio.gather(
        *(round_trip.answer(told, verb="approve", by="alice", note=str(n), expect_digest=digest) for n in range(50))
    )

    assert sorted(status for status, _ in found) == [200] + [409] * 49
    assert {answer["sentence"] for status, answer in found if status == 409} == {"already decided: approve by alice (marketing)"}


async def test_the_receiver_that_the_docs_show_answers(webhook: WebhookChannel, server: HookServer) -> None:
    page = (Path(__file__).parents[4] / "docs" / "channels.md").read_text(encoding="utf-8")
    sample: dict[str, Any] = {}
    exec(page.partition("```python\n")[2].partition("```")[0], sample)  # noqa: S102 - our own page
    judge = Judge(told(), channel("webhook", server.base_url))
    async with listening(judge, now=lambda: datetime.now(UTC)) as port:
        posted = await Round(webhook, server, judge, port).told("marketing")

        status = await asyncio.to_thread(sample["answer"], posted, {"verb": "approve", "by": "alice", "expect_digest": DIGEST})

    assert status == 200
    assert judge.won is not None


async def test_a_channel_cannot_speak_as_another(round_trip: Round) -> None:
    told = await round_trip.told("anybody")

    status, answer = await round_trip.answer(told, verb="approve", by="alice", expect_digest=DIGEST)

    assert (status, answer["sentence"]) == (409, "alice may not approve here")
    assert round_trip.judge.said[-1].via == "anybody"


async def test_an_approval_that_does_not_say_of_what_is_none(round_trip: Round) -> None:
    told = await round_trip.told("marketing")

    assert (await round_trip.answer(told, verb="approve", by="alice"))[0] == 422
    assert (await round_trip.answer(told, verb="approve", by="alice", expect_digest="cd" * 32))[0] == 409
    assert round_trip.judge.won is None


@pytest.mark.parametrize(
    "said",
    [
        {"verb": "approved", "by": "alice"},
        {"verb": "deny"},
        {"verb": "deny", "by": ""},
        {"verb": "deny", "by": "alice\nroot"},
        {"verb": "deny", "by": "a" * 201},
        {"verb": "deny", "by": "alice", "note": "n" * 4097},
        {"verb": "deny", "by": "alice", "notes": "x"},
        {"verb": "deny", "by": "alice", "edits": "{}"},
        {"verb": "deny", "by": "alice", "for_run": "yes"},
    ],
)
async def test_an_answer_that_says_something_else_is_told_what(round_trip: Round, said: dict[str, Any]) -> None:
    told = await round_trip.told("marketing")

    status, answer = await round_trip.answer(told, **said)

    assert status == 422
    assert answer["error"]["message"]
    assert not round_trip.judge.said


async def test_a_question_is_answered_in_words(round_trip: Round) -> None:
    round_trip.judge.request = question()
    told = await round_trip.told("anybody")

    assert (await round_trip.answer(told, verb="answer", by="bob", text="The second."))[0] == 200
    assert round_trip.judge.won is not None
    assert round_trip.judge.won.text == "The second."
